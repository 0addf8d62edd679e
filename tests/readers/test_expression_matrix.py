"""Gene matrices: GCT, h5ad and MAF give the same numbers by case as a plain table, and what is torn
or leads outside is refused.
"""

import gzip
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from mmdiag.errors import DescriptionError, ReadError
from mmdiag.readers.genomics.expression_matrix import read_matrix
from mmdiag.readers.genomics.maf import count_mutations
from mmdiag.readers.tables.cohort_tables import (
    check_table,
    read_numbers,
    row_hashes,
    table_header,
    table_keys,
)

CASES, GENES = ["P1", "P2", "P3"], ["TP53", "IDH1"]
VALUES = np.array([[1.5, 0], [0, -2], [3, 4]], np.float32)


def write_gct(path: Path, version: str = "1.3", **changes: str) -> Path:
    rows = [
        "\t".join([gene, f"{gene} described", *map(str, VALUES[:, place])])
        for place, gene in enumerate(GENES)
    ]
    head = ["#1.2", "2\t3", "\t".join(["Name", "Description", *CASES])]
    if version == "1.3":
        head = [
            "#1.3",
            "2\t3\t1\t1",
            "\t".join(["id", "title", *CASES]),
            "\t".join(["patient", "na", "a", "b", "c"]),
        ]
    text = "\n".join([*head, *rows]) + "\n"
    for old, new in changes.items():
        text = text.replace(old, new)
    path.write_bytes(gzip.compress(text.encode()) if path.name.endswith(".gz") else text.encode())
    return path


def write_h5ad(path: Path, form: str = "dense") -> Path:
    with h5py.File(path, "w") as file:
        for name, index in (("obs", CASES), ("var", GENES)):
            group = file.create_group(name)
            group.attrs["_index"] = "_index"
            group["_index"] = index
        patient = file["obs"].create_group("patient")
        patient["categories"], patient["codes"] = ["a", "b", "c"], np.array([0, 1, 2], np.int8)
        file["obs"]["age"] = [50, 60, 70]
        if form == "dense":
            file["X"] = VALUES
        else:
            matrix = {"csr_matrix": sparse.csr_matrix, "csc_matrix": sparse.csc_matrix}[form](
                VALUES
            )
            group = file.create_group("X")
            group.attrs["encoding-type"], group.attrs["shape"] = form, VALUES.shape
            group["data"], group["indices"], group["indptr"] = (
                matrix.data,
                matrix.indices,
                matrix.indptr,
            )
    return path


MATRICES = {
    "GCT 1.2": lambda folder: write_gct(folder / "m.gct", "1.2"),
    "GCT 1.3": lambda folder: write_gct(folder / "m.gct.gz"),
    "h5ad, dense": lambda folder: write_h5ad(folder / "m.h5ad"),
    "h5ad, CSR": lambda folder: write_h5ad(folder / "m.h5ad", "csr_matrix"),
    "h5ad, CSC": lambda folder: write_h5ad(folder / "m.h5ad", "csc_matrix"),
}


@pytest.mark.parametrize("name", MATRICES)
def test_a_matrix_gives_the_same_numbers_by_case_whatever_its_format(tmp_path, name):
    file = MATRICES[name](tmp_path)
    table = read_numbers([file], "index", [], [], "refuse")
    assert (
        table.values.equals(
            pd.DataFrame(
                VALUES, index=pd.Index(CASES, name="case key", dtype=object), columns=GENES
            )
        )
        and not table.refused
    )
    assert (
        table_keys(file, "index") == CASES and len(set(row_hashes([file], "index").values())) == 3
    )
    assert list(read_numbers([file], "index", ["TP*"], [], "refuse").values.columns) == ["TP53"]
    assert check_table(file)["index"].tolist() == CASES


@pytest.mark.parametrize("name", ["GCT 1.3", "h5ad, dense", "h5ad, CSR"])
def test_what_a_matrix_says_of_its_cases_may_be_the_key(tmp_path, name):
    file = MATRICES[name](tmp_path)
    assert table_header(file) == ("index", "patient") and read_numbers(
        [file], "patient", [], [], "refuse"
    ).values.index.tolist() == ["a", "b", "c"]
    with pytest.raises(DescriptionError, match=r"'person' is in none of m\."):
        read_numbers([file], "person", [], [], "refuse")


