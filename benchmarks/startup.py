"""What `mmdiag --help` costs against a bare interpreter, in the same run: interleaved rounds, wall
time, median.

python benchmarks/startup.py [--json]
"""

import json
import statistics
import subprocess
import sys
import time

ROUNDS = 11
LIMIT = 12.0  # bare interpreters
BARE = [sys.executable, "-c", "import argparse, json, pathlib"]
HELP = [sys.executable, "-m", "mmdiag", "--help"]


def measure(rounds: int = ROUNDS) -> dict[str, float]:
    """Median seconds of both, and their ratio."""
    taken: dict[str, list[float]] = {"bare": [], "help": []}
    for _ in range(rounds):
        taken["bare"].append(_seconds(BARE))
        taken["help"].append(_seconds(HELP))
    bare, help_ = statistics.median(taken["bare"]), statistics.median(taken["help"])
    return {
        "bare_seconds": round(bare, 4),
        "help_seconds": round(help_, 4),
        "ratio": round(help_ / bare, 2),
        "limit": LIMIT,
    }


def _seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    found = measure()
    if "--json" in sys.argv[1:]:
        print(json.dumps({"benchmark": "startup", **found}))
    else:
        print(
            f"mmdiag --help {found['help_seconds']:.3f} s, bare interpreter "
            f"{found['bare_seconds']:.3f} s: {found['ratio']:.1f} times (limit {LIMIT:.0f})"
        )
    sys.exit(found["ratio"] > LIMIT)
