"""Reads WFDB records, by wfdb: a header of text, and data files of plain names beside it.

Nothing is fetched: wfdb is given a path on this machine, and never a folder of PhysioNet's.

Reference:
    WFDB, header(5) and signal(5) of its manual (physionet.org/physiotools/wag).
"""

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import ceil
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mmdiag.errors import ReadError
from mmdiag.readers.detached import HEAD, file_beside
from mmdiag.readers.signals.leads import Leads
from mmdiag.regular_files import open_regular

WFDB: Final = ".hea"
MOST_SIGNALS: Final = 1024
BYTES: Final = {  # format -> bytes of a sample
    "16": 2.0,
    "24": 3.0,
    "32": 4.0,
    "61": 2.0,
    "80": 1.0,
    "160": 2.0,
    "212": 1.5,
}
NAME: Final = r"[A-Za-z0-9_][A-Za-z0-9_.+\-]{0,199}"  # of a file: no path, no protocol
RECORD: Final = re.compile(
    r"(?P<name>[\w\-]+)(?P<segments>/\d+)?[ \t]+(?P<signals>\d{1,5})"
    r"(?:[ \t]+(?P<rate>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?:/\S*)?"
    r"(?:[ \t]+(?P<length>\d{1,18}))?(?:[ \t]+(?P<time>[\d:.]+)(?:[ \t]+(?P<day>[\d/]+))?)?)?"
)
SIGNAL: Final = re.compile(
    rf"(?P<file>{NAME})[ \t]+(?P<format>\d+)"
    r"(?:x(?P<per_frame>\d{1,6}))?(?::\d+)?(?:\+(?P<offset>\d{1,15}))?"
    r"(?:[ \t]+(?P<gain>-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?:\(-?\d+\))?(?:/(?P<unit>\S+))?"
    r"(?:[ \t]+-?\d+){0,5}(?:[ \t]+(?P<label>\S.*))?)?"
)
OF_PATIENT: Final = re.compile(
    r"^#\s*(?:patient\s*)?(?P<key>name|id|mrn|birth\s*date|date of birth|dob)\s*[:=]"
    r"\s*(?P<value>.+)$",
    re.IGNORECASE | re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class _Record:
    """What a header says; `length` is that of a channel with one sample a frame."""

    rate: float
    length: int
    signals: tuple[Mapping[str, str | None], ...]
    day: date | None
    patient: Mapping[str, tuple[str, ...]]


def open_wfdb(file: Path) -> Leads:
    """The header of a WFDB record; annotations beside it are not read.

    Raises:
        ReadError: It is none, has several segments, names a file elsewhere, its data is cut, or it
            is not calibrated.
    """
    record = _record(file)
    per_frame = [int(one["per_frame"] or 1) for one in record.signals]

    def read(numbers: Sequence[int], seconds: float) -> list[Float[ndarray, "_"]]:
        return _read(file, record, numbers, seconds)

    return Leads(
        tuple(one["label"] or "" for one in record.signals),
        tuple(_unit(one) for one in record.signals),
        tuple(record.rate * count for count in per_frame),
        record.length / record.rate,
        read,
        record.day,
        record.patient,
    )


def _read(
    file: Path, record: _Record, numbers: Sequence[int], seconds: float
) -> list[Float[ndarray, "_"]]:
    """The first samples of some channels, by wfdb."""
    stop = min(record.length, ceil(seconds * record.rate) + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import wfdb

            found: Any = wfdb.rdrecord(
                str(file.resolve().parent / file.stem),
                sampto=stop,
                channels=list(numbers),
                physical=True,
                smooth_frames=False,
                pn_dir=None,
            )
        return [np.asarray(one, np.float64) for one in found.e_p_signal]
    except (ValueError, LookupError, TypeError, ArithmeticError, AttributeError, OSError) as error:
        raise ReadError("unreadable", f"{file.name} ({type(error).__name__})") from None


def _record(file: Path) -> _Record:
    lines, comments = _lines(file)
    found = RECORD.fullmatch(lines[0]) if lines else None
    if found is None:
        raise ReadError("not_a_signal", f"{file.name} does not begin as the header of a record")
    count = int(found["signals"])
    if found["segments"]:
        raise ReadError("signal_segments", f"{file.name} has several segments")
    if not 0 < count <= MOST_SIGNALS or len(lines) != count + 1:
        raise ReadError("unreadable", f"{file.name} has {len(lines) - 1} lines of signals")
    if not found["rate"] or float(found["rate"]) <= 0:
        raise ReadError("signal_rate", f"{file.name} does not say its rate")
    signals = []
    for line in lines[1:]:
        said = SIGNAL.fullmatch(line)
        if said is None:
            fact = f"the data file that {file.name} names is no plain name in its folder"
            code = "outside_root" if re.match(r"\S*[/\\:]", line) else "unreadable"
            raise ReadError(code, fact if code == "outside_root" else f"a line of {file.name}")
        signals.append(said.groupdict())
    length = _length(file, signals, int(found["length"] or 0))
    return _Record(float(found["rate"]), length, tuple(signals), _day(found["day"]), comments)


def _lines(file: Path) -> tuple[list[str], Mapping[str, tuple[str, ...]]]:
    """Lines that say something, and what comments say of the patient."""
    if "::" in str(file):
        raise ReadError("unreadable", "a folder of a WFDB record has no two colons in its name")
    with open_regular(file) as opened:
        content = opened.read(HEAD + 1)
    if len(content) > HEAD:
        raise ReadError("too_large", f"{file.name} has more than {HEAD} bytes")
    text = content.decode("utf-8", "replace").replace("\r\n", "\n")
    if "\0" in text or "\r" in text:
        raise ReadError("not_a_signal", f"{file.name} is no text")
    lines = [line.strip() for line in text.split("\n")]
    found: dict[str, tuple[str, ...]] = {}
    for said in OF_PATIENT.finditer(text):
        key = said["key"].lower()
        keyword = "PatientName" if key == "name" else "OtherPatientIDs"
        keyword = "PatientBirthDate" if "b" in key else keyword
        found[keyword] = (*found.get(keyword, ()), said["value"].strip())
    return [line for line in lines if line and not line.startswith("#")], found


def _length(file: Path, signals: Sequence[Mapping[str, str | None]], stated: int) -> int:
    """Frames of a record: what its header states, or what its first file holds. Each file holds as
    many.
    """
    length = stated
    for name in dict.fromkeys(one["file"] or "" for one in signals):
        of_file = [one for one in signals if one["file"] == name]
        forms = {str(one["format"]) for one in of_file}
        if len(forms) != 1 or not forms <= BYTES.keys():
            raise ReadError("unreadable", f"{file.name} names a format of data that is not read")
        offset = int(of_file[0]["offset"] or 0)
        size = file_beside(file, name).stat().st_size - offset
        frame = sum(int(one["per_frame"] or 1) for one in of_file) * BYTES[forms.pop()]
        if frame <= 0:
            raise ReadError("unreadable", f"{file.name} has frames without samples")
        length = length or max(int(size / frame), 0)
        if size < int(length * frame):
            promised = f"promises {int(length * frame)} bytes of data, {max(size, 0)} are there"
            raise ReadError("truncated", f"{file.name} {promised}")
    return length


def _unit(said: Mapping[str, str | None]) -> str:
    """The unit of a channel: mV where only a gain is said (header(5)), none without a gain."""
    if not said["gain"] or float(said["gain"]) == 0:
        return ""
    return said["unit"] or "mV"


def _day(text: str | None) -> date | None:
    """The day on which it began, DD/MM/YYYY."""
    found = re.fullmatch(r"(\d{1,2})/(\d{1,2})/(\d{4})", text or "")
    try:
        return date(int(found[3]), int(found[2]), int(found[1])) if found else None
    except ValueError:
        return None
