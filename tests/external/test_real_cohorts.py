"""Real cohorts, their tables and their genes: described, read and counted as they were published."""

import pytest
from repository import SHARED

from mmdiag.cohort.case_table import read_cases
from mmdiag.description import ModalityDescription, read_description
from mmdiag.errors import ReadError
from mmdiag.readers.genomics.gene_symbols import approve, read_hgnc
from mmdiag.readers.genomics.maf import count_mutations
from mmdiag.readers.tables.cohort_tables import check_table, read_numbers
from mmdiag.readers.tables.modality import read_modality


def test_the_descriptions_of_the_real_cohorts_are_right(request):
    folder = request.config.rootpath / "tests" / "cohorts"
    for path in sorted(folder.glob("*.toml")):
        assert len(read_cases(read_description(path))) > 50, path.name


def test_the_real_tables_are_read_and_what_a_cohort_must_not_miss_is_named(tmp_path):
    data = SHARED / "data"
    assert check_table(data / "genomics" / "cognoma" / "samples.tsv").shape == (44, 38)
    values = read_numbers(
        [data / "genomics" / "cognoma" / "expression.tsv.gz"], "sample_id", [], [], "refuse"
    ).values
    assert values.shape == (44, 16_261) and abs(float(values.iloc[0, 0]) - 5.23) < 1e-6
    with pytest.raises(ReadError, match="duplicate_key"):
        check_table(data / "pancancer" / "tcga_paad_all_clean.csv.gz")


def test_real_mutations_are_counted_as_published():
    folder = SHARED / "data" / "genomics" / "maftools"
    counts = count_mutations(folder / "tcga_laml.maf.gz")
    mutated = (counts > 0).sum()
    assert (
        counts.shape[1] == 1241
        and mutated["FLT3"] == 52
        and mutated["DNMT3A"] == 48
        and mutated["NPM1"] == 33
    )


def test_real_tables_meet_the_real_names():
    genes = read_hgnc(SHARED / "genes" / "hgnc.tsv.gz")
    assert len(genes.symbols) == 43_882 and approve(["SEPT2"], "symbol", genes).ambiguous == {
        "SEPT2": ("SEPTIN2", "SEPTIN6")
    }
    rna = ModalityDescription(
        name="rna",
        kind="table",
        path="x",
        key="sample_id",
        genes="entrez",
        gene_names="genes/hgnc.tsv.gz",
        units="log2",
    )
    table = read_modality(
        [SHARED / "data" / "genomics" / "cognoma" / "expression.tsv.gz"], rna, SHARED
    )
    counts = table.genes["columns"]["*"]["counts"]
    assert (
        table.values.shape == (44, 16_261)
        and counts["unknown"] == 79
        and counts["collisions"] == 0
        and "TP53" in table.values
    )
    lgg = ModalityDescription(
        name="rna",
        kind="table",
        path="x",
        key="patient_id",
        columns=("*_rnaseq",),
        gene_names="genes/hgnc.tsv.gz",
        units="z-score",
    )
    found = read_modality([SHARED / "data" / "lgg" / "genomics.csv"], lgg, SHARED)
    assert (
        found.genes["columns"]["*_rnaseq"]["counts"]["renamed"] == 3
        and "KMT2A_rnaseq" in found.values
    )
