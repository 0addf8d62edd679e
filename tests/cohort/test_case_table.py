"""A table modality with one file a case: its columns are those of the first ingestion, and what a
case lacks is told from what it has none of.
"""

import json

import numpy as np

from mmdiag import api
from mmdiag.description import read_description
from mmdiag.storage.ledger import Ledger
from mmdiag.storage.store import Store
from mmdiag.workspace import Workspace

VCF = "##fileformat=VCFv4.2\n##contig=<ID=chr1>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


def ingest(folder, section, files):
    (folder / "files").mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / "files" / name).write_text(content)
    keys = sorted({name.split(".")[0] for name in files} | {"d"})
    (folder / "cases.csv").write_text("id\n" + "".join(f"{key}\n" for key in keys))
    (folder / "d.txt").write_text("A note of the case without a table, long enough to count.")
    (folder / "cohort.toml").write_text(
        '[cohort]\nname = "s"\n[cases]\ntable = "cases.csv"\ncase_id = '
        f'"id"\n{section}\n[modalities.note]\nkind = "text"\npath = "{{id}}.txt"\n'
    )
    workspace = Workspace(folder / "w")
    found = api.ingest(
        read_description(folder / "cohort.toml"), workspace, ledger := Ledger(workspace.ledger_url)
    )
    return found, Store.open(workspace, "s"), ledger


def test_variants_of_each_case_become_counts_and_a_damaged_file_is_refused_alone(tmp_path):
    record = "chr1\t{0}\t.\tA\t{1}\t.\tPASS\t.\n"
    files = {
        "a.vcf": VCF + record.format(5, "C") + record.format(9, "AT"),
        "b.vcf": VCF + record.format(7, "G"),
        "c.vcf": VCF + "chr1\tfive\n",
    }
    found, store, ledger = ingest(
        tmp_path, '[modalities.variants]\nkind = "table"\npath = "files/{id}.vcf"', files
    )
    assert found["modalities"]["variants"]["present"] == 2 and found["cases"]["accepted"] == 3
    assert ledger.quarantine().set_index("case_id").loc["c", "code"].tolist().count("ragged") == 1
    values = store.table("variants")
    rows = {case: values[row] for row, case in enumerate(store.cases["case_id"])}
    assert np.isfinite(rows["a"]).all() and np.isfinite(rows["b"]).all(), (
        "what a VCF does not hold is 0"
    )
    assert rows["a"].sum() > rows["b"].sum() and np.isnan(rows["d"]).all(), (
        "who has no file was not measured"
    )
    assert json.loads((store.folder / "columns_variants.json").read_text()) == store.columns(
        "variants"
    )


def test_a_table_of_one_row_a_case_is_read(tmp_path):
    files = {"a.csv": "CRP,LDH\n1.5,200\n", "b.csv": "LDH,CRP\n300,\n"}
    _, store, _ = ingest(
        tmp_path, '[modalities.lab]\nkind = "table"\npath = "files/{id}.csv"', files
    )
    values = dict(zip(store.cases["case_id"], store.table("lab"), strict=True))
    place = {name: i for i, name in enumerate(store.columns("lab"))}
    assert (
        values["a"][place["CRP"]] == 1.5
        and values["b"][place["LDH"]] == 300
        and np.isnan(values["b"][place["CRP"]])
    )
