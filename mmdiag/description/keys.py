"""The keys of a modality, each read and checked by a function of its own; which kind has which key
says `mmdiag.kinds`.

Each takes the section, the key, and its heading and file for messages, and raises
`DescriptionError`.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdiag.description.fields import (
    one_of,
    optional_text,
    require_known,
    section_of,
    text_of,
    texts_of,
)
from mmdiag.errors import DescriptionError

COLOURS = ("auto", "keep", "grey")
ROW_RULES = ("refuse", "first", "mean")
GENE_KINDS = ("symbol", "ensembl", "entrez")
UNITS = ("counts", "tpm", "log2", "z-score")
DECIMALS = (".", ",")
PROVENANCE = re.compile(r"[\w.+@:/() -]{1,100}")
UNIT = re.compile(r"[^\W\d_][\w/%^.*-]{0,15}|%")
EXAMPLES = {"encoder": "UNI2-h", "revision": "0123abcd", "licence": "CC-BY-NC-ND-4.0"}
NO_BOOKS = (".csv", ".tsv", ".gz", ".parquet", ".txt", ".gct", ".h5ad", ".maf", ".vcf")
BELOW = ("refuse", "missing", "limit")
# and the largest of each
SIGNAL_NUMBERS = {
    "rate_hz": 768_000.0,
    "store_hz": 48_000.0,
    "seconds": 600.0,
    "full_scale": 1e9,
}


def patterns(section: Mapping[str, Any], key: str, _heading: str, where: str) -> dict[str, str]:
    """Keyword -> text or glob."""
    return {name: str(pattern) for name, pattern in section_of(section, key, where).items()}


def texts(section: Mapping[str, Any], key: str, heading: str, where: str) -> tuple[str, ...]:
    """A text or a list of texts."""
    return texts_of(section[key], key, heading, where)


def whole_number(section: Mapping[str, Any], key: str, heading: str, where: str) -> int:
    """From 1 to 4096."""
    value: Any = section[key]
    if type(value) is not int or not 1 <= value <= 4096:
        raise DescriptionError(
            f"{key} under {heading} of {where} must be a whole number from 1 to 4096, it is "
            "not: correct it."
        )
    return value


def signal_number(section: Mapping[str, Any], key: str, heading: str, where: str) -> float:
    """A rate, a length or a scale of a signal."""
    value = section[key]
    if type(value) not in (int, float) or not 0 < value <= SIGNAL_NUMBERS[key]:
        raise DescriptionError(
            f"{key} under {heading} of {where} must be a number above 0 and at most "
            f"{SIGNAL_NUMBERS[key]:g}, it is not: correct it."
        )
    return float(value)


def signal_unit(section: Mapping[str, Any], key: str, heading: str, where: str) -> str:
    """The unit that a signal is brought to."""
    value = text_of(section, key, heading, where)
    if not UNIT.fullmatch(value):
        raise DescriptionError(
            f"{key} under {heading} of {where} must be a unit such as mV, uV or mmHg, it is not: "
            "correct it."
        )
    return value


def window(
    section: Mapping[str, Any], key: str, heading: str, where: str
) -> str | tuple[float, float]:
    """`auto`, `voi`, or the two values that become black and white."""
    value = section[key]
    if value in ("auto", "voi"):
        return str(value)
    if (
        isinstance(value, list)
        and len(value) == 2
        and all(type(part) in (int, float) for part in value)
        and value[0] < value[1]
    ):
        return float(value[0]), float(value[1])
    raise DescriptionError(
        f'window under {heading} of {where} must be "auto", "voi" or two rising numbers such as '
        "[-160, 240], it is not: correct it."
    )


def burned_in(section: Mapping[str, Any], key: str, heading: str, where: str) -> str:
    """What becomes of images that may carry text in their pixels."""
    return one_of(section[key], ("refuse", "accept"), f"{key} under {heading}", where)


def colour(section: Mapping[str, Any], key: str, heading: str, where: str) -> str:
    """When the channels of an image are kept beside its luminance."""
    return one_of(section[key], COLOURS, f"{key} under {heading}", where)


def rows(section: Mapping[str, Any], key: str, heading: str, where: str) -> Any:
    """What several rows of one case mean."""
    require_known([section[key]], ROW_RULES, f"{key} under {heading}", where)
    return section[key]


def genes(section: Mapping[str, Any], key: str, heading: str, where: str) -> str | None:
    """What names of columns are."""
    return _known_text(GENE_KINDS, section, key, heading, where)


def units(section: Mapping[str, Any], key: str, heading: str, where: str) -> str | None:
    """What the numbers of a table are."""
    return _known_text(UNITS, section, key, heading, where)


def delimiter(section: Mapping[str, Any], key: str, heading: str, where: str) -> str:
    """What separates the cells of a table."""
    value = text_of(section, key, heading, where)
    if len(value) != 1 or value.isalnum() or value in "\"'\r\n\\.-+":
        raise DescriptionError(
            f'{key} under {heading} of {where} must be one character such as ";" or "\\t", it is '
            "not: correct it."
        )
    return value


def decimal(section: Mapping[str, Any], key: str, heading: str, where: str) -> str:
    """What separates the fraction of a number."""
    return one_of(section[key], DECIMALS, f"{key} under {heading}", where)


def below(section: Mapping[str, Any], key: str, heading: str, where: str) -> str:
    """What a number below a limit of detection is."""
    return one_of(section[key], BELOW, f"{key} under {heading}", where)


def sheet(section: Mapping[str, Any], key: str, heading: str, where: str) -> str:
    """The sheet of a workbook."""
    text_of(section, key, heading, where)
    return sheet_of(section, text_of(section, "path", heading, where), heading, where) or ""


def sheet_of(section: Mapping[str, Any], path: str, heading: str, where: str) -> str | None:
    """The sheet of a table; None where it names none.

    Args:
        path: The table's, which may be a pattern.

    Raises:
        DescriptionError: It is no text, or the table is no workbook.
    """
    if "sheet" not in section:
        return None
    if path.lower().endswith(NO_BOOKS):
        raise DescriptionError(
            f"sheet under {heading} of {where} names a sheet of a workbook (.xlsx, .xls, .ods), "
            "its table is none: take sheet out, or name the workbook."
        )
    return text_of(section, "sheet", heading, where)


def codes(section: Mapping[str, Any], key: str, heading: str, where: str) -> tuple[str, ...]:
    """Cells that mean not measured; a number may be written as one."""
    value = section[key]
    listed = value if isinstance(value, list) else [value]
    return texts_of(
        [str(one) if type(one) in (int, float) else one for one in listed], key, heading, where
    )


def provenance(section: Mapping[str, Any], key: str, heading: str, where: str) -> str:
    """By what an embedding was made, or under which terms: a line of a bundle's card."""
    value = text_of(section, key, heading, where)
    if not PROVENANCE.fullmatch(value):
        raise DescriptionError(
            f"{key} under {heading} of {where} must be a name of at most 100 letters, digits and "
            "of ._+@:/()- or blanks, it is not: correct it."
        )
    return value


