"""Gene names become approved symbols where one gene only is meant; units that cannot be are
refused.
"""

import json

import numpy as np
import pytest

from mmdiag.description import ModalityDescription, read_description
from mmdiag.errors import DescriptionError
from mmdiag.readers.genomics.gene_sets import gene_set_columns
from mmdiag.readers.genomics.gene_symbols import approve, read_hgnc
from mmdiag.readers.tables.modality import read_modality
from mmdiag.readers.tables.units import check_units

HGNC = """hgnc_id\tsymbol\tprev_symbol\talias_symbol\tensembl_gene_id\tentrez_id
HGNC:1\tTP53\t\tp53|LFS1\tENSG00000141510\t7157
HGNC:2\tKMT2A\tMLL\tALL-1|HRX\tENSG00000118058\t4297
HGNC:3\tKMT2D\tMLL2\tALR\tENSG00000167548\t8085
HGNC:4\tKMT2B\t\tMLL2|HRX2\tENSG00000272333\t9757
HGNC:5\tMARCHF1\tMARCH1\t\tENSG00000145416\t55016
HGNC:6\tSEPTIN2\tSEPT2\t\tENSG00000168385\t4735
"""


@pytest.fixture
def genes(tmp_path):
    (tmp_path / "hgnc.txt").write_text(HGNC)
    return read_hgnc(tmp_path / "hgnc.txt")


def test_previous_symbols_and_aliases_that_mean_one_gene_are_replaced(genes):
    approval = approve(["TP53", "MLL", "HRX2", "MARCH1"], "symbol", genes)
    assert (
        approval.names == ("TP53", "KMT2A", "KMT2B", "MARCHF1")
        and approval.previous == ("MLL", "MARCH1")
        and approval.alias == ("HRX2",)
    )


def test_what_is_ambiguous_or_unknown_keeps_its_name_and_is_listed(genes):
    approval = approve(["MLL2", "tp53", "NOGENE"], "symbol", genes)
    assert approval.names == ("MLL2", "tp53", "NOGENE") and approval.ambiguous == {
        "MLL2": ("KMT2B", "KMT2D")
    }
    assert approval.unknown == ("tp53", "NOGENE"), (
        "another case is another name; nothing is guessed"
    )


def test_two_names_of_one_gene_are_not_merged(genes):
    with_symbol = approve(["p53", "TP53", "LFS1"], "symbol", genes)
    assert with_symbol.names == ("p53", "TP53", "LFS1") and with_symbol.collisions == {
        "TP53": ("p53", "TP53", "LFS1")
    }
    assert approve(["p53", "LFS1"], "symbol", genes).names == ("p53", "LFS1"), (
        "none of them is the symbol, so none becomes it"
    )
    assert with_symbol.report()["approved"] == 1


@pytest.mark.parametrize(
    "name",
    ["1-Mar", "Mar-01", "2-Sep", "1-Dec-2001", "2001-03-01", "01/03/2001", "2.31E+13", "36951"],
)
def test_names_that_a_spreadsheet_damaged_are_recognised_and_not_repaired(genes, name):
    approval = approve([name, "SEPT2"], "symbol", genes)
    assert approval.damaged == (name,) and approval.names == (name, "SEPTIN2")


def test_identifiers_are_brought_to_symbols_without_their_versions(genes):
    ensembl = approve(
        ["ENSG00000141510.18", "ENSG00000118058", "ENSG00000000000"], "ensembl", genes
    )
    assert ensembl.names == ("TP53", "KMT2A", "ENSG00000000000") and ensembl.versions_dropped == 1
    assert approve(["7157", "1"], "entrez", genes).names == ("TP53", "1")
    assert approve(["ENSG00000141510.18", "ENSG00000141510.17"], "ensembl", genes).collisions


def test_the_report_is_json_with_counts_and_lists(genes):
    report = json.loads(json.dumps(approve(["MLL", "MLL2", "1-Mar"], "symbol", genes).report()))
    assert (
        report["names"] == 3
        and report["approved"] == 1
        and report["counts"]["ambiguous"] == 1
        and report["renamed"] == {"MLL": "KMT2A"}
    )


def test_another_table_is_no_gene_names(tmp_path):
    (tmp_path / "x.txt").write_text("gene\tname\nTP53\ttumour protein\n")
    with pytest.raises(DescriptionError, match=r"HGNC's complete set, x\.txt has no column symbol"):
        read_hgnc(tmp_path / "x.txt")


