"""The command on data contracts: how the rules fared, as a table, as JSON, or as a page."""

from pathlib import Path
from typing import Any

import click

from mmdiag.cli.context import Context, with_context
from mmdiag.cli.options import cohort_name_option


@click.command(short_help="Show data-contract results.")
@cohort_name_option
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.html",
    help="Write a page: every rule, and the keys in quarantine.",
)
@with_context
def contracts(context: Context, cohort: str | None, out: Path | None) -> int:
    """Show data-contract results: how often each rule, and each on leakage, failed at the last
    ingestion.

    A page, a table and JSON hold rules, counts and case keys, never a cell.

    A contract names expectations of Great Expectations, and these of mmdiag:

    \b
      expect_column_pair_values_to_be_known_together  (column_A, column_B)
      expect_column_rarest_value_to_have_share        (column, min_value)
      expect_column_values_to_be_plain_keys           (column)
      expect_column_values_to_not_be_after            (column_A, column_B: dates)
      expect_groups_to_have_one_value                 (column_A: group, column_B)

    \b
    Examples:
      mmdiag contracts
      mmdiag contracts --cohort lgg-progression --out contracts.html
      mmdiag contracts --json
    """
    from mmdiag.cli.show import show_contracts
    from mmdiag.contracts.report import report, rules_of
    from mmdiag.workspace import write_text

    ledger = context.existing_ledger()
    names = [] if ledger is None else list(ledger.cohorts()["name"])
    context.require_cohort(ledger, cohort)
    _require(context, cohort, out, names)
    rows: list[dict[str, Any]] = [] if ledger is None else rules_of(ledger, cohort)
    if out is not None and ledger is not None:
        write_text(out, report(ledger, cohort or names[0]))
    if out is None or context.as_json:
        context.emit(rows, show_contracts)
    else:
        click.echo(f"Wrote {out}", err=True)
    return 0


def _require(context: Context, cohort: str | None, out: Path | None, names: list[str]) -> None:
    from mmdiag.errors import UsageError

    if out is not None and not names:
        raise UsageError(
            "A cohort must be ingested before its contracts are shown, none is in "
            f"{context.workspace.path}: `mmdiag ingest --cohort C.toml`."
        )
    if cohort is None and out is not None and len(names) > 1:
        raise UsageError(
            f"A page is of one cohort, {len(names)} are in {context.workspace.path}: name one by "
            f"--cohort ({', '.join(sorted(names))})."
        )
