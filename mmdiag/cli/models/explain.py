"""The command that explains: one case, one case were it another, or how far the explanations of a
model can be relied on.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mmdiag.cli.context import Answer, Context, read_and_check, with_context
from mmdiag.errors import UsageError

if TYPE_CHECKING:
    from mmdiag.explain.what_if import Change
    from mmdiag.storage.store import Store


@click.command(short_help="Explain one case, or check a model's explanations.")
@click.argument("case_id", required=False)
@click.option(
    "--cohort",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The cohort.toml of the case, where several cohorts of the workspace have its key.",
)
@click.option(
    "--cohort-name",
    default="",
    metavar="NAME",
    help="Instead of --cohort: the cohort by its name in the workspace.",
)
@click.option(
    "--bundle",
    metavar="BUNDLE",
    help="The model: its id in the workspace, or its folder. Default: that of the newest answer.",
)
@click.option(
    "--without",
    multiple=True,
    metavar="MODALITY",
    help="What if the case lacked it? Repeatable. Nothing is written.",
)
@click.option(
    "--note",
    "notes",
    multiple=True,
    metavar="MODALITY=FILE",
    help="What if its note were this text (UTF-8)? Repeatable. Nothing is written.",
)
@click.option(
    "--set",
    "values",
    multiple=True,
    metavar="COLUMN=VALUE",
    help="What if a column of a table had this value, or the cohort's `median`? Repeatable.",
)
@click.option(
    "--html",
    "page",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Also write one page of the case, to read and to print. It holds what the case holds: "
    "only you can read the file.",
)
@click.option(
    "--checks",
    is_flag=True,
    help="Instead of a case: do the explanations of a bundle add up, does taking away what counts "
    "most change most, do they depend on what was learned? Some minutes, kept.",
)
@with_context
def explain(
    context: Context,
    case_id: str | None,
    cohort: Path | None,
    cohort_name: str,
    bundle: str | None,
    without: Sequence[str],
    notes: Sequence[str],
    values: Sequence[str],
    page: Path | None,
    checks: bool,
) -> int:
    """Explain one case of a training or of a score: what each modality contributed, and what the
    regions, words and genes in it did, so that they add up to the answer. What was not explained in
    advance is made and kept.

    \b
    Examples:
      mmdiag explain c0182
      mmdiag explain c0182 --cohort cohort.toml
      mmdiag explain c0182 --bundle b-3f9c1d20a1b2 --json
      mmdiag explain c0182 --without report --set EGFR=median
      mmdiag explain c0182 --html c0182.html
      mmdiag explain --checks --bundle b-3f9c1d20a1b2
    """
    from mmdiag import api
    from mmdiag.cli.models.show_case import show_explanation

    if cohort and cohort_name:
        raise click.UsageError("A cohort is named once, by --cohort or by --cohort-name.")
    name = read_and_check(cohort).name if cohort else cohort_name
    folder = api.bundle_folder(context.workspace, bundle) if bundle else None
    change = _change(without, notes, values)
    if checks:
        if case_id or folder is None or change or page:
            raise UsageError("Checks are of a bundle, not of a case: give --bundle alone.")
        return _checks(context, folder, name)
    if not case_id:
        raise UsageError("A case to explain is named by its key: mmdiag explain CASE_ID.")
    if page and change:
        raise UsageError(
            "A page shows a case with its own note and values: give --html without a change."
        )
    known = context.existing_ledger()
    found = api.explain_case(
        context.workspace, case_id, name, bundle=folder, ledger=known, change=change
    )
    if page:
        api.write_case_page(context.workspace, found, page)
        found["page"] = str(page)
    answer = context.answer("explain", **found)
    context.emit(answer, lambda done: show_explanation(done, _store_of(context, done)))
    return 0


def _checks(context: Context, folder: Path, cohort: str) -> int:
    """Check the explanations of a bundle on a cohort."""
    from mmdiag import api
    from mmdiag.cli.models.show_case import show_checks
    from mmdiag.cli.progress import stages

    with stages() as progress:
        found = api.check_explanations(context.workspace, folder, cohort, progress)
    context.emit(context.answer("explain", **found), show_checks)
    return 0


def _change(without: Sequence[str], notes: Sequence[str], values: Sequence[str]) -> "Change | None":
    """What is asked for; None = the case as it is."""
    if not (without or notes or values):
        return None
    from mmdiag.explain.what_if import Change

    texts = {name: _text(Path(file)) for name, file in (_pair(n.partition("=")) for n in notes)}
    # a column of a category has a name like sex=M
    return Change(tuple(without), texts, dict(_pair(value.rpartition("=")) for value in values))


def _pair(parts: tuple[str, str, str]) -> tuple[str, str]:
    name, equals, value = parts
    if not equals or not name or not value:
        raise UsageError(
            f"A change is NAME=VALUE, found {''.join(parts)!r}: write --note report=FILE or --set "
            "EGFR=1.5."
        )
    return name, value


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UsageError(
            f"A note is a text file in UTF-8, {file} is none ({type(error).__name__}): save it so."
        ) from None


def _store_of(context: Context, answer: Answer) -> "Store":
    """The cohort of an explained case, which knows how people read its task and modalities."""
    from mmdiag.storage.store import Store

    return Store.open(context.workspace, answer["cohort"])
