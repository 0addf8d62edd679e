"""When what a DICOM image shows was recorded: the latest date that its headers give."""

import re
from collections.abc import Sequence
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
    shown = [day for header in headers for day in _days(header, RECORDED) + _frame_days(header)]
    return latest(shown) or latest([day for header in headers for day in _days(header, MADE)])


def _days(header: Header, keywords: tuple[str, ...]) -> list[date | None]:
    texts = [header.text(keyword) for keyword in header.stated(keywords)]
    return [last_day(part) for text in texts for part in text.split("\\")]


def _frame_days(header: Header) -> list[date | None]:
    form = _FRAMES[header.scan.little]
    groups = [header.raw(keyword) for keyword in header.stated(_GROUPS)]
    return [last_day(found.decode("ascii")) for group in groups for found in form.findall(group)]
