"""Names of genes that a spreadsheet turned into dates or numbers."""

import re

MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|sept|oct|nov|dec"
# What spreadsheets make of MARCH1, SEPT2 and DEC1: 1-Mar, Mar-01, 2001-03-01, 01/03/2001, 36951;
# and of RIKEN names: 2.31E+13
DAMAGED = re.compile(
    rf"[0-9]{{1,2}}[-/. ]({MONTHS})([-/. ][0-9]{{2,4}})?|({MONTHS})[-/. "
    rf"][0-9]{{1,4}}|[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}.*"
    r"|[0-9]{1,2}/[0-9]{1,2}/[0-9]{2,4}|[0-9]+\.[0-9]+E\+[0-9]+",
    re.IGNORECASE,
)
SERIAL_DATE = re.compile(r"[34][0-9]{4}")  # days since 1900, of 1982 to 2036


def is_damaged(name: str, *, serial: bool = False) -> bool:
    """Whether a name is what a spreadsheet makes of one.

    Args:
        serial: Whether whole numbers that stand for a day are, too.
    """
    return bool(DAMAGED.fullmatch(name) or (serial and SERIAL_DATE.fullmatch(name)))
