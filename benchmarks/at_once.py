"""Several of the same command at once, round after round: none fails, no case is lost, none is done
twice.

Every round begins with a new workspace: four first ingestions at once; four scorings of one bundle
at once; two runs at once, each with a Prefect server of its own. After each the same command once
more finds nothing new, and what is there is what a single command makes.

python benchmarks/at_once.py [--rounds 5] [--cases 24] [--seed 0]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd

SMALL = ("--fusion", "concat", "--set", "training.max_epochs=3")
DONE = (0, 3)


def call(*arguments: object) -> tuple[int, dict[str, Any]]:
    """Exit code and answer of a command."""
    asked = [sys.executable, "-m", "mmdiag", *map(str, arguments), "--json"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    if done.returncode not in DONE:
        print(f"{arguments[0]} ended with {done.returncode}: {done.stderr[-300:]}", flush=True)
        return done.returncode, {}
    return done.returncode, json.loads(done.stdout)


def at_once(count: int, *arguments: object) -> list[tuple[int, dict[str, Any]]]:
    """The same command several times at once."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: call(*arguments), range(count)))


def failed(answers: Sequence[tuple[int, dict[str, Any]]]) -> int:
    """How many of them did not end well."""
    return sum(code not in DONE for code, _ in answers)


def ingestions(cohort: Path, workspace: Path, expected: dict[str, Any]) -> tuple[int, int, int]:
    """Failed, lost and twice of four first ingestions."""
    asked = ("ingest", "--cohort", cohort, "--workspace", workspace)
    answers = at_once(4, *asked)
    _, after = call(*asked)
    lost = expected["accepted"] - after["cases"]["accepted"]
    keys = pd.read_parquet(next(workspace.glob("cohorts/*/cases.parquet")))["case_id"]
    return failed(answers), lost, int(keys.duplicated().sum()) + after["cases"]["new"]


def scorings(
    bundle: Path, cohort: Path, workspace: Path, expected: pd.Series
) -> tuple[int, int, int]:
    """Failed, lost and twice of four scorings."""
    out = workspace.parent / f"{workspace.name}.parquet"
    asked = ("score", "--bundle", bundle, "--cohort", cohort, "--workspace", workspace)
    answers = at_once(4, *asked, "--out", out)
    scored = sum(answer.get("scored", 0) for _, answer in answers)
    found = pd.read_parquet(out).set_index("case_id")["probability"]
    same = found.index.is_unique and found.sort_index().round(6).equals(expected.round(6))
    return (
        failed(answers),
        len(expected.index.difference(found.index)) + (not same),
        abs(scored - len(expected)),
    )


def runs(cohort: Path, workspace: Path, labelled: int) -> tuple[int, int, int]:
    """Failed, lost and twice of two runs."""
    answers = at_once(2, "run", "--cohort", cohort, "--workspace", workspace, *SMALL)
    folders = [path.parent for path in workspace.glob("runs/*/predictions.parquet")]
    lost = sum(labelled - pd.read_parquet(f / "predictions.parquet").shape[0] for f in folders)
    return failed(answers), lost + (not folders), max(0, len(folders) - 1)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cases", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    total: dict[str, list[int]] = {}
    os.environ.pop("PREFECT_API_URL", None)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        cohorts = [folder / name / "cohort.toml" for name in ("old", "new")]
        for number, cohort in enumerate(cohorts):
            seed = ("--cases", asked.cases, "--seed", asked.seed + number)
            call("phantom", "--out", cohort.parent, *seed)
        _, trained = call("train", "--cohort", cohorts[0], "--workspace", folder / "calm", *SMALL)
        bundle = Path(trained["bundle"]["path"])
        calm = ("--cohort", cohorts[1], "--workspace", folder / "calm")
        call("score", "--bundle", bundle, *calm, "--out", folder / "calm.parquet")
        expected = pd.read_parquet(folder / "calm.parquet").set_index("case_id")["probability"]
        counted = {"accepted": trained["cases"]["accepted"]}
        for number in range(asked.rounds):
            place = folder / f"round-{number}"
            place.mkdir()
            found = {
                "4 first ingestions": ingestions(cohorts[0], place / "ingest", counted),
                "4 scorings": scorings(bundle, cohorts[1], place / "score", expected.sort_index()),
                "2 runs": runs(cohorts[0], place / "run", counted["accepted"]),
            }
            for name, counts in found.items():
                before = total.setdefault(name, [0, 0, 0])
                total[name] = [one + more for one, more in zip(before, counts, strict=True)]
            print(f"round {number + 1}: {found}", flush=True)
    for name, (wrong, lost, twice) in total.items():
        print(f"{name}, {asked.rounds} rounds: {wrong} failed, {lost} lost, {twice} twice")


if __name__ == "__main__":
    main()
