"""Tables that have rows of the cases: numbers and categories as inputs without what tells the
outcome, or notes.
"""

import glob
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path

import numpy as np
import pandas as pd

from mmdiag.cohort.scaffold.case_table import CaseTable, TableFile
from mmdiag.cohort.scaffold.outcomes import (
    excluded_by_name,
    excluded_by_value,
    outcome_columns,
)
from mmdiag.cohort.scaffold.text import identifier, quoted
from mmdiag.readers.genomics.expression_matrix import is_matrix
from mmdiag.readers.genomics.maf import is_maf
from mmdiag.readers.tables.cohort_tables import KEY
from mmdiag.readers.tables.keys import key_values
from mmdiag.readers.tables.numbers import DECIMAL, WITH_COMMA

LONG = 200  # characters; longer cells are notes
MOST_CATEGORIES = 10  # of a column of words
NOT_MEASURED = ("", "na", "n/a", "nan", "null", "none")
LISTED = 8  # columns in one line of a comment
ALIKE = 0.5  # share of columns that tables of one modality have in common
ROW_NUMBERS = r"\d{1,6}"


@dataclass(frozen=True, slots=True)
class Source:
    """Tables that are one modality.

    Args:
        files: One, or several of one form.
        key: The column that holds the case's key.
        cells: Their rows, as text.
        note: The column of notes; empty = a table of numbers and categories.
        sheet: Of a workbook of several, the sheet.
        decimal: A comma where numbers are written with it; `cells` have full stops.
    """

    files: tuple[Path, ...]
    key: str
    cells: pd.DataFrame
    note: str = ""
    sheet: str = ""
    decimal: str = "."

    @property
    def path(self) -> str:
        """Their name, or a glob of their names."""
        names = [file.name for file in self.files]
        if len(names) == 1:
            return glob.escape(names[0])
        before = _common_start(names)
        after = _common_start([name[len(before) :][::-1] for name in names])[::-1]
        return f"{before}*{after}"

    @property
    def is_counted(self) -> bool:
        """Whether its columns are made as it is read: of a MAF, or a matrix of genes."""
        return any(is_maf(file) or is_matrix(file) for file in self.files)

    @property
    def name(self) -> str:
        """A name for the modality."""
        return identifier(self.sheet or self.path.replace("*", "_").split(".")[0])


@dataclass(frozen=True, slots=True)
class Section:
    """A modality of tables as it is described.

    Args:
        exclude: Column that is left out -> why.
        categories: Columns of words.
    """

    source: Source
    exclude: Mapping[str, str] = field(default_factory=dict)
    categories: tuple[str, ...] = ()

    def lines(self, name: str) -> list[str]:
        """Its section, as TOML."""
        source = self.source
        kind = "text" if source.note else "table"
        lines = [f"[modalities.{name}]", f'kind = "{kind}"', f"path = {quoted(source.path)}"]
        lines += [f"sheet = {quoted(source.sheet)}"] if source.sheet else []
        lines += [f"key = {quoted(source.key)}"]
        lines += ['decimal = ","'] if source.decimal == "," and not source.note else []
        keys = key_values(source.cells, source.key)
        if keys[keys != ""].duplicated().any() and not source.is_counted:
            lines += [
                'rows = "first"                       # a case has several rows here: refuse | '
                "first | mean"
            ]
        if source.note:
            return [*lines, f"column = {quoted(source.note)}", ""]
        if self.categories:
            lines += [f"categories = {_list(self.categories)}"]
        lines += _excluded(self.exclude)
        return [
            *lines,
            '# columns = "*_rna"                 # a glob or a list; default: every numeric column',
            '# gene_sets = "pathways.gmt"',
            "",
        ]