BROKEN_GCT = {
    "another version": ("gene_matrix", {"#1.3": "#1.9"}),
    "a size that is not its own": ("truncated", {"2\t3\t1\t1": "9\t3\t1\t1"}),
    "a header that is too short": ("ragged", {"\tP3": ""}),
    "a row that was cut": ("ragged", {"\t-2.0\t4.0": "\t-2.0"}),
    "a gene twice": ("duplicate_column", {"IDH1\tIDH1": "TP53\tIDH1"}),
    "a case twice": ("duplicate_key", {"P3": "P2"}),
    "a cell that is no number": ("table_value", {"1.5": "high"}),
}


@pytest.mark.parametrize("name", BROKEN_GCT)
def test_what_is_wrong_with_a_gct_has_its_code(tmp_path, name):
    code, changes = BROKEN_GCT[name]
    with pytest.raises(ReadError, match=r"m\.gct") as refusal:
        check_table(write_gct(tmp_path / "m.gct", **changes))
    assert refusal.value.code == code


def test_a_cell_of_a_matrix_that_is_no_number_refuses_its_case_alone(tmp_path):
    table = read_numbers(
        [write_gct(tmp_path / "m.gct", **{"-2.0": "low"})], "index", ["*"], [], "refuse"
    )
    assert list(table.refused) == ["P2"] and table.values.loc["P3", "IDH1"] == 4


def broken_h5ad(path: Path, name: str) -> Path:
    write_h5ad(path, "csr_matrix" if name == "a place outside of the matrix" else "dense")
    with h5py.File(path, "a") as file:
        if name == "no genes":
            del file["var"]
        elif name == "a shape of its own":
            del file["X"]
            file["X"] = VALUES.T
        elif name == "a place outside of the matrix":
            file["X"]["indices"][0] = 99
        elif name == "a link to another file":
            del file["X"]
            file["X"] = h5py.ExternalLink("/etc/hostname", "/X")
        elif name == "numbers kept elsewhere":
            del file["X"]
            file.create_dataset("X", VALUES.shape, np.float32, external=[("/etc/hostname", 0, 24)])
    if name == "torn":
        path.write_bytes(path.read_bytes()[:900])
    return path


@pytest.mark.parametrize(
    "name",
    [
        "torn",
        "no genes",
        "a shape of its own",
        "a place outside of the matrix",
        "a link to another file",
        "numbers kept elsewhere",
    ],
)
def test_an_h5ad_that_is_not_whole_or_leads_outside_is_refused(tmp_path, name):
    with pytest.raises(ReadError, match="gene_matrix"):
        read_matrix(broken_h5ad(tmp_path / "m.h5ad", name))


MAF = """#version 2.4
Hugo_Symbol\tChromosome\tVariant_Classification\tTumor_Sample_Barcode
TP53\t17\tMissense_Mutation\tT1
TP53\t17\tNonsense_Mutation\tT1
TP53\t17\tSilent\tT2
IDH1\t2\tMissense_Mutation\tT3
MUC16\t19\t3'UTR\tT3
"""


def test_a_maf_becomes_the_non_silent_mutations_of_each_gene_and_case(tmp_path):
    (tmp_path / "m.maf").write_text(MAF)
    values = read_numbers([tmp_path / "m.maf"], "Tumor_Sample_Barcode", [], [], "refuse").values
    assert (
        values.loc["T1"].to_dict() == {"IDH1": 0, "TP53": 2}
        and values.loc["T2"].sum() == 0
        and values.loc["T3", "IDH1"] == 1
    )
    assert (
        set(table_keys(tmp_path / "m.maf", "Tumor_Sample_Barcode")) == {"T1", "T2", "T3"}
        and len(check_table(tmp_path / "m.maf")) == 5
    )


def test_a_maf_without_a_column_or_with_an_unknown_class_is_refused(tmp_path):
    for old, new in (("Variant_Classification", "Class"), ("Silent", "Benign")):
        (tmp_path / "m.maf").write_text(MAF.replace(old, new))
        with pytest.raises(ReadError, match="mutation_table"):
            count_mutations(tmp_path / "m.maf")
