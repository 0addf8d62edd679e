"""What `make demo-loop` shows: a phantom of which the first cases are known and labelled, a model,
`mmdiag up`; then new cases without a label stand in the table, and nobody does anything but wait
until they are scored and explained. A reader answers three of them; their labels arrive; what was
predicted is held against what came out; a challenger is trained and a written plan decides; the
record is verified; `mmdiag down`.

python .ci/demo_loop.py MMDIAG FOLDER
"""

import csv
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

CASES, KNOWN = 120, 90
EVERY = "1"  # minutes
LONGEST = 15 * 60.0  # seconds until the demonstration gives up


def main(mmdiag: str, folder: Path) -> None:
    """Run the commands, one after the other, and say which."""
    workspace, cohort = folder / "workspace", folder / "cohort" / "cohort.toml"

    def run(*arguments: object, quiet: bool = False) -> Any:
        words = [mmdiag, *map(str, arguments), "--workspace", str(workspace)]
        if quiet:
            return json.loads(subprocess.check_output([*words, "--json"], text=True))
        _say("$ " + " ".join(["mmdiag", *words[1:]]))
        if subprocess.run(words, check=False).returncode not in (0, 3):
            sys.exit(f"`mmdiag {arguments[0]}` failed")
        return None

    if workspace.is_dir():
        run("down")
        shutil.rmtree(folder)
    made = ["phantom", "--out", str(cohort.parent), "--cases", str(CASES)]
    _say("$ mmdiag " + " ".join(made))
    subprocess.run([mmdiag, *made], check=True)
    table = cohort.parent / "cases.csv"
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    write(table, rows[:KNOWN])
    run("train", "--cohort", cohort, "--fusion", "concat", "--set", "training.max_epochs=10")
    run("up", "--cohort", cohort, "--every", EVERY)
    try:
        before = run("status", quiet=True)["predictions"]
        write(table, rows[:KNOWN] + [{**row, "label": ""} for row in rows[KNOWN:]])
        _say(f"{CASES - KNOWN} new cases stand in {table}; the schedule looks every minute")
        begun = time.monotonic()
        while run("status", quiet=True)["predictions"] < before + CASES - KNOWN:
            if time.monotonic() - begun > LONGEST:
                sys.exit(f"Nothing scored them; {workspace / 'logs'} say why.")
            time.sleep(2)
        _say(f"scored by nobody's hand, {time.monotonic() - begun:.0f} s after they appeared")
        name = run("status", quiet=True)["cohorts"][0]["name"]
        answered(run, [row["case_id"] for row in rows[KNOWN : KNOWN + 3]], cohort)
        write(table, rows)
        _say(f"the labels of the {CASES - KNOWN} cases arrive")
        run("ingest", "--cohort", cohort)
        run("outcomes", "--cohort", name)
        run("refit", "--cohort", cohort)
        run("models", "list")
        run("audit", "verify")
    finally:
        run("down")


def answered(run: Callable[..., Any], cases: list[str], cohort: Path) -> None:
    """One is explained; a reader agrees with it, overrides the second and flags the third."""
    run("explain", cases[0], "--cohort", cohort)
    by = ("--by", "a reader")
    run("review", cases[0], "--verdict", "agree", "--reason", "as I read it", *by)
    override = ("--verdict", "override", "--label", "1", "--reason", "the notes say more")
    run("review", cases[1], *override, *by)
    run("review", cases[2], "--verdict", "flag", "--reason", "artefact in the image", *by)
    run("reviews")


def write(table: Path, rows: list[dict[str, str]]) -> None:
    """Let the table hold these rows, all at once."""
    beside = table.with_suffix(".new")
    with beside.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    beside.replace(table)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
