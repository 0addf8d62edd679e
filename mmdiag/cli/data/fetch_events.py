"""Commands that make a cohort of a data warehouse: fetch meds, fetch omop."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from mmdiag.cli.boundary import DONE, IN_QUARANTINE
from mmdiag.cli.context import Context, with_context
from mmdiag.cli.data.in_words import show_accounting

SHOWN = 5  # cases named in one line
Command = Callable[..., Any]


def event_options(command: Command) -> Command:
    """Give a command its folder, the cases, where to write, and which codes are kept."""
    for decorate in (
        click.option(
            "--least-share",
            type=click.FloatRange(0.0, 1.0),
            default=0.05,
            show_default=True,
            help="Share of the subjects that must have a code; codes of fewer are left out.",
        ),
        click.option(
            "--out",
            required=True,
            type=click.Path(file_okay=False, path_type=Path),
            metavar="COHORT",
            help="Folder to write; created if missing.",
        ),
        click.option(
            "--subjects",
            required=True,
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            metavar="CASES.csv",
            help="Table with case_id, subject_id and as_of, a row a case; its other columns, such "
            "as labels, are kept.",
        ),
        click.argument(
            "folder",
            metavar="DIR",
            type=click.Path(exists=True, file_okay=False, path_type=Path),
        ),
    ):
        command = decorate(command)
    return command


@click.command("meds")
@event_options
@with_context
def fetch_meds(
    context: Context, folder: Path, subjects: Path, out: Path, least_share: float
) -> int:
    """Turn a MEDS folder (Medical Event Data Standard: data/, metadata/) into a cohort folder.

    Writes cases.csv, events.parquet, codes.csv and cohort.toml: of each code the latest value,
    mean, least, greatest, count, and days since the latest. Only what was recorded before a case's
    as_of is used, and every event is accounted for. What has no time (static) counts as always
    known.

    \b
    Examples:
      mmdiag fetch meds warehouse/ --subjects cases.csv --out cohort
      mmdiag fetch meds warehouse/ --subjects cases.csv --out cohort --least-share 0.2 --json
    """
    return _fetch(context, "meds", folder, subjects, out, least_share)


@click.command("omop")
@event_options
@with_context
def fetch_omop(
    context: Context, folder: Path, subjects: Path, out: Path, least_share: float
) -> int:
    """Turn tables of an OMOP CDM 5.4 (CSV or Parquet) into a cohort folder.

    Reads measurement, observation and condition_occurrence, and concept for what codes are called;
    writes what `fetch meds` writes. A code is a concept with its unit: values of different units
    are never mixed. A date without a time counts as the end of its day.

    \b
    Examples:
      mmdiag fetch omop export/ --subjects cases.csv --out cohort
      mmdiag fetch omop export/ --subjects cases.csv --out cohort --json
    """
    return _fetch(context, "omop", folder, subjects, out, least_share)


def _fetch(
    context: Context, standard: str, folder: Path, subjects: Path, out: Path, least_share: float
) -> int:
    from mmdiag.warehouse.accounting import refused
    from mmdiag.warehouse.fetch import fetch_events

    found = fetch_events(standard, folder, subjects, out, least_share=least_share)
    context.emit(
        {
            "command": f"fetch {standard}",
            "status": "done",
            "seconds": context.seconds(),
            "out": str(out),
            **found,
        },
        _show,
    )
    return IN_QUARANTINE if refused(found["events"]) else DONE


def _show(answer: Mapping[str, Any]) -> None:
    click.echo(
        f"{answer['cases']} cases of {answer['subjects']} subjects, {answer['codes']} codes in "
        f"{answer['columns']} columns in {answer['out']}; {answer['rare_codes']} codes that fewer "
        f"than {answer['least_share']:.3g} of the subjects have are left out"
    )
    show_accounting(answer["events"], "events ")
    if answer["static"]:
        click.echo(f"  {answer['static']} of them have no time and count as always known")
    without = answer["cases_without_events"]
    if answer["subjects_without_events"]:
        click.echo(f"  {answer['subjects_without_events']} subjects have no event at all")
    if without:
        more = f" and {len(without) - SHOWN} more" if len(without) > SHOWN else ""
        click.echo(f"  no event is used of case {', '.join(without[:SHOWN])}{more}")
    click.echo(f"Next: mmdiag ingest --cohort {Path(answer['out']) / 'cohort.toml'}")
