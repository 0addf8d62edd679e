"""Commands on models in use: list, show, promote, rollback, retire."""

from typing import Any

import click

from mmdiag.cli.context import Context, with_context
from mmdiag.cli.options import cohort_name_option

reason_option = click.option(
    "--reason", required=True, metavar="TEXT", help="Why; it is kept with the decision."
)
by_option = click.option(
    "--by", default="", metavar="NAME", help="Who decides. Default: the user of the system."
)


@click.group(short_help="Which model of a cohort is in use, and why.")
def models() -> None:
    """Which model of a cohort is in use, and why.

    A cohort's first model becomes its champion, every other one is a candidate until it is promoted
    here or by `mmdiag refit`. `mmdiag score` and the schedule use the champion and nothing else.

    \b
    Examples:
      mmdiag models list
      mmdiag models promote b-3f9c1d20a1b2 --reason "better on the cases since June"
      mmdiag models rollback --cohort lgg-progression --reason "too many abstentions"
    """


@models.command(name="list", short_help="List every model and its state.")
@cohort_name_option
@with_context
def list_(context: Context, cohort: str | None) -> int:
    """List every model with its state, since when, by whom and why.

    \b
    Examples:
      mmdiag models list
      mmdiag models list --cohort lgg-progression --json
    """
    from mmdiag.cli.operate.show import show_models
    from mmdiag.record.models import list_models

    ledger = context.existing_ledger()
    context.require_cohort(ledger, cohort)
    context.emit(list_models(ledger, cohort) if ledger else [], show_models)
    return 0


@models.command(short_help="Show one model.")
@click.argument("bundle_id")
@with_context
def show(context: Context, bundle_id: str) -> int:
    """Show one model: its state, and how it was judged when it was made.

    \b
    Examples:
      mmdiag models show b-3f9c1d20a1b2
    """
    from mmdiag.cli.operate.show import show_models
    from mmdiag.errors import UnknownNameError
    from mmdiag.record.models import list_models

    ledger = context.existing_ledger()
    known = {row["bundle_id"]: row for row in (list_models(ledger) if ledger else [])}
    if bundle_id not in known:
        raise UnknownNameError("A model", bundle_id, known)
    context.emit(known[bundle_id], lambda row: show_models([row], metrics=True))
    return 0


@models.command(short_help="Make a model its cohort's champion.")
@click.argument("bundle_id")
@reason_option
@by_option
@with_context
def promote(context: Context, bundle_id: str, reason: str, by: str) -> int:
    """Make a model its cohort's champion; the one before retires. A batch that is being scored ends
    with the model that it began with.

    \b
    Examples:
      mmdiag models promote b-3f9c1d20a1b2 --reason "better on the cases since June"
    """
    from mmdiag.record import models as record

    ledger, place, role = context.ledger(), context.workspace, context.role()
    model = record.promote(ledger, bundle_id, reason, by, role=role, workspace=place)
    return _decided(context, model)


@models.command(short_help="Return to the champion before.")
@click.option("--cohort", required=True, metavar="NAME", help="Of this cohort, by its name.")
@reason_option
@by_option
@with_context
def rollback(context: Context, cohort: str, reason: str, by: str) -> int:
    """Return to the champion before, in one transaction.

    \b
    Examples:
      mmdiag models rollback --cohort lgg-progression --reason "too many abstentions"
    """
    from mmdiag.record import models as record

    ledger, place, role = context.ledger(), context.workspace, context.role()
    model = record.rollback(ledger, cohort, reason, by, role=role, workspace=place)
    return _decided(context, model)


@models.command(short_help="Take a model out of use.")
@click.argument("bundle_id")
@reason_option
@by_option
@with_context
def retire(context: Context, bundle_id: str, reason: str, by: str) -> int:
    """Take a model out of use. A cohort whose champion retires has none, and is not scored until
    another is promoted.

    \b
    Examples:
      mmdiag models retire b-3f9c1d20a1b2 --reason "its scanner was replaced"
    """
    from mmdiag.record import models as record

    role = context.role()
    return _decided(context, record.retire(context.ledger(), bundle_id, reason, by, role=role))


def _decided(context: Context, model: dict[str, Any]) -> int:
    from mmdiag.cli.operate.show import show_models

    shown = {key: value for key, value in model.items() if key != "before"}
    context.emit(shown, lambda row: show_models([row]))
    return 0
