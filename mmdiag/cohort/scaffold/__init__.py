"""Look at a folder and describe it: a commented cohort.toml to edit, not to trust."""

import re
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from mmdiag.cohort.case_table import read_cases
from mmdiag.cohort.scaffold.case_table import CaseTable, TableFile, find_case_table, read_tables
from mmdiag.cohort.scaffold.files import files_below, named_once, names_of, places
from mmdiag.cohort.scaffold.labels import Offer, offers
from mmdiag.cohort.scaffold.outcomes import words_of
from mmdiag.cohort.scaffold.tables import (
    Section,
    Source,
    has_inputs,
    section_of,
    sources,
    with_decimals,
)
from mmdiag.cohort.scaffold.text import quoted
from mmdiag.description import read_description
from mmdiag.description.modality import read_modalities
from mmdiag.errors import DescriptionError
from mmdiag.sandbox.tables import read_modality, read_text_table

MOMENT = r"(?:study|scan|exam\w*|acqui\w*|imag\w*|visit|index|admission)"
SEEN = rf"{MOMENT} ?date|date(?: of)? {MOMENT}|date|as of"


def describe_folder(folder: Path, root: str = ".") -> str:
    """A cohort.toml for what lies in a folder. No column that tells the outcome is an input, by its
    name or by its values; what is left out is said in a comment.

    Args:
        root: How the folder is named from where the cohort.toml will lie.

    Raises:
        DescriptionError: There is no table with a row a case.
    """
    folder = folder.resolve()
    tables, files = read_tables(folder), files_below(folder)
    table = find_case_table(folder, tables, names_of(files))
    task, few = _task(folder, table)
    lists = {file.path for file in tables}
    found = places(folder, [file for file in files if folder / file not in lists], table)
    sections, remarks = _sections(folder, tables, table, task, alone=not found)
    names = named_once([one.name for one in found] + [one.source.name for one in sections])
    lines = [*_head(folder, root, table), *_task_lines(task, few)]
    for place, name in zip(found, names, strict=False):
        lines += replace(place, name=name).lines()
    for section, name in zip(sections, names[len(found) :], strict=True):
        lines += section.lines(name)
    return "\n".join([*lines, *(f"# {remark}" for remark in remarks), ""])


def _head(folder: Path, root: str, table: CaseTable) -> list[str]:
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", folder.name).strip("-.") or "cohort"
    cells = table.cells
    dates = [
        str(c)
        for c in cells.columns
        if re.fullmatch(SEEN, words_of(str(c))) and cells[c].str.match(r"\d{4}-\d{2}-\d{2}$").all()
    ]
    sites = [
        str(c)
        for c in cells.columns
        if words_of(str(c)) in ("site", "hospital", "centre", "center")
    ]
    return [
        "# Written by `mmdiag init`: read it, correct it, then run `mmdiag ingest --cohort` with "
        "it.",
        "[cohort]",
        f"name = {quoted(name)}",
        f"root = {quoted(root)}                           # all paths below are relative to "
        "this folder",
        '# also_read = ["/reference"]          # folders of gene_names and gene_sets elsewhere',
        '# weights_licence = ["MIT", "Apache-2.0"]   # encoders under other terms are refused',
        "",
        "[cases]                              # one row a case",
        f"table = {quoted(table.file.name)}",
        *([f"sheet = {quoted(table.file.sheet)}"] if table.file.sheet else []),
        f"case_id = {quoted(table.key)}",
        f"subject_id = {quoted(table.subject)}   # all cases of a person share one part of the "
        "split",
        f"as_of = {quoted(dates[0])}   # nothing recorded later may be read"
        if dates
        else '# as_of = "scan_date"                # nothing recorded later may be read',
        f"site = {quoted(sites[0])}" if sites else '# site = "site"',
        '# keep_together = "source"            # cases that share it stand on one side of every '
        "split, too",
        '# group = ["sex"]                    # for subgroup reports, never inputs of a model',
        "",
    ]


def _task(folder: Path, table: CaseTable) -> tuple[Offer | None, list[str]]:
    """The likeliest task whose labels can be read, and the columns that have few values."""
    found, few = offers(table.cells, table.key)
    return next((offer for offer in found if _can_be_read(folder, table, offer)), None), few


def _can_be_read(folder: Path, table: CaseTable, offer: Offer) -> bool:
    modality = ["[modalities.any]", 'kind = "text"', f"path = {quoted(table.slot + '.txt')}"]
    lines = [*_head(folder, str(folder), table), *_task_lines(offer, []), *modality]
    with tempfile.TemporaryDirectory() as place:
        written = Path(place) / "cohort.toml"
        written.write_text("\n".join(lines), encoding="utf-8")
        try:
            read_cases(read_description(written))
        except DescriptionError:
            return False
    return True


def _task_lines(task: Offer | None, few: Sequence[str]) -> list[str]:
    lines = ["[task]"]
    if few:
        lines += ["# columns with few values: " + ", ".join(map(_printable, few))]
    kind = task.kind if task else "binary"
    lines += [
        f'kind = "{kind}"                      # binary | multiclass | multilabel (labels = '
        "[...]) | survival (time = and event =)"
    ]
    if task is None:
        return [
            *lines,
            '# label = "..."                      # without a label the cohort is scored, never '
            "trained on",
            "",
        ]
    return [*lines, *task.lines, ""]


def _sections(
    folder: Path,
    tables: Mapping[TableFile, pd.DataFrame],
    table: CaseTable,
    task: Offer | None,
    *,
    alone: bool,
) -> tuple[list[Section], list[str]]:
    """Tables as modalities, and why others are left out.

    Args:
        alone: No files were found: without other tables the case table's own columns are inputs.
    """
    asked = task.columns if task else ()
    found, remarks = sources(tables, table)
    if alone and not found:
        own = Source((table.file.path,), table.key, table.cells, sheet=table.file.sheet)
        found = [with_decimals(own)]
    sections = []
    for source in found:
        section = section_of(source, table, asked)
        why = _fault(folder, section) if has_inputs(section) else "no input is left in it"
        if why:
            remarks.append(f"{source.path} is left out: {_printable(why)}")
        else:
            sections.append(section)
    return sections, remarks


def _fault(folder: Path, section: Section) -> str:
    """Why tables cannot be read as they are described; empty where they can."""
    source = section.source
    try:
        if source.note:
            form = TableFile(source.files[0], source.sheet).form.keyed(source.key)
            read_text_table(source.files, source.key, (), form)
            return ""
        raw = tomllib.loads("\n".join(section.lines(source.name)))
        (modality,) = read_modalities(raw, folder, "cohort.toml").values()
        read_modality(source.files, modality, folder)
    except DescriptionError as error:
        return str(error)
    return ""


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)
