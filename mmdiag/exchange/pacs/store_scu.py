"""Send DICOM files to a PACS over the DICOM network (C-STORE), each in the transfer syntax that it
has.

Reference:
    DICOM PS3.4 B (Storage).
"""

import socket
import struct
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydicom
from pydicom.errors import InvalidDicomError

from mmdiag.errors import MmdiagError
from mmdiag.exchange.pacs.store_scp import require_title, silence_library

if TYPE_CHECKING:
    from pynetdicom.association import Association
    from pynetdicom.events import Event

CONNECT_SECONDS = 10.0
MOST_CONTEXTS = 100  # of one association; the standard allows 128
UNREADABLE = (InvalidDicomError, OSError, EOFError, ValueError, AttributeError, struct.error)
WARNING = 0xB  # first digit of a status that says: stored, but ...


def send_files(
    files: Iterable[Path], host: str, port: int, *, called: str, calling: str = "MMDIAG"
) -> Counter[str]:
    """Send files, sorted by transfer syntax.

    Args:
        called, calling: AE titles of the archive and of this program.

    Returns:
        How many were `sent`, `refused` by the archive, or are `unreadable`.

    Raises:
        UsageError: An AE title cannot be one.
        MmdiagError: The archive does not take the connection, or drops it.
    """
    from pynetdicom import AE, evt

    silence_library()
    for title in (called, calling):
        require_title(title)
    counts = Counter[str]()
    by_kind = _by_kind(files, counts)
    kinds = sorted(by_kind, key=lambda kind: (kind[1], kind[0]))
    if kinds:
        _require_reachable(host, port)
    for start in range(0, len(kinds), MOST_CONTEXTS):
        entity = AE(ae_title=calling)
        entity.connection_timeout = CONNECT_SECONDS
        for sop_class, syntax in kinds[start : start + MOST_CONTEXTS]:
            entity.add_requested_context(sop_class, syntax)
        opened: list[socket.socket] = []
        handlers: list[Any] = [(evt.EVT_CONN_OPEN, _without_delay, [opened])]
        association = entity.associate(host, port, ae_title=called, evt_handlers=handlers)
        try:
            if not association.is_established:
                raise MmdiagError(
                    "An archive takes a connection from an AE title that it knows, "
                    f"{host}:{port} did not: see that it is up, that it knows {calling!r}, and "
                    f"is called {called!r}."
                )
            for kind in kinds[start : start + MOST_CONTEXTS]:
                _send(association, by_kind[kind], counts)
            association.release()
        finally:
            association.abort()
            for connection in opened:  # the library leaves one open that the other end closed first
                connection.close()
    return counts


def _by_kind(files: Iterable[Path], counts: Counter[str]) -> dict[tuple[str, str], list[Path]]:
    """Files by SOP class and transfer syntax."""
    found: dict[tuple[str, str], list[Path]] = defaultdict(list)
    for file in files:
        try:
            meta = pydicom.filereader.read_file_meta_info(file)
            found[str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)].append(file)
        except UNREADABLE:
            counts["unreadable"] += 1
    return found


def _send(association: "Association", files: list[Path], counts: Counter[str]) -> None:
    for file in files:
        try:
            answer = association.send_c_store(file)
        # no context for it was accepted, or the data set lacks its UIDs
        except (ValueError, AttributeError):
            counts["refused"] += 1
            continue
        except RuntimeError:
            raise MmdiagError(
                "An archive keeps the connection, this one dropped it: run the same command again."
            ) from None
        status = answer.get("Status")
        if status is None:
            raise MmdiagError(
                "An archive answers each image, this one hung up: see that it is up, and that it "
                "lets this AE title store; then run the same command again."
            )
        counts["sent" if status == 0 or status >> 12 == WARNING else "refused"] += 1


def _require_reachable(host: str, port: int) -> None:
    """Tell a host that does not answer from one that does not know us; the library does not, and
    waits for minutes.
    """
    try:
        socket.create_connection((host, port), timeout=CONNECT_SECONDS).close()
    except (OSError, UnicodeError) as error:  # UnicodeError: a label that is no host name
        raise MmdiagError(
            f"An archive must be reachable, {host}:{port} is not ({type(error).__name__}): see "
            "that host and port are right, and that it is up."
        ) from None


def _without_delay(event: "Event", opened: list[socket.socket]) -> None:
    """Nagle's algorithm costs 40 ms an image."""
    connection = event.assoc.dul.socket
    if connection is not None and connection.socket is not None:
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.append(connection.socket)
