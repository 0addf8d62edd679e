"""Files that are named after the cases, or by columns of the case table: each way in which they are
named is a modality.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mmdiag.cohort.scaffold.case_table import CaseTable, path_columns
from mmdiag.cohort.scaffold.recordings import channel_lines, holds_waveforms
from mmdiag.cohort.scaffold.text import identifier, quoted
from mmdiag.errors import ReadError
from mmdiag.readers.dicom.series import series_descriptions
from mmdiag.readers.imaging.raster_nifti import PICTURES
from mmdiag.readers.imaging.research import RESEARCH
from mmdiag.readers.signals.edf import EDF
from mmdiag.readers.signals.wfdb_record import WFDB

LOOKED_AT = 400  # files of one series
LOOKED_INTO = 4  # recordings of one place
MOST_FILES = 200_000  # that are looked at
SHARE = 0.2  # of the cases of the commonest way to name files, that another one has at least
KINDS = {
    ".txt": "text",
    ".rtf": "text",
    ".pdf": "text",
    ".docx": "text",
    ".wav": "signal",
    **dict.fromkeys((*EDF, WFDB), "signal"),
    **dict.fromkeys(PICTURES, "image"),
    ".nii": "image",
    ".nii.gz": "image",
    **dict.fromkeys(RESEARCH, "image"),
    ".dcm": "image",
    ".vcf": "table",
    ".vcf.gz": "table",
}
DICOM = (".dcm", "")
MASKED = r"mask|de-?_?id|anonym|redact|scrub|pseudonym"
CLUTTER = re.compile(r"^(\.|~|Thumbs\.db$|desktop\.ini$|DICOMDIR$|__MACOSX$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Place:
    """One way in which files of cases are named.

    Args:
        path: Template, relative to the folder.
        cases: Cases that have one.
        example: One of the files or folders.
        select: SeriesDescription of a series; empty = all.
        remarks: What people should know, a line each.
        more: Further lines of its section.
    """

    name: str
    kind: str
    path: str
    cases: frozenset[str]
    example: Path
    select: str = ""
    remarks: tuple[str, ...] = field(default=())
    more: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Its section, as TOML."""
        lines = [f"# {remark}" for remark in self.remarks]
        lines += [f"[modalities.{self.name}]", f'kind = "{self.kind}"']
        lines += [f"path = {quoted(self.path)}"]
        if self.select:
            lines += [f"select = {{ SeriesDescription = {quoted(self.select)} }}"]
        return [*lines, *self.more, ""]


def files_below(folder: Path) -> list[Path]:
    """Files below a folder, relative to it; what systems leave behind is left out."""
    found = []
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and not any(CLUTTER.match(part) for part in relative.parts):
            found.append(relative)
        if len(found) == MOST_FILES:
            break
    return found


def names_of(files: Iterable[Path]) -> set[str]:
    """What a key may name: files with and without suffix, and folders."""
    found = set[str]()
    for file in files:
        found |= {*file.parts, _stem(file.name)}
    return found


def places(folder: Path, files: Sequence[Path], table: CaseTable) -> list[Place]:
    """Every way in which files are named after the cases; of notes in several forms only those that
    are masked.
    """
    keys = table.keys
    named = _named_after(files, keys, table.slot)
    found = [*_by_column(folder, table, named), *_common(named)]
    with_series = [
        part for place in found for part in _series(folder, _as_signal(folder, place, table.slot))
    ]
    return _without_raw_notes(with_series)


def _as_signal(folder: Path, place: Place, slot: str) -> Place:
    """A place of recordings, with what its files say of their channels; DICOM that holds waveforms
    is one.
    """
    suffix = _suffix(place.example.name)
    dicom = place.kind == "image" and suffix in DICOM and holds_waveforms(folder / place.example)
    if not dicom and suffix not in (*EDF, WFDB):
        return place
    named = [folder / place.path.replace(slot, key) for key in sorted(place.cases)[:LOOKED_INTO]]
    there = [path for path in named if path.exists()] or [folder / place.example]
    files = [path for one in there for path in (sorted(one.rglob("*")) if one.is_dir() else [one])]
    lines = channel_lines([path for path in files if path.is_file()][:LOOKED_INTO])
    return replace(place, kind="signal", more=tuple(lines))


def _named_after(files: Iterable[Path], keys: set[str], slot: str) -> list[Place]:
    found: dict[tuple[str, str], tuple[set[str], Path]] = {}
    for file in files:
        kind = KINDS.get(_suffix(file.name), "")
        template = _template(file, keys, slot) if kind or not file.suffix else None
        if template is None:
            continue
        path, key, part = template
        cases, _ = found.setdefault((path, kind or "image"), (set(), part))
        cases.add(key)
    return [
        Place(_name_of(path, slot), kind, path, frozenset(cases), example)
        for (path, kind), (cases, example) in found.items()
    ]


