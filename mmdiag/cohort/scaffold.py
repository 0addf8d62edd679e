"""Look at a folder and describe it: a commented cohort.toml to edit, not to trust."""

import json
import re
from collections.abc import Callable, Iterable
from itertools import combinations
from pathlib import Path

import pandas as pd

from mmdiag.errors import DescriptionError, ReadError
from mmdiag.readers.imaging.dicom_series import series_descriptions
from mmdiag.readers.tables.cohort_tables import read_any_table
from mmdiag.readers.tables.keys import is_plain_key, key_values
from mmdiag.sandbox.requests import PICTURES

LOOKED_AT = 400  # files of one kind
FEW_CLASSES = 6
NOT_A_LABEL = 12  # columns that are offered as labels
LONG = 200  # characters; longer cells are notes
PAIRED = 6  # columns of which two may make a key together
NOTES = (".txt",)
IMAGES = (*PICTURES, ".dcm", ".nii", ".nii.gz")
TABLES = ("*.csv", "*.tsv", "*.csv.gz", "*.tsv.gz", "*.parquet")


def describe_folder(folder: Path, root: str = ".") -> str:
    """A cohort.toml for what lies in a folder.

    Args:
        root: How the folder is named from where the cohort.toml will lie.

    Raises:
        DescriptionError: There is no table with a row a case.
    """
    folder = folder.resolve()
    tables = _read_tables(folder)
    case_path, key = _case_table(folder, tables)
    cases = tables[case_path]
    keys = set(key_values(cases, key).dropna())
    slot = key if "{" in key else f"{{{key}}}"
    modalities = [
        *_files_named(folder, cases, keys),
        *_images(folder, keys, slot),
        *_named_after_cases(folder, keys, slot, ".txt", "text"),
        *_named_after_cases(folder, keys, slot, ".wav", "signal"),
        *_tables(tables, case_path, keys),
    ]
    return "\n".join(
        [
            *_head(folder, root, case_path, cases, key),
            *_task(cases, key),
            *_named_once(modalities),
            "",
        ]
    )


def _read_tables(folder: Path) -> dict[Path, pd.DataFrame]:
    tables = {}
    for path in sorted(path for pattern in TABLES for path in folder.glob(pattern)):
        try:
            tables[path] = read_any_table(path).fillna("")
        except DescriptionError:
            continue  # `mmdiag inspect` says what is wrong with it
    return tables


def _named_once(lines: list[str]) -> list[str]:
    """A series and a folder may have one name; TOML refuses a section that is there twice."""
    seen: set[str] = set()
    for number, line in enumerate(lines):
        if line.startswith("[modalities."):
            name, count = line[len("[modalities.") : -1], 2
            unique = name
            while unique in seen:
                unique, count = f"{name[:36]}_{count}", count + 1
            seen.add(unique)
            lines[number] = f"[modalities.{unique}]"
    return lines


def _case_table(folder: Path, tables: dict[Path, pd.DataFrame]) -> tuple[Path, str]:
    """The table and column whose values name most files or folders; else the first table with a
    unique column.
    """
    names = {path.name for path in folder.rglob("*")} | {
        path.stem for path in folder.rglob("*") if path.is_file()
    }
    best: tuple[int, int, Path, str] | None = None
    # a compressed table is data, not a list of cases
    plain = {path: table for path, table in tables.items() if path.suffix != ".gz"}
    for path, table in (plain or tables).items():
        for column in _keys(table) if len(table) > 1 else []:
            offer = (
                sum(value in names for value in key_values(table, column)),
                -table.shape[1],
                path,
                column,
            )
            best = offer if best is None or offer[:2] > best[:2] else best
    if best is None:
        raise DescriptionError(
            f"A cohort has a table with a row a case and a unique key, {folder} has none among "
            "its CSV, TSV and Parquet files: make one."
        )
    return best[2], best[3]


