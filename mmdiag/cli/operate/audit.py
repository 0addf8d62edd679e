"""Commands on the audit: verify, export, erase."""

from pathlib import Path

import click

from mmdiag.cli.context import Context, with_context


@click.group(short_help="The hash-chained record of who did what.")
def audit() -> None:
    """The hash-chained record of who did what: what was ingested, trained, decided, scored,
    viewed and reviewed. Rows are only ever added, and each holds the hash of the one before it; the
    last one's also lies outside the database, in audit.head and logs/audit.log.

    \b
    Examples:
      mmdiag audit verify
      mmdiag audit export --out audit.jsonl
    """


@audit.command(short_help="See whether every row holds; exit 1 where one does not.")
@with_context
def verify(context: Context) -> int:
    """See whether any row of the audit was edited, removed, inserted, reordered or cut off. Nothing
    is written; exit 1 where the chain does not hold.

    \b
    Examples:
      mmdiag audit verify
      mmdiag audit verify --workspace /backup/workspace --json
    """
    from mmdiag.cli.boundary import DONE, FAILED
    from mmdiag.cli.operate.show import show_verified
    from mmdiag.record.audit import verify as verify_chain

    answer = verify_chain(context.ledger())
    context.emit(answer, show_verified)
    return DONE if answer["ok"] else FAILED


@audit.command(short_help="Write every row as a line of JSON.")
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="F.jsonl",
    help="Where the rows go.",
)
@with_context
def export(context: Context, out: Path) -> int:
    """Write every row of the audit as a line of JSON, in order.

    \b
    Examples:
      mmdiag audit export --out audit.jsonl
    """
    from mmdiag.cli.show import show_lines
    from mmdiag.record.audit import export as export_rows

    rows = export_rows(context.ledger(), out.resolve())
    answer = context.answer("audit export", rows=rows, out=str(out.resolve()))
    context.emit(answer, lambda done: show_lines([f"{done['rows']} rows in {done['out']}"]))
    return 0


@audit.command(short_help="Empty what the audit and the reviews say of a person.")
@click.argument("subject_id", metavar="SUBJECT")
@click.option("--by", default="", metavar="NAME", help="Who asks. Default: the system's user.")
@with_context
def erase(context: Context, subject_id: str, by: str) -> int:
    """Empty what the audit and the reviews say of a person, and add a row that says which rows were
    emptied. The chain still verifies. The case itself is taken out where it lies, in the cohort's
    table and files, before the next ingestion.

    \b
    Examples:
      mmdiag audit erase p0182
    """
    from mmdiag.cli.show import show_lines
    from mmdiag.record.audit import erase as erase_person

    rows = erase_person(context.ledger(), subject_id, by, role=context.role())
    answer = context.answer("audit erase", rows=rows)
    context.emit(answer, lambda done: show_lines([f"{len(done['rows'])} rows were emptied."]))
    return 0
