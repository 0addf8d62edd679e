"""Commands on the audit: verify, export, erase."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mmdiag.cli.context import Answer, Context, with_context

if TYPE_CHECKING:
    from mmdiag.storage.ledger import Ledger


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

    answer = verify_chain(_ledger_of(context))
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

    rows = export_rows(context.ledger_to_read(), out.resolve())
    answer = context.answer("audit export", rows=rows, out=str(out.resolve()))
    context.emit(answer, lambda done: show_lines([f"{done['rows']} rows in {done['out']}"]))
    return 0


@audit.command(short_help="Take a person out of everything that is kept.")
@click.argument("subject_id", metavar="SUBJECT")
@click.option("--by", default="", metavar="NAME", help="Who asks. Default: the system's user.")
@with_context
def erase(context: Context, subject_id: str, by: str) -> int:
    """Take a person out of everything that the workspace keeps: the ledger and its copies, cohorts,
    runs, explanations and logs. The audit gets a row that says which of its rows were emptied, and
    still verifies; runs say how many of their cases were erased. Models keep what they have learned
    from the person: which ones did is said.

    Take the person out of the case table and the files of the cohort first: what is still there is
    read again by the next ingestion. What was written elsewhere by --out is not touched.

    \b
    Examples:
      mmdiag audit erase p0182
    """
    from mmdiag.cli.show import show_lines
    from mmdiag.erasure.person import erase_person

    answer = context.answer(
        "audit erase",
        **erase_person(
            context.workspace,
            context.ledger(),
            subject_id,
            by,
            role=context.role(),
            waiting=lambda what: click.echo(f"waits: another process is at {what}", err=True),
        ),
    )
    context.emit(answer, lambda done: show_lines(_erased(done)))
    return 0


def _ledger_of(context: Context) -> "Ledger":
    """The ledger, or what is left of one: where its file is gone, the head of its chain says so."""
    from mmdiag.storage.audit.head import HEAD
    from mmdiag.storage.ledger import Ledger

    if (context.workspace.path / HEAD).is_file():
        return Ledger(context.ledger_url, context.workspace.path)
    return context.ledger_to_read()


def _erased(done: Answer) -> list[str]:
    """What was erased, and what cannot be."""
    runs = sum(1 for count in done["runs"].values() if count)
    said = [
        f"Cases of this person that were erased: {done['cases']}, from the ledger, the cohorts and "
        f"{runs} {'run' if runs == 1 else 'runs'}; rows of the audit that were emptied: "
        f"{len(done['rows'])}."
    ]
    if done["runs_removed"]:
        said.append(f"Runs that were not done were removed: {', '.join(done['runs_removed'])}.")
    if done["models"]:
        said.append(
            "Learned from this person, which nothing takes out of weights: "
            f"{', '.join(done['models'])}, and the models of the folds of these runs. Train again, "
            "then `mmdiag models retire` and delete them."
        )
    if done["models"] is None:
        said.append("Whether a model learned from this person is not known: its key is missing.")
    if done["left"]:
        said.append(f"Files that name them still, for you to look at: {', '.join(done['left'])}.")
    return [
        *said,
        "What the cohort's table and files still hold of this person is read again by the next "
        "ingestion.",
    ]
