"""A deployment that fails, on a real Prefect server with a real worker: what it leaves in Prefect's
database and in the worker's log is a kind and an exit code.
"""

import csv
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from repository import ROOT
from table_builders import rows, write_cohort

pytestmark = [pytest.mark.services, pytest.mark.slow]
PLANTED = ("Maria Zzplanted", "MRN7712345", "1951-02-03")
MINUTES = 600.0  # seconds, which only end a hang
WITHOUT_HEADER = rows({"a": [str(number) for number in range(12)], "b": ["x"] * 12})


class Prefect:
    """The command line of Prefect, against a server of its own."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.environment = {
            **{name: value for name, value in os.environ.items() if "PREFECT" not in name},
            "PREFECT_HOME": str(folder / "home"),
            "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "PREFECT_CLI_PROMPT": "false",
            "MMDIAG_ROOT": str(ROOT),
            "MMDIAG_COHORT": str(folder / "c" / "cohort.toml"),
            "MMDIAG_WORKSPACE": str(folder / "w"),
        }

    def __call__(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "prefect", *arguments]
        done = subprocess.run(
            command,
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=MINUTES,
            check=False,
        )
        return done.stdout + done.stderr

    def everything(self) -> bytes:
        """All that the server, the worker and the product wrote, but the cohort."""
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        cohort = self.folder / "c"
        return b"".join(path.read_bytes() for path in files if not path.is_relative_to(cohort))

    def database_text(self) -> str:
        """The database and its log of changes, as far as it is text."""
        files = (self.folder / "home").glob("prefect.db*")
        return "".join(path.read_bytes().decode("latin-1") for path in files)


@pytest.fixture(scope="module")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prefect]:
    """A server with the deployments of prefect.yaml, and a place for a cohort."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = Prefect(tmp_path_factory.mktemp("deployed"), port)
    server = [sys.executable, "-m", "prefect", "server", "start", "--port", str(port), "--no-ui"]
    log = (command.folder / "server.log").open("wb")
    process = subprocess.Popen(
        server, env=command.environment, cwd=command.folder, stdout=log, stderr=log
    )
    try:
        while "local" not in command("work-pool", "ls"):
            assert process.poll() is None, (command.folder / "server.log").read_text()
            command("work-pool", "create", "local", "--type", "process")
        assert "on-demand" in command("deploy", "--all")
        yield command
    finally:
        process.terminate()
        process.wait()
        log.close()


@pytest.mark.parametrize("flow", ["mmdiag-ingest", "mmdiag-full"])
@pytest.mark.parametrize("table", ["cases", "labs"])
def test_a_failing_deployment_leaves_a_kind_and_a_code(
    prefect: Prefect, flow: str, table: str
) -> None:
    cohort = write_cohort(prefect.folder / "c", WITHOUT_HEADER)
    target = cohort.parent / f"{table}.csv"
    lines = list(csv.reader(target.read_text().splitlines()))[1:]
    lines[0][: len(PLANTED)] = PLANTED[: len(lines[0])]
    with target.open("w", newline="") as out:
        csv.writer(out).writerows(lines)
    asked = prefect("deployment", "run", f"{flow}/on-demand")
    assert "UUID" in asked, asked
    said = prefect("worker", "start", "--pool", "local", "--run-once")
    assert "Error, exit code 2: failure-" in said, said
    assert "Error, exit code 2: failure-" in prefect.database_text()
    kept = said.encode() + prefect.everything()
    for word in PLANTED:
        assert word.encode() not in kept, word
