"""Commands that bring data in from other systems: fetch fhir, fetch dicomweb, fetch listen; those
of warehouses lie in `fetch_events`.
"""

import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mmdiag.cli.boundary import DONE, IN_QUARANTINE
from mmdiag.cli.context import Context, with_context
from mmdiag.cli.data.fetch_events import fetch_meds, fetch_omop
from mmdiag.cli.data.in_words import counts_in_words, show_accounting

if TYPE_CHECKING:
    from mmdiag.exchange.pacs.dicomweb_client import Archive
    from mmdiag.exchange.pacs.store_scp import Receiver

PASSWORD = "MMDIAG_PACS_PASSWORD"
SAID_EVERY = 10.0  # seconds between two lines of a receiver's progress
out_option = click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder to write; created if missing.",
)
user_option = click.option(
    "--user",
    metavar="NAME",
    help=f"Name to log in with; the password is in {PASSWORD}. Default: ~/.netrc.",
)
studies_option = click.option(
    "--studies",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="CSV with study_uid, and where known series_uid and case_id, such as the imaging.csv of "
    "`fetch fhir`.",
)


@click.group(short_help="Fetch a cohort from FHIR, MEDS or OMOP, or images from a PACS.")
def fetch() -> None:
    """Fetch a cohort from a FHIR export or a data warehouse (MEDS, OMOP), or images from a PACS by
    DICOMweb or by listening for C-STORE.

    \b
    Examples:
      mmdiag fetch fhir export/ --out cohort
      mmdiag fetch meds warehouse/ --subjects cases.csv --out cohort
      mmdiag fetch omop tables/ --subjects cases.csv --out cohort
      mmdiag fetch dicomweb https://pacs.example.org/web --studies imaging.csv --out cohort/dicom
      mmdiag fetch listen --out incoming --port 11112
    """


@fetch.command("fhir")
@click.argument("export", metavar="EXPORT", type=click.Path(exists=True, path_type=Path))
@out_option
@click.option(
    "--case",
    type=click.Choice(("report", "study", "patient")),
    default="report",
    show_default=True,
    help="What one case is.",
)
@with_context
def fetch_fhir(context: Context, export: Path, out: Path, case: str) -> int:
    """Turn a FHIR R4 export into a cohort folder: a bundle (.json) or a folder of .ndjson files.

    Reads Patient, DiagnosticReport, ImagingStudy, DocumentReference and Observation; writes
    cases.csv, notes/, observations.csv, imaging.csv and
    cohort.toml. What is dated after a case is left out, and every resource is accounted for.

    \b
    Examples:
      mmdiag fetch fhir bundle.json --out cohort
      mmdiag fetch fhir export/ --out cohort --case patient --json
    """
    from mmdiag.exchange.fhir.accounting import refused
    from mmdiag.exchange.fhir.export import fetch_fhir as fetch_export
    from mmdiag.privacy.pseudonyms import pseudonym, read_key

    found = fetch_export(export, out, partial(pseudonym, read_key(outside=(out,))), case=case)
    context.emit(
        {
            "command": "fetch fhir",
            "status": "done",
            "seconds": context.seconds(),
            "out": str(out),
            **found,
        },
        _show_fhir,
    )
    return IN_QUARANTINE if refused(found["resources"]) else DONE


fetch.add_command(fetch_meds)
fetch.add_command(fetch_omop)


@fetch.command("dicomweb")
@click.argument("url", metavar="URL")
@out_option
@studies_option
@click.option(
    "--study-uid",
    "study_uids",
    multiple=True,
    metavar="UID",
    help="A study; may be given several times.",
)
@click.option("--patient-id", metavar="ID", help="All studies of one patient.")
@click.option(
    "--modality",
    metavar="CODE",
    help="Only series of this kind, such as MR; alone: all of the archive.",
)
@user_option
@with_context
def fetch_dicomweb(
    context: Context,
    url: str,
    out: Path,
    studies: Path | None,
    study_uids: tuple[str, ...],
    patient_id: str | None,
    modality: str | None,
    user: str | None,
) -> int:
    """Fetch images from a PACS by DICOMweb, as the archive stores them. What is there is not
    fetched again.

    \b
    Examples:
      mmdiag fetch dicomweb https://pacs.example.org/web --studies imaging.csv --out cohort/dicom
      mmdiag fetch dicomweb http://127.0.0.1:8042/web --study-uid 1.2.3 --user reader --out dicom
    """
    from mmdiag.cli.progress import stages
    from mmdiag.exchange.pacs.dicomweb import Query
    from mmdiag.exchange.pacs.dicomweb import fetch_dicomweb as fetch_images
    from mmdiag.exchange.pacs.inbox import Arrivals, cases_of, wanted_of

    wanted = wanted_of(studies, study_uids)
    archive = archive_at(url, user)
    with stages() as progress:
        query = Query(wanted, patient_id=patient_id, modality=modality)
        found = fetch_images(archive, query, Arrivals(out, cases_of(wanted)), progress=progress)
    answer = {
        "command": "fetch dicomweb",
        "status": "done",
        "seconds": context.seconds(),
        "out": str(out),
        "studies": found.studies,
        "series": found.series,
        "instances": dict(found.instances),
        "bytes": found.size_bytes,
        "refused": dict(found.refused),
    }
    context.emit(answer, _show_images)
    return IN_QUARANTINE if found.refused else DONE


