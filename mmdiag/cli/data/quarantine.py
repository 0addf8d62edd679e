"""Commands on what was refused: quarantine list, show, retry, accept."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from mmdiag.cli.context import Context, with_context
from mmdiag.cli.options import cohort_name_option

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("case_id", "modality", "code", "rule", "file_sha256", "first_seen", "last_seen", "cure")


@click.group(short_help="See what was refused, and why.")
def quarantine() -> None:
    """See what was refused, why, and what to do about it.

    \b
    Examples:
      mmdiag quarantine list
      mmdiag quarantine show c0007
      mmdiag quarantine retry c0007
      mmdiag quarantine accept c0007 --modality flair --reason "looked at"
    """


@quarantine.command("list")
@cohort_name_option
@with_context
def list_refused(context: Context, cohort: str | None) -> int:
    """List what is in quarantine, one row a case and modality.

    \b
    Examples:
      mmdiag quarantine list
      mmdiag quarantine list --cohort lgg-progression --json
    """
    from mmdiag.cli.show import show_quarantine

    ledger = context.existing_ledger()
    context.require_cohort(ledger, cohort)
    table = ledger.quarantine(cohort) if ledger else None
    context.emit([] if table is None else table[list(COLUMNS)].to_dict("records"), show_quarantine)
    return 0


@quarantine.command("show")
@click.argument("case_id")
@with_context
def show_case(context: Context, case_id: str) -> int:
    """Show everything that was refused of one case: rule, fact and cure.

    \b
    Examples:
      mmdiag quarantine show c0007
      mmdiag quarantine show c0007 --json
    """
    from mmdiag.cli.show import show_refusals
    from mmdiag.errors import UsageError

    ledger = context.existing_ledger()
    table = ledger.quarantine() if ledger else None
    found = [] if table is None else table[table["case_id"] == case_id].to_dict("records")
    if not found:
        raise UsageError(
            f"A case to show must be in quarantine, {case_id!r} is not in "
            f"{context.workspace.path}: `mmdiag quarantine list` shows which are."
        )
    context.emit(found, show_refusals)
    return 0


@quarantine.command("retry")
@click.argument("case_ids", metavar="CASE_ID...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Everything that is in quarantine.")
@cohort_name_option
@with_context
def retry(context: Context, case_ids: tuple[str, ...], everything: bool, cohort: str | None) -> int:
    """Have the files of refused cases read again at the next ingestion, even if they did not
    change: after a drive or a program was fixed.

    A file that changed is read again without being asked for.

    \b
    Examples:
      mmdiag quarantine retry c0007 c0009
      mmdiag quarantine retry --all --cohort lgg-progression
    """
    from mmdiag.cli.show import show_decided
    from mmdiag.ingest.overrides import ask_again

    refused = _refused(context, cohort)
    chosen = refused if everything else refused[refused["case_id"].isin(case_ids)]
    _require_all(context, case_ids, set(chosen["case_id"]), named=everything)
    for name, rows in chosen.groupby("cohort"):
        ask_again(context.workspace, str(name), sorted(set(rows["case_id"])))
    cases = sorted(set(chosen["case_id"]))
    context.emit(
        context.answer("quarantine retry", cases=cases, next="mmdiag ingest --cohort C.toml"),
        show_decided,
    )
    return 0


@quarantine.command("accept")
@click.argument("case_id")
@click.option(
    "--reason",
    required=True,
    metavar="TEXT",
    help="Why it may be used all the same; kept in the record.",
)
@click.option("--modality", metavar="NAME", help="Only this modality of the case.")
@cohort_name_option
@with_context
def accept(
    context: Context, case_id: str, reason: str, modality: str | None, cohort: str | None
) -> int:
    """Accept what a rule refuses, with a reason; from the next ingestion on it is used. What could
    not be read cannot be accepted.

    \b
    Examples:
      mmdiag quarantine accept c0007 --modality flair --reason "thick slices are what this site has"
      mmdiag quarantine accept c0007 --reason "looked at: no text in the pixels"
    """
    from mmdiag.cli.show import show_decided
    from mmdiag.ingest.overrides import accept as accept_refusal
    from mmdiag.roles import system_user

    refused = _refused(context, cohort)
    chosen = refused[
        (refused["case_id"] == case_id)
        & (refused["modality"] == modality if modality else refused["modality"] != "")
    ]
    _require_all(context, (case_id,), set(chosen["case_id"]))
    _require_one_cohort(case_id, sorted(set(chosen["cohort"])))
    accept_refusal(context.workspace, context.ledger(), chosen, reason=reason, who=system_user())
    context.emit(
        context.answer("quarantine accept", cases=[case_id], next="mmdiag ingest --cohort C.toml"),
        show_decided,
    )
    return 0


def _refused(context: Context, cohort: str | None) -> "pd.DataFrame":
    import pandas as pd

    ledger = context.existing_ledger()
    context.require_cohort(ledger, cohort)
    return (
        ledger.quarantine(cohort)
        if ledger
        else pd.DataFrame(columns=["cohort", "case_id", "modality", "code"])
    )


def _require_one_cohort(case_id: str, cohorts: Sequence[str]) -> None:
    from mmdiag.errors import UsageError

    if len(cohorts) > 1:
        raise UsageError(
            f"A refusal is accepted of one case, the cohorts {' and '.join(cohorts)} both have the "
            f"key {case_id} in quarantine: name one by --cohort."
        )


def _require_all(
    context: Context, requested: Sequence[str], found: set[str], *, named: bool = False
) -> None:
    from mmdiag.errors import UsageError

    missing = [case_id for case_id in requested if case_id not in found]
    if missing or not (requested or named):
        fact = f"{missing[:5]} are not in {context.workspace.path}" if missing else "none was named"
        raise UsageError(
            f"A decision is about cases that are in quarantine, {fact}: `mmdiag quarantine list` "
            "shows which are."
        )