def _common_start(names: Sequence[str]) -> str:
    pairs = zip(min(names), max(names), strict=False)
    return "".join(letter for letter, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def sources(
    tables: Mapping[TableFile, pd.DataFrame], table: CaseTable
) -> tuple[list[Source], list[str]]:
    """The tables that have rows of the cases, and why others are left out."""
    found, remarks = list[Source](), list[str]()
    keys = table.keys
    for file, cells in tables.items():
        if file == table.file:
            continue
        shared = {str(c): len(keys & set(cells[c])) for c in cells.columns}
        key = max(shared, key=lambda c: shared[c], default="")
        if shared.get(key, 0) < 2:
            continue
        if pd.Series(sorted(keys)).str.fullmatch(ROW_NUMBERS).all() and keys != set(cells[key]):
            why = "its keys are row numbers, and not those of the cases"
            remarks.append(f"{file.name} is left out: {why}")
            continue
        notes = [str(c) for c in cells.columns if _are_notes(cells[c])]
        source = Source((file.path,), key, cells, notes[0] if notes else "", file.sheet)
        found.append(with_decimals(source))
    return _united(found), remarks


def with_decimals(source: Source) -> Source:
    """A source whose numbers are brought to full stops where all of its fractions have commas."""
    texts = {str(name): source.cells[name].str.strip() for name in source.cells.columns}
    known = {name: text[~text.str.lower().isin(NOT_MEASURED)] for name, text in texts.items()}
    commas = [name for name, text in known.items() if _fractions(text, WITH_COMMA, ",")]
    stops = any(_fractions(text, DECIMAL, ".") for text in known.values())
    if not commas or stops or source.is_counted:
        return source
    fixed = {name: texts[name].str.replace(",", ".") for name in commas}
    return replace(source, cells=source.cells.assign(**fixed), decimal=",")


def _fractions(known: pd.Series, form: str, sign: str) -> bool:
    return bool(known.str.fullmatch(form).all() and known.str.contains(sign, regex=False).any())


def _are_notes(cells: pd.Series) -> bool:
    lengths = np.fromiter(map(len, cells), dtype=np.int64)
    return bool(np.median(lengths) > LONG)


def _united(found: Sequence[Source]) -> list[Source]:
    """Tables of one form and of different cases are one modality, where a glob names them alone."""
    groups = list[list[Source]]()
    for source in found:
        fitting = (group for group in groups if all(_is_alike(source, one) for one in group))
        group = next(fitting, None)
        if group is None:
            groups.append([source])
        else:
            group.append(source)
    return [
        united
        for group in groups
        for united in ([_joined(group)] if _matches_alone(group) else group)
    ]


def _joined(group: Sequence[Source]) -> Source:
    if len(group) == 1:
        return group[0]
    return replace(
        group[0],
        files=tuple(file for one in group for file in one.files),
        cells=pd.concat([one.cells for one in group], ignore_index=True).fillna(""),
    )


def _is_alike(one: Source, other: Source) -> bool:
    columns = set(one.cells.columns), set(other.cells.columns)
    cases = set(one.cells[one.key]), set(other.cells[other.key])
    return (
        (one.key, one.note, one.sheet, one.decimal)
        == (other.key, other.note, other.sheet, other.decimal)
        and len(columns[0] & columns[1]) >= ALIKE * min(map(len, columns))
        and len(cases[0] & cases[1]) <= 0.05 * min(map(len, cases))
    )


def _matches_alone(group: Sequence[Source]) -> bool:
    """Whether a glob names these tables, says something, and names no other file."""
    files = tuple(file for one in group for file in one.files)
    pattern = replace(group[0], files=files).path
    folder = files[0].parent
    return len(pattern.strip("*.")) > len("*.csv") and set(folder.glob(pattern)) == set(files)


def section_of(source: Source, table: CaseTable, asked: Sequence[str]) -> Section:
    """How a table is described: what tells the outcome is left out, columns of words are
    categories.

    Args:
        asked: The columns of the task.
    """
    if source.note or source.is_counted:
        return Section(source)
    keys = key_values(source.cells, source.key)
    rows = source.cells.assign(**{KEY: keys})
    rows = rows[rows[KEY].isin(table.keys)].drop_duplicates(KEY).set_index(KEY)
    columns = [str(name) for name in rows.columns if name not in (source.key, *_parts(source.key))]
    by_name = excluded_by_name(columns)
    labels = list(dict.fromkeys([*asked, *outcome_columns(table.cells)]))
    by_name |= {name: "it is a label" for name in columns if name in labels}
    kept = [name for name in columns if name not in by_name]
    index = key_values(table.cells, table.key)
    targets = {name: pd.Series(table.cells[name].to_numpy(), index=index) for name in labels}
    by_value = excluded_by_value(rows[kept], targets) if kept else {}
    words = tuple(
        name for name in kept if name not in by_value and _are_categories(source.cells[name])
    )
    return Section(source, {**by_name, **by_value}, words)


def _parts(key: str) -> list[str]:
    return key[1:-1].split("}-{") if "{" in key else [key]


def _are_categories(cells: pd.Series) -> bool:
    """Whether a column holds a few words that come again."""
    known = cells[~cells.str.strip().str.lower().isin(NOT_MEASURED)]
    different = known.nunique()
    return (
        2 <= different <= MOST_CATEGORIES
        and 2 * different <= len(known)
        and not known.str.strip().str.fullmatch(DECIMAL).all()
    )


def has_inputs(section: Section) -> bool:
    """Whether anything is left to be an input."""
    if section.source.note or section.source.is_counted or section.categories:
        return True
    left_out = {*section.exclude, *_parts(section.source.key)}
    cells = section.source.cells
    return any(_is_numeric(cells[name]) for name in cells.columns if name not in left_out)


def _is_numeric(cells: pd.Series) -> bool:
    known = cells[~cells.str.strip().str.lower().isin(NOT_MEASURED)]
    return len(known) > 0 and bool(known.str.strip().str.fullmatch(DECIMAL).all())


def _excluded(exclude: Mapping[str, str]) -> list[str]:
    if not exclude:
        return [
            "# exclude = []                       # leave out what gives the label away: outcomes, "
            "follow-up, treatment"
        ]
    return [
        "# left out, because it may give the label away or came later:",
        *(f"#   {line}" for line in _reasons(exclude)),
        f"exclude = {_list([glob.escape(name) for name in exclude])}",
    ]


def _reasons(exclude: Mapping[str, str]) -> Iterator[str]:
    by_reason: dict[str, list[str]] = {}
    for name, reason in exclude.items():
        by_reason.setdefault(reason, []).append(_printable(name))
    for reason, names in by_reason.items():
        more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
        yield f"{', '.join(names[:LISTED])}{more}: {reason}"


def _list(names: Sequence[str]) -> str:
    """A list, broken into lines where it is long."""
    one = f"[{', '.join(map(quoted, names))}]"
    if len(one) <= 80:
        return one
    return "[\n" + "".join(f"  {quoted(name)},\n" for name in names) + "]"


def _printable(name: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in name)
