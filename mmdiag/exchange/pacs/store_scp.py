"""A C-STORE receiver: what a PACS or a scanner sends is kept below one folder, as the bytes that
were sent.

The protocol has neither passwords nor encryption: whoever reaches the port may send. So it listens
on this computer alone by default, bounds what one sender can take, and decodes nothing; a linear
scan finds the UIDs.

Reference:
    DICOM PS3.4 B (Storage), PS3.8 9.3 (PDUs).
"""

import ipaddress
import logging
import socket
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any

from mmdiag.errors import MmdiagError, ReadError, UsageError
from mmdiag.exchange.pacs.inbox import Arrivals, DiskNearlyFull, is_uid
from mmdiag.readers.dicom.prescan import scan

if TYPE_CHECKING:
    from pynetdicom.ae import ApplicationEntity
    from pynetdicom.events import Event
    from pynetdicom.transport import ThreadedAssociationServer

# PS3.4 table B.2-1
STORED, OUT_OF_RESOURCES, NOT_WHAT_IT_SAYS, NOT_UNDERSTOOD = (0x0000, 0xA700, 0xA900, 0xC000)
LARGEST_PDU = 2**20  # bytes
LARGEST_DATASET = 2 * 2**30  # bytes between two answers of one sender
MOST_SENDERS = 10  # at once
SHUTDOWN_SECONDS = 10.0  # for transfers under way when the receiver is stopped
ASSOCIATION_SECONDS = 5.0  # for a connection to name its AE title
IDLE_SECONDS = 60.0  # after which a sender that sends nothing is let go
STUDY, SERIES, INSTANCE = 0x0020_000D, 0x0020_000E, 0x0008_0018


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a receiver listens, and to whom.

    Args:
        host: Address of this computer; 127.0.0.1 = only programs on it.
        port: TCP port; 0 = a free one.
        ae_title: Senders must call it by this name.
        senders: AE titles that may send; empty = any.
    """

    host: str = "127.0.0.1"
    port: int = 11112
    ae_title: str = "MMDIAG"
    senders: tuple[str, ...] = ()

    def is_local(self) -> bool:
        """Whether only programs on this computer can reach it."""
        return is_loopback(self.host)


@dataclass(slots=True)
class Receiver:
    """A receiver that runs in threads of its own between `start` and `stop`.

    Args:
        counts: Instances by outcome: `new`, `already_there`, `replaced`, `refused`.
        refused: Refusals by reason code.
    """

    arrivals: Arrivals
    listening: Listening = field(default_factory=Listening)
    largest_dataset: int = LARGEST_DATASET
    counts: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    _taken: Counter[int] = field(default_factory=Counter)
    _sockets: dict[int, socket.socket] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)
    _heard: float = field(default_factory=time.monotonic)
    _entity: "ApplicationEntity | None" = None
    _server: "ThreadedAssociationServer | None" = None

    def start(self) -> int:
        """Listen; answers with the port.

        Raises:
            UsageError: An AE title or the address cannot be used.
        """
        from pynetdicom import evt

        silence_library()
        self._entity = _entity(self.listening)
        handlers: list[Any] = [
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_CONN_OPEN, self._open),
            (evt.EVT_CONN_CLOSE, self._close),
        ]
        try:
            self._server = self._entity.start_server(
                (self.listening.host, self.listening.port), block=False, evt_handlers=handlers
            )
        except OSError as error:
            raise UsageError(
                f"A receiver needs a free port of this computer, {self.listening.port} on "
                f"{self.listening.host} is not ({type(error).__name__}): choose another --port "
                "or --host."
            ) from None
        if self._server is None or self._server.socket is None:
            raise MmdiagError(
                "A receiver listens in the background, the network library did not start it: run "
                "the command again."
            )
        self._heard = time.monotonic()
        return int(self._server.socket.getsockname()[1])

    def idle_seconds(self) -> float:
        """Since something was last heard from any sender."""
        return time.monotonic() - self._heard

    def stop(self, grace: float = SHUTDOWN_SECONDS) -> None:
        """Take no more senders, let transfers end for some seconds, then stop."""
        if self._entity is None or self._server is None:
            return
        self._server.shutdown()
        end = time.monotonic() + grace
        while self._entity.active_associations and time.monotonic() < end:
            time.sleep(0.05)
        self._entity.shutdown()
        self._server = None
        while self._sockets:
            self._sockets.popitem()[1].close()

    def _store(self, event: "Event") -> int:
        """One C-STORE request; an answer of success means that the image is on the disk."""
        with self._lock:
            self._taken[id(event.assoc)] = 0
        try:
            outcome = self._keep(
                event.encoded_dataset(), str(getattr(event.request, "AffectedSOPInstanceUID", ""))
            )
        except ReadError as refusal:
            return self._refuse(
                refusal.code,
                NOT_WHAT_IT_SAYS if refusal.code == "not_retrieved" else NOT_UNDERSTOOD,
            )
        except (DiskNearlyFull, OSError):
            return self._refuse("no_room", OUT_OF_RESOURCES)
        with self._lock:
            self.counts[outcome] += 1
        return STORED

    def _keep(self, content: bytes, announced: str) -> str:
        found = scan(content)
        study, series, instance = (
            found.value(tag).rstrip(b"\0 ").decode("ascii", "replace")
            for tag in (STUDY, SERIES, INSTANCE)
        )
        if not all(map(is_uid, (study, series, instance))):
            raise ReadError("unreadable", "an image has no study, series or instance UID")
        if instance != announced:
            raise ReadError("not_retrieved", "an image is another one than was announced")
        return self.arrivals.keep(content, self.arrivals.paths(study, series, instance))

    def _refuse(self, code: str, status: int) -> int:
        with self._lock:
            self.counts["refused"] += 1
            self.refused[code] += 1
        return status

    def _open(self, event: "Event") -> None:
        """A new connection: answers go out at once (Nagle's algorithm costs 40 ms an image), and
        nothing is read without a bound.
        """
        connection = event.assoc.dul.socket
        if connection is None or connection.socket is None:
            return
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sockets[id(event.assoc)] = connection.socket
        connection.recv = self._bounded(id(event.assoc), connection.recv)  # type: ignore[method-assign, assignment]

    def _close(self, event: "Event") -> None:
        """The library leaves a socket open whose other end was closed first."""
        with self._lock:
            self._taken.pop(id(event.assoc), None)
        left = self._sockets.pop(id(event.assoc), None)
        if left is not None:
            left.close()

    def _bounded(
        self, sender: int, receive: Callable[[int], bytearray]
    ) -> Callable[[int], bytearray]:
        """The library reads a PDU of whatever length it claims, and any number of them, into
        memory.
        """

        def bounded(wanted: int) -> bytearray:
            self._heard = time.monotonic()
            with self._lock:
                before = self._taken[sender]
                self._taken[sender] += self.largest_dataset if wanted > LARGEST_PDU else wanted
                too_much = self._taken[sender] > self.largest_dataset
            if too_much:
                if before <= self.largest_dataset:  # once a sender
                    self._refuse("transfer_too_large", OUT_OF_RESOURCES)
                raise OSError("a sender wants to send more than is taken")
            return receive(wanted)

        return bounded


def silence_library() -> None:
    """Keep pynetdicom from logging: its messages may hold what the other side wrote."""
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)


def _entity(listening: Listening) -> "ApplicationEntity":
    from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts
    from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

    for title in (listening.ae_title, *listening.senders):
        require_title(title)
    entity = AE(ae_title=listening.ae_title)
    entity.require_called_aet = True
    entity.require_calling_aet = list(listening.senders)
    entity.maximum_associations = MOST_SENDERS
    entity.acse_timeout = ASSOCIATION_SECONDS
    entity.dimse_timeout = entity.network_timeout = IDLE_SECONDS
    entity.add_supported_context(Verification)
    for context in AllStoragePresentationContexts:
        entity.add_supported_context(str(context.abstract_syntax), ALL_TRANSFER_SYNTAXES)
    return entity


def is_loopback(host: str) -> bool:
    """Whether a name or address is this computer's own, which no other can reach."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def require_title(title: str) -> None:
    """Refuse what cannot be an AE title.

    Raises:
        UsageError: It is empty, too long, or holds other characters.

    Reference:
        DICOM PS3.5 6.2, value representation AE.
    """
    if not (
        title.strip()
        and len(title) <= 16
        and title.isascii()
        and title.isprintable()
        and "\\" not in title
    ):
        raise UsageError(
            "An AE title has 1 to 16 printable ASCII characters without backslash, one that was "
            "given does not: correct it."
        )
