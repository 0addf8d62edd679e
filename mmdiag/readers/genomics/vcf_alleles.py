"""Which alternative alleles of a record a case carries, and by what names annotations call them.

Reference:
    The Variant Call Format Specification 4.5, 1.6.1 (ALT) and 5.5 (unspecified allele); Ensembl
    VEP, "Allele" of its output; "Variant annotations in VCF format" 1.0 (ANN).
"""

import re
from collections.abc import Sequence
from typing import Final

# a base that an earlier deletion spans, and any allele that was not seen (gVCF)
NO_VARIANT: Final = frozenset(("*", "<*>", "<NON_REF>", "<X>", "."))


def carried_alleles(alternatives: str, genotype: str | None) -> tuple[str, ...]:
    """The alleles of ALT that a genotype names, those left out that are no variant.

    Args:
        genotype: Such as `0/1`; None = nothing is said, and all are.
    """
    listed = alternatives.split(",")
    if genotype is not None:
        numbers = set(map(int, re.findall(r"[0-9]+", genotype)))
        listed = [allele for number, allele in enumerate(listed, 1) if number in numbers]
    return tuple(allele for allele in listed if allele not in NO_VARIANT)


def names_of_others(reference: str, alternatives: str, carried: Sequence[str]) -> frozenset[str]:
    """What an annotation calls the alleles of ALT that are not carried: as ALT has them, or, where
    all alleles begin with one base and differ in length, without it, as VEP does.
    """
    listed = alternatives.split(",")
    if len(listed) < 2:
        return frozenset()
    bases = [allele for allele in listed if allele.isalpha()]
    every = [reference, *bases]
    trimmed = len({len(a) for a in every}) > 1 and len({a[0] for a in every}) == 1

    def named(alleles: Sequence[str]) -> set[str]:
        shorter = {a[1:] or "-" for a in alleles if a.isalpha()} if trimmed else set()
        return {*alleles, *shorter}

    return frozenset(named([a for a in listed if a not in carried]) - named(carried))
