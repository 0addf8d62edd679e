"""What every command gets: where it works, where its record lies, and how it answers."""

import functools
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mmdiag.cli.boundary import DONE, IN_QUARANTINE, failures_without_values
from mmdiag.workspace import Workspace, absolute_url, sqlite_file

if TYPE_CHECKING:
    from mmdiag.description import Description
    from mmdiag.storage.ledger import Ledger

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Context:
    """One call of a command.

    Args:
        workspace: The folder that it works in.
        ledger_url: Where the record is kept.
        as_json: Whether the answer is one JSON document on stdout.
    """

    workspace: Workspace
    ledger_url: str
    as_json: bool
    started: float = field(default_factory=time.monotonic)

    def ledger(self) -> "Ledger":
        """The ledger, which is made when something is first written into it.

        Raises:
            MmdiagError: It does not answer.
        """
        from mmdiag.storage.ledger import Ledger

        ledger = Ledger(self.ledger_url, self.workspace.path)
        ledger.require()
        return ledger

    def ledger_to_read(self) -> "Ledger":
        """The ledger for a command that only looks: one that may not be written, as that of a
        backup, is fine.

        Raises:
            UsageError: There is none.
        """
        from mmdiag.errors import UsageError

        ledger = self.existing_ledger()
        if ledger is None:
            raise UsageError(
                f"A record is looked at where there is one, there is none in "
                f"{self.workspace.path}: name the workspace by --workspace."
            )
        return ledger

    def existing_ledger(self) -> "Ledger | None":
        """The ledger if there is one: looking at a workspace does not create one."""
        file = sqlite_file(self.ledger_url)
        if file is not None and not file.is_file():
            return None
        from mmdiag.storage.ledger import Ledger

        return Ledger(self.ledger_url, self.workspace.path)

    def require_cohort(self, ledger: "Ledger | None", name: str | None) -> None:
        """See that a cohort that is named is one of the ledger's: of another one nothing is known,
        which is no answer.

        Raises:
            UsageError: It is none.
        """
        if name is None:
            return
        from mmdiag.errors import UnknownNameError, UsageError

        known = [] if ledger is None else list(ledger.cohorts()["name"])
        if not known:
            raise UsageError(
                f"A cohort must be ingested before it is named, none is in {self.workspace.path}: "
                "`mmdiag ingest --cohort C.toml`."
            )
        if name not in known:
            raise UnknownNameError(
                "The name of a cohort", name, known, f" in {self.workspace.path}"
            )

    def role(self) -> str:
        """The role of the user of the system; without users.toml an operator.

        Raises:
            UsageError: users.toml gives them none.
        """
        from mmdiag.roles import role_of, system_user

        return role_of(self.workspace.path, system_user())

    def seconds(self) -> float:
        """Seconds since the command began."""
        return round(time.monotonic() - self.started, 1)

    def answer(self, command: str, **keys: Any) -> Answer:
        """The answer of a command, in the form of every JSON result."""
        return {
            "command": command,
            "status": "done",
            "workspace": str(self.workspace.path),
            "seconds": self.seconds(),
            **keys,
        }

    def emit(self, answer: Any, show: Callable[[Any], None]) -> None:
        """Write the answer to stdout: JSON for machines, else what `show` draws."""
        if self.as_json:
            click.echo(to_json(answer))
        else:
            show(answer)


def with_context(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--workspace`, `--ledger` and `--json` as its first argument, a
    `Context`, and bound its failures.
    """

    @click.option(
        "--workspace",
        type=click.Path(file_okay=False, path_type=Path),
        default="workspace",
        envvar="MMDIAG_WORKSPACE",
        show_default=True,
        help="Folder for everything that mmdiag keeps. [env: MMDIAG_WORKSPACE]",
    )
    @click.option(
        "--ledger",
        envvar="MMDIAG_LEDGER",
        metavar="URL",
        help="Database of the record. Default: SQLite in the workspace. [env: MMDIAG_LEDGER]",
    )
    @click.option(
        "--json", "as_json", is_flag=True, help="Answer with one JSON document on stdout."
    )
    @functools.wraps(command)
    def wrapper(
        *args: Any, workspace: Path, ledger: str | None, as_json: bool, **options: Any
    ) -> Any:
        working = Workspace(workspace.expanduser().resolve())
        url = absolute_url(ledger) if ledger else working.ledger_inside
        with failures_without_values(working.logs):
            return command(Context(working, url, as_json), *args, **options)

    return wrapper


def read_and_check(cohort: Path) -> "Description":
    """Read a cohort.toml and its case table, so that whatever is wrong with them is said before
    anything is written.

    Raises:
        DescriptionError: What is wrong, and how to fix it.
    """
    from mmdiag.cohort.case_table import read_cases
    from mmdiag.description import read_description

    description = read_description(cohort)
    read_cases(description)
    return description


def titles(description: "Description") -> dict[str, str]:
    """Modality -> how people read it, where the description says so."""
    return {name: m.title for name, m in description.modalities.items() if m.title}


def exit_code(answer: Mapping[str, Any]) -> int:
    """0, or 3 where some input is in quarantine."""
    refused = answer.get("cases", {}).get("quarantined", 0) + sum(
        m.get("quarantined", 0) for m in answer.get("modalities", {}).values()
    )
    return IN_QUARANTINE if refused else DONE


def to_json(answer: Any) -> str:
    """One line of standard JSON: a value that is not a number (NaN, NaT) is null."""
    return json.dumps(_plain(answer), allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):  # a NumPy scalar or array
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    return None if str(value) in ("NaT", "<NA>") else str(value)