def _known_text(
    known: tuple[str, ...], section: Mapping[str, Any], key: str, heading: str, where: str
) -> str | None:
    value = optional_text(section, key, heading, where)
    require_known([str(value)], known, f"{key} under {heading}", where)
    return value


def check_text(values: Mapping[str, Any], _root: Path, heading: str, where: str) -> None:
    """Notes in a table are found by two keys, and several of a case are no numbers."""
    if bool(values.get("key")) != bool(values.get("column")):
        raise DescriptionError(
            f"Notes in a table need both key and column, {heading} of {where} names one: add the "
            "other."
        )
    if values.get("rows") == "mean":
        raise DescriptionError(
            f'Notes have no mean, {heading} of {where} has rows = "mean": write "refuse", or '
            '"first" if the first note of a case is the one that counts.'
        )


def check_embedding(values: Mapping[str, Any], _root: Path, heading: str, where: str) -> None:
    """What another program made says by what and under which terms, and a table has a key."""
    for key, example in EXAMPLES.items():
        if key not in values:
            raise DescriptionError(
                f"An embedding says by what it was made and under which terms, {heading} of "
                f'{where} lacks {key}: write {key} = "{example}".'
            )
    if values["path"].lower().endswith(".parquet") != bool(values.get("key")):
        raise DescriptionError(
            f"Embeddings of all cases lie in one Parquet with a key, those of a case in a file "
            f"without, {heading} of {where} has one of the two: name key with a .parquet, or "
            "a file a case as path."
        )


def check_table(values: Mapping[str, Any], _root: Path, heading: str, where: str) -> None:
    """A table that all cases share has a key, and a sign has one meaning."""
    if not values.get("key") and "{" not in values["path"]:
        raise DescriptionError(
            f"One table for all cases needs its key, {heading} of {where} has none: add key = "
            '"the column that holds the case\'s key".'
        )
    if values.get("delimiter") and values.get("delimiter") == values.get("decimal"):
        raise DescriptionError(
            f"delimiter and decimal under {heading} of {where} must differ, they are the same: "
            "correct one."
        )
