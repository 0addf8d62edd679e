"""Commands that bring data in: phantom, init, ingest, inspect."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from mmdiag.cli.context import (
    Context,
    exit_code,
    read_and_check,
    titles,
    to_json,
    with_context,
)
from mmdiag.cli.options import cohort_option

SIGNALS = ("additive", "interaction", "redundant", "one-modality", "none")


@click.command(short_help="Write a synthetic cohort whose truth is known.")
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder to write; created if missing.",
)
@click.option(
    "--cases",
    type=click.IntRange(min=10),
    default=80,
    show_default=True,
    help="Number of cases, one a subject.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="The same options give the same bytes.",
)
@click.option(
    "--signal",
    type=click.Choice(SIGNALS),
    default="additive",
    show_default=True,
    help="Where the label's signal lies.",
)
@click.option(
    "--missing",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    metavar="RATE",
    help="Share of modalities that were not acquired.",
)
@click.option(
    "--broken",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Cases with a planted fault, which must end in quarantine.",
)
@click.option(
    "--identifiers",
    is_flag=True,
    help="Plant names, ids, dates of birth, telephone numbers and addresses in headers and notes.",
)
@with_context
def phantom(
    context: Context,
    out: Path,
    cases: int,
    seed: int,
    signal: str,
    missing: float,
    broken: int,
    identifiers: bool,
) -> int:
    """Write a synthetic cohort whose truth is known: DICOM series, notes, gene expression,
    cohort.toml and truth/.

    \b
    Examples:
      mmdiag phantom --out demo/cohort --cases 80
      mmdiag phantom --out demo/cohort --cases 400 --signal interaction --missing 0.2
      mmdiag phantom --out demo/cohort --cases 80 --broken 5 --identifiers --seed 3
    """
    from mmdiag.cli.progress import stages
    from mmdiag.cli.show import show_phantom
    from mmdiag.phantom import write_phantom

    _require_phantom(out, cases, broken)
    with stages() as progress:
        progress("phantom", 0, 1)
        write_phantom(
            out,
            cases=cases,
            seed=seed,
            signal=signal,
            missing=missing,
            broken=broken,
            identifiers=identifiers,
        )
        progress("phantom", 1, 1)
    answer = {
        "command": "phantom",
        "status": "done",
        "seconds": context.seconds(),
        "out": str(out),
        "cohort": str(out / "cohort.toml"),
        "cases": cases,
    }
    context.emit(answer, show_phantom)
    return 0


def _require_phantom(out: Path, cases: int, broken: int) -> None:
    from mmdiag.errors import UsageError

    if broken > cases:
        raise UsageError(
            f"No more cases can be broken than there are, found --broken {broken} with --cases "
            f"{cases}: ask for fewer."
        )
    if out.exists() and any(out.iterdir()) and not (out / "truth" / "truth.json").is_file():
        raise UsageError(
            f"A phantom goes into an empty folder or over an older phantom, {out} holds other "
            "files: name another folder."
        )


@click.command(short_help="Write a commented cohort.toml for a folder.")
@click.argument(
    "folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where the description goes. Default: cohort.toml in DIR.",
)
@click.option("--force", is_flag=True, help="Overwrite an existing description.")
@with_context
def init(context: Context, folder: Path, out: Path | None, force: bool) -> int:
    """Look at a folder and write a commented cohort.toml to edit.

    \b
    Examples:
      mmdiag init /data/glioma
      mmdiag init /data/glioma --out glioma.toml
    """
    from mmdiag.cli.show import show_init
    from mmdiag.cohort.scaffold import describe_folder
    from mmdiag.errors import UsageError
    from mmdiag.workspace import write_text

    target = out or folder / "cohort.toml"
    if target.exists() and not force:
        raise UsageError(
            f"A description is not overwritten unasked, {target} is there: edit it, name another "
            "file by --out, or add --force."
        )
    write_text(
        target, describe_folder(folder, os.path.relpath(folder.resolve(), target.resolve().parent))
    )
    context.emit({"command": "init", "status": "done", "cohort": str(target)}, show_init)
    return 0


@click.command(short_help="Read, check and store what is new.")
@cohort_option
@with_context
def ingest(context: Context, cohort: Path) -> int:
    """Read what is new in a cohort: check it against the data contracts, store it, or put it in
    quarantine with a reason.

    \b
    Examples:
      mmdiag ingest --cohort cohort.toml
      mmdiag ingest --cohort cohort.toml --workspace /data/mmdiag --json
    """
    from mmdiag.api import ingest as ingest_cohort
    from mmdiag.cli.progress import stages
    from mmdiag.cli.show import show_ingest

    description = read_and_check(cohort)
    with stages() as progress:
        result = ingest_cohort(description, context.workspace, context.ledger(), progress=progress)
    answer = context.answer("ingest", **result)
    context.emit(answer, lambda done: show_ingest(done, titles(description)))
    return exit_code(answer)


@click.command(short_help="Give a verdict on each file.")
@click.argument(
    "paths",
    metavar="PATH...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, path_type=Path),
)
@click.option(
    "--contract",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Validate tables against this data contract, too.",
)
@with_context
def inspect(context: Context, paths: tuple[Path, ...], contract: Path | None) -> int:
    """Give a verdict on each file below PATH; writes nothing.

    \b
    Examples:
      mmdiag inspect /data/incoming
      mmdiag inspect genomics.csv --contract data_contracts/tables.yaml
      mmdiag inspect /data/incoming --json | grep quarantined
    """
    from mmdiag.cli.show import show_verdict
    from mmdiag.ingest.inspect import inspect as inspect_files

    refused = 0
    for verdict in inspect_files(list(paths), contract):
        refused += verdict["verdict"] != "accepted"
        _emit_line(context, verdict, show_verdict)
    return 3 if refused else 0


def _emit_line(context: Context, verdict: dict[str, Any], show: Callable[[Any], None]) -> None:
    if context.as_json:
        click.echo(to_json(verdict))
    else:
        show(verdict)
