"""Whether cases meet what is described of them: a modality that no case has, keys that are no
case's, and what probably keeps the two apart.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations, islice
from pathlib import Path

import pandas as pd

from mmdiag.cohort.case_table import case_table_form
from mmdiag.cohort.cases import (
    GLOB,
    TRANSPOSED,
    Case,
    files_of,
    fixed_part,
    is_transposed,
    keys_of,
    path_of,
)
from mmdiag.cohort.files import Faulty, Matches
from mmdiag.description import Description, ModalityDescription
from mmdiag.errors import DescriptionError, ReadError
from mmdiag.kinds import KINDS
from mmdiag.readers.tables.form import form_of
from mmdiag.readers.tables.keys import NO_KEY, key_columns, skeleton, template_columns
from mmdiag.sandbox.tables import number_columns, table_header

LOOKED_AT = 20_000  # files below a folder, when none of them is a case's
SEPARATORS = "-_. "
ZEROS = "leading zeros"
# What keeps a key from its case -> how a key looks without it. All take paths, too.
CAUSES: Mapping[str, Callable[[str], str]] = {
    "blanks or characters that do not show": lambda key: re.sub(
        r"\s+|[\u200b-\u200f\ufeff]", "", key
    ),
    "upper and lower case": str.casefold,
    "a decimal .0": lambda key: re.sub(r"(?<=[0-9])\.0+(?=$|[./])", "", key),
    ZEROS: lambda key: re.sub(r"(?<![0-9])0+(?=[0-9])", "", key),
    "dashes, underscores, dots or blanks": lambda key: re.sub(r"[-_. ]+", "-", key),
    "quotes around them": lambda key: re.sub(r"[\"'\u2018-\u201f]", "", key),
    "letters that look alike": skeleton,
}
PREFIX = "a longer barcode"
SEVERAL = "several differences in how they are written"


@dataclass(frozen=True, slots=True)
class Meeting:
    """How the cases of a cohort and one modality met.

    Args:
        present: Cases that have a file or a row.
        strange: Rows of its tables whose keys are no case's.
        keyless: Whether rows of its tables have no key.
        cause: What probably keeps cases and keys apart; empty = nothing that is known.
        apart: Cases that would have a row or a file but for the cause.
    """

    present: int
    strange: int = 0
    keyless: bool = False
    cause: str = ""
    apart: int = 0


def meet(
    description: Description, table: pd.DataFrame, cases: Sequence[Case], *, absent: bool = False
) -> dict[str, Meeting]:
    """How cases and modalities met.

    Args:
        table: What `read_cases` gave.
        absent: Whether a modality may be absent for every case, as in a batch to score.

    Raises:
        DescriptionError: No case has a modality.
    """
    found: dict[str, Meeting] = {}
    for name, modality in description.modalities.items():
        having = {case.case_id for case in cases if name in case.sources}
        lacking = [case.case_id for case in cases if name not in case.sources]
        met = (
            _by_key(description, table, modality, having, lacking)
            if modality.key
            else _by_path(description, table, modality, having)
        )
        faults = [case.faults[name] for case in cases if name in case.faults]
        # of a table somebody's columns are needed; other refusals end in quarantine
        needed = not faults or KINDS[modality.kind].columns is not None
        if not having and cases and not absent and needed:
            raise DescriptionError(_nobody(description, table, modality, met, faults))
        found[name] = met
    return found


def require_content(description: Description, manifest: pd.DataFrame, refused: set[str]) -> None:
    """Refuse a cohort of which one modality was looked for in vain: nothing of it was found, and
    nothing refused.

    Args:
        manifest: One row a case, has_<modality>.
        refused: Modalities of which something was refused.

    Raises:
        DescriptionError: There is such a modality.
    """
    for name in description.modalities:
        if name not in refused and len(manifest) and not manifest[f"has_{name}"].any():
            raise DescriptionError(
                f"A modality must be there for some case, [modalities.{name}] of "
                f"{description.file.name} holds nothing for any of {len(manifest)}: its files or "
                "rows are empty, or select names no series; correct it, or take the section out "
                "if nobody has this modality."
            )


def likely_cause(cases: Iterable[str], keys: Iterable[str]) -> tuple[str, int]:
    """What keeps cases from keys that are theirs in another form, and how many cases it keeps from
    one; ("", 0) where nothing does that is known.
    """
    wanted, strange = list(cases), set(keys)
    for cause, without in CAUSES.items():
        there = {without(key) for key in strange}
        apart = sum(without(case) in there for case in wanted)
        if apart:
            return cause, apart
    stems = {stem for key in strange for stem in _stems(key)}
    apart = sum(case in stems or any(stem in strange for stem in _stems(case)) for case in wanted)
    if apart:
        return PREFIX, apart
    for causes in (*combinations(CAUSES, 2), tuple(CAUSES)):
        there = {_without(causes, key) for key in strange}
        apart = sum(_without(causes, case) in there for case in wanted)
        if apart:
            return " and ".join(causes) if len(causes) < len(CAUSES) else SEVERAL, apart
    return "", 0


def _without(causes: Iterable[str], key: str) -> str:
    for cause in causes:
        key = CAUSES[cause](key)
    return key


def _stems(key: str) -> list[str]:
    """What a barcode begins with: TCGA-02-0001 of TCGA-02-0001-01A."""
    return [key[:place] for place, letter in enumerate(key) if letter in SEPARATORS and place]


def _by_key(
    description: Description,
    table: pd.DataFrame,
    modality: ModalityDescription,
    having: set[str],
    lacking: Sequence[str],
) -> Meeting:
    keys = Counter[str]()
    for file in _tables_of(description, table, modality):
        keys.update(keys_of(file, str(modality.key), file.stat().st_mtime_ns, form_of(modality)))
    keyless = any(key.strip().lower() in NO_KEY for key in keys)
    strange = {key for key in keys.keys() - having if key.strip().lower() not in NO_KEY}
    cause, apart = likely_cause(lacking, strange) if strange and lacking else ("", 0)
    if ZEROS in cause:
        _require_zeros(description, modality, apart)
    rows = sum(keys[key] for key in strange)
    return Meeting(len(having), rows, keyless, cause, apart)


def _by_path(
    description: Description, table: pd.DataFrame, modality: ModalityDescription, having: set[str]
) -> Meeting:
    """Looks for files of the cases that have none under another spelling of their names."""
    if having.issuperset(table["case_id"]):
        return Meeting(len(having))
    paths = {
        str(row["case_id"]): path
        for row in table.to_dict("records")
        if (path := path_of(modality, row)) is not None
    }
    lacking = [path for case, path in paths.items() if case not in having and not GLOB.search(path)]
    folders = {Path(path).parent for path in lacking}
    there = {
        (folder / entry.name).as_posix()
        for folder in sorted(folders)
        for entry in islice(_entries(description.root / folder), LOOKED_AT)
    }
    unused = there - set(paths.values())
    if not unused or not lacking:
        return Meeting(len(having))
    cause, apart = likely_cause(lacking, unused)
    spelled = {_without(CAUSES, path) for path in unused}
    every = sum(_without(CAUSES, path) in spelled for path in lacking)
    if cause == PREFIX or every > apart:
        cause, apart = SEVERAL, every
    return Meeting(len(having), cause=cause if apart else "", apart=apart)


def _entries(folder: Path) -> Iterable[Path]:
    """What lies in a folder; nothing where it cannot be looked at, which is said elsewhere."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return ()


