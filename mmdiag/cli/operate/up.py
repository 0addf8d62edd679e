"""Commands `up` and `down`: everything that runs by itself, on this machine."""

import importlib
import os
import sys
from pathlib import Path
from typing import Any

import click

from mmdiag.cli.context import Answer, Context, read_and_check, with_context
from mmdiag.cli.options import cohort_option

DASHBOARD_PORT = 8601
EVERY_MINUTES = 15


@click.command(short_help="Start server, worker, schedules and dashboard on this machine.")
@cohort_option
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=DASHBOARD_PORT,
    show_default=True,
    help="Port of the dashboard on 127.0.0.1.",
)
@click.option(
    "--every",
    type=click.IntRange(1, 7 * 24 * 60),
    default=EVERY_MINUTES,
    show_default=True,
    metavar="MINUTES",
    help="Minutes between two looks for new cases.",
)
@click.option(
    "--install",
    is_flag=True,
    help="Start nothing: write a systemd unit that starts all of it with the machine, and say how "
    "to enable it.",
)
@with_context
def up(context: Context, cohort: Path, port: int, every: int, install: bool) -> None:
    """Start a Prefect server behind a password, a worker, the deployments of prefect.yaml, the
    automations and the dashboard, all on 127.0.0.1, and return once every part answers.

    From then on new cases of the cohort are ingested and scored by the model in use, every so many
    minutes, and once a week a challenger is trained. A part that dies is started again; so is a
    run that crashes, at most three times an hour. Logs lie in the workspace. `mmdiag down` ends
    all of it. Asked again, it says that it is up, and waits until every part answers.

    The server keeps its record in SQLite in the workspace, or where
    PREFECT_SERVER_DATABASE_CONNECTION_URL says (postgresql+asyncpg://...).

    \b
    Examples:
      mmdiag up --cohort cohort.toml
      mmdiag up --cohort cohort.toml --workspace /data/mmdiag --every 5 --port 8700
      mmdiag up --cohort cohort.toml --install
      mmdiag down
    """
    read_and_check(cohort)
    cohort = cohort.expanduser().resolve()
    os.environ["MMDIAG_LEDGER"] = context.ledger_url
    if install:
        answer = _flows("systemd").install(context.workspace.path, cohort, every, port)
    else:
        answer = _flows("up").up(context.workspace.path, cohort, every, port, _say)
    context.emit(context.answer("up", **answer), _show_up)


@click.command(short_help="End all that `up` started.")
@with_context
def down(context: Context) -> None:
    """End all that `mmdiag up` started in a workspace. What was under way is taken up again by the
    next `up`; nothing is lost and no case counts twice.

    \b
    Examples:
      mmdiag down
      mmdiag down --workspace /data/mmdiag --json
    """
    answer: Answer = {"ended": _flows("up").down(context.workspace.path)}
    context.emit(context.answer("down", **answer), _show_down)


def _flows(module: str) -> Any:
    """A module of flows/service, which lies beside this package."""
    from mmdiag.application_root import application_root

    root = str(application_root())
    if root not in sys.path:
        sys.path.insert(0, root)
    return importlib.import_module(f"flows.service.{module}")


def _say(text: str) -> None:
    click.echo(f"up: {text}", err=True)


def _show_up(answer: Answer) -> None:
    """The addresses; of a unit that was written, how it is enabled."""
    if answer["state"] == "written":
        click.echo(f"Written: {answer['unit']}. Enable it:")
        click.echo("\n".join(f"  {command}" for command in answer["enable"]))
        click.echo(f"The dashboard will be at {answer['dashboard']}")
        return
    how = "Up already." if answer["state"] == "already_up" else "Up."
    click.echo(f"{how} Every {answer['every']} min new cases are scored; `mmdiag down` ends it.")
    click.echo(f"Dashboard {answer['dashboard']}")
    click.echo("Whoever has this address sees the cases.")
    click.echo(f"Prefect   {answer['server']} (password in prefect/up/request.json)")
    click.echo(f"Logs      {answer['logs']}")


def _show_down(answer: Answer) -> None:
    click.echo("Down." if answer["ended"] else "Nothing was up.")
