"""Of several alternative alleles those of the case count."""

from pathlib import Path

import pytest

from mmdiag.readers.genomics.vcf import count_variants
from mmdiag.readers.genomics.vcf_alleles import names_of_others

META = (
    '##fileformat=VCFv4.2\n##FORMAT=<ID=GT,Number=1,Type=String,Description="genotype">\n'
    '##INFO=<ID=END,Number=1,Type=Integer,Description="end">\n##contig=<ID=1>\n'
)
COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS1\n"
ANN = "##INFO=<ID=ANN,Number=.,Type=String,Description=\"'Allele | Annotation | Impact | Gene'\">\n"
CSQ = (
    '##INFO=<ID=CSQ,Number=.,Type=String,Description="Consequence annotations from Ensembl VEP. '
    'Format: Allele|Consequence|IMPACT|SYMBOL">\n'
)


def counted(folder: Path, records: list[str], meta: str = META) -> dict[str, float]:
    lines = [f"1\t{10 * place}\t.\t{record}" for place, record in enumerate(records, 1)]
    file = folder / "s1.vcf"
    file.write_text(meta + COLUMNS + "\n".join(lines) + "\n")
    return {name: count for name, count in count_variants(file).items() if count}


def test_only_alleles_that_the_genotype_names_count(tmp_path):
    records = ["C\tT,G\t50\tPASS\t.\tGT\t0/2", "A\tG,AT\t50\tPASS\t.\tGT\t1|2"]
    assert counted(tmp_path, records) == {
        "chromosome_1": 2.0,
        "snv": 2.0,
        "transversion": 1.0,
        "transition": 1.0,
        "insertion": 1.0,
    }


def test_what_was_not_seen_and_what_a_deletion_spans_are_no_variants(tmp_path):
    records = [
        "A\t<NON_REF>\t.\t.\tEND=19\tGT\t0/0",
        "A\tG,<NON_REF>\t50\tPASS\t.\tGT\t0/1",
        "A\tG,<*>\t50\tPASS\t.\tDP\t7",
        "A\t*\t50\tPASS\t.\tGT\t1/1",
        "A\tG,<NON_REF>\t50\tPASS\t.\tGT\t0/2",
    ]
    found = counted(tmp_path, records)
    assert found == {"chromosome_1": 2.0, "snv": 2.0, "transition": 2.0}


@pytest.mark.parametrize("genotype", ["0/2", "2", "./2", "0|2"])
@pytest.mark.parametrize(
    ("meta", "info", "alleles"),
    [
        (ANN, "ANN={0}|missense|HIGH|TP53,{1}|missense|HIGH|EGFR", ("A\tT,G", "T", "G")),
        (ANN, "ANN={0}|missense|HIGH|TP53,{1}|missense|HIGH|EGFR", ("AC\tA,G", "A", "G")),
        (CSQ, "CSQ={0}|missense|HIGH|TP53,{1}|missense|HIGH|EGFR", ("A\tT,G", "T", "G")),
        (CSQ, "CSQ={0}|missense|HIGH|TP53,{1}|missense|HIGH|EGFR", ("AC\tA,ACT", "-", "CT")),
        (CSQ, "CSQ={0}|missense|HIGH|TP53,{1}|missense|HIGH|EGFR", ("AC\tA,ACT,*", "-", "CT")),
    ],
)
def test_a_gene_counts_by_the_annotation_of_an_allele_that_is_carried(
    tmp_path, genotype, meta, info, alleles
):
    bases, *names = alleles
    record = f"{bases}\t50\tPASS\t{info.format(*names)}\tGT\t{genotype}"
    assert counted(tmp_path, [record], META.replace("##contig", meta + "##contig")) == {"EGFR": 1.0}


def test_an_annotation_that_names_alleles_otherwise_counts(tmp_path):
    record = "A\tT,G\t50\tPASS\tANN=G-T|missense|HIGH|EGFR\tGT\t0/1"
    assert counted(tmp_path, [record], META.replace("##contig", ANN + "##contig")) == {"EGFR": 1.0}


def test_one_name_of_two_alleles_tells_nothing():
    assert names_of_others("CA", "C,CAA", ["C"]) == {"CAA", "AA"}
    assert names_of_others("C", "T,CT", ["CT"]) == {"T"}
    assert names_of_others("C", "T", ["T"]) == frozenset()
