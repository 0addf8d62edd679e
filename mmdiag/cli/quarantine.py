"""Commands on what was refused: quarantine list, show, retry."""

import click

from mmdiag.cli.place import Place, placed

COLUMNS = ("case_id", "modality", "code", "rule", "file_sha256", "first_seen", "last_seen", "cure")


@click.group(short_help="See what was refused, and why.")
def quarantine() -> None:
    """See what was refused, why, and what to do about it.

    \b
    Examples:
      mmdiag quarantine list
      mmdiag quarantine show c0007
    """


@quarantine.command("list")
@click.option("--cohort", metavar="NAME", help="Only this cohort, by its name.")
@placed
def list_refused(place: Place, cohort: str | None) -> int:
    """List what is in quarantine, one row a case and modality.

    \b
    Examples:
      mmdiag quarantine list
      mmdiag quarantine list --cohort lgg-progression --json
    """
    from mmdiag.cli.show import show_quarantine

    ledger = place.existing_ledger()
    table = ledger.quarantine(cohort) if ledger else None
    place.give([] if table is None else table[list(COLUMNS)].to_dict("records"), show_quarantine)
    return 0


@quarantine.command("show")
@click.argument("case_id")
@placed
def show_case(place: Place, case_id: str) -> int:
    """Show everything that was refused of one case: rule, fact and cure.

    \b
    Examples:
      mmdiag quarantine show c0007
      mmdiag quarantine show c0007 --json
    """
    from mmdiag.cli.show import show_refusals
    from mmdiag.errors import UsageError

    ledger = place.existing_ledger()
    table = ledger.quarantine() if ledger else None
    found = [] if table is None else table[table["case_id"] == case_id].to_dict("records")
    if not found:
        raise UsageError(
            f"A case to show must be in quarantine, {case_id!r} is not in {place.workspace.path}: `mmdiag quarantine list` shows which are."
        )
    place.give(found, show_refusals)
    return 0
