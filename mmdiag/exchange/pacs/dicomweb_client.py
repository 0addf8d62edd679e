"""A DICOMweb client that retries: transient failures are tried again, and errors are reported
without the URL, which holds UIDs.

dicomweb-client searches and stores. It would decode what it retrieves, so the retrieval is one
plain request of the same session, and its bytes stay as they are.

Reference:
    DICOM PS3.18 10.4 (retrieve), 10.5 (store), 10.6 (search).
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from mmdiag.errors import MmdiagError, ReadError, UsageError
from mmdiag.exchange.pacs.inbox import is_uid
from mmdiag.readers.dicom.prescan import scan

if TYPE_CHECKING:
    from dicomweb_client import DICOMwebClient
    from requests import Session

WAITS = (0.5, 1.0, 2.0, 4.0)  # seconds between attempts
TIMEOUT = (10.0, 120.0)  # seconds: to connect, and for the next byte
PAGE = 500  # results asked for at once
LARGEST = 2 * 2**30  # bytes of one instance
AS_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'
STUDY, SERIES, INSTANCE, MODALITY, PATIENT = (
    "0020000D",
    "0020000E",
    "00080018",
    "00080060",
    "00100020",
)
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Archive:
    """One archive: the library's client, and the session that it speaks through."""

    client: "DICOMwebClient"
    session: "Session"


def open_archive(url: str, user: str | None = None, password: str | None = None) -> Archive:
    """Name an archive; nothing is asked yet.

    Args:
        url: The root of its DICOMweb services, such as https://pacs.example.org/dicom-web.
        user, password: None = what ~/.netrc holds for the host, else nothing.

    Raises:
        UsageError: The URL is not one of http or https, or carries a password.
    """
    from dicomweb_client import DICOMwebClient
    from requests import Session

    try:
        parts = urlsplit(url)
        usable = (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and (parts.port is None or parts.port > 0)
        )
    except ValueError:
        usable = False
    if not usable:
        raise UsageError(
            "An archive is named by an http or https URL, the one given is not: write "
            "https://HOST/PATH of its DICOMweb services."
        )
    if parts.password or parts.username or parts.query or parts.fragment:
        raise UsageError(
            "The URL of an archive holds no password and no query, the one given does: pass "
            "--user and MMDIAG_PACS_PASSWORD, or use ~/.netrc."
        )
    session = Session()
    if user is not None:
        session.auth = (user, password or "")
    client = DICOMwebClient(url.rstrip("/"), session=session, timeout=TIMEOUT)
    client.set_http_retry_params(retry=False)  # `_retry` does, lost connections too
    return Archive(client, session)


def is_unencrypted(url: str) -> bool:
    """Whether others on the network can read what goes to an archive and comes from it."""
    return url.startswith("http://") and urlsplit(url).hostname not in (
        "127.0.0.1",
        "::1",
        "localhost",
    )