def _keys(table: pd.DataFrame) -> list[str]:
    """Columns that could be the key; where no single one is unique, the pairs that are, as
    templates.
    """
    single = [str(c) for c in table.columns if table[c].is_unique and _plain(table, str(c))]
    if single:
        return single
    order = (r"subject|patient", r"id|name|key")
    likely = sorted(
        map(str, table.columns),
        key=lambda c: [not re.search(words, c, re.IGNORECASE) for words in order],
    )
    parts = [c for c in likely[: 2 * PAIRED] if _plain(table, c)][:PAIRED]
    return [
        f"{{{a}}}-{{{b}}}" for a, b in combinations(parts, 2) if not table.duplicated([a, b]).any()
    ]


def _plain(table: pd.DataFrame, column: str) -> bool:
    return "{" not in column and all(is_plain_key(str(cell)) for cell in table[column])


def _files_named(folder: Path, cases: pd.DataFrame, keys: set[str]) -> list[str]:
    """Columns of the case table that hold paths of images or notes, unless the files are named
    after the cases.
    """
    lines: list[str] = []
    for column in map(str, cases.columns):
        cells = cases.loc[cases[column] != "", column].head(LOOKED_AT)
        paths = [
            Path(cell)
            for cell in cells
            if len(cell) < LONG and cell.lower().endswith((*NOTES, *IMAGES))
        ]
        there = [
            path
            for path in paths
            if not path.is_absolute() and ".." not in path.parts and (folder / path).is_file()
        ]
        if len(there) < max(2, len(cells) / 2) or any(
            {path.stem, path.parent.name} & keys for path in there
        ):
            continue
        kind = "text" if there[0].name.lower().endswith(NOTES) else "image"
        lines += [
            f"[modalities.{_identifier(column)}]",
            f'kind = "{kind}"',
            f"path = {_quoted(f'{{{column}}}')}",
            "",
        ]
    return lines


def _head(folder: Path, root: str, path: Path, cases: pd.DataFrame, key: str) -> list[str]:
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", folder.name).strip("-.") or "cohort"
    texts = {str(column): cases[column] for column in cases.columns}
    subject = _first(
        texts, r"subject|patient", lambda c: c != key and bool((texts[c] != "").all()), key
    )
    date = _first(texts, r"date", lambda c: bool(texts[c].str.match(r"\d{4}-\d{2}-\d{2}$").all()))
    site = _first(texts, r"^(?:site|hospital|centre|center)$")
    lines = [
        "# Written by `mmdiag init`: read it, correct it, then run `mmdiag ingest --cohort` with "
        "it.",
        "[cohort]",
        f"name = {_quoted(name)}",
    ]
    lines += [
        f"root = {_quoted(root)}                           # all paths below are relative to "
        "this folder",
        "",
        "[cases]                              # one row a case",
    ]
    lines += [
        f"table = {_quoted(path.name)}",
        f"case_id = {_quoted(key)}",
        f"subject_id = {_quoted(subject)}   # all cases of a person share one part of the split",
    ]
    lines.append(
        f"as_of = {_quoted(date)}   # nothing recorded later may be read"
        if date
        else '# as_of = "scan_date"                # nothing recorded later may be read'
    )
    return [
        *lines,
        f"site = {_quoted(site)}" if site else '# site = "site"',
        '# group = ["sex"]                    # for subgroup reports, never inputs of a model',
        "",
    ]


def _first(
    columns: Iterable[str],
    words: str,
    holds: Callable[[str], bool] = lambda _: True,
    default: str = "",
) -> str:
    """The first column whose name has one of some words, and of which a rule holds."""
    named = (c for c in columns if re.search(words, c, re.IGNORECASE) and holds(c))
    return next(named, default)


