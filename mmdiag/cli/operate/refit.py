"""The command that trains a challenger and holds it against the champion."""

from pathlib import Path

import click

from mmdiag.cli.context import Context, exit_code, read_and_check, with_context
from mmdiag.cli.options import cohort_option


@click.command(short_help="Train a challenger and hold it against the champion.")
@cohort_option
@click.option(
    "--write-plan",
    is_flag=True,
    help="Write change_plan.yaml beside cohort.toml, to be edited, and end.",
)
@click.option("--by", default="", metavar="NAME", help="In whose name. Default: the system's user.")
@with_context
def refit(context: Context, cohort: Path, write_plan: bool, by: str) -> int:
    """Train a challenger with the champion's recipe on the grown cohort, and hold both against each
    other on cases that neither has learned from: what the champion predicted before their labels
    came, and the challenger out of fold.

    The rules of change_plan.yaml beside cohort.toml decide: the challenger is promoted, held (the
    cases do not decide; `mmdiag models promote` does) or refused. All three end with exit 0.

    \b
    Examples:
      mmdiag refit --cohort cohort.toml --write-plan
      mmdiag refit --cohort cohort.toml
      mmdiag refit --cohort cohort.toml --json
      MMDIAG_NOTIFY="mail-to-oncall" mmdiag refit --cohort cohort.toml
    """
    from mmdiag.cli.operate.show import show_refit
    from mmdiag.cli.progress import stages
    from mmdiag.cli.show import show_lines
    from mmdiag.lifecycle import plan
    from mmdiag.lifecycle.refit import refit as run_refit

    description = read_and_check(cohort)
    if write_plan:
        written = plan.write_plan(description.file)
        answer = context.answer("refit", plan=str(written))
        context.emit(answer, lambda done: show_lines([f"The plan is in {done['plan']}: edit it."]))
        return 0
    with stages() as progress:
        result = run_refit(
            description, context.workspace, context.ledger(), by=by, progress=progress
        )
    answer = context.answer("refit", **result)
    if answer["notified"] is False:
        click.echo("The command of MMDIAG_NOTIFY failed: nobody was told.", err=True)
    context.emit(answer, show_refit)
    return exit_code(answer)
