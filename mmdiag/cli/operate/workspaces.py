"""Commands on a workspace: status, dashboard."""

import os
import socket
import sys

import click

from mmdiag.cli.context import Context, with_context


@click.command(short_help="Show what the workspace holds.")
@with_context
def status(context: Context) -> int:
    """Show what the workspace holds: cohorts, cases, bundles, last runs, last scores.

    \b
    Examples:
      mmdiag status
      mmdiag status --workspace /data/mmdiag --json
    """
    from mmdiag.cli.show import show_status

    ledger = context.existing_ledger()
    if ledger is None:
        answer = context.answer(
            "status", cohorts=[], bundles=[], runs=[], predictions=0, quarantined=0
        )
    else:
        tables = {"cohorts": ledger.cohorts(), "bundles": ledger.bundles(), "runs": ledger.runs()}
        counts = {
            "predictions": ledger.count_predictions(),
            "quarantined": len(ledger.quarantine()),
        }
        answer = context.answer(
            "status", **{name: table.to_dict("records") for name, table in tables.items()}, **counts
        )
    context.emit(answer, show_status)
    return 0


@click.command(short_help="Serve the dashboard on 127.0.0.1.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=8601,
    show_default=True,
    help="Port on 127.0.0.1.",
)
@with_context
def dashboard(context: Context, port: int) -> None:
    """Serve the dashboard on 127.0.0.1 until it is interrupted. Research use only.

    It prints an address with a token, another one at each start: who opens that address gets in,
    nobody else does. MMDIAG_DASHBOARD_TOKEN sets the token of a service, which is then not
    printed; MMDIAG_DASHBOARD_HOST names the host by which a proxy or a tunnel reaches it.

    \b
    Examples:
      mmdiag dashboard
      mmdiag dashboard --workspace demo/workspace --port 8700
    """
    from mmdiag.application_root import application_root
    from mmdiag.errors import UsageError

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise UsageError(
                f"The dashboard needs a free port on 127.0.0.1, {port} is not "
                f"({error.strerror}): name another by --port."
            ) from None
    root = application_root()
    environment = {
        **os.environ,
        "MMDIAG_LEDGER": context.ledger_url,
        "MMDIAG_WORKSPACE": str(context.workspace.path),
    }
    arguments = [
        sys.executable,
        str(root / "dashboards" / "app.py"),
        "--workspace",
        str(context.workspace.path),
        "--port",
        str(port),
    ]
    # one process, so that signals reach the server
    os.execve(sys.executable, arguments, environment)
