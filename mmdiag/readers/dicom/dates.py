"""When what a DICOM image shows was recorded: the latest date that its headers give."""

import re
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final

from mmdiag.readers.dicom.header import Header
from mmdiag.readers.recorded import last_day, latest

RECORDED: Final = (
    "StudyDate",
    "SeriesDate",
    "AcquisitionDate",
    "ContentDate",
    "AcquisitionDateTime",
    "StartAcquisitionDateTime",
    "EndAcquisitionDateTime",
    "FrameAcquisitionDateTime",
    "FrameReferenceDateTime",
)
# when the file was made or the order carried out: a copy is younger than what it shows, so that
# they count only where nothing else is said
MADE: Final = (
    "PerformedProcedureStepStartDate",
    "PerformedProcedureStepEndDate",
    "DateOfSecondaryCapture",
    "InstanceCreationDate",
)
_GROUPS: Final = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
# FrameAcquisitionDateTime (0018,9074) and FrameReferenceDateTime (0018,9151) within them: sought as
# bytes, because thousands of frames are not worth parsing for two elements
_LITTLE: Final = rb"\x18\x00(?:\x74\x90|\x51\x91)(?:DT..|..\0\0)(\d{4}[\d.+\- ]{0,22})"
_BIG: Final = rb"\x00\x18(?:\x90\x74|\x91\x51)(?:DT..|\0\0..)(\d{4}[\d.+\- ]{0,22})"
_FRAMES: Final = {
    little: re.compile(form, re.DOTALL) for little, form in ((True, _LITTLE), (False, _BIG))
}


def recorded_day(headers: Sequence[Header]) -> date | None:
    """The latest day on which what some files show was recorded.

    Args:
        headers: Of all files of a series.

    Returns:
        None where they do not say.
    """
    shown = latest(day for header in headers for day in _days(header, RECORDED))
    framed = latest(day for header in headers for day in _frame_days(header))
    return latest((shown, framed)) or latest(
        day for header in headers for day in _days(header, MADE)
    )


def _days(header: Header, keywords: Sequence[str]) -> Iterator[date | None]:
    for keyword in header.stated(keywords):
        yield from map(last_day, header.text(keyword).split("\\"))


def _frame_days(header: Header) -> Iterator[date | None]:
    for keyword in _GROUPS:
        content = header.raw(keyword)
        if content:
            for found in _FRAMES[header.scan.little].findall(content):
                yield last_day(found.decode("ascii"))
