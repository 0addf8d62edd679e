"""Variants: a VCF is held against the specification line by line, and becomes counts by gene or by
kind.
"""

import gzip
from pathlib import Path

import numpy as np
import pytest

from mmdiag.description import ModalityDescription
from mmdiag.errors import DescriptionError, ReadError
from mmdiag.readers.genomics.vcf import count_variants, read_vcf
from mmdiag.readers.tables.modality import read_case_table, read_case_tables
from mmdiag.reasons import REASONS

META = (
    '##fileformat=VCFv4.3\n##contig=<ID=chr17,length=83257441>\n##INFO=<ID=AF,Number=A,Type=Float,Description="share">\n'
    '##INFO=<ID=DB,Number=0,Type=Flag,Description="in dbSNP, '
    '\\"known\\"">\n##FORMAT=<ID=GT,Number=1,Type=String,Description="g">\n'
    '##FORMAT=<ID=GL,Number=G,Type=Float,Description="likelihoods">\n'
)
COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS1\n"
RECORD = "chr17\t100\trs1\tC\tT\t99.5\tPASS\tAF=0.5;DB\tGT:GL\t0/1:-1,-2,-3\n"
LATER = RECORD.replace("\t100\trs1", "\t200\trs2")
VCF = META + COLUMNS + RECORD + LATER


def write(path: Path, text: str) -> Path:
    path.write_bytes(gzip.compress(text.encode()) if path.name.endswith(".gz") else text.encode())
    return path


def test_records_are_columns_whether_plain_or_gzip(tmp_path):
    for name in ("v.vcf", "v.vcf.gz"):
        variants = read_vcf(write(tmp_path / name, VCF))
        assert variants.records["pos"].tolist() == [100, 200] and variants.records[
            "qual"
        ].tolist() == [99.5, 99.5]
        assert (
            variants.records["chrom"].unique().tolist() == ["chr17"]
            and variants.samples["S1"].iloc[0] == "0/1:-1,-2,-3"
        )
        assert (
            variants.header.minor == 3
            and variants.header.contigs == {"chr17": 83257441}
            and variants.header.samples == ("S1",)
        )


