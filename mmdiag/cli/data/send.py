"""Commands that send DICOM files to a PACS: send dicomweb, send dicom."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import click

from mmdiag.cli.boundary import DONE, IN_QUARANTINE
from mmdiag.cli.context import Context, with_context
from mmdiag.cli.data.fetch import archive_at, user_option
from mmdiag.cli.data.in_words import counts_in_words

paths_argument = click.argument(
    "paths",
    metavar="PATH...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, path_type=Path),
)


@click.group(short_help="Send files to a PACS.")
def send() -> None:
    """Send DICOM files to a PACS, by DICOMweb or over the DICOM network (C-STORE).

    \b
    Examples:
      mmdiag send dicomweb https://pacs.example.org/dicom-web results/
      mmdiag send dicom results/ --host pacs.example.org --port 104 --to PACS
    """


@send.command("dicomweb")
@click.argument("url", metavar="URL")
@paths_argument
@user_option
@with_context
def send_dicomweb(context: Context, url: str, paths: tuple[Path, ...], user: str | None) -> int:
    """Send DICOM files to a PACS by DICOMweb; a folder stands for all .dcm files below it.

    \b
    Examples:
      mmdiag send dicomweb https://pacs.example.org/dicom-web results/
      mmdiag send dicomweb http://127.0.0.1:8042/dicom-web report.dcm --user writer
    """
    from mmdiag.exchange.pacs.dicomweb import send_dicomweb as send_files

    files = _files_below(paths)
    return _answer(context, "send dicomweb", files, send_files(archive_at(url, user), files))


@send.command("dicom")
@paths_argument
@click.option("--host", required=True, help="Name or address of the PACS.")
@click.option(
    "--port",
    required=True,
    type=click.IntRange(1, 65535),
    help="Its DICOM port, often 104 or 11112.",
)
@click.option(
    "--to", "called", required=True, metavar="AET", help="Its AE title, as it is configured there."
)
@click.option(
    "--from",
    "calling",
    default="MMDIAG",
    show_default=True,
    metavar="AET",
    help="AE title to send under; many archives take images only from titles that they know.",
)
@with_context
def send_dicom(
    context: Context, paths: tuple[Path, ...], host: str, port: int, called: str, calling: str
) -> int:
    """Send DICOM files to a PACS over the DICOM network (C-STORE), each in the transfer syntax that
    it has; a folder stands for all .dcm files below it.

    The exit code is 3 where a file is unreadable or the archive refuses it. What has arrived may be
    sent again. The protocol has neither passwords nor encryption: prefer `send dicomweb` with an
    https URL across a network that others use.

    \b
    Examples:
      mmdiag send dicom results/ --host pacs.example.org --port 104 --to PACS
      mmdiag send dicom a.dcm b.dcm --host 127.0.0.1 --port 11112 --to MMDIAG --from WORKSTATION
    """
    from mmdiag.exchange.pacs.store_scp import is_loopback
    from mmdiag.exchange.pacs.store_scu import send_files

    if not is_loopback(host):
        click.echo("Images travel unencrypted to another computer.", err=True)
    files = _files_below(paths)
    counts = send_files(files, host, port, called=called, calling=calling)
    return _answer(context, "send dicom", files, counts)


def _files_below(paths: Iterable[Path]) -> list[Path]:
    return [
        file
        for path in paths
        for file in (sorted(path.rglob("*.dcm")) if path.is_dir() else [path])
    ]


def _answer(context: Context, command: str, files: list[Path], counts: Mapping[str, int]) -> int:
    context.emit(
        {
            "command": command,
            "status": "done",
            "seconds": context.seconds(),
            "files": len(files),
            "sent": 0,
            **counts,
        },
        lambda found: click.echo(
            f"{found['sent']} of {found['files']} files sent, {counts_in_words(counts, 'sent')}."
        ),
    )
    return IN_QUARANTINE if counts.get("sent", 0) < len(files) else DONE
