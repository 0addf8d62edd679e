"""What all tests share: offline, one thread, one Prefect server, shapes of arrays checked at every
call, and the count of tests whose data is not here. Imports mmdiag inside fixtures only, so that the
checks of shapes load first.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import hypothesis
import jaxtyping
import pytest
from repository import ROOT, SHARED

for _name, _value in {
    "MMDIAG_PROCESSES": "1",  # small fits are over before another process has started
    "OMP_NUM_THREADS": "1",  # many threads on few cores cost tens of seconds a first step
    "HF_HUB_OFFLINE": "1",
    "DO_NOT_TRACK": "1",
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
}.items():
    os.environ.setdefault(_name, _value)
for _name in ("MMDIAG_WORKSPACE", "MMDIAG_LEDGER", "MMDIAG_DEBUG", "PREFECT_API_URL"):
    os.environ.pop(_name, None)

# where signatures have shapes; what has none is left to mypy, because checking costs a third
_SHAPED = [
    ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for file in sorted((ROOT / "mmdiag").rglob("*.py"))
    if "jaxtyping import" in file.read_text()
]
jaxtyping.install_import_hook(_SHAPED, "beartype.beartype")

# both are of the clock, which a busy machine moves on
hypothesis.settings.register_profile(
    "tests", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("tests")

Run = Callable[..., subprocess.CompletedProcess[str]]
OWN = "MMDIAG_"
TESTS = Path(__file__).parent
COSTLY = ("small_run", "prefect_server")  # fixtures of files in several folders
LONG = re.compile(
    r"small_run|prefect_server|phantom_runs|mmdiag_command|browser|subprocess|\bfit\("
)
WITHOUT_DATA = pytest.StashKey[int]()  # tests of tests/external that were deselected


@pytest.fixture(autouse=True)
def _environment_stays() -> Iterator[None]:
    """A command that is called in this process names its ledger in the environment, for the
    processes that it starts: the next test must not read it.
    """
    before = {name: value for name, value in os.environ.items() if name.startswith(OWN)}
    yield
    for name in [name for name in os.environ if name.startswith(OWN)]:
        if name not in before:
            del os.environ[name]
    os.environ.update(before)


@pytest.hookimpl(trylast=True)  # after -m and -k have chosen
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let the tests begin that take long, so that none of them runs alone at the end, and deselect
    those whose data is not beside the repository.
    """
    items.sort(key=lambda item: not takes_long(item.path))
    if SHARED.is_dir():
        return
    external = [item for item in items if item.get_closest_marker("external")]
    if not external:
        return
    items[:] = [item for item in items if not item.get_closest_marker("external")]
    config.hook.pytest_deselected(items=external)
    config.stash[WITHOUT_DATA] = len(external)
    if hasattr(config, "workeroutput"):  # one of several processes of pytest-xdist
        config.workeroutput["external_deselected"] = len(external)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Hear from a process of pytest-xdist how many it deselected; each collects all tests."""
    deselected = getattr(node, "workeroutput", {}).get("external_deselected")
    if deselected:
        node.config.stash[WITHOUT_DATA] = deselected


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With --dist loadfile: give files that share a costly fixture to one process, which makes it
    once. --no-loadscope-reorder keeps the order of `pytest_collection_modifyitems`.
    """
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class ByFixtures(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return company(config.rootpath / nodeid.split("::")[0])

    return ByFixtures(config, log)


@lru_cache
def company(file: Path) -> str:
    """What a file runs in one process with: all that name a fixture of `COSTLY`, else the files of
    a folder with fixtures of its own, else nothing.
    """
    alone = file.parent == TESTS or not (file.parent / "conftest.py").is_file()
    files = [file] if alone else sorted(file.parent.glob("test_*.py"))
    text = "".join(one.read_text() for one in files)
    return next((name for name in COSTLY if name in text), str(file if alone else file.parent))


@lru_cache
def takes_long(file: Path) -> bool:
    """Whether the tests of a file start processes, browsers or servers, or train."""
    return bool(LONG.search(file.read_text()))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say how many tests need data that is not here."""
    if number := config.stash.get(WITHOUT_DATA, 0):
        terminalreporter.write_line(
            f"{number} tests of tests/external deselected: there is no {SHARED.name}/ beside "
            "the repository, whose data they read"
        )


@pytest.fixture(scope="session")
def mmdiag_command() -> Run:
    """`mmdiag_command("status", "--json", cwd=...)` in a process of its own."""

    def run(
        *arguments: object, timeout: float = 600, cwd: Path | None = None, **env: str
    ) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mmdiag", *map(str, arguments)]
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=cwd,
            env={**os.environ, **env},
            check=False,
        )

    return run


@pytest.fixture
def mmdiag_call(capsys: pytest.CaptureFixture[str]) -> Run:
    """As `mmdiag_command`, within this process: for what depends on no process of its own, whose
    imports take seconds.
    """

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        from mmdiag.cli import boundary, cli

        given = [str(argument) for argument in arguments]
        capsys.readouterr()
        code = boundary.run(cli, given)
        said = capsys.readouterr()
        return subprocess.CompletedProcess(given, code, said.out, said.err)

    return run


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """One temporary server for all tests of flows."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=300):
        yield


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> object:
    """A phantom of 40 cases with missing modalities and three faults, taken all the way; six cases
    are explained. Nobody may change it.
    """
    from phantom_runs import SMALL, run_phantom

    return run_phantom(
        tmp_path_factory.mktemp("small"),
        cases=40,
        seed=3,
        missing=0.2,
        broken=3,
        fusion="modality_attention",
        settings=SMALL,
        explained=6,
    )
