"""The command line: one file a command group, and nothing heavy imported before a command needs
it.
"""

import os
import sys
from collections.abc import Sequence

import click

from mmdiag.cli import boundary
from mmdiag.cli.data.cohorts import ingest, init, inspect, phantom
from mmdiag.cli.data.contracts import contracts
from mmdiag.cli.data.deidentify import deidentify
from mmdiag.cli.data.fetch import fetch
from mmdiag.cli.data.quarantine import quarantine
from mmdiag.cli.data.send import send
from mmdiag.cli.models.bundle import bundle
from mmdiag.cli.models.explain import explain
from mmdiag.cli.models.pretrain import pretrain
from mmdiag.cli.models.runs import evaluate, run, score, train
from mmdiag.cli.models.search import search
from mmdiag.cli.models.validate import validate
from mmdiag.cli.operate.audit import audit
from mmdiag.cli.operate.models import models
from mmdiag.cli.operate.refit import refit
from mmdiag.cli.operate.reviews import outcomes, review, reviews
from mmdiag.cli.operate.up import down, up
from mmdiag.cli.operate.workspaces import dashboard, status
from mmdiag.workspace import keep_from_others

EPILOG = """\b
From nothing to a dashboard:
  mmdiag phantom --out demo/cohort --cases 160
  mmdiag run --cohort demo/cohort/cohort.toml --workspace demo/workspace
  mmdiag dashboard --workspace demo/workspace

Exit codes: 0 done, 1 failed, 2 wrong use, 3 done with some input in quarantine, 130 interrupted.
For research use only: not a medical device."""


class InOrderOfUse(click.Group):
    """A group that lists its commands in the order in which they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The order of definition."""
        return list(self.commands)


@click.group(
    cls=InOrderOfUse,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
@click.version_option(package_name="mmdiag", message="%(prog)s %(version)s")
def cli() -> None:
    """Multimodal diagnosis: fuse images, notes and genomics, see whether the fusion was worth it,
    and explain each case.
    """


for _command in (
    phantom,
    init,
    fetch,
    send,
    run,
    ingest,
    pretrain,
    train,
    search,
    evaluate,
    explain,
    score,
    validate,
    inspect,
    deidentify,
    contracts,
    quarantine,
    bundle,
    review,
    reviews,
    outcomes,
    models,
    refit,
    audit,
    status,
    dashboard,
    up,
    down,
):
    cli.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process with its exit code."""
    # read as torch loads: threads that wait must not spin on cores that others need
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    keep_from_others()
    boundary.end_in_words()
    sys.exit(boundary.run(cli, arguments))