class RetryingArchive:
    """An archive; `sleep` waits between attempts, in seconds."""

    def __init__(self, archive: Archive, sleep: Callable[[float], None]) -> None:
        self.archive, self.sleep = archive, sleep

    def studies(self, patient_id: str | None, modality: str | None) -> list[str]:
        """Studies of a patient or of a modality; an archive that ignores the question gives others,
        which are left out.
        """
        filters = {"PatientID": patient_id, "ModalitiesInStudy": modality}
        rows = self._pages(
            self.archive.client.search_for_studies, {k: v for k, v in filters.items() if v}, STUDY
        )
        return [
            uid
            for uid, row in rows.items()
            if patient_id is None or _value(row, PATIENT) == patient_id
        ]

    def series(self, study: str, modality: str | None) -> list[str]:
        """Series of a study."""
        filters = {"Modality": modality} if modality else {}
        rows = self._pages(
            self.archive.client.search_for_series, filters, SERIES, study_instance_uid=study
        )
        return [
            uid
            for uid, row in rows.items()
            if modality is None or _value(row, MODALITY) == modality
        ]

    def instances(self, study: str, series: str) -> list[str]:
        """Instances of a series."""
        return list(
            self._pages(
                self.archive.client.search_for_instances,
                {},
                INSTANCE,
                study_instance_uid=study,
                series_instance_uid=series,
            )
        )

    def instance(self, study: str, series: str, instance: str) -> bytes:
        """One file as the archive stores it.

        Raises:
            ReadError: The archive does not give it, or gives another one.
        """
        url = f"{self.archive.client.base_url}/studies/{study}/series/{series}/instances/{instance}"
        content = self._retry(lambda: self._get(url), skippable=True)
        found = scan(content).value(0x0008_0018).rstrip(b"\0 ").decode("ascii", "replace")
        if found != instance:
            raise ReadError("not_retrieved", "the archive gave another instance than was asked for")
        return content

    def store(self, batch: Sequence[Any]) -> int:
        """Store some data sets; answers how many were refused."""
        try:
            answer = self._retry(lambda: self.archive.client.store_instances(batch), skippable=True)
        except ReadError:
            return len(batch)
        return len(answer.get("FailedSOPSequence") or ())

    def _get(self, url: str) -> bytes:
        with self.archive.session.get(
            url, headers={"Accept": AS_STORED}, stream=True, timeout=TIMEOUT
        ) as answer:
            answer.raise_for_status()
            content = bytearray()
            for chunk in answer.iter_content(2**20):
                content += chunk
                if len(content) > LARGEST:
                    raise ReadError(
                        "transfer_too_large", f"an instance has more than {LARGEST >> 20} MB"
                    )
            return only_part(bytes(content), answer.headers.get("Content-Type", ""))

    def _pages(
        self, search: Callable[..., Any], filters: Mapping[str, str], tag: str, **where: str
    ) -> dict[str, Mapping[str, Any]]:
        """All results by their UID; ends where a page brings nothing new, because some archives
        give fewer than asked for, and some ignore the offset.
        """
        found: dict[str, Mapping[str, Any]] = {}
        while True:
            ask = {
                **where,
                "limit": PAGE,
                "offset": len(found),
                "search_filters": dict(filters) or None,
                "fields": None,
            }
            rows = self._retry(partial(search, **ask))
            new = {uid: row for row in rows if is_uid(uid := _value(row, tag)) and uid not in found}
            if not new:
                return found
            found |= new

    def _retry(self, ask: Callable[[], Result], *, skippable: bool = False) -> Result:
        """Ask until there is an answer, or until waiting does not help.

        Args:
            skippable: A refusal concerns this one instance only, and is a `ReadError`.
        """
        import requests

        status = 0
        for wait in (*WAITS, None):
            try:
                # an archive that leaves off the multipart wrapping is understood
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    return ask()
            except requests.HTTPError as error:
                status = error.response.status_code if error.response is not None else 0
                if status in (401, 403):
                    raise UsageError(
                        "An archive is asked with credentials that it knows, it answered "
                        f"{status}: pass --user with MMDIAG_PACS_PASSWORD, or correct ~/.netrc."
                    ) from None
                if 0 < status < 500 and status not in (408, 429):
                    break
            except (
                requests.ConnectionError,
                requests.Timeout,
                requests.exceptions.ChunkedEncodingError,
                _CutShort,
            ):
                status = 0
            except (requests.RequestException, ValueError, KeyError):
                raise MmdiagError(_not_dicomweb("gave what is no answer to it")) from None
            if wait is not None:
                self.sleep(wait)
        if skippable and status:
            raise ReadError("not_retrieved", f"the archive answered {status}")
        if status == 404:
            raise UsageError(_not_dicomweb("answered 404"))
        fact = f"answered {status}" if status else f"did not in {len(WAITS) + 1} attempts"
        raise MmdiagError(
            f"An archive answers what it is asked, this one {fact}: see that it is up and run "
            "the same command again, it picks up where it stopped."
        )


class _CutShort(Exception):
    """A multipart answer ended before its last boundary."""


def only_part(body: bytes, content_type: str) -> bytes:
    """The one part of a multipart answer; an answer without such wrapping as it is.

    Reference:
        RFC 2046 5.1.
    """
    header = Message()
    header["Content-Type"] = content_type
    boundary = header.get_boundary()
    if boundary is None:
        return body
    mark = b"--" + boundary.encode("ascii", "replace")
    start, end = body.find(b"\r\n\r\n", max(body.find(mark), 0)), body.rfind(b"\r\n" + mark + b"--")
    if start < 0 or end < start:
        raise _CutShort
    return body[start + 4 : end]


def _value(row: Any, tag: str) -> str:
    """One value of a result in the DICOM JSON model (PS3.18 F.2); empty where it is not there."""
    element = row.get(tag) if isinstance(row, Mapping) else None
    values = element.get("Value") if isinstance(element, Mapping) else None
    return str(values[0]).strip() if isinstance(values, list) and values else ""


def _not_dicomweb(fact: str) -> str:
    return (
        f"An archive's URL leads to its DICOMweb services, the one given {fact}: it often "
        "ends in /dicom-web, /dicomweb or /rs."
    )
