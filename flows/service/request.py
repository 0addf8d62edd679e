"""What is to be up: asked once by `mmdiag up`, read by whatever starts it again."""

import dataclasses
import json
import os
import secrets
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmdiag.application_root import application_root
from mmdiag.sandbox.parent import own_modules
from mmdiag.workspace import Workspace, write_text

MARK = "MMDIAG_UP"  # in the environment of all that is started, with the id of the request
USER = "mmdiag"
EVERY_MINUTES = 15
HEARTBEAT_SECONDS = 30  # the least that Prefect allows
DAY = 24 * 60 * 60
KEPT_DAYS = 30  # runs of Prefect, and the sentences of failures among the logs
EVENT_DAYS = 7
# what the user has set stays
DEFAULTS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_ENABLED": "false",
    "PREFECT_CLI_PROMPT": "false",
    "PREFECT_CLI_COLORS": "false",
    "PREFECT_LOGGING_TO_API_ENABLED": "false",  # texts of exceptions may hold a patient's value
    "PREFECT_LOGGING_LEVEL": "WARNING",
    "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
    "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_SECONDS),
    # how long it waits for events out of order before a silence counts; its own minute is too long
    "PREFECT_SERVER_EVENTS_EXPIRED_BUCKET_BUFFER": "PT15S",
    "PREFECT_SERVER_EVENTS_CAUSAL_ORDERING": "flows.service.ordering",
    # a server that is started again still knows who holds a deployment's slot
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage"
    ".filesystem",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs,orphans",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(KEPT_DAYS * DAY),
    "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": f"P{EVENT_DAYS}D",
}
NOT_TAKEN_OVER = ("PREFECT_API_", "PREFECT__", "PREFECT_PROFILE")


@dataclass(frozen=True, slots=True)
class Request:
    """One `mmdiag up`.

    Args:
        workspace, cohort: Absolute paths.
        every: Minutes between two looks for new cases.
        port: Of the dashboard.
        server_port: Of the Prefect server.
        password: Of the server's API.
        token: Of the dashboard's address.
        id: What marks the processes of this workspace.
        ledger: URL of a ledger elsewhere, which may hold a password; empty = in the workspace.
    """

    workspace: Path
    cohort: Path
    every: int
    port: int
    server_port: int
    password: str = field(repr=False)
    token: str = field(repr=False)
    id: str
    ledger: str = field(repr=False, default="")

    @property
    def api(self) -> str:
        """Address of the server's API."""
        return f"http://127.0.0.1:{self.server_port}/api"

    @property
    def auth(self) -> str:
        """What the server asks for."""
        return f"{USER}:{self.password}"

    @property
    def dashboard(self) -> str:
        """Address of the dashboard, without its token."""
        return f"http://127.0.0.1:{self.port}/"

    def environment(self) -> dict[str, str]:
        """Of everything that is started: Prefect's files in the workspace, its server on loopback
        behind the password.
        """
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(NOT_TAKEN_OVER) and name != "MMDIAG_DASHBOARD_TOKEN"
        }
        if self.ledger:  # what systemd starts has it from nowhere else
            inherited.setdefault("MMDIAG_LEDGER", self.ledger)
        root = application_root()
        path = os.pathsep.join(filter(None, (str(root), inherited.get("PYTHONPATH"))))
        return {
            **DEFAULTS,
            **inherited,
            **own_modules(),
            MARK: self.id,
            "PYTHONPATH": path,
            "PYTHONSAFEPATH": "1",
            "PREFECT_HOME": str(home(self.workspace)),
            "PREFECT_API_URL": self.api,
            "PREFECT_API_AUTH_STRING": self.auth,
            "PREFECT_SERVER_API_AUTH_STRING": self.auth,
            "PREFECT_SERVER_API_HOST": "127.0.0.1",
            "PREFECT_SERVER_API_PORT": str(self.server_port),
            "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": f"http://127.0.0.1:{self.server_port}",
            "MMDIAG_ROOT": str(root),
            "MMDIAG_COHORT": str(self.cohort),
            "MMDIAG_WORKSPACE": str(self.workspace),
            "MMDIAG_EVERY": str(self.every),
        }


def home(workspace: Path) -> Path:
    """Folder of Prefect's files: the database, leases, and the request with its secrets."""
    return workspace / "prefect" / "up"


def read(workspace: Path) -> Request | None:
    """The last request of a workspace; None where there was none, or where the workspace is a copy:
    the request is that of the one that it was copied from, whose processes bear its mark.
    """
    try:
        kept: dict[str, Any] = json.loads((home(workspace) / "request.json").read_text("utf-8"))
    except FileNotFoundError:
        return None
    if _is_another(workspace, kept):
        return None
    # a workspace may have been moved
    return Request(**{**kept, "workspace": workspace, "cohort": Path(kept["cohort"])})


def _is_another(workspace: Path, kept: dict[str, Any]) -> bool:
    """Whether a request was made for another workspace, which still has it."""
    made_for = Path(kept["workspace"])
    if not kept["workspace"] or not (home(made_for) / "request.json").is_file():
        return False
    return not made_for.samefile(workspace)


def write(asked: Request) -> None:
    """Keep a request; the file is its owner's alone."""
    place = {"workspace": str(asked.workspace), "cohort": str(asked.cohort)}
    kept = {**dataclasses.asdict(asked), **place}
    write_text(home(asked.workspace) / "request.json", json.dumps(kept, indent=1))


def ask(workspace: Path, cohort: Path, every: int, port: int) -> Request:
    """A request, with the secrets of the one before, so that addresses stay."""
    before, own = read(workspace), Workspace(workspace)
    return Request(
        workspace=workspace,
        cohort=cohort,
        every=every,
        port=port,
        server_port=before.server_port if before else free_port(),
        password=before.password if before else secrets.token_urlsafe(32),
        token=before.token if before else secrets.token_urlsafe(32),
        id=before.id if before else secrets.token_hex(8),
        ledger=own.ledger_url if own.ledger_url != own.ledger_inside else "",
    )


def is_free(port: int) -> bool:
    """Whether a port of loopback can be listened at."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port of loopback that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
