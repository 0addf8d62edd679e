"""A table modality of a cohort, read as its section of cohort.toml says: its numbers, one row a
case, under approved gene names, in the declared unit.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmdiag.description import ModalityDescription
from mmdiag.errors import DescriptionError, ReadError
from mmdiag.readers.genomics.gene_symbols import GeneNames, approve, read_hgnc
from mmdiag.readers.genomics.vcf import annotation, count_variants, is_vcf, read_vcf_header
from mmdiag.readers.tables.cohort_tables import KEY, is_named, read_numbers
from mmdiag.readers.tables.delimited import read_table
from mmdiag.readers.tables.numbers import NumericTable, to_numbers
from mmdiag.readers.tables.units import check_units
from mmdiag.workspace import file_sha256

GLOB = frozenset("*?[")


def read_modality(files: Sequence[Path], modality: ModalityDescription, root: Path) -> NumericTable:
    """The numbers of a table modality whose tables are shared by all cases.

    Args:
        root: The cohort's root, below which `gene_names` lies.

    Raises:
        DescriptionError: A table, the gene names or the unit is not what the section says.
    """
    table = read_numbers(
        files, str(modality.key), modality.columns, modality.exclude, modality.rows
    )
    return _finished(table, modality, root)


def read_case_table(file: Path, modality: ModalityDescription) -> pd.Series:
    """The numbers of one case whose file holds nothing else: a CSV, TSV or Parquet table of one
    row, or a VCF.

    A VCF becomes counts; see `count_variants`. Where `columns` names its columns without globs (a
    panel's genes), these are the columns, 0 where there is none.

    Returns:
        float32 by column.

    Raises:
        ReadError: It is not what it should be, or has several rows while `rows` is `refuse`.
    """
    if is_vcf(file):
        counts = pd.Series(count_variants(file), dtype=np.float32)
        fixed = [column for column in modality.columns if not GLOB & set(column)]
        if fixed and len(fixed) == len(modality.columns):
            return counts.reindex(fixed, fill_value=0.0)
        return counts[[name for name in counts.index if _is_chosen(name, modality)]]
    table = read_table(file, text=())
    numbers = to_numbers(
        table.select([name for name in table.column_names if _is_chosen(name, modality)])
    )
    wrong = np.zeros(numbers.values.shape, bool) if numbers.wrong is None else numbers.wrong
    if not modality.columns:  # a column of text is no number of this case, whatever it is
        numeric = np.flatnonzero(~wrong.any(axis=1)).tolist()
        names, values = [numbers.names[column] for column in numeric], numbers.values[numeric]
    else:
        names, values = numbers.names, numbers.values
        if wrong.any():
            raise ReadError("table_value", f"{file.name} has {int(wrong.sum())} cells that are not")
    if values.shape[1] > 1 and modality.rows == "refuse":
        raise ReadError("duplicate_row", f"{file.name} has {values.shape[1]} rows")
    row = values.mean(axis=1) if modality.rows == "mean" else values[:, 0]
    return pd.Series(row, index=names, dtype=np.float32)


def read_case_tables(
    files: Mapping[str, Path],
    modality: ModalityDescription,
    root: Path,
    read: Callable[[Path, ModalityDescription], pd.Series] = read_case_table,
) -> NumericTable:
    """The numbers of a table modality that has one file a case, columns united: what a table lacks
    is missing, what a VCF lacks is 0.

    Args:
        files: Case key -> its file.
        read: What reads one file: `read_case_table`, in this process or another.

    Raises:
        DescriptionError: The gene names or the unit is not what the section says, or no file can be
            read.
    """
    rows: dict[str, pd.Series] = {}
    refused: dict[str, tuple[str, str]] = {}
    for case, file in files.items():
        try:
            rows[case] = read(file, modality)
        except ReadError as refusal:
            refused[case] = refusal.code, refusal.detail
    variants = {case: file for case, file in files.items() if case in rows and is_vcf(file)}
    for case in _annotated_otherwise(variants):
        refused[case] = (
            "vcf_annotation",
            f"{files[case].name} is annotated in another way than most",
        )
        del rows[case]
    if not rows:
        raise DescriptionError(
            f"A table modality needs one file that can be read, none of the {len(files)} of "
            f"[modalities.{modality.name}] can: `mmdiag inspect` says why."
        )
    values = pd.DataFrame(
        list(rows.values()), index=pd.Index(list(rows), name=KEY, dtype=object), dtype=np.float32
    )
    if variants:
        values = values.where(values.notna() | ~values.index.isin(list(variants))[:, None], 0.0)
    for (
        case
    ) in refused:  # refused is something else than absent: the case has its row, and its reason
        values.loc[case] = np.nan
    return _finished(NumericTable(values.astype(np.float32), refused), modality, root)


def _annotated_otherwise(files: Mapping[str, Path]) -> list[str]:
    """Cases whose VCF names genes by another key than most, or names none where others do: their
    counts mean something else.
    """
    kinds = {case: annotation(read_vcf_header(file)) or "" for case, file in files.items()}
    usual = pd.Series(list(kinds.values()), dtype=object).mode()
    return [case for case, kind in kinds.items() if kind != usual.iloc[0]]


def _finished(table: NumericTable, modality: ModalityDescription, root: Path) -> NumericTable:
    if modality.units:
        check_units(table.values.to_numpy(), modality.units, f"[modalities.{modality.name}]")
    if not modality.gene_names:
        return table
    file = root / modality.gene_names
    columns = [str(column) for column in table.values.columns]
    names, report = approved_columns(columns, modality, _hgnc(file, file.stat().st_mtime_ns))
    report |= {
        "modality": modality.name,
        "gene_names": modality.gene_names,
        "sha256": file_sha256(file),
    }
    return NumericTable(table.values.set_axis(names, axis=1), table.refused, report)


def approved_columns(
    columns: Sequence[str], modality: ModalityDescription, genes: GeneNames
) -> tuple[list[str], dict[str, Any]]:
    """Columns under approved symbols, their affixes kept, and the report of it by affixes: a gene
    may be measured in several ways.
    """
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
