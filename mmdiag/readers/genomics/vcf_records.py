"""Checks one record of a VCF against the specification and against its header."""

import math
import re
from math import comb

from mmdiag.readers.genomics.vcf_header import Declared, Header

LONGEST_ALLELE = 131_072  # bases
LAST_POSITION = 2**31 - 1
# a colon or a star is found in contigs that the header declares, such as HLA-A*01:01
CHROMOSOME = re.compile(r"<[^\s:,<>*]+>|[0-9A-Za-z!#$%&+./;?@^_|~-][0-9A-Za-z!#$%&+./;=?@^_|~-]*")
CHROMOSOME_4_1 = re.compile(r"<[^\s:,<>]+>|[^\s:,<>]+")
IDENTIFIERS = re.compile(r"[^\s;]+(;[^\s;]+)*")
BASES = re.compile(r"[ACGTNacgtn]+")
SYMBOLIC = re.compile(r"<[^\s,<>]+>|<\*>|\*|\.[ACGTNacgtn]+|[ACGTNacgtn]+\.")
BREAKEND = re.compile(
    r"[ACGTNacgtn.]+([\[\]])(<[^\s<>]+>|[^\s:<>]+):[0-9]+\1|[ACGTNacgtn.]+([\[\]])<[^\s<>]+>\3"
    r"|([\[\]])(<[^\s<>]+>|[^\s:<>]+):[0-9]+\4[ACGTNacgtn.]+"
)
QUALITY = re.compile(
    r"\.|\+?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|\+?(?i:inf|infinity)|(?i:nan)"
)
INFO_KEY = re.compile(r"[A-Za-z_][0-9A-Za-z_.+-]*|1000G")
FORMAT_KEY = re.compile(r"[A-Za-z_][0-9A-Za-z_.]*")
GENOTYPE = re.compile(r"[/|]?(?:[0-9]+|\.)(?:[/|](?:[0-9]+|\.))*")
INTEGER = re.compile(r"[+-]?[0-9]+")
FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
NOT_FINITE = re.compile(r"[+-]?(?i:inf|infinity|nan)")
LEAST_INTEGER = -(2**31) + 8  # the eight below it are reserved for BCF
NEVER_NEGATIVE = {"AC", "AF", "AN", "DP", "END", "MQ0", "NS", "AD", "ADF", "ADR"}
CIGAR = re.compile(r"([0-9]+[MIDNSHPX=])+|[MIDNSHPX=]")


def check_record(fields: list[str], header: Header) -> tuple[str, str]:
    """What is wrong with a record: (reason code, what); empty = nothing.

    Reference:
        The Variant Call Format Specification 4.1 to 4.5, 1.6.
    """
    wrong = _place(fields, header) or _alleles(fields[3], fields[4])
    if not wrong and not QUALITY.fullmatch(fields[5]):
        wrong = "vcf_record", "QUAL is a number that is not negative"
    wrong = wrong or _filters(fields[6]) or _information(fields[7], fields[4], header)
    if not wrong and len(fields) > 8:
        wrong = _samples(fields, header)
    return wrong or ("", "")


def _place(fields: list[str], header: Header) -> tuple[str, str] | None:
    chromosome, position, names = fields[0], fields[1], fields[2]
    if chromosome not in header.contigs and not (
        CHROMOSOME if header.minor >= 3 else CHROMOSOME_4_1
    ).fullmatch(chromosome):
        return "vcf_record", "CHROM is a name without blanks, colons and commas"
    if not (position.isascii() and position.isdigit()) or int(position) > LAST_POSITION:
        return "vcf_record", "POS is a whole number up to 2147483647"
    # 0 is a telomere (1.6.1); a base that is replaced there, on a contig that the header declares,
    # was counted from 0
    if (
        int(position) == 0
        and chromosome in header.contigs
        and BASES.fullmatch(fields[4].split(",")[0])
    ):
        return "vcf_record", "POS counts bases from 1"
    if not IDENTIFIERS.fullmatch(names) or len(set(names.split(";"))) < names.count(";") + 1:
        return "vcf_record", "ID is a list of different names"
    return None


def _alleles(reference: str, alternatives: str) -> tuple[str, str] | None:
    if len(reference) > LONGEST_ALLELE or len(alternatives) > LONGEST_ALLELE:
        return "cell_too_long", "an allele is longer than 131 072 bases"
    if not BASES.fullmatch(reference):
        return "vcf_record", "REF is made of A, C, G, T and N"
    if alternatives == ".":
        return None
    listed = alternatives.split(",")
    for allele in listed:
        if not (
            BASES.fullmatch(allele) or SYMBOLIC.fullmatch(allele) or BREAKEND.fullmatch(allele)
        ):
            return "vcf_record", "ALT is a list of bases, symbols and breakends"
        if allele.upper() == reference.upper():
            return "vcf_record", "ALT differs from REF"
    if len(set(listed)) < len(listed):
        return "vcf_record", "ALT names each allele once"
    return None


