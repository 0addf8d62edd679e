"""What a wide gene table costs from CSV to float32 by case key, all checks of the file included,
against pandas.read_csv, in the same run.

1 000 cases x 20 000 genes, interleaved rounds, wall and CPU time, median. Both must give the same
numbers. The floor is the bare reading of the bytes.

python benchmarks/genes.py [--json]
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmdiag.readers.tables.cohort_tables import check_table, read_numbers

CASES, GENES, ROUNDS = 1_000, 20_000, 3
LEAST = 1.6  # times as fast as pandas


def measure(rounds: int = ROUNDS, cases: int = CASES, genes: int = GENES) -> dict[str, float]:
    """Median seconds of each, and their ratios."""
    taken: dict[str, list[tuple[float, float]]] = {
        "bytes": [],
        "ours": [],
        "pandas": [],
        "check": [],
    }
    with tempfile.TemporaryDirectory() as folder:
        file = make_table(Path(folder) / "genes.csv", cases, genes)
        for _ in range(rounds):
            taken["bytes"].append(_seconds(file.read_bytes)[1])
            ours, seconds = _seconds(
                lambda: read_numbers([file], "case_id", [], [], "refuse").values
            )
            taken["ours"].append(seconds)
            theirs, seconds = _seconds(
                lambda: pd.read_csv(file, index_col="case_id", dtype={"case_id": str}).astype(
                    np.float32
                )
            )
            taken["pandas"].append(seconds)
            taken["check"].append(_seconds(lambda: check_table(file))[1])
    wall = {name: statistics.median(seconds[0] for seconds in both) for name, both in taken.items()}
    cpu = {name: statistics.median(seconds[1] for seconds in both) for name, both in taken.items()}
    return {
        **{f"{name}_seconds": round(seconds, 3) for name, seconds in wall.items()},
        "ratio": round(wall["pandas"] / wall["ours"], 2),
        "cpu_ratio": round(cpu["pandas"] / cpu["ours"], 2),
        "check_ratio": round(wall["pandas"] / wall["check"], 2),
        "floors": round(wall["ours"] / wall["bytes"], 1),
        "apart": float(np.abs(ours.to_numpy() - theirs.to_numpy()).max()),
        "least": LEAST,
    }


def make_table(file: Path, cases: int, genes: int) -> Path:
    """A table of normal numbers with four decimals."""
    values = np.round(np.random.default_rng(0).normal(size=(cases, genes)), 4)
    index = pd.Index([f"C{number:05d}" for number in range(cases)], name="case_id")
    pd.DataFrame(values, index=index, columns=[f"G{number}" for number in range(genes)]).to_csv(
        file
    )
    return file


def _seconds(call: Callable[[], Any]) -> tuple[Any, tuple[float, float]]:
    wall, cpu = time.perf_counter(), time.process_time()
    found = call()
    return found, (time.perf_counter() - wall, time.process_time() - cpu)


if __name__ == "__main__":
    found = measure()
    if "--json" in sys.argv[1:]:
        print(json.dumps({"benchmark": "genes", **found}))
    else:
        print(
            f"{CASES} x {GENES} from CSV to float32: {found['ours_seconds']:.2f} s, "
            f"pandas.read_csv {found['pandas_seconds']:.2f} s: "
            f"{found['ratio']:.1f} times as fast (at least {LEAST}), {found['cpu_ratio']:.1f} by "
            "CPU time; "
            f"checked as text {found['check_seconds']:.2f} s ({found['check_ratio']:.1f} times); "
            f"numbers at most {found['apart']:.0e} apart"
        )
    sys.exit(found["ratio"] < LEAST or found["apart"] > 0)
