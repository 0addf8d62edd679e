"""Reads EDF, EDF+ and BDF recordings, by edfio: only the beginning that is kept, and only where the
file is as long as its header says.

Reference:
    Kemp et al. 1992 (EDF), Kemp and Olivan 2003 (EDF+), BioSemi (BDF).
"""

import io
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import ceil, isfinite
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mmdiag.errors import ReadError
from mmdiag.readers.signals.leads import Leads
from mmdiag.regular_files import open_regular

EDF: Final = (".edf", ".bdf")
MAGIC: Final = {b"0       ": 2, b"\xffBIOSEMI": 3}  # -> bytes of a sample
HEAD: Final = 256  # bytes of the header, and of that of each signal
MOST_SIGNALS: Final = 1024
DECIMAL: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
WIDTHS: Final = (16, 80, 8, 8, 8, 8, 8, 80, 8, 32)  # of the fields of signals
LABEL, UNIT, LOW, HIGH, DIGITAL_LOW, DIGITAL_HIGH, SAMPLES = 0, 2, 3, 4, 5, 6, 8
ANNOTATIONS: Final = ("EDF Annotations", "BDF Annotations")
MONTHS: Final = "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC"
NOBODY: Final = frozenset(("", "X", "M", "F"))  # parts of the field of the patient that say no one


@dataclass(frozen=True, slots=True)
class _Header:
    """What the header of an EDF says.

    Args:
        content: Its bytes.
        fields: Those of each signal.
        sample_bytes: 2 of EDF, 3 of BDF.
    """

    content: bytes
    records: int
    record_s: float
    fields: tuple[tuple[str, ...], ...]
    sample_bytes: int

    @property
    def samples(self) -> list[int]:
        """Samples of each signal in a record."""
        return [int(one[SAMPLES]) for one in self.fields]

    @property
    def record_bytes(self) -> int:
        """Length of a record."""
        return sum(self.samples) * self.sample_bytes

    @property
    def ordinary(self) -> list[int]:
        """Numbers of the signals that are no annotations."""
        return [n for n, one in enumerate(self.fields) if one[LABEL] not in ANNOTATIONS]


def open_edf(file: Path) -> Leads:
    """The header of an EDF, EDF+ or BDF; annotations are no channel.

    Raises:
        ReadError: It is none, is longer or shorter than it says, or is interrupted.
    """
    header = _header(file)
    ordinary = [header.fields[number] for number in header.ordinary]
    if not ordinary or header.record_s <= 0:
        raise ReadError("not_a_signal", f"{file.name} holds no signal")

    def read(numbers: Sequence[int], seconds: float) -> list[Float[ndarray, "_"]]:
        return _read(file, header, numbers, seconds)

    return Leads(
        tuple(one[LABEL] for one in ordinary),
        tuple(one[UNIT] for one in ordinary),
        tuple(int(one[SAMPLES]) / header.record_s for one in ordinary),
        header.records * header.record_s,
        read,
        _day(header),
        _patient(header),
    )


def _read(
    file: Path, header: _Header, numbers: Sequence[int], seconds: float
) -> list[Float[ndarray, "_"]]:
    """The first records, by edfio."""
    records = min(header.records, ceil(seconds / header.record_s) + 1)
    with open_regular(file) as opened:
        opened.seek(len(header.content))
        content = opened.read(records * header.record_bytes)
    if len(content) < records * header.record_bytes:
        raise ReadError("truncated", f"{file.name} became shorter while it was read")
    head = header.content[:236] + f"{records:<8}".encode() + header.content[244:]
    try:
        found = _open(head + content, header)
        interrupted = not found.is_continuous
        values = [np.asarray(found.signals[number].data, np.float64) for number in numbers]
    except (ValueError, KeyError, IndexError, TypeError, OverflowError, AttributeError) as error:
        raise ReadError("unreadable", f"{file.name} ({type(error).__name__})") from None
    if interrupted:
        raise ReadError("signal_segments", f"{file.name} is interrupted")
    return values


def _open(content: bytes, header: _Header) -> Any:
    import edfio

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if header.sample_bytes == 3:
            return edfio.read_bdf(io.BytesIO(content), header_encoding="latin-1")
        return edfio.read_edf(content, header_encoding="latin-1")


