"""What README promises of compressed inputs holds where files are read: in the sandbox, with its
limit of memory.
"""

import gzip

import pytest
from table_builders import KEYS, ingest, rows, write_cohort

from mmdiag.errors import ReadError
from mmdiag.ingest.inspect import inspect
from mmdiag.readers.tables import encoding
from mmdiag.sandbox.pool import shared_sandbox

VCF = (
    "##fileformat=VCFv4.2\n##contig=<ID=chr1>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    "chr1\t{0}\t.\tA\tC\t.\tPASS\t.\n"
)
MAF = "Hugo_Symbol\tVariant_Classification\tTumor_Sample_Barcode\nTP53\tMissense_Mutation\tk00\n"
GCT = "#1.2\n2\t2\nName\tDescription\tk00\tk01\nTP53\tx\t1\t2\nEGFR\tx\t3\t4\n"
FORMS = {
    "t.csv.gz": "id,x\na,1\nb,2\n",
    "t.tsv.gz": "id\tx\na\t1\nb\t2\n",
    "t.vcf.gz": VCF.format(5),
    "t.vcf.bgz": VCF.format(5),
    "t.maf.gz": MAF,
    "t.gct.gz": GCT,
}


@pytest.mark.parametrize("name", FORMS)
def test_a_compressed_table_is_accepted(tmp_path, name):
    (tmp_path / name).write_bytes(gzip.compress(FORMS[name].encode()))
    [verdict] = inspect([tmp_path / name])
    assert (verdict["verdict"], verdict["code"], verdict["detail"]) == ("accepted", "", "")


@pytest.mark.parametrize("name", FORMS)
def test_members_one_after_another_are_one_file(tmp_path, name):
    half = len(FORMS[name]) // 2
    parts = (FORMS[name][:half], FORMS[name][half:])
    (tmp_path / name).write_bytes(b"".join(gzip.compress(part.encode()) for part in parts))
    assert [one["code"] for one in inspect([tmp_path / name])] == [""]


def test_a_stream_that_is_torn_is_said(tmp_path):
    content = gzip.compress(FORMS["t.csv.gz"].encode())
    (tmp_path / "t.csv.gz").write_bytes(content[:-6])
    assert [one["code"] for one in inspect([tmp_path / "t.csv.gz"])] == ["truncated"]


def test_a_bomb_costs_one_verdict_and_little_memory(tmp_path):
    bomb = tmp_path / "t.csv.gz"
    with gzip.open(bomb, "wb", compresslevel=9) as stream:
        for _ in range(1100):
            stream.write(bytes(2**20))
    [verdict] = inspect([bomb])
    assert verdict["code"] == "too_large"


def test_no_more_is_inflated_than_a_file_may_have(monkeypatch):
    monkeypatch.setattr(encoding, "LARGEST", 100)
    monkeypatch.setattr(encoding, "PIECE", 64)
    content = gzip.compress(b"0123456789" * 50)
    with pytest.raises(ReadError, match="too_large"):
        encoding.inflate(content, "t.csv.gz")
    monkeypatch.setattr(encoding, "LARGEST", 1000)
    assert encoding.inflate(content, "t.csv.gz") == b"0123456789" * 50
    with pytest.raises(ReadError, match="truncated"):
        encoding.inflate(content[:-4], "t.csv.gz")


@pytest.mark.parametrize(
    ("suffix", "content"),
    [("vcf.gz", VCF), ("vcf.bgz", VCF), ("csv.gz", "a\n{0}\n"), ("tsv.gz", "a\tb\n{0}\t1\n")],
)
def test_one_compressed_file_a_case_comes_into_the_store(tmp_path, suffix, content):
    cohort = write_cohort(tmp_path, "")
    (tmp_path / "t").mkdir()
    for number, key in enumerate(KEYS):
        text = content.format(number + 5)
        (tmp_path / "t" / f"{key}.{suffix}").write_bytes(gzip.compress(text.encode()))
    text = cohort.read_text().replace('"labs.csv"', f'"t/{{case_id}}.{suffix}"')
    cohort.write_text(text.replace('key = "case_id"', ""))
    answer, found = ingest(cohort, tmp_path / "w")
    assert answer["modalities"]["labs"]["present"] == len(KEYS)
    table = found.table("labs")
    assert (table["snv"] == 1).all() if "vcf" in suffix else table.loc["k03", "a"] == 8


@pytest.mark.parametrize("name", ["labs.csv.gz", "labs.tsv.gz"])
def test_a_shared_table_may_be_compressed(tmp_path, name):
    separator = "," if "csv" in name else "\t"
    content = gzip.compress(rows({"a": ["1"] * 12}, separator=separator).encode())
    _, found = ingest(write_cohort(tmp_path, content, name=name), tmp_path / "w")
    assert found.table("labs")["a"].tolist() == [1] * 12


def test_the_sandbox_reads_a_compressed_table_of_one_case(tmp_path):
    file = tmp_path / "one.csv.gz"
    file.write_bytes(gzip.compress(b"a,b\n1,2\n"))
    described = {"name": "labs", "kind": "table", "path": "x"}
    outcome = shared_sandbox().call("case_table", file=str(file), modality=described)
    facts, arrays = outcome.value()
    assert facts["columns"] == ["a", "b"] and arrays["values"].tolist() == [1, 2]
