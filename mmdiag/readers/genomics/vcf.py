"""Reads the variants of one case from a VCF, plain, gzip or bgzip, and counts them by gene or by
kind.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mmdiag.errors import ReadError
from mmdiag.readers.genomics.vcf_alleles import carried_alleles, names_of_others
from mmdiag.readers.genomics.vcf_header import VERSION, Header, read_header_lines
from mmdiag.readers.genomics.vcf_records import BASES, check_record
from mmdiag.readers.genomics.vcf_sample import sample_of_case
from mmdiag.readers.tables.encoding import read_bytes, to_utf8

VCF = (".vcf", ".vcf.gz", ".vcf.bgz")
RECORD = ["chrom", "pos", "id", "ref", "alt", "qual", "filter", "info", "format"]
KINDS = ("snv", "transition", "transversion", "mnv", "insertion", "deletion", "structural")
CHROMOSOMES = (*map(str, range(1, 23)), "X", "Y", "MT", "other")
TRANSITIONS = {("A", "G"), ("G", "A"), ("C", "T"), ("T", "C")}
# INFO key -> place of gene, impact and allele among its parts; VEP's are named by the header
ANNOTATIONS = {"CSQ": None, "ANN": (3, 2, 0), "BCSQ": (1, None, None)}
PLAIN_GENES = ("GENEINFO", "Gene.refGene", "GENE", "Gene", "gene", "SYMBOL", "Gene_Name")
COUNTED_IMPACTS = ("HIGH", "MODERATE")
NO_GENE = ("", ".", "NONE")


@dataclass(frozen=True, slots=True)
class Variants:
    """What a VCF holds.

    Args:
        header: What its header declares.
        records: One row a record: chrom, pos (int64), id, ref, alt, qual (float64), filter, info,
            format.
        samples: One row a record, one column a sample, as text.
    """

    header: Header
    records: pd.DataFrame
    samples: pd.DataFrame


def is_vcf(file: Path) -> bool:
    """Whether a file is a VCF, by its name."""
    return file.name.lower().endswith(VCF)


def read_vcf(file: Path) -> Variants:
    """Read a VCF, every line held against the specification.

    Raises:
        ReadError: `vcf_header`, `vcf_record`, `vcf_order`, `ragged`, `delimiter`, `truncated`,
            `not_finite`, `duplicate_key`, `cell_too_long`,
            `bad_key` or `encoding`, with the line's number.

    Reference:
        The Variant Call Format Specification 4.1 to 4.5.
    """
    text = to_utf8(read_bytes(file), file.name).decode("utf-8")
    _require_last_line(text, file.name)
    lines = _lines(text)
    first = _first(lines)
    header = read_header_lines(lines[: first + 1], file.name)
    rows = list(_records(lines, first + 1, header, file.name))
    fixed = [row[:9] if len(row) > 8 else [*row[:8], ""] for row in rows]
    records = pd.DataFrame(fixed, columns=RECORD, dtype=object)
    records["pos"] = records["pos"].astype(np.int64)
    records["qual"] = [
        float("nan") if quality == "." else float(quality) for quality in records["qual"]
    ]
    samples = pd.DataFrame([row[9:] for row in rows], columns=list(header.samples), dtype=object)
    return Variants(header, records, samples)


def read_vcf_header(file: Path) -> Header:
    """The header of a VCF alone.

    Raises:
        ReadError: It is no VCF.
    """
    lines = _lines(to_utf8(read_bytes(file), file.name).decode("utf-8"))
    return read_header_lines(lines[: _first(lines) + 1], file.name)


def count_variants(file: Path) -> dict[str, float]:
    """Counts of a case's variants: by gene where the header declares an annotation (ANN, CSQ, BCSQ,
    GENEINFO, GENE ...), else by kind and chromosome.

    A record counts where its FILTER is PASS or missing and, where there are genotypes, that of the
    case carries an alternative allele: of several samples the tumour's, not the normal one's. Of
    several alleles those that the genotype names count. By gene a record counts once for each gene;
    where the annotation tells impacts, only HIGH and MODERATE ones count, as non-silent mutations
    do in a MAF.

    Raises:
        ReadError: It is not a VCF that follows the specification, or has genotypes of several
            samples and does not say which is the case's.
    """
    variants = read_vcf(file)
    carried = pd.Series(_carried(variants, file), variants.records.index, dtype=object)
    counted = variants.records.assign(carried=carried)
    counted = counted[counted["carried"].map(len) > 0]
    key = annotation(variants.header)
    if key is None:
        return _count_kinds(counted)
    genes: Counter[str] = Counter()
    columns = (counted[name] for name in ("info", "ref", "alt", "carried"))
    for info, reference, alternatives, alleles in zip(*columns, strict=True):
        others = names_of_others(reference, alternatives, alleles)
        genes.update(_genes(info, key, variants.header, others))
    return {gene: float(count) for gene, count in sorted(genes.items())}


def annotation(header: Header) -> str | None:
    """The INFO key that names genes, by what the header declares; None = none does."""
    return next((key for key in (*ANNOTATIONS, *PLAIN_GENES) if key in header.described), None)


def _lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").removesuffix("\n").split("\n")


def _first(lines: list[str]) -> int:
    """The place of the line of columns."""
    return next(
        (place for place, line in enumerate(lines) if not line.startswith("##")), len(lines)
    )


def _require_last_line(text: str, name: str) -> None:
    """A last line without its end may have been cut: it lacks columns, or, which no column tells, a
    part of its last value; 4.3 asks for the end.
    """
    last = text.rpartition("\n")[2]
    version = VERSION.match(text)
    if not last or version is None:
        return
    columns = next((line for line in text.split("\n") if line.startswith("#CHROM")), "")
    if int(version[1]) >= 3 or (last != columns and last.count("\t") != columns.count("\t")):
        raise ReadError("ragged", f"{name} ends within a line")


def _records(lines: list[str], start: int, header: Header, name: str) -> Iterator[list[str]]:
    chromosome, position, done, seen = "", 0, set[str](), set[tuple[int, str, str]]()
    for number, line in enumerate(lines[start:], start=start + 1):
        if not line:
            continue
        fields = line.split("\t")
        if len(fields) != header.width:
            code = "delimiter" if len(fields) == 1 and " " in line else "ragged"
            raise ReadError(
                code,
                f"{name} has {len(fields)} columns in line {number}, its header {header.width}",
            )
        code, wrong = check_record(fields, header)
        if code:
            raise ReadError(code, f"line {number} of {name}: {wrong}")
        here, place = fields[0].strip("<>"), int(fields[1])
        if here != chromosome:
            if here in done:
                raise ReadError(
                    "vcf_order", f"line {number} of {name} returns to an earlier chromosome"
                )
            done.add(here)
            chromosome, position = here, 0
            seen.clear()
        if place < position:
            raise ReadError("vcf_order", f"line {number} of {name} lies before the line above")
        position = place
        alleles = {
            _trimmed(place, fields[3].upper(), allele.upper())
            for allele in fields[4].split(",")
            if BASES.fullmatch(allele)
        }
        if alleles & seen:
            raise ReadError("vcf_record", f"line {number} of {name} repeats a variant")
        seen |= alleles
        yield fields


def _trimmed(position: int, reference: str, allele: str) -> tuple[int, str, str]:
    """A variant without the bases that both alleles share, so that the same change written in two
    ways is the same.
    """
    while len(reference) > 1 and len(allele) > 1 and reference[-1] == allele[-1]:
        reference, allele = reference[:-1], allele[:-1]
    while len(reference) > 1 and len(allele) > 1 and reference[0] == allele[0]:
        position, reference, allele = position + 1, reference[1:], allele[1:]
    return position, reference, allele


def _carried(variants: Variants, file: Path) -> list[tuple[str, ...]]:
    """The alternative alleles of each record that count."""
    records = variants.records
    passed = records["filter"].isin(("PASS", "."))
    typed = records["format"].str.split(":").str[0].eq("GT")
    genotypes: list[str | None] = [None] * len(records)
    if variants.samples.shape[1] and typed.any():
        name = sample_of_case(file, variants.header.samples, variants.header.roles)
        cells = zip(variants.samples[name], typed, strict=True)
        genotypes = [cell.partition(":")[0] if is_typed else None for cell, is_typed in cells]
    return [
        carried_alleles(alternatives, genotype) if passes else ()
        for alternatives, genotype, passes in zip(records["alt"], genotypes, passed, strict=True)
    ]


def _genes(info: str, key: str, header: Header, others: frozenset[str]) -> set[str]:
    """The genes that a record counts for.

    Args:
        others: Names of alleles that are not the case's.
    """
    value = next(
        (part[len(key) + 1 :] for part in info.split(";") if part.startswith(f"{key}=")), ""
    )
    if key == "GENEINFO":
        found = {part.partition(":")[0] for part in value.split("|")}
    elif key in PLAIN_GENES:
        found = set(re.split(r"\\x3b|%3B|[,&|]", value))
    else:
        gene, impact, allele = ANNOTATIONS[key] or _vep_places(header)
        rows = [row.split("|") for row in value.split(",")]
        found = {
            row[gene]
            for row in rows
            if len(row) > gene
            and (allele is None or row[allele] not in others)
            and (impact is None or (len(row) > impact and row[impact] in COUNTED_IMPACTS))
        }
    return found.difference(NO_GENE)


def _vep_places(header: Header) -> tuple[int, int | None, int | None]:
    names = header.described["CSQ"].rpartition("Format:")[2].strip().strip('"').split("|")
    if "SYMBOL" not in names:
        raise ReadError("vcf_header", "its CSQ does not name SYMBOL among its parts")
    impact, allele = (names.index(name) if name in names else None for name in ("IMPACT", "Allele"))
    return names.index("SYMBOL"), impact, allele


def _count_kinds(records: pd.DataFrame) -> dict[str, float]:
    counts = dict.fromkeys((*KINDS, *(f"chromosome_{name}" for name in CHROMOSOMES)), 0.0)
    for chromosome, reference, alleles in zip(
        records["chrom"], records["ref"], records["carried"], strict=True
    ):
        name = (
            chromosome.removeprefix("chr").replace("M", "MT")
            if chromosome in ("chrM", "M")
            else chromosome.removeprefix("chr")
        )
        counts[f"chromosome_{name if name in CHROMOSOMES else 'other'}"] += 1
        for allele in alleles:
            for kind in _kinds(reference.upper(), allele.upper()):
                counts[kind] += 1
    return counts


def _kinds(reference: str, allele: str) -> tuple[str, ...]:
    if not BASES.fullmatch(allele):
        return ("structural",)
    _, reference, allele = _trimmed(0, reference, allele)
    if len(reference) != len(allele):
        return ("insertion",) if len(allele) > len(reference) else ("deletion",)
    if len(reference) > 1:
        return ("mnv",)
    return "snv", "transition" if (reference, allele) in TRANSITIONS else "transversion"
