"""Kills an ingestion at random moments, again and again, and counts what was lost, done twice or
torn: all three must be 0.

Every round starts `mmdiag ingest` on a phantom and kills it by SIGKILL, with all that it started,
after a random share of the time that a calm ingestion
takes; every tenth round begins with a new workspace, so that kills fall on every step. After each
group of rounds the ingestion is let to its end and
compared with a calm one: the same cases, the same verdicts, the same quarantine, the same bytes of
cases.parquet, every shard whole.

With --plain the same ingestion is called without Prefect, in a process forked from one that has
imported everything: kills then fall on reading, shards, commit
and ledger alone, and there are many more of them an hour.

python benchmarks/kills.py [--kills 500] [--cases 150] [--seed 0] [--plain]
"""

import argparse
import importlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd

GROUP = 10  # kills between two comparisons
LOADED_BEFORE = (
    "great_expectations",
    "mmdiag.api",
    "mmdiag.ingest.commit",
    "mmdiag.contracts.contract",
    "mmdiag.contracts.expectations",
    "mmdiag.ingest.plan",
    "mmdiag.storage.ledger",
)


def command(*arguments: object) -> list[str]:
    """The command line of this environment."""
    return [sys.executable, "-m", "mmdiag", *map(str, arguments)]


def ingest(cohort: Path, workspace: Path) -> dict[str, Any]:
    """A calm ingestion; its answer."""
    done = subprocess.run(
        command("ingest", "--cohort", cohort, "--workspace", workspace, "--json"),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 3):
        raise SystemExit(f"ingest ended with {done.returncode}: {done.stderr[-500:]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def plain_ingest(cohort: Path, workspace: Path) -> dict[str, Any]:
    """A calm ingestion without Prefect; its answer."""
    from mmdiag import api
    from mmdiag.description import read_description
    from mmdiag.storage.ledger import Ledger
    from mmdiag.workspace import Workspace

    place = Workspace(workspace)
    return api.ingest(read_description(cohort), place, Ledger(place.ledger_url))


def in_a_fork(cohort: Path, workspace: Path) -> dict[str, Any]:
    """`plain_ingest` in a process of its own, so that this one stays as it was."""
    receiver, sender = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            os.write(sender, json.dumps(plain_ingest(cohort, workspace)).encode())
        finally:
            os._exit(0)
    os.close(sender)
    with os.fdopen(receiver, "rb") as answered:
        content = answered.read()
    os.waitpid(process, 0)
    answer: dict[str, Any] = json.loads(content)
    return answer


def plain_kill(cohort: Path, workspace: Path, after: float) -> bool:
    """Fork an ingestion without Prefect and kill its whole process group; whether it was still
    running.
    """
    process = os.fork()
    if process == 0:
        os.setsid()
        code = 1
        try:
            plain_ingest(cohort, workspace)
            code = 0
        finally:
            os._exit(code)
    deadline = time.monotonic() + after
    while time.monotonic() < deadline:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            if status:
                raise SystemExit(f"an ingestion that nobody killed ended with {status}")
            return False
        time.sleep(0.002)
    os.killpg(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return True


def kill(cohort: Path, workspace: Path, after: float) -> bool:
    """Start an ingestion and kill its whole process group; whether it was still running."""
    process = subprocess.Popen(
        command("ingest", "--cohort", cohort, "--workspace", workspace),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
    return False


def state_of(workspace: Path) -> dict[str, Any]:
    """What an ingestion leaves that must not depend on kills."""
    from mmdiag.storage.ledger import Ledger
    from mmdiag.workspace import Workspace

    place = Workspace(workspace)
    ledger = Ledger(place.ledger_url)
    cohort = next(iter((workspace / "cohorts").iterdir()))
    quarantine = ledger.quarantine()[["case_id", "modality", "code"]].sort_values(
        ["case_id", "modality", "code"]
    )
    cases = pd.read_parquet(cohort / "cases.parquet")
    facts = cases.drop(columns=[c for c in cases.columns if c.startswith(("shard_", "start_"))])
    return {
        "quarantine": quarantine.to_dict("records"),
        "cases": json.loads(
            facts.sort_values("case_id").to_json(orient="records", date_format="iso")
        ),
        "verdicts": ledger.verdicts(cohort.name)[["case_id", "verdict"]]
        .sort_values("case_id")
        .to_dict("records"),
    }


def torn(workspace: Path) -> int:
    """Shards without all of their files, and cases whose arrays are not there."""
    from mmdiag.storage.store import Store
    from mmdiag.workspace import Workspace

    found = 0
    for folder in workspace.glob("cohorts/*/shards/[!.]*"):
        found += any(
            not (folder / name).is_file()
            for name in (
                "manifest.parquet",
                "quarantine.parquet",
                "contracts.parquet",
                "fingerprints.parquet",
            )
        )
    store = Store.open(Workspace(workspace), next(iter((workspace / "cohorts").iterdir())).name)
    for row in range(len(store.cases)):
        for name, kind in store.modalities.items():
            if store.present(name)[row]:
                found += kind == "image" and len(store.images(name, row)) == 0
                found += kind == "text" and not store.text(name, row)
    return found


def main() -> int:
    """Kill, compare, print; the exit code says whether anything was lost, doubled or torn."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--cases", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plain", action="store_true")
    asked = parser.parse_args()
    calmly, killed = (in_a_fork, plain_kill) if asked.plain else (ingest, kill)
    for name in LOADED_BEFORE if asked.plain else ():
        importlib.import_module(name)
    chance = random.Random(asked.seed)
    counts = {"kills": 0, "lost": 0, "twice": 0, "torn": 0}
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        subprocess.run(
            command(
                "phantom",
                "--out",
                home / "cohort",
                "--cases",
                asked.cases,
                "--broken",
                6,
                "--missing",
                0.2,
            ),
            check=True,
            capture_output=True,
        )
        cohort = home / "cohort" / "cohort.toml"
        began = time.monotonic()
        calm_answer = calmly(cohort, home / "calm")
        whole = time.monotonic() - began
        calm = state_of(home / "calm")
        while counts["kills"] < asked.kills:
            workspace = home / "w"
            shutil.rmtree(workspace, ignore_errors=True)
            for _ in range(min(GROUP, asked.kills - counts["kills"])):
                counts["kills"] += killed(cohort, workspace, chance.uniform(0.02, 1.0) * whole)
            answer, state = calmly(cohort, workspace), state_of(workspace)
            ids = [case["case_id"] for case in state["cases"]]
            counts["lost"] += len({case["case_id"] for case in calm["cases"]} - set(ids)) + (
                answer["cases"]["in"] != calm_answer["cases"]["in"]
            )
            counts["twice"] += len(ids) - len(set(ids))
            counts["torn"] += torn(workspace) + (state != calm)
            print(f"\r{counts}", end="", file=sys.stderr, flush=True)
    how = " without Prefect" if asked.plain else ""
    print(
        f"\n{counts['kills']} kills of an ingestion{how} of {asked.cases} cases ({whole:.1f} s): "
        f"{counts['lost']} lost, {counts['twice']} twice, {counts['torn']} torn"
    )
    return int(any(counts[name] for name in ("lost", "twice", "torn")))


if __name__ == "__main__":
    sys.exit(main())