def _filters(filters: str) -> tuple[str, str] | None:
    listed = filters.split(";")
    alone = len(listed) > 1 and not {".", "0", ""}.isdisjoint(listed)
    if (
        alone
        or filters in ("", "0")
        or len(set(listed)) < len(listed)
        or re.search(r"\s|,", filters)
    ):
        return "vcf_record", "FILTER is PASS, a dot or a list of different filters"
    return None


def _information(text: str, alternatives: str, header: Header) -> tuple[str, str] | None:
    if text == ".":
        return None
    count = 0 if alternatives == "." else alternatives.count(",") + 1
    seen = set()
    for part in text.split(";"):
        key, given, value = part.partition("=")
        if key in seen:
            return "duplicate_key", f"INFO holds {key} twice" if INFO_KEY.fullmatch(
                key
            ) else "INFO holds a key twice"
        seen.add(key)
        if not INFO_KEY.fullmatch(key) or (given and not value):
            return "vcf_record", "INFO is a list of key=value"
        declared = header.info.get(key)
        if declared is None:
            continue
        if declared.type == "Flag":
            if given and declared.number == "0" and value not in ("0", "1"):
                return "vcf_record", f"{key} is a flag"
            continue
        wrong = _values(
            key,
            value if given else ".",
            declared,
            {"A": count, "R": count + 1}.get(declared.number),
        )
        if wrong:
            return wrong
    return None


def _values(
    key: str, value: str, declared: Declared, expected: int | None
) -> tuple[str, str] | None:
    if value == "." or value.startswith('"'):  # a quoted text may hold commas
        return None
    parts = value.split(",")
    if expected is None and declared.number.isdigit():
        expected = int(declared.number)
    if expected is not None and expected and len(parts) != expected:
        return "vcf_record", f"{key} has the number of values that the header declares"
    if declared.type == "Integer":
        return _integers(key, parts)
    if declared.type == "Float":
        return _floats(key, parts)
    if declared.type == "Character" and any(
        len(part) != 1 and not part.startswith("%") for part in parts
    ):
        return "vcf_record", f"{key} is a character"
    if key == "CIGAR" and not all(part == "." or CIGAR.fullmatch(part) for part in parts):
        return "vcf_record", "CIGAR is a list of operations"
    return None


def _integers(key: str, parts: list[str]) -> tuple[str, str] | None:
    for part in parts:
        if part == ".":
            continue
        if not INTEGER.fullmatch(part) or not LEAST_INTEGER <= int(part) <= LAST_POSITION:
            return "vcf_record", f"{key} is a whole number of 32 bits"
        if key in NEVER_NEGATIVE and part.startswith("-"):
            return "vcf_record", f"{key} is not negative"
    return None


def _floats(key: str, parts: list[str]) -> tuple[str, str] | None:
    for part in parts:
        if part == ".":
            continue
        if NOT_FINITE.fullmatch(part):
            return "not_finite", f"{key} is not"
        if not FLOAT.fullmatch(part) or not math.isfinite(float(part)):
            return "vcf_record", f"{key} is a number"
        if key in NEVER_NEGATIVE and float(part) < 0:
            return "vcf_record", f"{key} is not negative"
    return None


def _samples(fields: list[str], header: Header) -> tuple[str, str] | None:
    keys = fields[8].split(":")
    if (
        not all(FORMAT_KEY.fullmatch(key) for key in keys)
        or len(set(keys)) < len(keys)
        or "GT" in keys[1:]
    ):
        return (
            ("vcf_record", "FORMAT is a list of different keys, GT the first")
            if fields[8] != "."
            else None
        )
    count = 0 if fields[4] == "." else fields[4].count(",") + 1
    for sample in fields[9:]:
        values = sample.split(":")
        if len(values) > len(keys):
            return "vcf_record", "a sample has at most the values that FORMAT names"
        ploidy: int | None = 2
        if keys[0] == "GT":
            if not GENOTYPE.fullmatch(values[0]):
                return "vcf_record", "GT is a genotype"
            alleles = re.findall(r"[0-9]+|\.", values[0])
            if any(allele != "." and int(allele) > max(count, 1) for allele in alleles):
                return "vcf_record", "GT names alleles that ALT has"
            ploidy = len(alleles) if values[0] != "." else None
        for key, value in zip(keys, values, strict=False):
            declared = header.form.get(key)
            if key == "GT" or declared is None or not value:
                continue
            wrong = _values(key, value, declared, _expected(declared.number, count, ploidy))
            if wrong:
                return wrong
    return None


def _expected(number: str, alternatives: int, ploidy: int | None) -> int | None:
    if number == "G":  # genotypes of so many alleles
        return None if ploidy is None or not alternatives else comb(alternatives + ploidy, ploidy)
    return {"A": alternatives, "R": alternatives + 1}.get(number)
