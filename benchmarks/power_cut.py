"""Kills of `mmdiag up`, counted and timed: the worker while a run is Pending and while it is
Running, flow and worker together, flow and worker and server and all that holds them up (a power
cut), the server alone. New cases wait to be scored at each kill; a second run queues behind the
first. Printed: seconds from the kill (of a power cut: from the moment at which `up` has returned)
until the dead run is Crashed, and until the next run is at work. At the end every case must have
been scored exactly once.

python benchmarks/power_cut.py --kills 2
"""

import argparse
import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from flows.service import request as requests  # noqa: E402
from flows.service.processes import Process, process, with_variable  # noqa: E402
from flows.service.server_calls import NoAnswer, call  # noqa: E402

LABELLED, NEW = 60, 2  # cases of the model; new cases of each kill
LONGEST = 900.0  # seconds, after which a kill counts as never recovered from
LOOK = "mmdiag-score/scheduled"
DONE = ("Completed", "Failed", "Cancelled")


class Loop:
    """A phantom, its model, and a workspace that is up."""

    def __init__(self, folder: Path, kills: int) -> None:
        self.workspace = folder / "w"
        self.cohort = folder / "c" / "cohort.toml"
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "MMDIAG_STARTS_AN_HOUR": str(2 * kills * len(HOW)),  # else three: more are killed here
        }
        self.shown = LABELLED
        total = LABELLED + NEW * kills * len(HOW)
        self.mmdiag("phantom", "--out", str(self.cohort.parent), "--cases", str(total))
        with (self.cohort.parent / "cases.csv").open(newline="") as file:
            self.rows = list(csv.DictReader(file))
        self.show(0)
        self.kept("train", "--fusion", "concat", "--set", "training.max_epochs=2")

    def mmdiag(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "mmdiag", *arguments]
        done = subprocess.run(
            command, env=self.environment, cwd=ROOT, capture_output=True, text=True, check=False
        )
        if done.returncode not in (0, 3):
            sys.exit(done.stderr)
        return done.stdout

    def kept(self, command: str, *arguments: str) -> str:
        """A command on the cohort and the workspace."""
        where = ("--cohort", str(self.cohort), "--workspace", str(self.workspace))
        return self.mmdiag(command, *where, *arguments)

    def up(self) -> None:
        """Have it up; its own look follows in ten hours."""
        self.kept("up", "--every", "600", "--port", str(requests.free_port()))
        asked = requests.read(self.workspace)
        assert asked is not None
        self.mark = asked.id
        os.environ |= {"PREFECT_API_URL": asked.api, "PREFECT_API_AUTH_STRING": asked.auth}

    def down(self) -> None:
        self.mmdiag("down", "--workspace", str(self.workspace))

    def show(self, more: int) -> None:
        """Let the table hold so many more cases, without their label."""
        self.shown += more
        shown = [
            row if number < LABELLED else {**row, "label": ""}
            for number, row in enumerate(self.rows[: self.shown])
        ]
        table = self.cohort.parent / "cases.csv"
        with table.with_suffix(".new").open("w", newline="") as file:
            writer = csv.DictWriter(file, shown[0])
            writer.writeheader()
            writer.writerows(shown)
        table.with_suffix(".new").replace(table)

    def begin(self) -> str:
        """A run of the scheduled deployment; gives its id."""
        flow, _, name = LOOK.partition("/")
        deployment = call(f"/deployments/name/{flow}/{name}")["id"]
        return str(call(f"/deployments/{deployment}/create_flow_run", {})["id"])

    def part(self, name: str) -> list[Process]:
        """The process of a part, once it runs."""
        state = json.loads((self.workspace / "up.json").read_text())["parts"][name]
        found = process(state["pid"]) if state["pid"] else None
        return [found] if found else []

    def all(self) -> list[Process]:
        return with_variable(requests.MARK, self.mark)


def of_run(_: Loop, run: str) -> list[Process]:
    """The processes of a run."""
    return with_variable("PREFECT__FLOW_RUN_ID", run)


# what is killed, the state of the run in which it is, and whether `up` is run again
HOW: dict[str, tuple[str, Callable[[Loop, str], list[Process]], bool]] = {
    "worker, run Pending": ("PENDING", lambda at, _: at.part("worker"), False),
    "worker, run Running": ("RUNNING", lambda at, _: at.part("worker"), False),
    "flow and worker": ("RUNNING", lambda at, run: at.part("worker") + of_run(at, run), False),
    "power cut": ("RUNNING", lambda at, _: at.all(), True),
    "server": ("RUNNING", lambda at, _: at.part("server"), False),
}


