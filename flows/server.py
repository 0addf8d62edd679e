"""A Prefect server for the length of one command: on loopback, in the workspace, gone when the
command is gone, however it ends.

Prefect starts one by itself, but that one hears the Ctrl-C meant for the command, dies first, and
leaves the flow to wait for it for a minute; and it
outlives a command that was killed. This one ignores both signals and dies with its parent.
"""

import http.client
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from http import HTTPStatus
from itertools import count
from pathlib import Path
from typing import Any

from mmdiag.errors import MmdiagError, UsageError
from mmdiag.failures import StepFailed
from mmdiag.sandbox.parent import end_with_parent
from mmdiag.storage.turns import hold_if_free, remove_empty

STARTUP_SECONDS = 120
ANSWER_SECONDS = 10


@contextmanager
def a_server(workspace: Path) -> Iterator[Callable[[], None]]:
    """Have a server: the one that PREFECT_API_URL names, else a temporary one, whose address is set
    before Prefect is imported.

    Returns:
        A function that waits until the server answers; to be called before the first flow.
    """
    if named := os.environ.get("PREFECT_API_URL"):
        require_server(named)
        with a_home(workspace):
            yield lambda: None
        return
    with a_home(workspace) as home:
        server = TemporaryServer(home)
        os.environ["PREFECT_API_URL"] = server.url
        try:
            yield server.wait
        finally:
            del os.environ["PREFECT_API_URL"]
            server.stop()


@contextmanager
def a_home(workspace: Path) -> Iterator["Home"]:
    """A folder for Prefect's files and the database of one server: two commands at once have one
    each. A new one is taken away where the command turns out to be wrong use.
    """
    logs = workspace / "logs"
    own = workspace / "prefect"
    if Path(os.environ.get("PREFECT_HOME", own)) != own:  # the user's
        yield Home(Path(os.environ["PREFECT_HOME"]), logs / "prefect-server.log", ours=False)
        return
    missing = [path for path in (own, *own.parents) if not path.exists()]
    home, held = _free_home(own)
    new, log = not any(home.iterdir()), logs / f"prefect-{home.name}.log"
    os.environ["PREFECT_HOME"] = str(home)
    try:
        yield Home(home, log, ours=True)
    except MmdiagError as error:
        if error.exit_code == UsageError.exit_code and new:
            shutil.rmtree(home)
            log.unlink(missing_ok=True)
            remove_empty([logs, *missing])
        raise
    finally:
        os.environ["PREFECT_HOME"] = str(own)
        os.close(held)


def require_server(url: str) -> None:
    """Say at once where nobody answers; Prefect itself tries for a quarter of a minute.

    Raises:
        StepFailed: No Prefect server answers at the address.
    """
    try:
        if not url.startswith(("http://", "https://")):
            raise ValueError
        with urllib.request.urlopen(f"{url.rstrip('/')}/health", timeout=ANSWER_SECONDS):
            return
    except urllib.error.HTTPError as error:
        if error.code != HTTPStatus.NOT_FOUND:  # it wants a password, or is busy: Prefect says
            return
        fact = "another service answers there"
    except ValueError:
        fact = "that is no http address"
    except (OSError, http.client.HTTPException) as error:
        if isinstance(getattr(error, "reason", None), ssl.SSLError):  # Prefect may know its issuer
            return
        fact = "nobody answers there"
    raise StepFailed(
        f"A run goes through the Prefect server that PREFECT_API_URL names, {_address(url)}, and "
        f"{fact}: start it (`prefect server start`), correct the address (it ends in /api), or "
        "unset PREFECT_API_URL for a temporary server.",
        worth_a_retry=True,
    )


def _address(url: str) -> str:
    """The address without what may be a name and a password."""
    return re.sub(r"//[^/@]*@", "//", url.partition("?")[0])


def _free_home(folder: Path) -> tuple[Path, int]:
    """The first home that no other command has, and the descriptor that holds it."""
    for number in count(1):
        home = folder / f"server-{number}"
        held = hold_if_free(home)
        if held is not None:
            return home, held
    raise AssertionError


@dataclass(frozen=True, slots=True)
class Home:
    """Where Prefect's files lie.

    Args:
        log: Where what a temporary server says goes.
        ours: Whether nobody else's history is in it.
    """

    folder: Path
    log: Path
    ours: bool


class TemporaryServer:
    """The server as a child process, and its address.

    Args:
        home: Where Prefect's database lies.
    """

    def __init__(self, home: Home) -> None:
        self.home, self.log = home, home.log
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listening.getsockname()[1]}/api"
        self.process = self._start()

    def wait(self) -> None:
        """Wait until the server answers.

        Raises:
            StepFailed: It does not.
        """
        deadline, restarted = time.monotonic() + STARTUP_SECONDS, False
        while not self._answers():
            if self.process.poll() is not None and not restarted:
                restarted = True
                self._forget_history()
                self.process = self._start()
            elif self.process.poll() is not None or time.monotonic() > deadline:
                raise StepFailed(
                    f"The temporary Prefect server must answer within {STARTUP_SECONDS} s, and "
                    f"did not: see {self.log}, or name a server by PREFECT_API_URL."
                )
            time.sleep(0.1)

    def stop(self) -> None:
        """End the server; its database is left as after a power cut, which SQLite is made for."""
        self.process.kill()
        self.process.wait()
        self.listening.close()

    def _start(self) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-P", __file__, str(self.listening.fileno()), str(os.getpid())]
        environment = {
            **os.environ,
            "PREFECT__SERVER_EPHEMERAL": "1",
            "PREFECT__SERVER_FINAL": "1",
            "PREFECT_API_URL": "",
        }
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as log:
            return subprocess.Popen(
                command,
                pass_fds=[self.listening.fileno()],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=1) as answer:
                return int(answer.status) == 200
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            return False

    def _forget_history(self) -> None:
        """A command that was killed while Prefect laid out its tables may leave a database that no
        server opens; it holds only the history of runs.
        """
        for path in self.home.folder.glob("prefect.db*") if self.home.ours else ():
            path.unlink()


def serve(descriptor: int, parent: int) -> None:
    """What the child process does.

    Args:
        descriptor: The listening socket.
        parent: Process whose end is the server's end.
    """
    for deaf_to in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(deaf_to, signal.SIG_IGN)
    end_with_parent(parent)
    import uvicorn

    class Server(uvicorn.Server):
        def capture_signals(self) -> Any:
            return nullcontext()

    config = uvicorn.Config(
        "prefect.server.api.server:create_app", factory=True, log_level="critical", lifespan="on"
    )
    server = Server(config)
    server.run(sockets=[socket.socket(fileno=descriptor)])
    sys.exit(0 if server.started else 3)


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]))