def _require_zeros(description: Description, modality: ModalityDescription, apart: int) -> None:
    """A workbook whose keys are numbers has lost the zeros that they began with."""
    files = [(description.table, description.case_id, case_table_form(description))]
    if not template_columns(modality.path):
        shared = Matches(description.root).of(modality.path)
        files += [(file, str(modality.key), form_of(modality)) for file in shared]
    for file, key, form in files:
        if not number_columns(file, form).isdisjoint(key_columns(key)):
            raise DescriptionError(
                "A key that begins with zeros is text, those of "
                f"{file.name} are numbers and have lost them: {apart} cases would be met but for "
                "leading zeros of [modalities."
                f"{modality.name}]; write the keys again at their source, as text."
            )


def _tables_of(
    description: Description, table: pd.DataFrame, modality: ModalityDescription
) -> list[Path]:
    matches = Matches(description.root)
    paths = {modality.path}
    if template_columns(modality.path):
        rows = table.to_dict("records")
        paths = {path for row in rows if (path := path_of(modality, row)) is not None}
    found: set[Path] = set()
    for path in paths:
        with suppress(ReadError):  # the quarantine says it of each case
            found |= set(files_of(matches, path, "", modality))
    return sorted(found)


def _where_keys_are(
    description: Description, table: pd.DataFrame, modality: ModalityDescription
) -> str:
    """The cure of a table of which no row has the key of a case."""
    shared = not template_columns(modality.path)
    files = Matches(description.root).of(modality.path) if shared else ()
    for file in files:
        if is_transposed(table_header(file, form_of(modality)), table["case_id"].tolist()):
            return TRANSPOSED
    return "name the column that holds the keys of the cases"


def _nobody(
    description: Description,
    table: pd.DataFrame,
    modality: ModalityDescription,
    met: Meeting,
    faults: Sequence[Faulty],
) -> str:
    heading = f"[modalities.{modality.name}] of {description.file.name}"
    rule = f"A modality must be there for some case, {heading} is there for none of {len(table)}"
    if faults:
        code, detail = faults[0]
        return f"{rule}: of {len(faults)} no file may be read, {detail} ({code}): correct them."
    if modality.key:
        hint = (
            f"; {met.apart} of them would be met but for {met.cause}: write the keys of both "
            "tables alike, as text"
            if met.cause
            else f": {_where_keys_are(description, table, modality)}"
        )
        return f"{rule}: {met.strange} rows of {modality.path} have keys that are no case's{hint}."
    wanted = [path for row in table.to_dict("records") if (path := path_of(modality, row))]
    if not wanted:
        return f"{rule}: the columns in its path are empty in {description.table.name}: fill them."
    folder = description.root / fixed_part(modality.path)
    there = [
        str(path.relative_to(description.root)) for path in islice(folder.rglob("*"), LOOKED_AT)
    ]
    cause, apart = likely_cause(wanted, there)
    hint = (
        f"{apart} files would be met but for {cause}: name files and cases alike"
        if cause and cause != PREFIX
        else "correct it"
    )
    return (
        f"{rule}: no file fits its path {modality.path!r}: {hint}, or take the section out if "
        "nobody has this modality."
    )
