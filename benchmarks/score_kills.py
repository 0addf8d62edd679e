"""Kills a score of a cohort at random moments, starts one batch four times at once, and rolls the
model back while batches are scored. Every case must have one answer of one model: none is lost,
none is given twice, no batch is mixed, and the audit verifies.

A score here is what `mmdiag score` calls (ingest what is new, score, explain), in a process forked
from one that has imported everything, in parts of a few cases: kills fall on reading, shards,
features, answers and ledger, and not on imports. Each group of kills begins with a workspace in
which nothing of the cohort is known, and ends with a score that nobody kills.

python benchmarks/score_kills.py [--kills 200] [--cases 40] [--rounds 10] [--minutes M] [--seed 0]
"""

import argparse
import importlib
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

GROUP = 8  # kills between two comparisons
AT_ONCE = 4
PART = 5  # cases between two commits to the ledger
LOADED = ("great_expectations", "mmdiag.api", "mmdiag.explain.scored", "mmdiag.ingest.commit")
SMALL = ("--fusion", "concat", "--set", "training.max_epochs=2", "--explain", "none")


@dataclass(frozen=True, slots=True)
class Place:
    """A workspace with two models of one cohort, the second of them in use, and a cohort that
    neither of them has seen.
    """

    workspace: Path
    cohort: Path
    of: str

    def copied(self, target: Path) -> "Place":
        """The same at the beginning."""
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(self.workspace, target)
        return Place(target, self.cohort, self.of)


def command(*arguments: object) -> dict[str, Any]:
    """The answer of a command that nobody kills."""
    asked = [sys.executable, "-m", "mmdiag", *map(str, arguments), "--json"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 3):
        raise SystemExit(f"{arguments[0]} ended with {done.returncode}: {done.stderr[-500:]}")
    answer: dict[str, Any] = json.loads(done.stdout or "{}")
    return answer


def prepared(folder: Path, cases: int, seed: int) -> Place:
    """Make the cohorts and the models."""
    for name, number in (("old", seed), ("new", seed + 1)):
        command("phantom", "--out", folder / name, "--cases", cases, "--seed", number)
    old, workspace = folder / "old" / "cohort.toml", folder / "base"
    for number in (0, 1):
        trained = command(
            "train", "--cohort", old, "--workspace", workspace, *SMALL, "--seed", number
        )
    identity = trained["bundle"]["id"]
    command("models", "promote", identity, "--reason", "newer", "--workspace", workspace)
    return Place(workspace, folder / "new" / "cohort.toml", trained["cohort"]["name"])


def score(place: Place) -> dict[str, Any]:
    """Score with the model in use."""
    from mmdiag import api
    from mmdiag.description import read_description
    from mmdiag.inference import score as scoring
    from mmdiag.storage.ledger import Ledger
    from mmdiag.workspace import Workspace

    scoring.PART = PART
    workspace = Workspace(place.workspace)
    ledger, out = Ledger(workspace.ledger_url), _out(place)
    model = api.model_in_use(workspace, ledger, place.of)
    return api.score(model, read_description(place.cohort), workspace, ledger, out)


def roll(place: Place) -> dict[str, Any]:
    """Roll the model in use back; the seconds of it, and which is in use since when."""
    from mmdiag.record.models import rollback
    from mmdiag.storage.ledger import Ledger
    from mmdiag.workspace import Workspace

    began = time.monotonic()
    ledger = Ledger(Workspace(place.workspace).ledger_url)
    back = rollback(ledger, place.of, "a benchmark")
    return {"seconds": time.monotonic() - began, "bundle": back["bundle_id"]}


