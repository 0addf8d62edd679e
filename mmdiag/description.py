"""`cohort.toml` as frozen dataclasses: a cohort is described, not coded.

Every mistake is a `DescriptionError` that names the file, the word and the nearest known one;
nothing is written before the description is right.
"""

import difflib
import hashlib
import json
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mmdiag.errors import DescriptionError

KINDS = ("image", "text", "table", "signal")
TASKS = ("binary", "multiclass", "multilabel", "survival")
ROW_RULES = ("refuse", "first", "mean")
GENE_KINDS = ("symbol", "ensembl", "entrez")
UNITS = ("counts", "tpm", "log2", "z-score")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDescription:
    """What is asked: one label column, several, or time and event. Without any the cohort is
    unlabelled: scored, never trained on.

    Args:
        labels: Columns of a multilabel task: 1 = there, 0 = not there, empty = unknown.
        label_patterns: Regular expressions that state the label: a note that matches one is refused
            as an input.
    """

    kind: str
    label: str | None = None
    positive: str | None = None
    time: str | None = None
    event: str | None = None
    label_patterns: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    def facts(self) -> dict[str, Any]:
        """Everything that was said, for a hash or a record."""
        return {key: value for key, value in asdict(self).items() if key != "labels" or value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A whole `cohort.toml`.

    Args:
        root: Folder that all paths are relative to.
        file: The cohort.toml.
        as_of: A column of the case table, or one ISO date for all.
        group: Columns for subgroup reports, never model inputs.
        identifiers: Columns of the case table, or one CSV with case_id and value, that hold what
            identifies a person: masked in the notes, never stored.
        incomplete: What becomes of a case of which one modality is refused: `keep` it with the
            others, or `refuse` it.
    """

    name: str
    root: Path
    file: Path
    table: Path
    case_id: str
    subject_id: str
    as_of: str | None = None
    site: str | None = None
    group: tuple[str, ...] = ()
    identifiers: tuple[str, ...] = ()
    incomplete: str = "keep"
    task: TaskDescription
    modalities: Mapping[str, ModalityDescription]

    def hash(self) -> str:
        """SHA-256 of everything that changes what ingestion writes."""
        facts = {name: asdict(modality) for name, modality in self.modalities.items()}
        return (
            "sha256:"
            + hashlib.sha256(
                json.dumps([self.name, facts, self.task.facts()], sort_keys=True).encode()
            ).hexdigest()
        )


SECTIONS: dict[str, tuple[str, ...]] = {
    "cohort": ("name", "root"),
    "cases": (
        "table",
        "case_id",
        "subject_id",
        "as_of",
        "site",
        "group",
        "identifiers",
        "incomplete",
    ),
    "task": ("kind", "label", "labels", "positive", "time", "event", "label_patterns"),
}
MODALITY_KEYS = {
    "image": ("kind", "path", "select", "size", "slices", "window", "burned_in"),
    "text": ("kind", "path", "key", "column", "rows"),
    "table": (
        "kind",
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
    "signal": ("kind", "path", "channels", "rate_hz", "store_hz", "seconds", "full_scale"),
}
SIGNAL_NUMBERS = {
    "rate_hz": 768_000.0,
    "store_hz": 48_000.0,
    "seconds": 600.0,
    "full_scale": 1e9,
}  # and the largest of each


def read_description(path: Path) -> Description:
    """Read and check a cohort.toml.

    Raises:
        DescriptionError: It is not there, not TOML, or says something that is not known.
    """
    path = Path(path)
    where = path.name
    raw = _parse(path)
    _known(raw, (*SECTIONS, "modalities"), "A section", where)
    for section, keys in SECTIONS.items():
        _known(_section(raw, section, where), keys, f"A key of [{section}]", where)
    cohort, cases, task = (_section(raw, section, where) for section in SECTIONS)
    root = (
        path.parent / os.path.expandvars(_text(cohort, "root", "[cohort]", where, default="."))
    ).resolve()
    if not root.is_dir():
        raise DescriptionError(
            f"The root of a cohort must be a folder, {cohort.get('root')!r} in {where} is not: "
            "correct root under [cohort]."
        )
    table = root / _text(cases, "table", "[cases]", where)
    if not table.is_file():
        raise DescriptionError(
            f"The case table must be a file below the root, {cases['table']!r} in {where} is not "
            "there: correct table under [cases]."
        )
    case_id = _text(cases, "case_id", "[cases]", where)
    for name in _texts(cases.get("identifiers", ()), "identifiers", "[cases]", where):
        if name.endswith(".csv") and not (root / name).is_file():
            raise DescriptionError(
                f"identifiers under [cases] of {where} must be columns or a file below the root, "
                f"{name!r} is not there: correct it."
            )
    return Description(
        name=_name(_text(cohort, "name", "[cohort]", where), where),
        root=root,
        file=path.resolve(),
        table=table,
        case_id=case_id,
        subject_id=_text(cases, "subject_id", "[cases]", where, default=case_id),
        as_of=_optional(cases, "as_of", "[cases]", where),
        site=_optional(cases, "site", "[cases]", where),
        group=_texts(cases.get("group", ()), "group", "[cases]", where),
        identifiers=_texts(cases.get("identifiers", ()), "identifiers", "[cases]", where),
        incomplete=_one_of(
            cases.get("incomplete", "keep"), ("keep", "refuse"), "incomplete under [cases]", where
        ),
        task=_task(task, where),
        modalities=_modalities(raw, root, where),
    )


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DescriptionError(
            f"A cohort is described by a cohort.toml, {path} is not there: `mmdiag init DIR` "
            "writes one."
        ) from None
    except (UnicodeDecodeError, IsADirectoryError):
        raise DescriptionError(
            f"{path.name} must be a text file in UTF-8, it is not: save it again as UTF-8."
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise DescriptionError(
            f"{path.name} must be TOML, it is not: {error}. Compare it with what `mmdiag init` "
            "writes."
        ) from None


def _section(raw: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
    found = raw.get(name, {})
    if not isinstance(found, Mapping):
        raise DescriptionError(
            f"[{name}] must be a section of {where}, it is a single value: write it as [{name}] "
            "with keys below."
        )
    return found


def _known(found: Iterable[str], known: Iterable[str], what: str, where: str) -> None:
    names = list(known)
    for key in found:
        if key not in names:
            nearest = difflib.get_close_matches(key, names, n=1, cutoff=0.5)
            hint = f"did you mean {nearest[0]!r}? " if nearest else ""
            raise DescriptionError(
                f"{what} of {where} must be a known one, found {key!r}: {hint}known are "
                f"{', '.join(names)}."
            )


def _text(
    section: Mapping[str, Any], key: str, heading: str, where: str, *, default: str | None = None
) -> str:
    value = section.get(key, default)
    if value is None:
        raise DescriptionError(
            f'{heading} of {where} must name {key}, it does not: add {key} = "...".'
        )
    if not isinstance(value, str) or not value:
        raise DescriptionError(
            f"{key} under {heading} of {where} must be text in quotes, it is not: write {key} = "
            '"...".'
        )
    return value


def _optional(section: Mapping[str, Any], key: str, heading: str, where: str) -> str | None:
    if key in section and not isinstance(section[key], str) and hasattr(section[key], "isoformat"):
        return str(section[key].isoformat())
    return _text(section, key, heading, where) if key in section else None


def _texts(value: Any, key: str, heading: str, where: str) -> tuple[str, ...]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list | tuple) or not all(isinstance(item, str) for item in values):
        raise DescriptionError(
            f"{key} under {heading} of {where} must be a text or a list of texts, it is not: "
            f'write {key} = ["..."].'
        )
    return tuple(values)


def _name(name: str, where: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}", name):
        raise DescriptionError(
            f"A name in {where} must be letters, digits, '_', '-' and '.', found {name!r}: it "
            "becomes the name of a folder."
        )
    return name


def _task(task: Mapping[str, Any], where: str) -> TaskDescription:
    kind = _text(task, "kind", "[task]", where, default="binary")
    if kind not in TASKS:
        nearest = difflib.get_close_matches(kind, TASKS, n=1, cutoff=0.5)
        hint = f"did you mean {nearest[0]!r}? " if nearest else ""
        raise DescriptionError(
            f"The kind of a task in {where} must be a known one, found {kind!r}: {hint}known are "
            f"{', '.join(TASKS)}."
        )
    named = {
        key: None if task.get(key) is None else str(task[key])
        for key in ("label", "positive", "time", "event")
    }
    if kind == "survival" and bool(named["time"]) != bool(named["event"]):
        raise DescriptionError(
            f"A survival task in {where} needs both time and event, one is missing: name both "
            "columns, or neither for a cohort to score."
        )
    if kind == "binary" and named["label"] and not named["positive"]:
        raise DescriptionError(
            f"A binary task in {where} must say which label is positive, it does not: add "
            'positive = "..." under [task].'
        )
    patterns = _texts(task.get("label_patterns", ()), "label_patterns", "[task]", where)
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            raise DescriptionError(
                f"label_patterns under [task] of {where} must be regular expressions, one is not "
                f"({error}): correct it."
            ) from None
    return TaskDescription(
        kind=kind, label_patterns=patterns, labels=_label_names(task, kind, where), **named
    )


def _label_names(task: Mapping[str, Any], kind: str, where: str) -> tuple[str, ...]:
    names = _texts(task.get("labels", ()), "labels", "[task]", where)
    if kind != "multilabel":
        if names:
            raise DescriptionError(
                f"labels under [task] of {where} belong to a multilabel task, this one is "
                f'{kind}: write kind = "multilabel", or label.'
            )
        return ()
    if task.get("label") or len(names) == 1 or len(set(names)) < len(names):
        raise DescriptionError(
            f"A multilabel task in {where} names two columns or more, each once, under labels: "
            'write labels = ["...", "..."] and no label.'
        )
    return names


def _one_of(value: Any, known: tuple[str, ...], what: str, where: str) -> str:
    _known([str(value)], known, what, where)
    return str(value)


def _modalities(raw: Mapping[str, Any], root: Path, where: str) -> dict[str, ModalityDescription]:
    found = _section(raw, "modalities", where)
    if not found:
        raise DescriptionError(
            f"A cohort has at least one modality, {where} has none: add a section "
            "[modalities.NAME] with kind and path."
        )
    return {
        name: _modality(_identifier(name, where), section, root, where)
        for name, section in found.items()
    }


def _identifier(name: str, where: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,39}", name):
        raise DescriptionError(
            f"A modality's name in {where} must be letters, digits and '_', found {name!r}: it "
            "becomes a column and a file name."
        )
    return name


def _modality(name: str, section: Any, root: Path, where: str) -> ModalityDescription:
    heading = f"[modalities.{name}]"
    if not isinstance(section, Mapping):
        raise DescriptionError(
            f"{heading} must be a section of {where}, it is a single value: write kind and path "
            "below it."
        )
    kind = _text(section, "kind", heading, where)
    _known([kind], KINDS, f"The kind of {heading}", where)
    _known(section, MODALITY_KEYS[kind], f"A key of {heading}", where)
    values: dict[str, Any] = {
        "name": name,
        "kind": kind,
        "path": _text(section, "path", heading, where),
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
        values[key] = _optional(section, key, heading, where)
    for key in ("columns", "exclude", "channels"):
        values[key] = _texts(section.get(key, ()), key, heading, where)
    for key in ("size", "slices"):
        values[key] = section.get(key, ModalityDescription.__dataclass_fields__[key].default)
        if type(values[key]) is not int or not 1 <= values[key] <= 4096:
            raise DescriptionError(
                f"{key} under {heading} of {where} must be a whole number from 1 to 4096, it is "
                "not: correct it."
            )
    values |= _signal_numbers(section, heading, where)
    values["window"] = _window(section.get("window", "auto"), heading, where)
    values["burned_in"] = _one_of(
        section.get("burned_in", "refuse"),
        ("refuse", "accept"),
        f"burned_in under {heading}",
        where,
    )
    values["rows"] = section.get("rows", "refuse")
    _known([values["rows"]], ROW_RULES, f"rows under {heading}", where)
    for key, known in (("genes", GENE_KINDS), ("units", UNITS)):
        if values[key] is not None:
            _known([values[key]], known, f"{key} under {heading}", where)
    values["select"] = {
        keyword: str(pattern) for keyword, pattern in _section(section, "select", where).items()
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
