"""What a case costs as a cohort grows: at the first ingestion, at one that finds nothing new, and
at one that finds ten new cases. The cohorts are notes and table rows, so that what is measured is
the machinery around a case: planning, contracts, shards, commit.

python benchmarks/growth.py [--json] [--cases 1000 10000 50000]
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

MOST_GROWTH = 1.25


def measure_growth(folder: Path, cases: int) -> dict[str, float]:
    """Milliseconds a case of ingesting a cohort of notes and table rows, of finding nothing new,
    and of ten new cases.
    """
    from mmdiag import api
    from mmdiag.description import read_description
    from mmdiag.storage.ledger import Ledger
    from mmdiag.workspace import Workspace

    home = folder / f"cohort-{cases}"
    _write_cohort(home, cases)
    description = read_description(home / "cohort.toml")
    workspace = Workspace(folder / f"workspace-{cases}")
    ledger = Ledger(workspace.ledger_url)

    def ingest() -> float:
        began = time.perf_counter()
        api.ingest(description, workspace, ledger)
        return time.perf_counter() - began

    first, nothing = ingest(), ingest()
    for number in range(10):
        note = home / "notes" / f"{number:02d}" / f"C{number:06d}.txt"
        note.write_text(note.read_text() + "Addendum.\n")
    few = ingest()
    return {
        "cases": cases,
        "ms_per_case": round(1e3 * first / cases, 3),
        "nothing_new_ms_per_case": round(1e3 * nothing / cases, 3),
        "ten_new_s": round(few, 2),
    }


def _write_cohort(home: Path, cases: int) -> None:
    rng = np.random.default_rng(cases)
    words = [
        "lesion", "oedema", "stable", "marked", "enhancement", "left", "right", "frontal", "no",
        "shift", "of", "the", "midline",
    ]  # fmt: skip
    keys = [f"C{number:06d}" for number in range(cases)]
    home.mkdir()
    for folder in range(100):
        (home / "notes" / f"{folder:02d}").mkdir(parents=True)
    for number, key in enumerate(keys):
        text = " ".join(rng.choice(words, 60)) + f". Finding {number}.\n"
        (home / "notes" / f"{number % 100:02d}" / f"{key}.txt").write_text(text)
    pd.DataFrame(
        {
            "case_id": keys,
            "folder": [f"{n % 100:02d}" for n in range(cases)],
            "label": rng.integers(0, 2, cases),
        }
    ).to_csv(home / "cases.csv", index=False)
    genes = pd.DataFrame(
        rng.normal(size=(cases, 20)).round(4), columns=[f"G{n}" for n in range(20)]
    )
    genes.insert(0, "case_id", keys)
    genes.to_csv(home / "genes.csv", index=False)
    (home / "cohort.toml").write_text(
        f'[cohort]\nname = "growth-{cases}"\n[cases]\ntable = "cases.csv"\ncase_id = '
        '"case_id"\n[task]\nkind = "binary"\nlabel = "label"\npositive = "1"\n'
        '[modalities.note]\nkind = "text"\npath = '
        '"notes/{folder}/{case_id}.txt"\n[modalities.genes]\nkind = "table"\npath = '
        '"genes.csv"\nkey = "case_id"\n'
    )


def main() -> int:
    """Measure, print, and say by the exit code whether a case costs what it cost."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--cases", type=int, nargs="+", default=[1_000, 10_000, 50_000])
    asked = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as folder:
        growth = [measure_growth(Path(folder), cases) for cases in asked.cases]
    if asked.json:
        print(json.dumps({"benchmark": "growth", "growth": growth}))
    else:
        _say(growth)
    return int(growth[-1]["ms_per_case"] > MOST_GROWTH * growth[0]["ms_per_case"])


def _say(growth: list[dict[str, float]]) -> None:
    for row in growth:
        print(
            f"{row['cases']:.0f} cases: {row['ms_per_case']:.2f} ms a case, nothing new "
            f"{row['nothing_new_ms_per_case']:.3f} ms a case, "
            f"ten new cases {row['ten_new_s']:.1f} s"
        )


if __name__ == "__main__":
    sys.exit(main())
