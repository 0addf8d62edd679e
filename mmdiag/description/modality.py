"""One modality of a cohort.toml: its name, what it is, where it lies, and how it is read."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mmdiag.description.fields import (
    one_of,
    optional_text,
    plain_identifier,
    require_known,
    section_of,
    text_of,
    texts_of,
)
from mmdiag.errors import DescriptionError

KINDS = ("image", "text", "table", "signal")
ROW_RULES = ("refuse", "first", "mean")
GENE_KINDS = ("symbol", "ensembl", "entrez")
UNITS = ("counts", "tpm", "log2", "z-score")
MODALITY_KEYS = {
    "image": ("kind", "title", "path", "select", "size", "slices", "window", "burned_in"),
    "text": ("kind", "title", "path", "key", "column", "rows"),
    "table": (
        "kind",
        "title",
        "path",
        "key",
        "columns",
        "exclude",
        "rows",
        "genes",
        "gene_names",
        "gene_sets",
        "units",
        "assay",
    ),
    "signal": ("kind", "title", "path", "channels", "rate_hz", "store_hz", "seconds", "full_scale"),
}
SIGNAL_NUMBERS = {
    "rate_hz": 768_000.0,
    "store_hz": 48_000.0,
    "seconds": 600.0,
    "full_scale": 1e9,
}  # and the largest of each


@dataclass(frozen=True, slots=True, kw_only=True)
class ModalityDescription:
    """One modality: what it is called everywhere, what it is, and where it lies.

    Args:
        path: File, folder or glob below the cohort's root; `{column}` is filled from the case
            table.
        select: Which series of a mixed folder: DICOM keyword -> text or glob.
        size: Height and width of the stored slices in pixels.
        slices: At most so many slices are kept, evenly spaced.
        window: Values that become black and white: `auto` (-1000 to 1000 HU for CT, else
            percentiles), `voi` (as the header asks), or two numbers.
        burned_in: What becomes of images that may carry text in their pixels: `refuse` or `accept`.
        key: Column of a table that holds the case's key; None = the file belongs to one case.
        column: Column that holds the note, where notes lie in a table.
        columns: Columns of a table modality, by globs; empty = every numeric column.
        exclude: Globs of columns that are left out.
        rows: What several rows of one case mean: `refuse`, take the `first`, or their `mean`.
        genes: What the columns name, less the affixes around `*`: `symbol`, `ensembl` or `entrez`.
        gene_names: HGNC's table, to bring names to approved symbols.
        gene_sets: GMT file.
        units: Of a table's numbers: `counts`, `tpm`, `log2` or `z-score`; they are held against it.
        assay: Panel or assay and its version, in the user's words; recorded.
        channels: Names of a signal's channels, in order; none = it has one.
        rate_hz: Samples a second of a signal in a table that does not say by a column `time_s`.
        store_hz: Samples a second that are stored.
        seconds: Longest part of a signal that is stored, from its beginning.
        title: How people read the modality; empty = its name.
        full_scale: Largest value that is stored, in the file's unit; of a WAV 1 is its full range.
    """

    name: str
    kind: str
    path: str
    select: Mapping[str, str] = field(default_factory=dict)
    size: int = 128
    slices: int = 32
    window: str | tuple[float, float] = "auto"
    burned_in: str = "refuse"
    key: str | None = None
    column: str | None = None
    columns: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    rows: str = "refuse"
    genes: str | None = None
    gene_names: str | None = None
    gene_sets: str | None = None
    units: str | None = None
    assay: str | None = None
    channels: tuple[str, ...] = ()
    rate_hz: float | None = None
    store_hz: float = 250.0
    seconds: float = 10.0
    full_scale: float = 1.0
    title: str = ""

    def facts(self) -> dict[str, Any]:
        """What a hash is made of: all but how people read it."""
        return {key: value for key, value in asdict(self).items() if key != "title"}


def read_modalities(
    raw: Mapping[str, Any], root: Path, where: str
) -> dict[str, ModalityDescription]:
    found = section_of(raw, "modalities", where)
    if not found:
        raise DescriptionError(
            f"A cohort has at least one modality, {where} has none: add a section "
            "[modalities.NAME] with kind and path."
        )
    return {
        name: _modality(plain_identifier(name, where), section, root, where)
        for name, section in found.items()
    }


def _modality(name: str, section: Any, root: Path, where: str) -> ModalityDescription:
    heading = f"[modalities.{name}]"
    if not isinstance(section, Mapping):
        raise DescriptionError(
            f"{heading} must be a section of {where}, it is a single value: write kind and path "
            "below it."
        )
    kind = text_of(section, "kind", heading, where)
    require_known([kind], KINDS, f"The kind of {heading}", where)
    require_known(section, MODALITY_KEYS[kind], f"A key of {heading}", where)
    values: dict[str, Any] = {
        "title": optional_text(section, "title", heading, where) or "",
        "name": name,
        "kind": kind,
        "path": text_of(section, "path", heading, where),
    }
    if Path(section["path"]).is_absolute() or ".." in Path(section["path"]).parts:
        raise DescriptionError(
            f"The path under {heading} of {where} must lie below the root, {section['path']!r} "
            "does not: write it relative to root."
        )
    rest = re.sub(r"\{[^{}]+\}", "", section["path"])
    if (
        "{" in rest
        or "}" in rest
        or any("**" in part and part != "**" for part in Path(section["path"]).parts)
    ):
        raise DescriptionError(
            f"The path under {heading} of {where} must be a template: {{column}} closed, ** a "
            f"folder of its own; {section['path']!r} is not: correct it."
        )
    for key in ("key", "column", "genes", "gene_names", "gene_sets", "units", "assay"):
        values[key] = optional_text(section, key, heading, where)
    for key in ("columns", "exclude", "channels"):
        values[key] = texts_of(section.get(key, ()), key, heading, where)
    for key in ("size", "slices"):
        values[key] = section.get(key, ModalityDescription.__dataclass_fields__[key].default)
        if type(values[key]) is not int or not 1 <= values[key] <= 4096:
            raise DescriptionError(
                f"{key} under {heading} of {where} must be a whole number from 1 to 4096, it is "
                "not: correct it."
            )
    values |= _signal_numbers(section, heading, where)
    values["window"] = _window(section.get("window", "auto"), heading, where)
    values["burned_in"] = one_of(
        section.get("burned_in", "refuse"),
        ("refuse", "accept"),
        f"burned_in under {heading}",
        where,
    )
    values["rows"] = section.get("rows", "refuse")
    require_known([values["rows"]], ROW_RULES, f"rows under {heading}", where)
    for key, known in (("genes", GENE_KINDS), ("units", UNITS)):
        if values[key] is not None:
            require_known([values[key]], known, f"{key} under {heading}", where)
    values["select"] = {
        keyword: str(pattern) for keyword, pattern in section_of(section, "select", where).items()
    }
    if kind == "text" and bool(values["key"]) != bool(values["column"]):
        raise DescriptionError(
            f"Notes in a table need both key and column, {heading} of {where} names one: add the "
            "other."
        )
    if kind == "table" and not values["key"] and "{" not in values["path"]:
        raise DescriptionError(
            f"One table for all cases needs its key, {heading} of {where} has none: add key = "
            '"the column that holds the case\'s key".'
        )
    for key in ("gene_sets", "gene_names"):
        if values[key] and not (root / values[key]).is_file():
            raise DescriptionError(
                f"{key} under {heading} of {where} must be a file below the root, "
                f"{values[key]!r} is not there: correct it."
            )
    return ModalityDescription(**values)


def _signal_numbers(section: Mapping[str, Any], heading: str, where: str) -> dict[str, float]:
    """The numbers of a signal that are given."""
    given = {key: section[key] for key in SIGNAL_NUMBERS if key in section}
    for key, value in given.items():
        if type(value) not in (int, float) or not 0 < value <= SIGNAL_NUMBERS[key]:
            raise DescriptionError(
                f"{key} under {heading} of {where} must be a number above 0 and at most "
                f"{SIGNAL_NUMBERS[key]:g}, it is not: correct it."
            )
    return {key: float(value) for key, value in given.items()}


def _window(value: Any, heading: str, where: str) -> str | tuple[float, float]:
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