@fetch.command("listen")
@out_option
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=11112,
    show_default=True,
    help="Port to listen on; 0 takes a free one.",
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; the default admits only this computer.",
)
@click.option(
    "--ae-title", default="MMDIAG", show_default=True, help="Senders must call this AE title."
)
@click.option(
    "--from",
    "senders",
    multiple=True,
    metavar="AET",
    help="An AE title that may send; may be given several times. Default: any.",
)
@studies_option
@click.option(
    "--until-idle",
    type=click.FloatRange(min=0.1),
    metavar="SECONDS",
    help="Stop when nothing was heard for so long.",
)
@with_context
def listen(
    context: Context,
    out: Path,
    port: int,
    host: str,
    ae_title: str,
    senders: tuple[str, ...],
    studies: Path | None,
    until_idle: float | None,
) -> int:
    """Listen for images that a PACS or a scanner sends by C-STORE, until Ctrl-C or for as long as
    something comes.

    \b
    Examples:
      mmdiag fetch listen --out incoming
      mmdiag fetch listen --out cohort/dicom --studies imaging.csv --from PACS --until-idle 60
    """
    from mmdiag.exchange.pacs.inbox import Arrivals, cases_of, wanted_of
    from mmdiag.exchange.pacs.store_scp import Listening, Receiver

    listening = Listening(host, port, ae_title, senders)
    receiver = Receiver(Arrivals(out, cases_of(wanted_of(studies))), listening)
    if not listening.is_local():
        click.echo(
            "DICOM has neither passwords nor encryption, and this port is open to other "
            "computers: keep it behind a firewall, and name the senders by --from.",
            err=True,
        )
    with _stop_signals() as stopped:
        click.echo(
            f"Listening as {ae_title} on {host} port {receiver.start()}. Ctrl-C stops.", err=True
        )
        try:
            _wait(receiver, stopped, until_idle)
        finally:
            receiver.stop()
    answer = {
        "command": "fetch listen",
        "status": "done",
        "seconds": context.seconds(),
        "out": str(out),
        "instances": dict(receiver.counts),
        "refused": dict(receiver.refused),
    }
    context.emit(answer, _show_images)
    return IN_QUARANTINE if receiver.refused else DONE


def archive_at(url: str, user: str | None) -> "Archive":
    """A DICOMweb archive, with the password of the environment where a user is given; says where
    the connection is unencrypted.

    Raises:
        UsageError: The URL is none, or the password is not set.
    """
    from mmdiag.errors import UsageError
    from mmdiag.exchange.pacs.dicomweb_client import is_unencrypted, open_archive

    password = os.environ.get(PASSWORD)
    if user is not None and password is None:
        raise UsageError(
            f"A name to log in with has a password, {PASSWORD} is not set: set it, or leave "
            "--user out and use ~/.netrc."
        )
    archive = open_archive(url, user, password)
    if is_unencrypted(url):
        click.echo(
            "Images and password travel unencrypted to another computer: use an https URL where "
            "the archive has one.",
            err=True,
        )
    return archive


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set: stopping is how a receiver ends, not how it fails."""
    stopped = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: stopped.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait(receiver: "Receiver", stopped: threading.Event, until_idle: float | None) -> None:
    said, seconds = 0, 0.0
    while not stopped.wait(0.1):
        if until_idle is not None and receiver.idle_seconds() >= until_idle:
            return
        seconds += 0.1
        if seconds >= SAID_EVERY and (total := receiver.counts.total()) != said:
            click.echo(f"{total} images, {counts_in_words(receiver.counts)}", err=True)
            said, seconds = total, 0.0


def _show_fhir(answer: Mapping[str, Any]) -> None:
    imaging = answer["imaging"]
    click.echo(
        f"{answer['cases']} cases of {answer['subjects']} subjects, {answer['notes']} notes, "
        f"{answer['documents']} other documents, "
        f"{answer['columns']} measurements, {imaging['studies']} imaging studies in {answer['out']}"
    )
    show_accounting(answer["resources"])
    step = f"mmdiag ingest --cohort {Path(answer['out']) / 'cohort.toml'}"
    if imaging["studies"]:
        step = (
            f"mmdiag fetch dicomweb URL --studies {Path(answer['out']) / 'imaging.csv'} --out "
            f"{Path(answer['out']) / 'dicom'}, then {step}"
        )
    click.echo(f"Next: {step}")


def _show_images(answer: Mapping[str, Any]) -> None:
    click.echo(f"Images in {answer['out']}: {counts_in_words(answer['instances'])}.")
    if answer["refused"]:
        click.echo(f"Refused: {counts_in_words(answer['refused'])}.")