def modality(**changes) -> ModalityDescription:
    return ModalityDescription(
        name="genes", kind="table", path="t.csv", key="id", gene_names="hgnc.txt", **changes
    )


def test_a_modalitys_columns_bear_approved_symbols_and_keep_their_affixes(tmp_path, genes):
    (tmp_path / "t.csv").write_text("id,MLL_rna,TP53_rna,MLL_mut,p53_mut\n1,1,2,0,1\n")
    table = read_modality([tmp_path / "t.csv"], modality(columns=("*_rna", "*_mut")), tmp_path)
    assert list(table.values.columns) == ["KMT2A_rna", "TP53_rna", "KMT2A_mut", "TP53_mut"]
    assert (
        table.genes["columns"]["*_rna"]["approved"] == 2
        and table.genes["gene_names"] == "hgnc.txt"
        and json.dumps(table.genes)
    )


def test_a_modality_whose_numbers_are_of_another_unit_is_refused(tmp_path, genes):
    (tmp_path / "t.csv").write_text("id,MLL\n1,0.5\n")
    with pytest.raises(DescriptionError, match=r"1 of 1 columns of \[modalities\.genes\] is not"):
        read_modality([tmp_path / "t.csv"], modality(units="counts"), tmp_path)


def test_gene_sets_meet_the_columns_by_approved_symbols(tmp_path, genes):
    (tmp_path / "sets.gmt").write_text("leukaemia\tR-1\tMLL\tTP53\nnone\tR-2\tNOGENE\n")
    described = modality(columns=("*_rna",), gene_sets="sets.gmt")
    assert gene_set_columns(tmp_path, described, ["KMT2A_rna", "X_rna", "TP53_rna"]) == {
        "R-1": [0, 2]
    }


RIGHT = {
    "counts": np.array([[0, 5, np.nan], [7, 0, 2]]),
    "tpm": np.array([[0.5, 20.0, 3.25], [1.0, 0.0, 900_000.0]]),
    "log2": np.array([[-5.5, 20.0, 3.0], [0.0, 1.0, 15.0]]),
    "z-score": np.random.default_rng(0).normal(size=(50, 40)),
}
MISTAKEN = {
    "halves for counts": ("counts", np.array([[0.5, 1, 2], [1, 1, 2]]), "1 of 3 columns"),
    "z-scores for counts": ("counts", RIGHT["z-score"], "40 of 40 columns"),
    "logarithms for TPM": ("tpm", -RIGHT["log2"], "2 of 3 columns"),
    "counts for TPM": ("tpm", np.full((3, 10), 400_000.0), "3 of 3 rows"),
    "a transcriptome that adds up to too little": ("tpm", np.full((2, 10_000), 1.0), "2 of 2 rows"),
    "counts for logarithms": ("log2", np.array([[5.0, 300.0]]), "1 of 2 columns"),
    "logarithms for z-scores": ("z-score", RIGHT["z-score"] + 8, "40 of 40 columns"),
}


@pytest.mark.parametrize("units", RIGHT)
def test_numbers_of_the_unit_that_was_declared_are_accepted(units):
    check_units(RIGHT[units], units, "[modalities.genes]")


@pytest.mark.parametrize("name", MISTAKEN)
def test_numbers_of_another_unit_are_refused_and_counted(name):
    units, values, found = MISTAKEN[name]
    with pytest.raises(
        DescriptionError,
        match=rf'{found} of \[modalities\.genes\] (is|are) not: correct units = "{units}"',
    ):
        check_units(values, units, "[modalities.genes]")


def described(tmp_path, line: str):
    (tmp_path / "cases.csv").write_text("id\n1\n")
    section = f'[modalities.genes]\nkind = "table"\npath = "t.csv"\nkey = "id"\n{line}\n'
    (tmp_path / "cohort.toml").write_text(
        f'[cohort]\nname = "c"\n[cases]\ntable = "cases.csv"\ncase_id = "id"\n{section}'
    )
    return read_description(tmp_path / "cohort.toml").modalities["genes"]


def test_units_and_assay_are_keys_of_a_table_and_a_misspelt_unit_is_said(tmp_path):
    found = described(tmp_path, 'units = "tpm"\nassay = "TruSight Oncology 500, v2.2"')
    assert (found.units, found.assay) == ("tpm", "TruSight Oncology 500, v2.2")
    for line, message in (
        ('units = "fpkm"', "units under .* found 'fpkm'"),
        ('genes = "ensemble"', "did you mean 'ensembl'"),
    ):
        with pytest.raises(DescriptionError, match=message):
            described(tmp_path, line)