def _header(file: Path) -> _Header:
    size = file.stat().st_size
    with open_regular(file) as opened:
        head = opened.read(HEAD)
        each = MAGIC.get(head[:8])
        if each is None or len(head) < HEAD:
            raise ReadError("not_a_signal", f"{file.name} does not begin as EDF or BDF")
        count = _whole(head[252:256], file.name)
        if not 0 < count <= MOST_SIGNALS or _whole(head[184:192], file.name) != HEAD * (count + 1):
            raise ReadError("unreadable", f"the header of {file.name} has no length of its own")
        head += opened.read(HEAD * count)
    if len(head) < HEAD * (count + 1):
        raise ReadError("truncated", f"{file.name} ends within its header")
    header = _Header(
        head,
        _whole(head[236:244], file.name),
        _number(head[244:252].decode("latin-1"), file.name),
        _fields(head[HEAD:], count, file.name),
        each,
    )
    if header.records < 0:
        raise ReadError("truncated", f"{file.name} was not closed: it says no number of records")
    expected = len(head) + header.records * header.record_bytes
    if size < expected:
        raise ReadError("truncated", f"{file.name} promises {expected} bytes, {size} are there")
    if size > expected:
        raise ReadError("unreadable", f"{file.name} promises {expected} bytes, more are there")
    return header


def _fields(content: bytes, count: int, name: str) -> tuple[tuple[str, ...], ...]:
    """The fields of each signal."""
    columns, start = [], 0
    for width in WIDTHS:
        part = content[start : start + width * count].decode("latin-1")
        columns.append([part[i : i + width].strip() for i in range(0, width * count, width)])
        start += width * count
    signals = tuple(zip(*columns, strict=True))
    for one in signals:
        low, high = (_number(one[place], name) for place in (LOW, HIGH))
        if low == high and one[LABEL] not in ANNOTATIONS:
            raise ReadError("signal_unit", f"a channel of {name} has no physical range")
        if _number(one[DIGITAL_LOW], name) >= _number(one[DIGITAL_HIGH], name):
            raise ReadError("unreadable", f"a channel of {name} has no digital range")
        if _whole(one[SAMPLES].encode("latin-1"), name) < 1:
            raise ReadError("unreadable", f"a channel of {name} has no samples")
    return signals


def _whole(content: bytes, name: str) -> int:
    text = content.decode("latin-1").strip()
    if not re.fullmatch(r"-1|\d{1,8}", text):
        raise ReadError("unreadable", f"the header of {name} has a number that is none")
    return int(text)


def _number(text: str, name: str) -> float:
    text = text.strip()
    if not DECIMAL.fullmatch(text) or not isfinite(float(text)):
        raise ReadError("unreadable", f"the header of {name} has a number that is none")
    return float(text)


def _day(header: _Header) -> date | None:
    """The day on which it began: EDF+ says all of its year, EDF two digits, from 1985 on."""
    text = header.content[88:168].decode("latin-1")
    try:
        if found := re.match(r"Startdate (\d\d)-([A-Z]{3})-(\d{4})\b", text):
            return date(int(found[3]), MONTHS.index(found[2]) // 3 + 1, int(found[1]))
        if found := re.match(r"(\d\d)\.(\d\d)\.(\d\d)", header.content[168:176].decode("latin-1")):
            year = int(found[3]) + (1900 if int(found[3]) >= 85 else 2000)
            return date(year, int(found[2]), int(found[1]))
    except ValueError:
        return None
    return None


def _patient(header: _Header) -> Mapping[str, tuple[str, ...]]:
    """What the header says of people: EDF+ in a fixed order, EDF as it likes."""
    patient, recording = (
        header.content[start : start + 80].decode("latin-1").strip() for start in (8, 88)
    )
    parts = patient.split()
    if len(parts) < 4 or parts[1] not in NOBODY:
        return {"PatientName": (patient,)} if not NOBODY.issuperset(parts) else {}
    code, _, born, name = parts[:4]
    others = [part.replace("_", " ") for part in recording.split()[2:4]]
    found = {
        "PatientID": [code],
        "PatientBirthDate": [born],
        "PatientName": [name.replace("_", " ")],
        "OperatorsName": others,
    }
    known = {key: tuple(one for one in all_ if one not in NOBODY) for key, all_ in found.items()}
    return {key: values for key, values in known.items() if values}