WRONG = {
    "no header": ("vcf_header", "##fileformat=VCFv4.3\n", ""),
    "another version": ("vcf_header", "VCFv4.3", "VCFv5.3"),
    "a meta line that is no pair": ("vcf_header", "##contig=", "##contig"),
    "a type that is none": ("vcf_header", "Number=A,Type=Float", "Number=A,Type=Real"),
    "a reserved key of another type": ("vcf_header", "Number=A,Type=Float", "Number=A,Type=String"),
    "quotes within quotes": ("vcf_header", '\\"known\\"', '"known"'),
    "a description without quotes": ("vcf_header", '"share"', "share"),
    "keys in another order": ("vcf_header", "ID=AF,Number=A", "Number=A,ID=AF"),
    "a contig without name": ("vcf_header", "<ID=chr17,length", "<length"),
    "columns that are others": ("vcf_header", "#CHROM\tPOS", "#CHROM\tPOSITION"),
    "blanks for tabs": ("delimiter", COLUMNS, COLUMNS.replace("\t", " ")),
    "a sample that is a path": ("bad_key", "\tS1\n", "\t../S1\n"),
    "a record with a column less": ("ragged", "\t0/1:-1,-2,-3\n", "\n"),
    "a file that was cut": ("ragged", LATER, LATER[:-40]),
    "a last line without end": ("ragged", LATER, LATER[:-1]),
    "a position that is none": ("vcf_record", "\t100\t", "\t1e2\t"),
    "a position beyond 32 bits": ("vcf_record", "\t100\t", "\t99999999999\t"),
    "a base at position 0": ("vcf_record", "\t100\t", "\t0\t"),
    "an identifier twice": ("vcf_record", "rs1", "rs1;rs1"),
    "a reference of no bases": ("vcf_record", "\tC\tT\t99.5", "\tR\tT\t99.5"),
    "an alternative like the reference": ("vcf_record", "\tC\tT\t99.5", "\tC\tC\t99.5"),
    "an alternative twice": ("vcf_record", "\tC\tT\t99.5", "\tC\tT,T\t99.5"),
    "an alternative without end": ("cell_too_long", "\tC\tT\t99.5", f"\tC\t{'A' * 140_000}\t99.5"),
    "a quality below 0": ("vcf_record", "99.5", "-1"),
    "a filter with a hole": ("vcf_record", "PASS", "q10;"),
    "a frequency that is not finite": ("not_finite", "AF=0.5", "AF=nan"),
    "a frequency below 0": ("vcf_record", "AF=0.5", "AF=-0.5"),
    "a frequency of text": ("vcf_record", "AF=0.5", "AF=half"),
    "more frequencies than alternatives": ("vcf_record", "AF=0.5", "AF=0.5,0.1"),
    "a key twice": ("duplicate_key", "AF=0.5", "AF=0.5;AF=0.1"),
    "a flag with a value": ("vcf_record", ";DB", ";DB=yes"),
    "a genotype of an allele that is not there": ("vcf_record", "0/1", "0/2"),
    "a genotype that is none": ("vcf_record", "0/1", "0/"),
    "likelihoods of too few genotypes": ("vcf_record", "-1,-2,-3", "-1,-2"),
    "more values than keys": ("vcf_record", "-1,-2,-3", "-1,-2,-3:5"),
    "the genotype behind others": ("vcf_record", "GT:GL\t0/1:-1,-2,-3", "GL:GT\t-1,-2,-3:0/1"),
    "a record before the one above": ("vcf_order", "\t200\t", "\t50\t"),
    "a variant written twice": ("vcf_record", "\t200\trs2\tC\tT", "\t100\trs2\tCA\tTA"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_a_vcf_has_a_code_and_names_the_line(tmp_path, name):
    code, old, new = WRONG[name]
    assert old in VCF
    with pytest.raises(ReadError, match=r"v\.vcf") as refusal:
        read_vcf(write(tmp_path / "v.vcf", VCF.replace(old, new, 1)))
    assert refusal.value.code == code and code in REASONS and "rs1" not in str(refusal.value)


ODD = {
    "no alternative": ("\tC\tT\t99.5", "\tC\t.\t99.5"),
    "a structural one": ("\tC\tT\t99.5", "\tC\t<DEL>\t99.5"),
    "a breakend": ("\tC\tT\t99.5", "\tC\tC[chr2:321682[\t99.5"),
    "an allele that is overlapped": (
        "\tC\tT\t99.5\tPASS\tAF=0.5",
        "\tC\tT,*\t99.5\tPASS\tAF=0.5,0.1",
    ),
    "one copy": ("0/1:-1,-2,-3", "1:-1,-2"),
    "no genotype": ("0/1:-1,-2,-3", "./."),
    "a flag that says 1": (";DB", ";DB=1"),
    "a key that nobody declared": (";DB", ";MY_KEY=a b"),
    "Windows' line ends": ("\n", "\r\n"),
    "a telomere": ("\t100\trs1\tC\tT", "\t0\t.\tN\t.[chr2:5["),
    "script in its header": ("share", "<script>alert(1)</script>"),
    "a contig of HLA": ("chr17", "HLA-A*01:01"),
}


@pytest.mark.parametrize("name", ODD)
def test_a_vcf_that_is_odd_and_valid_is_accepted(tmp_path, name):
    old, new = ODD[name]
    everywhere = name in ("Windows' line ends", "a contig of HLA")
    text = VCF.replace(old, new) if everywhere else VCF.replace(old, new, 1)
    if "GL" in text and name in ("a breakend", "an allele that is overlapped"):
        text = (
            text.replace("-1,-2,-3", "-1,-2,-3,-4,-5,-6", 1)
            if name == "an allele that is overlapped"
            else text
        )
    assert text != VCF and len(read_vcf(write(tmp_path / "v.vcf", text)).records) == 2


def test_a_chromosome_that_comes_back_is_refused(tmp_path):
    with pytest.raises(ReadError, match=r"vcf_order.*returns"):
        read_vcf(
            write(
                tmp_path / "v.vcf",
                META + COLUMNS + RECORD + RECORD.replace("chr17", "chr18") + LATER,
            )
        )


def test_junk_behind_a_gzip_member_is_refused(tmp_path):
    (tmp_path / "v.vcf.gz").write_bytes(gzip.compress(VCF.encode()) + b"JUNK")
    with pytest.raises(ReadError, match="truncated"):
        read_vcf(tmp_path / "v.vcf.gz")


def annotated(key: str, description: str, *infos: str) -> str:
    records = [
        RECORD.replace("\t100\trs1", f"\t{100 + place}\t.").replace("AF=0.5;DB", info)
        for place, info in enumerate(infos)
    ]
    return (
        META
        + f'##INFO=<ID={key},Number=.,Type=String,Description="{description}">\n'
        + COLUMNS
        + "".join(records)
    )


ANNOTATED = {
    "VEP": annotated(
        "CSQ",
        "Consequence. Format: Allele|Consequence|IMPACT|SYMBOL",
        "CSQ=T|missense_variant|MODERATE|TP53,T|intron_variant|MODIFIER|WRAP53",
        "CSQ=T|stop_gained|HIGH|TP53",
        "CSQ=T|synonymous_variant|LOW|IDH1",
    ),
    "snpEff": annotated(
        "ANN",
        "Functional annotations",
        "ANN=T|missense_variant|MODERATE|TP53|x",
        "ANN=T|stop_gained|HIGH|TP53|x,T|y|HIGH|TP53|x",
    ),
    "dbSNP": annotated("GENEINFO", "genes", "GENEINFO=TP53:7157", "GENEINFO=TP53:7157", "."),
    "ANNOVAR": annotated(
        "Gene.refGene", "gene", "Gene.refGene=TP53", "Gene.refGene=TP53", "Gene.refGene=NONE\\x3b."
    ),
}


@pytest.mark.parametrize("name", ANNOTATED)
def test_variants_are_counted_by_gene_where_an_annotation_names_it(tmp_path, name):
    assert count_variants(write(tmp_path / "v.vcf", ANNOTATED[name])) == {"TP53": 2}


def test_variants_without_genes_are_counted_by_kind_and_chromosome(tmp_path):
    rows = [
        "chr1\t5\t.\tC\tT",
        "chr1\t9\t.\tC\tA",
        "chr1\t20\t.\tC\tCAA",
        "chr1\t30\t.\tCAA\tC",
        "chr1\t40\t.\tCA\tTG",
        "chrM\t7\t.\tC\t<DEL>",
        "chrUn\t7\t.\tA\tG",
    ]
    text = META + COLUMNS + "".join(f"{row}\t.\t.\t.\tGT\t0/1\n" for row in rows)
    counts = count_variants(write(tmp_path / "v.vcf", text))
    assert {name: count for name, count in counts.items() if count} == {
        "snv": 3,
        "transition": 2,
        "transversion": 1,
        "insertion": 1,
        "deletion": 1,
        "mnv": 1,
        "structural": 1,
        "chromosome_1": 5,
        "chromosome_MT": 1,
        "chromosome_other": 1,
    }


def test_what_did_not_pass_and_what_the_sample_does_not_carry_is_not_counted(tmp_path):
    text = (
        VCF.replace("PASS", "q10", 1)
        .replace("0/1:", "0/0:")
        .replace("q10\tAF=0.5;DB\tGT:GL\t0/0", "q10\tAF=0.5;DB\tGT:GL\t0/1")
    )
    assert not any(count_variants(write(tmp_path / "v.vcf", text)).values())


def table(**changes) -> ModalityDescription:
    return ModalityDescription(name="genes", kind="table", path="v/{id}.vcf", **changes)


def test_one_vcf_a_case_gives_a_column_a_gene_and_zero_where_a_case_has_none(tmp_path):
    files = {
        "1": write(tmp_path / "1.vcf", ANNOTATED["VEP"]),
        "2": write(tmp_path / "2.vcf", ANNOTATED["VEP"].replace("TP53", "EGFR")),
    }
    values = read_case_tables(files, table(), tmp_path).values
    assert (
        values.to_dict("index") == {"1": {"TP53": 2, "EGFR": 0}, "2": {"TP53": 0, "EGFR": 2}}
        and values.dtypes.eq(np.float32).all()
    )
    panel = read_case_table(files["1"], table(columns=("TP53", "IDH1")))
    assert panel.numbers.to_dict() == {"TP53": 2, "IDH1": 0}, (
        "a panel's genes are the columns, whatever a file names"
    )


def test_a_file_that_is_annotated_in_another_way_or_broken_is_refused_alone(tmp_path):
    files = {str(place): write(tmp_path / f"{place}.vcf", ANNOTATED["VEP"]) for place in range(3)}
    files |= {
        "3": write(tmp_path / "3.vcf", VCF),
        "4": write(tmp_path / "4.vcf", VCF.replace("PASS", "", 1)),
    }
    found = read_case_tables(files, table(), tmp_path)
    assert {case: code for case, (code, _) in found.refused.items()} == {
        "3": "vcf_annotation",
        "4": "vcf_record",
    }
    assert list(found.values.columns) == ["TP53"] and found.values["TP53"].isna().tolist() == [
        False,
        False,
        False,
        True,
        True,
    ]
    with pytest.raises(
        DescriptionError,
        match=r"none of the 1 of \[modalities\.genes\] can, 1 by one rule \(\w+\)\. [A-Z]",
    ):
        read_case_tables({"4": files["4"]}, table(), tmp_path)


def test_one_table_a_case_has_one_row_unless_a_rule_is_stated(tmp_path):
    (tmp_path / "1.csv").write_text("sample,A,B\nx,1,2\ny,3,NA\n")
    with pytest.raises(ReadError, match="duplicate_row"):
        read_case_table(tmp_path / "1.csv", table())
    assert read_case_table(tmp_path / "1.csv", table(rows="first")).numbers.to_dict() == {
        "A": 1,
        "B": 2,
    }
    (tmp_path / "2.csv").write_text("A,C\n5,7\n")
    (tmp_path / "1.csv").write_text("sample,A,B\nx,1,2\n")
    values = read_case_tables(
        {"1": tmp_path / "1.csv", "2": tmp_path / "2.csv"}, table(), tmp_path
    ).values
    assert values.loc["2", "A"] == 5 and np.isnan(values.loc["2", "B"]), (
        "what a table lacks is missing"
    )
    (tmp_path / "1.csv").write_text("A\nlow\n")
    with pytest.raises(ReadError, match="table_value"):
        read_case_table(tmp_path / "1.csv", table(columns=("A",)))


FORMAT = '##FORMAT=<ID={0},Number=1,Type={1},Description="x">\n'
DECLARED = {
    "a phase set is a number": ("4.2", FORMAT.format("PS", "String"), "PS has the Number and Type"),
    "a likelihood of uneven ploidy is text": ("4.1", FORMAT.format("GLE", "Float"), "GLE has"),
    "a name in quotes": ("4.3", "##contig=<ID=chr'1>\n", "its ID has no quotes"),
    "a name in brackets": ("4.4", "##contig=<ID=chr(1)>\n", "its ID has no quotes"),
    "a name that begins with a star": ("4.3", "##contig=<ID=*1>\n", "its ID has no quotes"),
}


def declaring(version, line):
    text = VCF.replace("VCFv4.3", f"VCFv{version}")
    return text.replace("##contig", f"{line}##contig", 1)


@pytest.mark.parametrize("name", DECLARED)
def test_what_the_specification_reserves_is_declared_as_it_says(tmp_path, name):
    version, line, message = DECLARED[name]
    with pytest.raises(ReadError, match=message) as refusal:
        read_vcf(write(tmp_path / "v.vcf", declaring(version, line)))
    assert refusal.value.code == "vcf_header"


@pytest.mark.parametrize(
    ("version", "line"),
    [
        ("4.2", FORMAT.format("PS", "Integer")),
        ("4.2", FORMAT.format("GLE", "String")),
        ("4.3", FORMAT.format("GLE", "Float")),
        ("4.2", "##contig=<ID=1.*>\n"),
        ("4.3", "##contig=<ID=HLA-A*01:01>\n"),
    ],
)
def test_what_a_version_allows_may_be_declared(tmp_path, version, line):
    assert len(read_vcf(write(tmp_path / "v.vcf", declaring(version, line))).records) == 2


@pytest.mark.parametrize("chromosome", ["chr*1", "chr:1", "chr[1", "chr'1", "=1"])
def test_an_illegal_name_of_a_chromosome_is_refused(tmp_path, chromosome):
    text = "\n".join(
        line.replace("chr17", chromosome, 1) if line.startswith("chr17") else line
        for line in VCF.split("\n")
    )
    with pytest.raises(ReadError, match="CHROM is a name") as refusal:
        read_vcf(write(tmp_path / "v.vcf", text))
    assert refusal.value.code == "vcf_record"


def paired(first: str, second: str, *meta: str) -> str:
    """Two samples: both carry the first variant, the second one carries the second alone, and the
    first one the third.
    """
    genotypes = [("0/1", "0/1"), ("0/0", "0|1"), ("0/1", "0/0"), ("0/1", "0/0")]
    rows = [
        f"chr17\t{place}\t.\tC\tT\t.\tPASS\t.\tGT\t{one}\t{other}\n"
        for place, (one, other) in enumerate(genotypes, start=1)
    ]
    lines = "".join(f"{line}\n" for line in meta)
    return META + lines + COLUMNS.replace("S1", f"{first}\t{second}") + "".join(rows)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (paired("NORMAL", "TUMOR"), 2),
        (paired("Tumour", "normal"), 3),
        (paired("P1_blood", "P1_tumor"), 2),
        (paired("NORMAL", "PRIMARY"), 2),
        (paired("a", "b", "##tumor_sample=b"), 2),
        (paired("a", "b", "##normal_sample=b"), 3),
        (paired("a", "b", '##SAMPLE=<ID=a,Description="Blood, normal">'), 2),
        (paired("a", "b", '##SAMPLE=<ID=a,Genomes=Tumor,Description="Primary tumor">'), 3),
        (paired("TUMOR", "b", "##tumor_sample=b"), 2),
        (paired("mother", "c7"), 2),
        (paired("tumor_adjacent", "c7"), 2),
    ],
)
def test_of_several_samples_the_variants_of_the_tumour_count(tmp_path, text, count):
    assert count_variants(write(tmp_path / "c7.vcf", text))["snv"] == count


@pytest.mark.parametrize(
    "text",
    [
        paired("a", "b"),
        paired("tumor_1", "tumor_2"),
        paired("non_tumor", "b"),
        paired("a", "b", "##tumor_sample=a", "##tumor_sample=b"),
    ],
)
def test_a_vcf_that_does_not_say_which_of_its_samples_is_the_cases_is_refused(tmp_path, text):
    with pytest.raises(ReadError, match=r"vcf_samples.*2 and does not say"):
        count_variants(write(tmp_path / "c7.vcf", text))


def test_without_genotypes_a_record_is_of_the_file_whatever_its_samples(tmp_path):
    text = paired("a", "b").replace("\tGT\t", "\tGL\t")
    for genotype in ("0/1", "0/0", "0|1"):
        text = text.replace(genotype, "-1,-2,-3")
    assert count_variants(write(tmp_path / "c7.vcf", text))["snv"] == 4
