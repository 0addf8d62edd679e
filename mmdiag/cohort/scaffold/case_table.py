"""Which table has a row a case: told by what it holds, not by its name alone."""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from mmdiag.cohort.scaffold.outcomes import END, LABEL, is_named_like, words_of
from mmdiag.errors import DescriptionError
from mmdiag.readers.tables.encoding import SEPARATORS
from mmdiag.readers.tables.form import PLAIN, TableForm
from mmdiag.readers.tables.keys import is_plain_key, key_values
from mmdiag.readers.workbooks.book import BOOKS, is_workbook
from mmdiag.sandbox.tables import filled_sheets, read_any_table

TABLES = (
    *(suffix.removeprefix(".") for suffix in BOOKS),
    "csv",
    "tsv",
    "parquet",
    "csv.gz",
    "tsv.gz",
    "maf",
    "maf.gz",
    "gct",
    "gct.gz",
    "h5ad",
)
DELIMITED = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
LISTS = (*DELIMITED, ".parquet", *BOOKS)  # that may have a row a case
PERSON = r"(?:subject|patient|person|participant)(?: ?(?:id|ids|key|no|nr|number|code))?|mrn|pid"
NAMED = r"cohort|cases?|samples?|patients?|subjects?|labels?|metadata|manifest|index|annot\w*"
WIDE = 500  # columns; a wider table holds measurements
PAIRED = 6  # columns of which two may make a key together
LOOKED_AT = 400  # cells of a column


class TableFile(NamedTuple):
    """A table that lies in a folder.

    Args:
        sheet: Of a workbook of several, the sheet; empty = the only one.
        delimiter: What separates its cells, where its name says another.
    """

    path: Path
    sheet: str = ""
    delimiter: str = ""

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name

    @property
    def form(self) -> TableForm:
        """How it is written, as far as is known before it is described."""
        return replace(PLAIN, sheet=self.sheet or None, delimiter=self.delimiter or None)


@dataclass(frozen=True, slots=True)
class CaseTable:
    """The table of the cases.

    Args:
        cells: Every cell as text, empty where missing.
        key: A column, or a template of two.
    """

    file: TableFile
    cells: pd.DataFrame
    key: str

    @property
    def keys(self) -> set[str]:
        """The keys of all cases."""
        return set(key_values(self.cells, self.key).dropna()) - {""}

    @property
    def slot(self) -> str:
        """The key as a part of a path template."""
        return self.key if "{" in self.key else f"{{{self.key}}}"

    @property
    def subject(self) -> str:
        """The column of the person; the key where there is none."""
        named = [name for name in _persons(self.cells) if name != self.key]
        return next((name for name in named if (self.cells[name] != "").all()), self.key)


def read_tables(folder: Path) -> dict[TableFile, pd.DataFrame]:
    """The tables that lie in a folder, of a workbook each sheet, every cell as text; what cannot be
    read is left out.
    """
    tables = {}
    for path in sorted(path for suffix in TABLES for path in folder.glob(f"*.{suffix}")):
        for file in _sheets(path) if is_workbook(path) else [TableFile(path)]:
            found = _cells(file)
            if found is not None:  # else `mmdiag inspect` says what is wrong with it
                tables[found[0]] = found[1]
    return tables


def _cells(file: TableFile) -> tuple[TableFile, pd.DataFrame] | None:
    """A table's cells as text, and how it is separated where its name says otherwise."""
    others = SEPARATORS if file.name.lower().endswith(DELIMITED) else ()
    for form in (file, *(file._replace(delimiter=one) for one in others)):
        with suppress(DescriptionError):
            cells = read_any_table(form.path, form.form).fillna("").astype(str)
            if form == file or cells.shape[1] > 1:
                return form, cells
    return None


def _sheets(path: Path) -> list[TableFile]:
    try:
        sheets = filled_sheets(path)
    except DescriptionError:
        return []
    return [TableFile(path)] if len(sheets) == 1 else [TableFile(path, name) for name in sheets]