def _task(cases: pd.DataFrame, key: str) -> list[str]:
    offers = [
        c
        for c in cases.columns
        if c != key and 2 <= cases.loc[cases[c] != "", c].nunique() <= FEW_CLASSES
    ]
    offers.sort(
        key=lambda c: (
            not re.search(r"label|outcome|target|diagnos", c, re.IGNORECASE),
            list(cases.columns).index(c),
        )
    )
    lines = (
        ["[task]", "# columns with few values: " + ", ".join(offers[:NOT_A_LABEL])]
        if offers
        else ["[task]"]
    )
    lines.append(
        'kind = "binary"                      # binary | multiclass | multilabel (labels = '
        "[...]) | survival (time = and event =)"
    )
    if not offers:
        return [
            *lines,
            '# label = "..."                      # without a label the cohort is scored, never '
            "trained on",
            "",
        ]
    values = cases.loc[cases[offers[0]] != "", offers[0]].value_counts()
    return [
        *lines,
        f"label = {_quoted(offers[0])}",
        f"positive = {_quoted(str(sorted(values.index)[-1]))}",
        "",
    ]


def _images(folder: Path, keys: set[str], slot: str) -> list[str]:
    lines: list[str] = []
    for parent in sorted(
        {path.parent.parent for path in folder.rglob("*.dcm") if path.parent.name in keys}
    ):
        place = parent.relative_to(folder)
        series: set[str] = set()
        for child in sorted(parent.iterdir())[:3]:
            try:
                series |= series_descriptions(sorted(child.glob("*.dcm"))[:LOOKED_AT])
            except ReadError:
                continue
        for description in sorted(series) or [""]:
            name = _identifier(description or place.name)
            lines += [
                f"[modalities.{name}]",
                'kind = "image"',
                f"path = {_quoted(f'{place}/{slot}')}",
            ]
            lines += (
                [f"select = {{ SeriesDescription = {_quoted(description)} }}"]
                if description
                else []
            )
            lines.append("")
    for parent in sorted(
        {
            path.parent
            for path in folder.rglob("*")
            if path.suffix.lower() in PICTURES and path.stem in keys
        }
    ):
        suffix = next(
            path.suffix for path in sorted(parent.iterdir()) if path.suffix.lower() in PICTURES
        )
        lines += [
            f"[modalities.{_identifier(parent.name)}]",
            'kind = "image"',
            f"path = {_quoted(f'{parent.relative_to(folder)}/{slot}{suffix}')}",
            "",
        ]
    return lines


def _named_after_cases(
    folder: Path, keys: set[str], slot: str, suffix: str, kind: str
) -> list[str]:
    """Folders with a file a case: notes, or signals."""
    lines: list[str] = []
    for parent in sorted({path.parent for path in folder.rglob(f"*{suffix}") if path.stem in keys}):
        lines += [
            f"[modalities.{_identifier(parent.name)}]",
            f'kind = "{kind}"',
            f"path = {_quoted(f'{parent.relative_to(folder)}/{slot}{suffix}')}",
            "",
        ]
    return lines


def _tables(tables: dict[Path, pd.DataFrame], case_path: Path, keys: set[str]) -> list[str]:
    lines: list[str] = []
    for path, table in tables.items():
        shared = {str(c): len(keys & set(table[c])) for c in table.columns if path != case_path}
        key = max(shared, key=lambda c: shared[c], default="")
        if shared.get(key, 0) < 2:
            continue
        notes = [str(c) for c in table.columns if table[c].str.len().median() > LONG]
        lines += [
            f"[modalities.{_identifier(path.name.split('.')[0])}]",
            f'kind = "{"text" if notes else "table"}"',
        ]
        lines += [f"path = {_quoted(path.name)}", f"key = {_quoted(key)}"]
        if table.loc[table[key] != "", key].duplicated().any():
            lines.append(
                'rows = "first"                       # a case has several rows here: refuse | '
                "first | mean"
            )
        if notes:
            lines += [f"column = {_quoted(notes[0])}", ""]
            continue
        lines += [
            "# exclude = []                       # leave out what gives the label away: "
            "outcomes, follow-up, treatment",
            '# columns = "*_rna"                 # a glob or a list; default: every numeric column',
            '# gene_sets = "pathways.gmt"',
            "",
        ]
    return lines


def _identifier(name: str) -> str:
    cleaned = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_").lower()[:40]
    return cleaned if cleaned[:1].isalpha() else f"m_{cleaned}"[:40]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