def _template(file: Path, keys: set[str], slot: str) -> tuple[str, str, Path] | None:
    """A file's path with the case's key as a slot, that key, and the file or its case's folder:
    a folder that is named by a key and holds DICOM stands for its files.
    """
    parts = list(file.parts)
    stem, suffix = _stem(file.name), _suffix(file.name)
    at = next((i for i, part in enumerate(parts[:-1]) if part in keys), None)
    if at is not None:
        key, before = parts[at], [*parts[:at], slot]
        if suffix in DICOM:
            return "/".join(before), key, Path(*parts[: at + 1])
        rest = [part.replace(key, slot) for part in parts[at + 1 :]]
        return "/".join([*before, *rest]), key, file
    if suffix == "":
        return None
    key = next((stem[:end] for end in _ends(stem) if stem[:end] in keys), "")
    if not key:
        return None
    return "/".join([*parts[:-1], f"{slot}{file.name[len(key) :]}"]), key, file


def _ends(stem: str) -> list[int]:
    """Where a key may end in a file's name: at its end, or before `_`, `-`, `.` or a blank."""
    return [len(stem), *sorted((m.start() for m in re.finditer(r"[_\-. ]", stem)), reverse=True)]


def _common(named: Sequence[Place]) -> list[Place]:
    """Ways that hardly any case has are left out: single files, not a modality."""
    most = max((len(place.cases) for place in named), default=0)
    return [place for place in named if len(place.cases) >= SHARE * most]


def _by_column(folder: Path, table: CaseTable, named: Sequence[Place]) -> list[Place]:
    """Columns of paths, where the files are not named after the cases already."""
    reached = set[str]()
    for place in named:
        reached |= {place.path.replace(table.slot, key) for key in place.cases}
    found = []
    for column, paths in path_columns(folder, table.cells).items():
        example = paths[0]
        kind = "image" if (folder / example).is_dir() else KINDS.get(_suffix(example.name), "")
        if not kind or len(set(paths)) < 2 or any(str(path) in reached for path in paths):
            continue
        cells = table.cells[column] != ""
        cases = frozenset(table.cells.index[cells].astype(str))
        found.append(Place(identifier(column), kind, f"{{{column}}}", cases, example))
    return found


def _series(folder: Path, place: Place) -> list[Place]:
    """The series of a place of DICOM folders, each a modality."""
    if place.kind == "signal" or not (folder / place.example).is_dir():
        return [place]
    around = (folder / place.example).parent
    found: set[str] = set()
    for child in sorted(path for path in around.iterdir() if path.is_dir())[:3]:
        files = sorted(path for path in child.rglob("*") if _suffix(path.name) in DICOM)
        try:
            found |= series_descriptions([path for path in files if path.is_file()][:LOOKED_AT])
        except ReadError:
            continue
    series = sorted(found - {""})
    if not series:
        return [place]
    return [replace(place, name=identifier(name), select=name) for name in series]


def _without_raw_notes(found: Sequence[Place]) -> list[Place]:
    """Of notes that lie there raw and masked, the masked ones."""
    masked = [place for place in found if place.kind == "text" and _is_masked(place)]
    if not masked:
        return list(found)
    raw = [place for place in found if place.kind == "text" and not _is_masked(place)]
    twins = [
        place
        for place in raw
        if any(len(place.cases & one.cases) >= len(place.cases) / 2 for one in masked)
    ]
    remark = tuple(f"{place.path} is left out: these are the same notes, masked" for place in twins)
    return [
        replace(place, remarks=(*place.remarks, *remark)) if place is masked[0] else place
        for place in found
        if place not in twins
    ]


def _is_masked(place: Place) -> bool:
    return re.search(MASKED, place.path, re.IGNORECASE) is not None


def _name_of(path: str, slot: str) -> str:
    """What tells a way of naming from others: the folder, and what stands beside the key."""
    file = Path(path)
    around = [part for part in file.parts[:-1] if slot not in part]
    beside = _stem(file.name).replace(slot, "")
    names = [*around[-1:], beside] if beside.strip("_-. ") else around[-1:]
    return identifier("_".join(names) or "files")


def _suffix(name: str) -> str:
    lower = name.lower()
    return next(
        (suffix for suffix in sorted(KINDS, key=len, reverse=True) if lower.endswith(suffix)),
        Path(lower).suffix,
    )


def _stem(name: str) -> str:
    return name[: len(name) - len(_suffix(name))]


def named_once(names: Sequence[str]) -> list[str]:
    """Names of sections, each once: TOML refuses one that is there twice."""
    found = list[str]()
    for name in names:
        unique, count = name, 2
        while unique in found:
            unique, count = f"{name[:36]}_{count}", count + 1
        found.append(unique)
    return found
