"""A table modality of a cohort, read as its section of cohort.toml says: its numbers, one row a
case, under approved gene names, in the declared unit.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmdiag.description import ModalityDescription
from mmdiag.errors import DescriptionError, ReadError
from mmdiag.readers.genomics.damaged_names import is_damaged
from mmdiag.readers.genomics.gene_symbols import GeneNames, approve, read_hgnc
from mmdiag.readers.genomics.vcf import annotation, count_variants, is_vcf, read_vcf_header
from mmdiag.readers.tables.categories import one_hot
from mmdiag.readers.tables.cohort_tables import is_named, read_numbers
from mmdiag.readers.tables.delimited import read_header, read_table
from mmdiag.readers.tables.form import form_of
from mmdiag.readers.tables.left_out import long_form, why_no_numbers
from mmdiag.readers.tables.numbers import NumericTable, Said, to_numbers
from mmdiag.readers.tables.of_people import columns_of_people
from mmdiag.readers.tables.unite import KEY, only, without_codes
from mmdiag.readers.tables.units import check_units
from mmdiag.readers.workbooks.table import remarks_of
from mmdiag.reasons import REASONS
from mmdiag.regular_files import file_shown
from mmdiag.workspace import file_sha256

GLOB = frozenset("*?[")
Approved = Callable[
    [Sequence[str], ModalityDescription, Path], tuple[list[str], dict[str, Any]]
]  # `approve_columns`


def read_modality(
    files: Sequence[Path],
    modality: ModalityDescription,
    root: Path,
    wanted: Collection[str] = (),
) -> NumericTable:
    """The numbers of a table modality whose tables are shared by all cases.

    Args:
        root: The cohort's root, below which `gene_names` lies.
        wanted: Columns that are numbers whatever their cells hold.

    Raises:
        DescriptionError: A table, the gene names or the unit is not what the section says.
    """
    table = read_numbers(
        files,
        str(modality.key),
        modality.columns,
        modality.exclude,
        modality.rows,
        form=form_of(modality),
        wanted=wanted,
    )
    return _finished(table, modality, root)


@dataclass(frozen=True, slots=True)
class CaseRow:
    """What the table of one case holds.

    Args:
        numbers: float32 by column.
        words: Column of categories -> its cell.
        why: Column that is left out -> what it holds.
        remarks: What a workbook shows besides its values.
        annotation: Of a VCF, by which key it names genes; empty = it names none.
    """

    numbers: pd.Series
    words: Mapping[str, str] = field(default_factory=dict)
    why: Mapping[str, str] = field(default_factory=dict)
    annotation: str = ""
    remarks: tuple[str, ...] = ()


def read_case_table(
    file: Path, modality: ModalityDescription, wanted: Collection[str] = ()
) -> CaseRow:
    """The numbers of one case whose file holds nothing else: a CSV, TSV, Parquet or workbook
    table of one row, or a VCF.

    A VCF becomes counts; see `count_variants`. Where `columns` names its columns without globs (a
    panel's genes), these are the columns, 0 where there is none.

    Args:
        wanted: Columns that are numbers whatever their cells hold.

    Raises:
        ReadError: It is not what it should be, or has several rows while `rows` is `refuse`.
    """
    if is_vcf(file):
        counts = pd.Series(count_variants(file), dtype=np.float32)
        fixed = [column for column in modality.columns if not GLOB & set(column)]
        kind = annotation(read_vcf_header(file)) or ""
        if fixed and len(fixed) == len(modality.columns):
            return CaseRow(counts.reindex(fixed, fill_value=0.0), annotation=kind)
        chosen = counts[[name for name in counts.index if _is_chosen(name, modality)]]
        return CaseRow(chosen, annotation=kind)
    form = form_of(modality)
    header = read_header(file, form)
    words = [name for name in form.categories if name in header]
    names = [name for name in header if name not in words and _is_chosen(name, modality)]
    table = read_table(file, text=words, form=form)
    numbers = to_numbers(table.select(names), form)
    why: dict[str, str] = {}
    if not modality.columns:  # a column of text is no number of this case, whatever it is
        why = why_no_numbers(table, numbers, form) | columns_of_people(numbers)
        numbers = only(numbers, [name not in why or name in wanted for name in numbers.names])
    if modality.columns and numbers.wrong is not None and numbers.wrong.any():
        count = int(numbers.wrong.sum())
        raise ReadError("table_value", f"{file.name} has {count} cells that are not")
    rows = pd.DataFrame(numbers.values.T, columns=numbers.names)
    rows = rows.assign(**{word: table.column(word).to_pylist() for word in words})
    if modality.rows != "mean":
        rows = rows.drop_duplicates()
    if len(rows) > 1 and (modality.rows == "refuse" or (words and modality.rows == "mean")):
        raise ReadError("duplicate_row", f"{file.name} has {len(rows)} rows that differ")
    if len(rows) > 1 and (long := long_form(file, header, numbers.names, form)):
        raise ReadError("duplicate_row", f"{file.name} has a row a measurement, by {long[0]!r}")
    row = rows[numbers.names].mean() if modality.rows == "mean" else rows[numbers.names].iloc[0]
    return CaseRow(
        row.astype(np.float32),
        {word: str(rows[word].iloc[0] or "") for word in words},
        why,
        remarks=tuple(remarks_of(table)),
    )


def _read_each(
    files: Mapping[str, Path],
    modality: ModalityDescription,
    read: Callable[[Path, ModalityDescription], CaseRow],
) -> tuple[dict[str, CaseRow], dict[str, tuple[str, str]], dict[str, Path]]:
    """What was read of each case, what was refused, and which of the files hold variants."""
    rows: dict[str, CaseRow] = {}
    refused: dict[str, tuple[str, str]] = {}
    for case, file in files.items():
        try:
            rows[case] = read(file, modality)
        except ReadError as refusal:
            refused[case] = refusal.code, refusal.detail
    variants = {case: file for case, file in files.items() if case in rows and is_vcf(file)}
    for case in _annotated_otherwise({case: rows[case].annotation for case in variants}):
        refused[case] = (
            "vcf_annotation",
            f"{file_shown(files[case])} is annotated in another way than most",
        )
        del rows[case]
    return rows, refused, variants


def read_case_tables(
    files: Mapping[str, Path],
    modality: ModalityDescription,
    root: Path,
    read: Callable[[Path, ModalityDescription], CaseRow] = read_case_table,
    approved: Approved | None = None,
) -> NumericTable:
    """The numbers of a table modality that has one file a case, columns united: what a table lacks
    is missing, what a VCF lacks is 0.

    Args:
        files: Case key -> its file.
        read: What reads one file: `read_case_table`, in this process or another.
        approved: What brings columns to approved symbols: `approve_columns`, likewise.

    Raises:
        DescriptionError: The gene names or the unit is not what the section says, or no file can be
            read.
    """
    rows, refused, variants = _read_each(files, modality, read)
    if not rows:
        raise _none_read(files, modality, refused)
    said = Said()
    for row in rows.values():
        said.left_out |= row.why
        said.remarks += [remark for remark in row.remarks if remark not in said.remarks]
    values = pd.DataFrame(
        [row.numbers for row in rows.values()],
        index=pd.Index(list(rows), name=KEY, dtype=object),
        dtype=np.float32,
    )
    said.wrong = {
        name: sum(name in row.why for row in rows.values())
        for name in said.left_out
        if name in values
    }
    said.left_out = {name: why for name, why in said.left_out.items() if name not in values}
    if variants:
        values = values.where(values.notna() | ~values.index.isin(list(variants))[:, None], 0.0)
    form, groups = form_of(modality), dict[str, list[str]]()
    if form.missing_codes is None:
        values = without_codes(values, said, counts=bool(variants))
    words = [word for word in form.categories if any(word in row.words for row in rows.values())]
    if words:
        cells = {word: [row.words.get(word, "") for row in rows.values()] for word in words}
        shown, groups = one_hot(cells, form, f"[modalities.{modality.name}]", said)
        values = pd.concat([values, shown.set_axis(values.index)], axis=1)
    # refused is something else than absent: the case has its row, and its reason
    for case in refused:
        values.loc[case] = np.nan
    table = NumericTable(values.astype(np.float32), refused, categories=groups, said=said)
    return _finished(table, modality, root, approved)


def _none_read(
    files: Mapping[str, Path], modality: ModalityDescription, refused: Mapping[str, tuple[str, str]]
) -> DescriptionError:
    usual = Counter(code for code, _ in refused.values()).most_common(1)
    why = [
        f"{count} by one rule ({code}). {REASONS[code].rule} {REASONS[code].cure}"
        for code, count in usual
    ]
    return DescriptionError(
        f"A table modality needs one file that can be read, none of the {len(files)} of "
        f"[modalities.{modality.name}] can, {why[0] if why else 'for there is none.'}"
    )


def _annotated_otherwise(kinds: Mapping[str, str]) -> list[str]:
    """Cases whose VCF names genes by another key than most, or names none where others do: their
    counts mean something else.
    """
    usual = pd.Series(list(kinds.values()), dtype=object).mode()
    return [case for case, kind in kinds.items() if kind != usual.iloc[0]]


def _finished(
    table: NumericTable,
    modality: ModalityDescription,
    root: Path,
    approved: Approved | None = None,
) -> NumericTable:
    shown = {column for columns in table.categories.values() for column in columns}
    columns = [str(column) for column in table.values.columns if column not in shown]
    if modality.units:
        measured = table.values[columns] if shown else table.values
        check_units(measured.to_numpy(), modality.units, f"[modalities.{modality.name}]")
    genes = [gene_of(column, modality.columns)[1] for column in columns]
    serial = bool(modality.genes or modality.gene_names)
    table.said.damaged += [gene for gene in genes if is_damaged(gene, serial=serial)]
    if not modality.gene_names:
        return table
    file = root / modality.gene_names
    names, report = (approved or approve_columns)(columns, modality, file)
    report |= {
        "modality": modality.name,
        "gene_names": modality.gene_names,
        "sha256": file_sha256(file),
    }
    named = dict(zip(columns, names, strict=True))
    values = table.values.set_axis([named.get(c, c) for c in table.values.columns], axis=1)
    return replace(table, values=values, genes=report)


def approve_columns(
    columns: Sequence[str], modality: ModalityDescription, file: Path
) -> tuple[list[str], dict[str, Any]]:
    """Columns under approved symbols, their affixes kept, and the report of it by affixes: a gene
    may be measured in several ways.

    Args:
        file: HGNC's table.
    """
    genes = _hgnc(file, file.stat().st_mtime_ns)
    parts = [gene_of(column, modality.columns) for column in columns]
    kind, names, reports = modality.genes or "symbol", list(columns), dict[str, Any]()
    for before, after in dict.fromkeys((before, after) for before, _, after in parts):
        alike = [
            number for number, part in enumerate(parts) if (part[0], part[2]) == (before, after)
        ]
        approval = approve([parts[number][1] for number in alike], kind, genes)
        for number, name in zip(alike, approval.names, strict=True):
            names[number] = f"{before}{name}{after}"
        reports[f"{before}*{after}"] = approval.report()
    return names, {"genes": kind, "columns": reports}


def gene_of(column: str, patterns: str | Sequence[str] | None) -> tuple[str, str, str]:
    """A column's affix before, its gene and its affix after, by the first glob of the form
    `before*after` that fits.
    """
    for pattern in [patterns] if isinstance(patterns, str) else patterns or ():
        before, star, after = pattern.partition("*")
        if (
            star
            and column.startswith(before)
            and column.endswith(after)
            and len(column) >= len(before) + len(after)
        ):
            return before, column[len(before) : len(column) - len(after)], after
    return "", column, ""


def _is_chosen(name: str, modality: ModalityDescription) -> bool:
    return (not modality.columns or is_named(name, modality.columns)) and not is_named(
        name, modality.exclude
    )


@lru_cache(maxsize=4)
def _hgnc(file: Path, modified_ns: int) -> GeneNames:
    del modified_ns  # a changed file is read again
    return read_hgnc(file)
