"""Keys of a table's rows: brought together from their columns, and refused where they are missing,
look alike or could be a path or a template.
"""

import re
import unicodedata
from collections.abc import Sequence

import pandas as pd

from mmdiag.errors import ReadError

NAMED_LIKE_A_KEY = (
    "case_id",
    "caseid",
    "sample_id",
    "sampleid",
    "sample",
    "id",
    "tumor_sample_barcode",
    "subject_id",
    "patient_id",
    "patientid",
    "patient",
    "pid",
)
NO_KEY = {"", "na", "n/a", "nan", "null", "none", "#n/a"}
LONGEST_KEY = 128  # characters; a key becomes part of file names
PATH = re.compile(
    r"\.\.|^[./\\~]|[^\s/\\][/\\]|^[A-Za-z]:"  # a slash after a blank leads nowhere
    r"|(?i:^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$))"
)
CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
UNSAFE_ID = re.compile(r"[\x00-\x1f\x7f/\\{}$*?\[\]<>|\"']|^\.|^~|^\s|\s$|\.\.")
KEY_LETTERS, KEY_BYTES = 128, 200  # a file's name has 255 bytes, an ending and a modality with it
_WHOLE = re.compile(r"\A([0-9]+)\.0+\Z")  # a whole number as programs write one that may be missing
TEMPLATE = re.compile(r"[{}]|\$\(|%\(|<%|`")
# Cyrillic and Greek letters that print like Latin ones; compatibility forms (full width,
# mathematical) are folded by NFKC
LOOKS_LIKE = str.maketrans("аеорсухіјѕԁԛԝһӏвкмнтαβεικνορτυχ", "aeopcyxijsdqwhlbkmhtabeikvoptux")


def is_plain_key(value: str) -> bool:
    """False for what could be a path or a template, for what is too long for the name of a file
    with an ending, and for what holds characters that do not show: keys that look alike must be
    alike.
    """
    return (
        not UNSAFE_ID.search(value)
        and 0 < len(value) <= KEY_LETTERS
        and len(value.encode("utf-8", "surrogatepass")) <= KEY_BYTES
        and not any(unicodedata.category(c) == "Cf" for c in value)
    )


def template_columns(path: str) -> list[str]:
    """Columns that a path template names: `dicom/{case_id}` -> [case_id]."""
    return re.findall(r"\{([^{}]+)\}", path)


def key_columns(key: str) -> list[str]:
    """Columns that a key is made of: itself, or those that its template names."""
    return template_columns(key) or [key]


def key_values(table: pd.DataFrame, key: str) -> pd.Series:
    """A key column, or the keys that a template such as `{patient}-{file}` makes of several;
    missing where any part is.
    """
    if "{" not in key:
        return table[key]
    values = pd.Series(key, index=table.index, dtype=object)
    for column in template_columns(key):
        part = table[column]
        values = pd.Series(
            [
                None if v is None or pd.isna(p) or p == "" else v.replace(f"{{{column}}}", str(p))
                for v, p in zip(values, part, strict=True)
            ],
            index=table.index,
            dtype=object,
        )
    return values


def guessed_key(columns: Sequence[str]) -> str | None:
    """The column that is named like a key, of a table that nobody described; the finest kind first:
    a patient may have several samples.
    """
    folded = {str(column).strip().lower(): column for column in reversed(columns)}
    return next((folded[name] for name in NAMED_LIKE_A_KEY if name in folded), None)


def check_keys(
    keys: Sequence[str | None], name: str, *, unique: bool = True, complete: bool = True
) -> None:
    """Refuse keys that cannot tell cases apart.

    Args:
        keys: One a row.
        name: The file, for the message.
        unique: Whether a key may stand in one row only.
        complete: Whether every row must have one.

    Raises:
        ReadError: `missing_key`, `bad_key`, `duplicate_key` or `look_alike_key`, with the number of
            rows.
    """
    present = [key for key in keys if key is not None and key.strip().lower() not in NO_KEY]
    if complete and len(present) < len(keys):
        raise ReadError(
            "missing_key", f"{name} has none in {len(keys) - len(present)} of {len(keys)} rows"
        )
    distinct = list(dict.fromkeys(present))
    bad = sum(is_bad_key(key) for key in distinct)
    if bad:
        raise ReadError("bad_key", f"{name} has {bad} that are not")
    if unique and len(distinct) < len(present):
        raise ReadError(
            "duplicate_key", f"{name} repeats keys in {len(present) - len(distinct)} rows"
        )
    alike = len(distinct) - len({_WHOLE.sub(r"\1", skeleton(key)) for key in distinct})
    if alike:
        raise ReadError("look_alike_key", f"{name} has {alike} keys that print like another one")


def is_bad_key(key: str) -> bool:
    """Whether a key could be taken for a path or a template, holds control characters, or is too
    long to be a key.
    """
    return (
        len(key) > LONGEST_KEY
        or PATH.search(key) is not None
        or TEMPLATE.search(key) is not None
        or CONTROL.search(key) is not None
    )


def skeleton(key: str) -> str:
    """A key as the eye sees it: without case, surrounding blanks, characters that do not show, and
    foreign letters that look Latin.
    """
    if key.isascii():
        return key.strip().lower()
    shown = "".join(
        c for c in unicodedata.normalize("NFKC", key) if unicodedata.category(c) != "Cf"
    )
    return shown.strip().lower().translate(LOOKS_LIKE)
