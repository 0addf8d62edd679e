"""What scoring costs beside the loop over cases that a user would write with the same parts.

from files     `mmdiag score` of a cohort that was never seen: ingestion (contracts, sandbox,
               masking, quarantine, record) and scoring
from features  the same cohort scored again by a workspace that has its features, but no answers
naive, files   for each case: read its images, its note and its row in this process, make its
               features, diagnose it; nothing is checked, masked or kept but the answer
naive, store   for each case of the ingested cohort: make its features, diagnose it

Notes cost most, and the phantom's repeat their sentences, each of which scoring embeds once: on
notes that share none, files and naive loop are nearer. All but the unmasked give the same answers,
which is checked. Processor time of this process and its workers, so that
others on the machine do not count, and seconds by the clock; in interleaved rounds, medians.

python benchmarks/score.py [--cases 200] [--rounds 3] [--json]
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmdiag import api, recipes
from mmdiag.description import read_description
from mmdiag.inference import score as inference
from mmdiag.inference.bundle import Bundle
from mmdiag.inference.predict import diagnose
from mmdiag.phantom import write_phantom
from mmdiag.prepare.batches import prepare_samples
from mmdiag.prepare.extract import extractor
from mmdiag.sandbox.pool import shared_sandbox
from mmdiag.storage.ledger import Ledger
from mmdiag.storage.store import Store
from mmdiag.workspace import Workspace

SAME = 1e-4  # two answers of one case that differ by less are the same


def trained(folder: Path) -> Path:
    """A bundle, trained for a few epochs: what it says does not matter here."""
    write_phantom(folder / "old", cases=60, seed=1, missing=0.1)
    place = Workspace(folder / "w-old")
    config = recipes.named("default", settings={"training.max_epochs": 3})
    description = read_description(folder / "old" / "cohort.toml")
    answer = api.compare(description, place, Ledger(place.ledger_url), config)
    return Path(answer["bundle"]["path"])


class Ways:
    """The four ways to the answers of one cohort."""

    def __init__(self, folder: Path, bundle: Path, cases: int) -> None:
        write_phantom(folder / "new", cases=cases, seed=2, missing=0.1)
        self.folder, self.bundle = folder, Bundle.load(bundle)
        self.description = read_description(folder / "new" / "cohort.toml")
        self.number = 0
        self.kept = Workspace(folder / "w-kept")
        self.score(self.kept, Ledger(self.kept.ledger_url))
        self.store = Store.open(self.kept, self.description.name)
        self.extractors = {
            name: extractor(kind, self.bundle.config) for name, kind in self.bundle.kinds.items()
        }

    def score(self, place: Workspace, ledger: Ledger) -> pd.Series:
        """As the command does."""
        out = self.folder / "answers.parquet"
        api.score(self.bundle, self.description, place, ledger, out)
        return pd.read_parquet(out).set_index("case_id")["probability"]

    def from_files(self) -> pd.Series:
        self.number += 1
        place = Workspace(self.folder / f"w-{self.number}")
        return self.score(place, Ledger(place.ledger_url))

    def from_features(self) -> pd.Series:
        self.number += 1
        out = self.folder / "answers.parquet"
        ledger = Ledger(f"sqlite:///{self.folder / f'ledger-{self.number}.db'}")
        inference.score(self.bundle, self.description, self.kept, ledger, out)
        return pd.read_parquet(out).set_index("case_id")["probability"]

    def naive_store(self) -> pd.Series:
        return self._one_by_one(self.store.raw_input)

    def naive_files(self) -> pd.Series:
        from mmdiag.cohort.case_table import read_cases
        from mmdiag.cohort.cases import find_cases
        from mmdiag.sandbox.image_request import image
        from mmdiag.sandbox.requests import note

        cases = find_cases(self.description, read_cases(self.description))
        case_of = {case.case_id: case for case in cases}
        rows = list(self.store.cases["case_id"])
        tables: dict[str, pd.DataFrame] = {}

        def read(name: str, row: int) -> Any:
            source, described = case_of[rows[row]].sources[name], self.description.modalities[name]
            if described.kind == "image":
                files, size = list(map(str, source.files)), described.size
                _, arrays = image(files, described.select, size, described.slices, "auto", "accept")
                return arrays["stack"]
            if described.kind == "text":
                return note(str(source.files[0]), ())[0]["text"]
            if name not in tables:
                found = pd.read_csv(source.files[0], dtype={described.key: str})
                tables[name] = found.set_index(described.key)
            columns = self.store.columns(name)
            return tables[name].loc[rows[row], columns].to_numpy(dtype=np.float32)

        return self._one_by_one(read)

    def _one_by_one(self, read: Callable[[str, int], Any]) -> pd.Series:
        found = []
        for row in range(len(self.store.cases)):
            raws: dict[str, list[Any]] = {
                name: [
                    self.extractors[name]([read(name, row)])[0]
                    if self.store.present(name)[row]
                    else None
                ]
                for name in self.bundle.kinds
            }
            sample = prepare_samples(self.bundle.preparations, raws, [0])
            found.append(float(diagnose(self.bundle, sample)["probability"].iloc[0]))
        return pd.Series(found, index=self.store.cases["case_id"])


def processor_seconds() -> float:
    """Of this process, and of what it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def worker_seconds() -> float:
    """Of the sandbox's processes, which live on."""
    ticks = os.sysconf("SC_CLK_TCK")
    total = 0
    for member in shared_sandbox()._members:
        try:
            fields = Path(f"/proc/{member.process}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / ticks


def measure(cases: int, rounds: int) -> dict[str, Any]:
    """Milliseconds a case of each way, and the ratios."""
    with tempfile.TemporaryDirectory() as folder:
        ways = Ways(Path(folder), trained(Path(folder)), cases)
        calls = {
            "from_files": ways.from_files,
            "naive_files": ways.naive_files,
            "from_features": ways.from_features,
            "naive_store": ways.naive_store,
        }
        spent: dict[str, list[float]] = {name: [] for name in calls}
        clock: dict[str, list[float]] = {name: [] for name in calls}
        answers: dict[str, pd.Series] = {}
        for number in range(rounds + 1):
            for name, call in calls.items():
                began, before = time.perf_counter(), processor_seconds() + worker_seconds()
                answers[name] = call()
                if number:  # the first round warms caches and starts workers
                    spent[name].append(processor_seconds() + worker_seconds() - before)
                    clock[name].append(time.perf_counter() - began)
        count = len(ways.store.cases)
    for name, found in answers.items():
        apart = (found - answers["from_files"].loc[found.index]).abs().max()
        if name != "naive_files" and not apart <= SAME:
            raise SystemExit(f"{name} gives other answers, by up to {apart:.2g}")
    cpu = {name: statistics.median(values) / count for name, values in spent.items()}
    wall = {name: statistics.median(values) / count for name, values in clock.items()}
    return {
        "cases": count,
        **{f"{name}_cpu_ms": round(1000 * value, 2) for name, value in cpu.items()},
        **{f"{name}_ms": round(1000 * value, 2) for name, value in wall.items()},
        "files_of_naive": round(cpu["from_files"] / cpu["naive_files"], 2),
        "features_of_naive": round(cpu["from_features"] / cpu["naive_store"], 3),
        "files_of_naive_by_clock": round(wall["from_files"] / wall["naive_files"], 2),
        "features_of_naive_by_clock": round(wall["from_features"] / wall["naive_store"], 3),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    found = measure(options.cases, options.rounds)
    if options.json:
        sys.stdout.write(json.dumps(found) + "\n")
        return
    for name, value in found.items():
        sys.stdout.write(f"{name:28} {value}\n")


if __name__ == "__main__":
    main()