def until(happened: Callable[[], Any], what: str) -> Any:
    """What `happened` gives once it is something; a server that is gone counts as not yet."""
    begun = time.monotonic()
    while time.monotonic() - begun < LONGEST:
        try:
            if found := happened():
                return found
        except (NoAnswer, OSError, ValueError):
            pass
        time.sleep(0.1)
    sys.exit(f"never: {what}")


def state(run: str) -> dict[str, Any]:
    return call(f"/flow_runs/{run}")["state"]  # type: ignore[no-any-return]


def crashed(run: str) -> float | None:
    """When a run was set Crashed, in seconds since 1970."""
    states = call(f"/flow_run_states/?flow_run_id={run}")
    moments = [one["timestamp"] for one in states if one["type"] == "CRASHED"]
    return datetime.fromisoformat(moments[0]).timestamp() if moments else None


def newest() -> str:
    """Id of the run of the scheduled deployment that was made last by hand or by an automation."""
    asked = {"deployments": {"name": {"any_": [LOOK.partition("/")[2]]}}}
    found = [run for run in call("/flow_runs/filter", asked) if not run["auto_scheduled"]]
    return str(max(found, key=lambda run: run["created"])["id"])


def kill(loop: Loop, how: str) -> str:
    """One kill; gives its line."""
    kind, victims, again = HOW[how]
    loop.show(NEW)
    until(lambda: loop.part("worker"), "a worker")
    run, behind = (until(loop.begin, "a run") for _ in range(2))
    first = until(lambda: next((r for r in (run, behind) if state(r)["type"] == kind), None), kind)
    following = behind if first == run else run
    found = victims(loop, first)
    for victim in found:
        victim.send(signal.SIGKILL)
    moment = time.time()
    if again:
        until(lambda: not loop.all(), "all dead")
        loop.up()
    back = time.time()
    from_then = back if again else moment
    until(lambda: state(first)["name"] in (*DONE, "Crashed"), f"{first} is done")
    dead = crashed(first)
    if dead:
        until(lambda: newest() not in (run, behind), "a run in its place")
        until(lambda: state(newest())["name"] in DONE, "the run in its place is done")
    until(lambda: state(following)["name"] in DONE, f"{following} is done")
    at_work = datetime.fromisoformat(call(f"/flow_runs/{following}")["start_time"]).timestamp()
    ends = [state(one)["name"] for one in (newest() if dead else first, following)]
    if ends != ["Completed", "Completed"]:
        sys.exit(f"{how}: the runs ended {ends}")
    after = f"Crashed after {dead - from_then:6.1f} s" if dead else "went on by itself  "
    return f"{how:22} {len(found):2} killed  {after}  next run at work {at_work - from_then:6.1f} s"


@contextmanager
def standing(kills: int) -> Iterator[Loop]:
    """A loop that is up, and ends with this block."""
    with tempfile.TemporaryDirectory() as folder:
        loop = Loop(Path(folder), kills)
        try:
            loop.up()
            yield loop
        finally:
            loop.down()


def scored(loop: Loop) -> list[tuple[str, str]]:
    """Case and role of each prediction of the model in use for a case without a label."""
    from sqlalchemy import create_engine, text

    engine = create_engine(f"sqlite:///{loop.workspace / 'ledger.db'}")
    try:
        with engine.connect() as ledger:
            rows = ledger.execute(text("select case_id, role from predictions where role = 'new'"))
            return [(row[0], row[1]) for row in rows]
    finally:
        engine.dispose()


def main() -> None:
    """Kill, count and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=2, help="of each kind")
    kills = parser.parse_args().kills
    with standing(kills) as loop:
        for how in HOW:
            for _ in range(kills):
                sys.stdout.write(f"{kill(loop, how)}\n")
                sys.stdout.flush()
        cases = [case for case, _ in scored(loop)]
        wanted = [row["case_id"] for row in loop.rows[LABELLED : loop.shown]]
        lost, twice = set(wanted) - set(cases), len(cases) - len(set(cases))
        sys.stdout.write(f"{len(wanted)} new cases: {len(lost)} lost, {twice} scored twice\n")
    sys.exit(1 if lost or twice else 0)


if __name__ == "__main__":
    main()