def forked(work: Callable[[Place], dict[str, Any]], place: Place) -> tuple[int, int]:
    """Do something in a process of its own, in a group of its own; its id, and where its answer is
    to be read.
    """
    receiver, sender = os.pipe()
    process = os.fork()
    if process == 0:
        code = 1
        try:
            os.setsid()
            os.close(receiver)
            os.write(sender, json.dumps(work(place), default=float).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(sender)
    return process, receiver


def answer_of(process: int, receiver: int) -> dict[str, Any]:
    """The answer of a process that nobody kills."""
    with os.fdopen(receiver, "rb") as answered:
        content = answered.read()
    status = os.waitpid(process, 0)[1]
    if status:
        raise SystemExit(f"a score that nobody killed ended with {status}")
    answer: dict[str, Any] = json.loads(content)
    return answer


def killed(place: Place, after: float) -> bool:
    """Begin a score and kill it with all that it started; whether it was still at work."""
    process, receiver = forked(score, place)
    deadline = time.monotonic() + after
    while time.monotonic() < deadline:
        if os.waitpid(process, os.WNOHANG)[0]:
            os.close(receiver)
            return False
        time.sleep(0.002)
    os.killpg(process, signal.SIGKILL)
    os.waitpid(process, 0)
    os.close(receiver)
    return True


def wrong(place: Place, calm: pd.Series) -> dict[str, int]:
    """What must be 0: cases without an answer, cases answered twice, answers that differ from
    those that nobody disturbed, and faults of the audit.
    """
    from mmdiag.record.audit import audit_rows, verify
    from mmdiag.storage.ledger import Ledger
    from mmdiag.workspace import Workspace

    ledger = Ledger(Workspace(place.workspace).ledger_url)
    cohort = place_name(place)
    rows = ledger.predictions(cohort=cohort)
    of_batches = [
        json.loads(row["payload"]) for row in audit_rows(ledger) if row["kind"] == "score"
    ]
    batches = [batch for batch in of_batches if batch["cohort"] == cohort]
    recorded = pd.Series([case for batch in batches for case in batch["cases"]], dtype=object)
    out = pd.read_parquet(_out(place)).set_index("case_id")["probability"].sort_index()
    same = out.index.equals(calm.index) and bool(((out - calm).abs() < 1e-6).all())
    return {
        "lost": len(set(calm.index) - set(rows["case_id"])),
        "twice": int(rows["case_id"].duplicated().sum() + recorded.duplicated().sum()),
        "torn": int(not same) + int(not verify(ledger)["ok"]),
        "mixed": sum(len(batch["bundles"]) > 1 for batch in batches),
    }


def place_name(place: Place) -> str:
    """The name of the cohort that is scored."""
    from mmdiag.description import read_description

    return read_description(place.cohort).name


def under_kills(
    base: Place, folder: Path, kills: int, whole: float, until: float, chance: random.Random
) -> tuple[int, dict[str, int], list[float]]:
    """Kills that fell on a score at work, what was wrong after them, and how long the score after
    each group took.
    """
    calm = _calm(base)
    fell, counts, taken = 0, dict.fromkeys(("lost", "twice", "torn", "mixed"), 0), []
    while fell < kills and time.monotonic() < until:
        place = base.copied(folder / "killed")
        for _ in range(min(GROUP, kills - fell)):
            fell += killed(place, chance.uniform(0.02, 0.8) * whole)
        began = time.monotonic()
        answer_of(*forked(score, place))
        taken.append(time.monotonic() - began)
        counts = {name: counts[name] + count for name, count in wrong(place, calm).items()}
        print(f"\r{fell} kills: {counts}", end="", file=sys.stderr, flush=True)
    return fell, counts, taken


def _calm(base: Place) -> pd.Series:
    found = pd.read_parquet(base.workspace.parent / "calm.parquet").set_index("case_id")
    return found["probability"].sort_index()


def _out(place: Place) -> Path:
    return place.workspace.parent / f"{place.workspace.name}.parquet"


def at_once(base: Place, folder: Path, rounds: int) -> dict[str, int]:
    """One batch, started four times at once."""
    counts = dict.fromkeys(("lost", "twice", "torn", "mixed"), 0)
    for _ in range(rounds):
        place = base.copied(folder / "at-once")
        begun = [forked(score, place) for _ in range(AT_ONCE)]
        scored = sum(answer_of(*one)["scored"] for one in begun)
        found = wrong(place, _calm(base))
        found["twice"] += abs(scored - len(_calm(base)))
        counts = {name: counts[name] + count for name, count in found.items()}
    return counts


def rolled(
    base: Place, folder: Path, rounds: int, whole: float, chance: random.Random
) -> tuple[list[float], int, int]:
    """Seconds of rollbacks while two batches are scored, mixed batches, and batches after a
    rollback that were of the model before.
    """
    seconds, mixed, stale = [], 0, 0
    for _ in range(rounds):
        place = base.copied(folder / "rolled")
        begun = [forked(score, place) for _ in range(2)]
        time.sleep(chance.uniform(0.0, 0.8) * whole)
        back = answer_of(*forked(roll, place))
        after = answer_of(*forked(score, place))
        for one in begun:
            answer_of(*one)
        seconds.append(back["seconds"])
        stale += after["bundle"]["id"] != back["bundle"]
        mixed += wrong(place, _calm(base))["mixed"]
        mixed += pd.read_parquet(_out(place))["bundle_id"].nunique() != 1
    return seconds, mixed, stale


def main() -> int:
    """Kill, compare, print; the exit code says whether anything was lost, doubled or mixed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--cases", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=10, help="of four at once, and of rollbacks")
    parser.add_argument("--minutes", type=float, default=60.0, help="the most that kills may take")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "MMDIAG_PROCESSES": "1"}
    for name in LOADED:
        importlib.import_module(name)
    chance = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        base = prepared(folder, asked.cases, asked.seed)
        began = time.monotonic()
        answer_of(*forked(score, base.copied(folder / "calm")))
        whole = time.monotonic() - began
        until = time.monotonic() + 60 * asked.minutes
        fell, counts, taken = under_kills(base, folder, asked.kills, whole, until, chance)
        after = statistics.median(taken) if taken else 0.0
        print(
            f"\n{fell} kills of a score of {asked.cases} cases ({whole:.1f} s): {counts}; the "
            f"score after them {after:.1f} s (median)",
            flush=True,
        )
        together = at_once(base, folder, asked.rounds)
        print(f"one batch {AT_ONCE} times at once, {asked.rounds} rounds: {together}", flush=True)
        seconds, mixed, stale = rolled(base, folder, asked.rounds, whole, chance)
        print(
            f"{len(seconds)} rollbacks while two batches are scored: at most "
            f"{max(seconds, default=0.0):.2f} s, {mixed} mixed batches, {stale} later batches of "
            "the model before"
        )
    return int(any([*counts.values(), *together.values(), mixed, stale]))


if __name__ == "__main__":
    sys.exit(main())
