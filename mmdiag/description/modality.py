"""One modality of a cohort.toml: its name, what it is, where it lies, and how it is read."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mmdiag.description.fields import (
    optional_text,
    plain_identifier,
    require_known,
    section_of,
    text_of,
)
from mmdiag.description.paths import REFERENCE_FILES, file_below, place_fault
from mmdiag.errors import DescriptionError
from mmdiag.kinds import KINDS

COMMON_KEYS = ("kind", "title", "path")  # of every kind


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
        burned_in: What becomes of images that may show text in their pixels: `refuse` or `accept`.
        key: Column of a table that holds the case's key; None = the file belongs to one case.
        column: Column that holds the note, where notes lie in a table; of an embedding the column
            or the array that holds the vectors.
        columns: Columns of a table modality, by globs; empty = every numeric column.
        exclude: Globs of columns that are left out.
        rows: What several rows of one case mean: `refuse`, take the `first`, or their `mean`.
        genes: What the columns name, less the affixes around `*`: `symbol`, `ensembl` or `entrez`.
        gene_names: HGNC's table, to bring names to approved symbols.
        gene_sets: GMT file.
        units: Of a table's numbers: `counts`, `tpm`, `log2` or `z-score`; they are held against it.
        assay: Panel or assay and its version, in the user's words; recorded.
        channels: Names of a signal's channels, in order; none = it has one.
        rate_hz: Samples a second of a signal in a table that does not say by a column of times.
        store_hz: Samples a second that are stored.
        seconds: Longest part of a signal that is stored, from its beginning.
        full_scale: Largest value that is stored, in the file's unit; of a WAV 1 is its full range.
        title: How people read the modality; empty = its name.
        options: What only its kind has, beyond the fields above.
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
    # not in repr: the state of a table's columns is a hash of it (ingest/plan.py)
    title: str = field(default="", repr=False)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def facts(self) -> dict[str, Any]:
        """What a hash is made of: all but how people read it."""
        facts = {key: value for key, value in asdict(self).items() if key != "title"}
        if not self.options:  # the hashes of cohorts that were described before kinds had any
            del facts["options"]
        return facts


def read_modalities(
    raw: Mapping[str, Any], root: Path, where: str, also_read: Sequence[Path] = ()
) -> dict[str, ModalityDescription]:
    found = section_of(raw, "modalities", where)
    if not found:
        raise DescriptionError(
            f"A cohort has at least one modality, {where} has none: add a section "
            "[modalities.NAME] with kind and path."
        )
    return {
        name: _modality(plain_identifier(name, where), section, root, where, tuple(also_read))
        for name, section in found.items()
    }


def _modality(
    name: str, section: Any, root: Path, where: str, also_read: Sequence[Path]
) -> ModalityDescription:
    heading = f"[modalities.{name}]"
    if not isinstance(section, Mapping):
        raise DescriptionError(
            f"{heading} must be a section of {where}, it is a single value: write kind and path "
            "below it."
        )
    word = text_of(section, "kind", heading, where)
    require_known([word], KINDS, f"The kind of {heading}", where)
    kind = KINDS[word]
    require_known(section, (*COMMON_KEYS, *kind.keys), f"A key of {heading}", where)
    values: dict[str, Any] = {
        "name": name,
        "kind": word,
        "title": optional_text(section, "title", heading, where) or "",
        "path": _path(section, heading, where),
        **{
            key: check(section, key, heading, where)
            for key, check in kind.keys.items()
            if key in section
        },
    }
    if kind.check_keys is not None:
        kind.check_keys(values, root, heading, where)
    for key in REFERENCE_FILES:
        if values.get(key):
            what = f"{key} under {heading}"
            file_below(root, values[key], what, where, also_read=also_read)
    if values.get("key"):
        _require_table_below(root, values["path"], heading, where)
    fields = ModalityDescription.__dataclass_fields__
    options = {key: value for key, value in values.items() if key not in fields}
    return ModalityDescription(
        **{key: value for key, value in values.items() if key in fields}, options=options
    )


def _require_table_below(root: Path, path: str, heading: str, where: str) -> None:
    """A table that all cases share lies below the root as the case table does; a folder of tables
    and a pattern are looked at where their files are.
    """
    if re.search(r"[{*?\[]", path) or ((root / path).is_dir() and not place_fault(root, path)):
        return
    if place_fault(root, path) != "is not there":  # which is said with what may be meant
        file_below(root, path, f"path under {heading}", where)


def _path(section: Mapping[str, Any], heading: str, where: str) -> str:
    """A template of a path below the root."""
    path = text_of(section, "path", heading, where)
    if Path(path).is_absolute() or ".." in Path(path).parts:
        raise DescriptionError(
            f"The path under {heading} of {where} must lie below the root, {path!r} "
            "does not: write it relative to root."
        )
    rest = re.sub(r"\{[^{}]+\}", "", path)
    if "{" in rest or "}" in rest or any("**" in p and p != "**" for p in Path(path).parts):
        raise DescriptionError(
            f"The path under {heading} of {where} must be a template: {{column}} closed, ** a "
            f"folder of its own; {path!r} is not: correct it."
        )
    return path
