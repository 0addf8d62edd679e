"""A command that is asked to end (SIGTERM, as by a service manager), or whose terminal goes (SIGHUP),
says so like one that is interrupted, and leaves what a rerun picks up.
"""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from table_builders import rows, write_cohort

from mmdiag.storage.turns import turn
from mmdiag.workspace import Workspace

MINUTES = 300.0  # seconds, which only end a hang
TABLE = rows({"a": [str(number) for number in range(12)]})


def started(*arguments: object, **options: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "mmdiag", *map(str, arguments)]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,  # type: ignore[call-overload]
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_command_that_is_asked_to_end_says_so(tmp_path: Path, number: signal.Signals) -> None:
    cohort = write_cohort(tmp_path / "c", TABLE)
    asked = ("ingest", "--cohort", cohort, "--workspace", tmp_path / "w")
    with turn(Workspace(tmp_path / "w"), "hospital", lambda: None):
        command = started(
            *asked,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            # whoever runs the tests by nohup has told its children to ignore it
            preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
        )
        assert command.stderr is not None
        line = next(line for line in command.stderr if "waits" in line)  # it is at work, and waits
        command.send_signal(number)
        _, said = command.communicate(timeout=MINUTES)
    assert command.returncode == 128 + number, line
    assert said.strip().splitlines()[-1].startswith("Interrupted. Run the same command again")


@pytest.mark.parametrize("megabytes", [280, 1100])
def test_what_the_machine_lacks_is_said_and_no_file_is_refused_for_it(
    tmp_path: Path, megabytes: int
) -> None:
    cohort = write_cohort(
        tmp_path / "c", TABLE, '[modalities.note]\nkind = "text"\npath = "{case_id}.txt"\n'
    )
    for number in range(12):
        (tmp_path / "c" / f"k{number:02d}.txt").write_text("A lesion was seen on the left side.")
    command = started(
        *("ingest", "--cohort", cohort, "--workspace", tmp_path / "w"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (megabytes * 2**20,) * 2),
    )
    _, said = command.communicate(timeout=MINUTES)
    assert command.returncode == 1 and "ulimit -v" in said, said
    assert "Traceback" not in said


def test_the_c_locale_is_no_hindrance(tmp_path: Path) -> None:
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    cohort = write_cohort(tmp_path / "c", TABLE)
    command = started("inspect", cohort.parent / "labs.csv", env={**os.environ, **plain})
    _, said = command.communicate(timeout=MINUTES)
    assert command.returncode == 0, said
