"""Text that is a message between systems: its fields hold names and numbers of a patient in forms
that are those of no prose.

Reference:
    HL7 version 2.5.1, chapter 2; ISO 9735 (EDIFACT); KBV and QMS, xDT (LDT, GDT, BDT).
"""

import re
from typing import Final

_HL7_HEAD: Final = re.compile(r"(?:FHS|BHS|MSH)[|^~\\&]")
_HL7_SEGMENT: Final = re.compile(
    r"^(?:MSH|PID|PD1|NK1|PV1|PV2|EVN|ORC|OBR|OBX|NTE|TXA|DG1|AL1|IN1|SPM|Z[A-Z0-9]{2})\|",
    re.MULTILINE,
)
_EDIFACT: Final = re.compile(r"(?:UNA.{6}\s*)?UNB[+:|]")
_XDT_LINE: Final = re.compile(r"(\d{3})\d{4}")
_LOOKED_AT: Final = 20  # lines of an xDT message
_FEW: Final = 3  # lines that are no chance


def message_kind(text: str) -> str:
    """What message between systems a text is, in words; empty of other text.

    Args:
        text: Line ends are newlines.
    """
    begin = text.lstrip("\ufeff\n\t ")
    segments = len(_HL7_SEGMENT.findall(begin))
    if _HL7_HEAD.match(begin) or segments > 1 or (segments and _HL7_SEGMENT.match(begin)):
        return "a message of HL7 version 2"
    if _EDIFACT.match(begin):
        return "a message in EDIFACT"
    return "a message in xDT (LDT, GDT, BDT)" if _is_xdt(begin) else ""


def _is_xdt(text: str) -> bool:
    """Whether each line says first how long it is, its line end of two characters included."""
    lines = [line for line in text.split("\n") if line.strip()][:_LOOKED_AT]
    stated = [(_XDT_LINE.match(line), len(line) + 2) for line in lines]
    return len(lines) >= _FEW and all(
        found is not None and int(found[1]) == length for found, length in stated
    )