def find_case_table(
    folder: Path, tables: Mapping[TableFile, pd.DataFrame], names: set[str]
) -> CaseTable:
    """The table and key with the most signs of it: labels, a person's id, paths of files, and rows
    that are named like files or folders.

    Args:
        names: Of all files (with and without suffix) and folders.

    Raises:
        DescriptionError: No table has a key.
    """
    offers = [
        (file, cells, key, sum(value in names for value in key_values(cells, key)))
        for file, cells in tables.items()
        if file.name.lower().endswith(LISTS) and len(cells) > 1
        for key in _keys(cells)
    ]
    if not offers:
        raise DescriptionError(
            f"A cohort has a table with a row a case and a unique key, {folder} has none among "
            "its CSV, TSV, Parquet and workbook files: make one."
        )
    most = max(named for *_, named in offers)
    files = dict.fromkeys(file for file, *_ in offers)
    marks = {file: _marks(folder, file, tables[file]) for file in files}
    file, cells, key, _ = max(
        offers,
        key=lambda offer: (
            marks[offer[0]] + (6 * offer[3] / most + 3 * offer[3] / len(offer[1]) if most else 0),
            -offer[1].shape[1],
        ),
    )
    return CaseTable(file, cells, key)


def _marks(folder: Path, file: TableFile, cells: pd.DataFrame) -> float:
    """The signs that a table is it, whatever its key."""
    columns = [str(name) for name in cells.columns]
    few = [
        name for name in columns[:WIDE] if 2 <= cells.loc[cells[name] != "", name].nunique() <= 6
    ]
    return (
        4.0 * any(is_named_like(name, LABEL) for name in few)
        + 2.0 * any(is_named_like(name, END) for name in few)
        + 1.0 * bool(_persons(cells))
        + 2.0 * bool(path_columns(folder, cells))
        + 1.0
        * bool(re.search(rf"\b(?:{NAMED})\b", words_of(file.sheet or file.name.split(".")[0])))
        - 3.0 * (len(columns) > WIDE)
        - 2.0 * file.name.endswith(".gz")  # a compressed table is data, not a list of cases
    )


def path_columns(folder: Path, cells: pd.DataFrame) -> dict[str, list[Path]]:
    """Columns that hold paths of files or folders below the folder -> those that are there."""
    found = {}
    for column in map(str, cells.columns[:WIDE]):
        filled = [cell for cell in cells[column].head(LOOKED_AT) if cell]
        plain = [Path(cell) for cell in filled if len(cell) < 200 and ("/" in cell or "." in cell)]
        there = [
            path
            for path in plain
            if not path.is_absolute()
            and ".." not in path.parts
            and cell_is_printable(path)
            and (folder / path).exists()
        ]
        if len(there) >= max(2, len(filled) / 2):
            found[column] = there
    return found


def cell_is_printable(path: Path) -> bool:
    """Whether a cell may be a path at all."""
    return str(path).isprintable() and len(path.parts) > 0


def _persons(cells: pd.DataFrame) -> list[str]:
    """Columns that name the person."""
    return [
        name
        for name in map(str, cells.columns)
        if re.fullmatch(PERSON, words_of(name)) and _plain(cells, name)
    ]


def _keys(cells: pd.DataFrame) -> list[str]:
    """Columns that could be the key; where no single one is unique, the pairs that are, as
    templates.
    """
    columns = [str(name) for name in cells.columns][:WIDE]
    single = [name for name in columns if cells[name].is_unique and _plain(cells, name)]
    single = [name for name in single if not _is_measured(cells[name])] or single
    if single:
        return single
    order = (r"subject|patient", r"id|name|key")
    likely = sorted(
        columns, key=lambda c: [not re.search(words, c, re.IGNORECASE) for words in order]
    )
    parts = [name for name in likely[: 2 * PAIRED] if _plain(cells, name)][:PAIRED]
    return [
        f"{{{a}}}-{{{b}}}" for a, b in combinations(parts, 2) if not cells.duplicated([a, b]).any()
    ]


def _is_measured(cells: pd.Series) -> bool:
    """Whether unique values are measurements (with decimals), no names."""
    return bool(cells.str.fullmatch(r"[+-]?\d*\.\d+(e[+-]?\d+)?").all())


def _plain(cells: pd.DataFrame, column: str) -> bool:
    return "{" not in column and all(is_plain_key(str(cell)) for cell in cells[column])
