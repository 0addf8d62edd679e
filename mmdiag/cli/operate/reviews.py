"""Commands on answers and what came out: review, reviews, outcomes."""

import click

from mmdiag.cli.context import Context, with_context
from mmdiag.cli.options import cohort_name_option


@click.command(short_help="Agree with, override or flag the answer of a case.")
@click.argument("case_id")
@click.option(
    "--verdict",
    required=True,
    type=click.Choice(["agree", "override", "flag"]),
    help="What is said of the answer.",
)
@click.option("--label", default="", metavar="VALUE", help="Of override: what it should be.")
@click.option("--reason", required=True, metavar="TEXT", help="Why; no patient's value.")
@click.option("--by", default="", metavar="NAME", help="Who says so. Default: the system's user.")
@click.option("--cohort", default="", metavar="NAME", help="Where several cohorts have that key.")
@with_context
def review(
    context: Context, case_id: str, verdict: str, label: str, reason: str, by: str, cohort: str
) -> int:
    """Agree with, override or flag the answer of a case. Nothing is ever overwritten: a second
    review stands beside the first, and the newest counts.

    \b
    Examples:
      mmdiag review c0182 --verdict agree --reason "seen on the follow-up scan"
      mmdiag review c0182 --verdict override --label 1 --reason "ring enhancement"
      mmdiag review c0182 --verdict flag --reason "the series is of another body part"
    """
    from mmdiag.cli.operate.show import show_reviewed
    from mmdiag.record.reviews import record_review

    found = record_review(
        context.ledger(),
        context.workspace,
        case_id,
        verdict,
        reason,
        label=label,
        by=by,
        cohort=cohort,
        role=context.role(),
    )
    context.emit(found, show_reviewed)
    return 0


@click.command(short_help="List what was said of answers.")
@cohort_name_option
@with_context
def reviews(context: Context, cohort: str | None) -> int:
    """List every review in the order in which it was given.

    \b
    Examples:
      mmdiag reviews
      mmdiag reviews --cohort lgg-progression --json
    """
    from mmdiag.cli.operate.show import show_reviews
    from mmdiag.record.reviews import list_reviews

    ledger = context.existing_ledger()
    context.require_cohort(ledger, cohort)
    context.emit(list_reviews(ledger, cohort) if ledger else [], show_reviews)
    return 0


@click.command(short_help="What was predicted before it was known, against what came out.")
@click.option("--cohort", required=True, metavar="NAME", help="Of this cohort, by its name.")
@with_context
def outcomes(context: Context, cohort: str) -> int:
    """What was predicted before it was known, against what came out: of each model the metrics with
    intervals, beside those that it was judged by when it was made.

    A prediction counts where it was made before the ledger first saw the label, of a subject
    outside the model's training set; of several, the first one of that model.

    \b
    Examples:
      mmdiag outcomes --cohort lgg-progression
      mmdiag outcomes --cohort lgg-progression --json
    """
    from mmdiag.cli.operate.show import show_outcomes
    from mmdiag.record.outcomes import outcomes as find_outcomes

    answer = find_outcomes(context.ledger_to_read(), context.workspace, cohort)
    context.emit(answer, show_outcomes)
    return 0
