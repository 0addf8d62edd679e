"""Kills a training at random moments, again and again: what comes out must be, bit for bit, what an
uninterrupted training gives.

Every round is one training, killed by SIGKILL after a random share of the time that a whole one
takes, started again and killed again until it ends; then
the SHA-256 of its weights is compared with that of the calm one. A checkpoint may be passed over
once at most: the epochs that were told twice are counted.

python benchmarks/training_kills.py [--kills 50] [--epochs 60] [--seed 0] [--json]
"""

import argparse
import hashlib
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CASES = 400


def worker(epochs: int, folder: Path) -> None:
    """One training of stored features; every epoch and at last the weights' SHA-256 go to
    stdout.
    """
    from benchmarks.train import make_rows, model_parts
    from mmdiag.training.loop import train
    from mmdiag.training.validation import score_of

    preparations, task, config = model_parts("cross_modal", epochs)
    rows, valid = (
        make_rows(preparations, CASES, config, shuffle=True),
        make_rows(preparations, 100, config, shuffle=False, seed=1),
    )

    def told(done: int, _: int, __: str) -> None:
        print(done, flush=True)

    trained = train(
        rows,
        valid,
        preparations,
        task,
        config,
        score=score_of("binary"),
        folder=folder,
        progress=told,
    )
    weights = b"".join(value.numpy().tobytes() for value in trained.model.state_dict().values())
    print(hashlib.sha256(weights).hexdigest(), flush=True)


def start(epochs: int, folder: Path) -> "subprocess.Popen[str]":
    """A training in a process of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "benchmarks.training_kills",
        "--worker",
        str(folder),
        "--epochs",
        str(epochs),
    ]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]
    )


def finished(process: "subprocess.Popen[str]", after: float | None) -> tuple[list[int], str, bool]:
    """Epochs that were told, the weights' SHA-256 if it came so far, and whether it was killed."""
    try:
        out = process.communicate(timeout=after)[0]
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        out = process.communicate()[0]
    lines = out.split()
    return (
        [int(line) for line in lines if len(line) < 10],
        next((line for line in lines if len(line) == 64), ""),
        process.returncode == -signal.SIGKILL,
    )


def main() -> int:
    """Kill, compare, print; the exit code says whether any weights differ or more than one epoch
    was done twice.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--worker", type=Path)
    asked = parser.parse_args()
    if asked.worker:
        worker(asked.epochs, asked.worker)
        return 0
    chance = random.Random(asked.seed)
    counts = {"kills": 0, "trainings": 0, "different": 0, "most_epochs_redone": 0}
    with tempfile.TemporaryDirectory() as temporary:
        began = time.monotonic()
        process = start(asked.epochs, Path(temporary) / "calm")
        until_first = 0.0
        told = []
        for line in process.stdout or ():
            until_first = until_first or time.monotonic() - began
            told.append(line.strip())
        process.wait()
        whole, calm = time.monotonic() - began, told[-1]
        while counts["kills"] < asked.kills:
            folder, last, weights = Path(temporary) / f"w{counts['trainings']}", 0, ""
            while not weights:
                killing = counts["kills"] < asked.kills
                after = (
                    until_first + chance.uniform(0.0, 0.5) * (whole - until_first)
                    if killing
                    else None
                )
                epochs, weights, killed = finished(start(asked.epochs, folder), after)
                counts["kills"] += killed
                if epochs:
                    counts["most_epochs_redone"] = max(
                        counts["most_epochs_redone"], last - epochs[0] + 1
                    )
                    last = epochs[-1]
                if not killed and not weights:
                    raise SystemExit("a training failed by itself")
            counts["trainings"] += 1
            counts["different"] += weights != calm
            print(f"\r{counts}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    if asked.json:
        print(
            json.dumps(
                {
                    "benchmark": "training_kills",
                    **counts,
                    "epochs": asked.epochs,
                    "whole_seconds": round(whole, 1),
                }
            )
        )
    else:
        print(
            f"{counts['kills']} kills in {counts['trainings']} trainings of {asked.epochs} "
            f"epochs ({whole:.1f} s): {counts['different']} ended with other "
            f"weights, at most {counts['most_epochs_redone']} complete epoch done twice"
        )
    return int(counts["different"] > 0 or counts["most_epochs_redone"] > 1)


if __name__ == "__main__":
    sys.exit(main())
