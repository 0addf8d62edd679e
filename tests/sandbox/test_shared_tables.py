"""Tables of a whole cohort are parsed in the sandbox: a small one that swells is refused, the parent
parses nothing, and what comes back is what the readers read.
"""

import gzip
import re
from dataclasses import asdict
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet
from table_builders import ingest, write_cohort

from mmdiag.cohort.case_table import read_cases
from mmdiag.cohort.scaffold.case_table import read_tables
from mmdiag.description import ModalityDescription, read_description
from mmdiag.errors import DescriptionError, MmdiagError, ReadError
from mmdiag.ingest.inspect import inspect
from mmdiag.readers.genomics import gene_sets
from mmdiag.readers.tables import cohort_tables, encoding, modality
from mmdiag.readers.tables.unite import KEY
from mmdiag.sandbox import limits, tables
from mmdiag.sandbox.cells import pack_frame, pack_texts, unpack_frame, unpack_texts
from mmdiag.sandbox.pool import shared_sandbox

MEGABYTE = 2**20
SWOLLEN = 700  # MB, of which the parent may not see a third


def gzip_bomb(path: Path, head: str, line: bytes = b"0") -> None:
    with gzip.open(path, "wb", compresslevel=6) as stream:
        stream.write(head.encode())
        for _ in range(SWOLLEN):
            stream.write(line * (MEGABYTE // len(line)))


def h5ad_bomb(path: Path) -> None:
    """A matrix of zeros that no chunk of the file holds."""
    text = h5py.string_dtype()
    with h5py.File(path, "w") as stored:
        for name, count in (("obs", 20_000), ("var", 20_000)):
            stored.create_group(name).attrs["_index"] = "_index"
            names = np.array([f"k{number:05d}" for number in range(count)], dtype=object)
            stored[name].create_dataset("_index", data=names, dtype=text, compression="gzip")
        stored.create_dataset("X", (20_000, 20_000), "f4", chunks=(1000, 1000), compression="gzip")


def parquet_bomb(path: Path) -> None:
    """One value, many times."""
    cells = pa.DictionaryArray.from_arrays(np.zeros(60 * MEGABYTE, np.int32), ["k00"])
    parquet.write_table(pa.table({"case_id": cells, "x": cells}), path, compression="zstd")


BOMBS = {
    "t.csv.gz": lambda path: gzip_bomb(path, "case_id,x\n"),
    "lines.csv.gz": lambda path: gzip_bomb(path, "case_id,x\n", b"k00,1\n"),
    "t.tsv.gz": lambda path: gzip_bomb(path, "case_id\tx\n"),
    "t.maf.gz": lambda path: gzip_bomb(path, "Hugo_Symbol\tVariant_Classification\tcase_id\n"),
    "t.gct.gz": lambda path: gzip_bomb(path, "#1.2\n2\t2\nName\tDescription\tk00\tk01\n"),
    "t.h5ad": h5ad_bomb,
    "t.parquet": parquet_bomb,
}
FILES = {  # of one case each, which are read in the sandbox, too
    "t.vcf.gz": lambda path: gzip_bomb(path, "##fileformat=VCFv4.2\n"),
    "t.nii.gz": lambda path: gzip_bomb(path, "\\0" * 400),
}


class Parent:
    """The largest resident memory of this process from now on, in MB beyond what it holds."""

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")
        self.held = self._peak()

    def grew(self) -> float:
        return self._peak() - self.held

    def _peak(self) -> float:
        status = Path("/proc/self/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024


@pytest.mark.parametrize("name", BOMBS)
def test_a_shared_table_that_swells_is_refused_and_not_in_the_parent(tmp_path, name):
    key = "index" if name.endswith((".h5ad", ".gct.gz")) else "case_id"
    cohort = write_cohort(tmp_path / "c", "", name=name)
    cohort.write_text(cohort.read_text().replace('key = "case_id"', f'key = "{key}"'))
    BOMBS[name](tmp_path / "c" / name)
    assert (tmp_path / "c" / name).stat().st_size < 2 * MEGABYTE
    parent = Parent()
    with pytest.raises(DescriptionError, match=re.escape(name)) as said:
        ingest(cohort, tmp_path / "w")
    assert parent.grew() < SWOLLEN / 3, said.value


@pytest.mark.parametrize("name", ["t.csv.gz", "lines.csv.gz", "t.tsv.gz", "t.parquet"])
def test_a_case_table_that_swells_is_refused_and_not_in_the_parent(tmp_path, name):
    cohort = write_cohort(tmp_path / "c", "case_id,x\nk00,1\n")
    cohort.write_text(cohort.read_text().replace('"cases.csv"', f'"{name}"'))
    BOMBS[name](tmp_path / "c" / name)
    parent = Parent()
    with pytest.raises(DescriptionError, match=re.escape(name)) as said:
        read_cases(read_description(cohort))
    assert parent.grew() < SWOLLEN / 3, said.value


@pytest.mark.slow
@pytest.mark.parametrize("name", [*BOMBS, *FILES])
def test_an_inspection_refuses_what_swells(tmp_path, name):
    (BOMBS | FILES)[name](tmp_path / name)
    parent = Parent()
    [verdict] = inspect([tmp_path / name])
    assert verdict["verdict"] == "quarantined" and parent.grew() < SWOLLEN / 3, verdict


def test_what_swells_in_a_folder_that_nobody_described_is_left_out(tmp_path):
    gzip_bomb(tmp_path / "t.csv.gz", "case_id,x\n")
    (tmp_path / "cases.csv").write_text("case_id,x\nk00,1\n")
    assert [path.name for path in read_tables(tmp_path)] == ["cases.csv"]


@pytest.mark.parametrize("key", ["gene_sets", "gene_names"])
def test_what_is_known_of_genes_may_not_swell_either(tmp_path, key):
    gzip_bomb(tmp_path / "genes.gz", "one\tfirst\tTP53\n")
    (tmp_path / "t.csv").write_text("case_id,TP53\nk00,1\n")
    described = ModalityDescription(
        name="genes", kind="table", path="t.csv", key="case_id", **{key: "genes.gz"}
    )
    parent = Parent()
    asked = {
        "gene_sets": lambda: tables.gene_set_columns(tmp_path, described, ["TP53"]),
        "gene_names": lambda: tables.read_modality([tmp_path / "t.csv"], described, tmp_path),
    }
    with pytest.raises(DescriptionError, match=r"genes\.gz inflates to more"):
        asked[key]()
    assert parent.grew() < SWOLLEN / 3


def test_the_parent_parses_no_table(tmp_path, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("parsed in the parent")

    monkeypatch.setattr(encoding, "read_regular", refuse)
    monkeypatch.setattr(encoding, "open_regular", refuse)
    section = 'gene_sets = "sets.gmt"'
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "sets.gmt").write_text("one\tfirst\tTP53\n")
    (tmp_path / "c" / "names.csv").write_text("case_id,value\nk00,Jane Doe\n")
    table = "case_id,TP53,x\n" + "".join(f"k{n:02d},{n},{n % 5}\n" for n in range(12))
    cohort = write_cohort(tmp_path / "c", table, section)
    cohort.write_text(
        cohort.read_text().replace("[modal", 'identifiers = ["names.csv"]\n[modal', 1)
    )
    answer, view = ingest(cohort, tmp_path / "w")
    assert answer["cases"]["accepted"] == 12 and view.table("labs").shape == (12, 2)
    described = read_description(cohort).modalities["labs"]
    assert tables.gene_set_columns(tmp_path / "c", described, ["TP53"]) == {"first": [0]}


TABLE = "case_id,stage,G1,G2,word\na,II,1.5,,x\nb,I,2.5,-999,y\nc,,0,3,\u00e9\n"
DESCRIBED = ModalityDescription(
    name="t", kind="table", path="t.csv", key="case_id", options={"categories": ["stage"]}
)


def test_a_table_comes_back_as_the_readers_read_it(tmp_path):
    file = tmp_path / "t.csv"
    file.write_text(TABLE)
    pd.testing.assert_frame_equal(tables.read_any_table(file), cohort_tables.read_any_table(file))
    pd.testing.assert_frame_equal(tables.check_table(file), cohort_tables.check_table(file))
    pd.testing.assert_frame_equal(
        tables.read_text_table([file], "case_id", ["word"]),
        cohort_tables.read_text_table([file], "case_id")[[KEY, "word"]],
    )
    assert tables.table_header(file) == cohort_tables.table_header(file)
    assert tables.key_counts(file, "case_id") == {"a": 1, "b": 1, "c": 1}
    assert tables.row_hashes([file], "case_id") == cohort_tables.row_hashes([file], "case_id")
    found = tables.read_modality([file], DESCRIBED, tmp_path)
    wanted = modality.read_modality([file], DESCRIBED, tmp_path)
    pd.testing.assert_frame_equal(found.values, wanted.values)
    assert (found.refused, found.genes) == (wanted.refused, wanted.genes)
    assert asdict(found.said) == asdict(wanted.said)
    assert dict(found.categories) == dict(wanted.categories)


def test_gene_sets_come_back_as_the_reader_reads_them(tmp_path):
    (tmp_path / "sets.gmt").write_text("one\tfirst\tTP53\tEGFR\ntwo\tsecond\tEGFR\n")
    described = ModalityDescription(name="g", kind="table", path="t", gene_sets="sets.gmt")
    arguments = (tmp_path, described, ["EGFR", "TP53"])
    assert tables.gene_set_columns(*arguments) == gene_sets.gene_set_columns(*arguments)


@pytest.mark.parametrize("kind", ["str", object])
@pytest.mark.parametrize(
    "cells", [{}, {"a": []}, {"a": ["", "x"], "b": ["\u00e9\u4e2d", "y" * 300]}, {"a": [None, "x"]}]
)
def test_text_comes_through_whole(cells, kind):
    frame = pd.DataFrame(cells, dtype=kind)
    facts, arrays = pack_frame(frame)
    pd.testing.assert_frame_equal(unpack_frame(facts, arrays), frame, check_column_type=False)
    texts = [text for text in cells.get("a", []) if text is not None]
    assert unpack_texts(pack_texts(texts)) == texts


def test_offsets_that_lead_out_of_the_text_are_refused():
    facts, arrays = pack_frame(pd.DataFrame({"a": ["x", "y"]}))
    arrays["ends"] = np.array([1, 2**40])
    with pytest.raises(pa.ArrowInvalid, match=r"(?i)offset|buffer"):
        unpack_frame(facts, arrays)


def test_more_is_given_to_what_is_larger_on_the_disk(tmp_path):
    small, large, packed = tmp_path / "s.csv", tmp_path / "l.csv", tmp_path / "p.csv.gz"
    small.write_bytes(b"x" * 1000)
    for path in (large, packed):
        with path.open("wb") as file:
            file.truncate(300 * MEGABYTE)
    assert limits.allowance([small])[1] == 0
    assert limits.allowance([large]) == (300.0, 4800) or limits.allowance([large])[1] > 900
    assert limits.allowance([packed])[0] > limits.allowance([large])[0]
    pool = shared_sandbox()
    assert pool.limits([small])["megabytes"] == pool.megabytes


def test_a_worker_of_its_own_has_the_memory_that_it_is_given(tmp_path):
    outcome = shared_sandbox().call("archive_verdict", megabytes=2000, file="/etc/hostname")
    assert outcome.code == "archive"


def test_a_file_that_takes_much_memory_leaves_none_too_little(tmp_path):
    for name in ("t.parquet", "t.h5ad"):
        BOMBS[name](tmp_path / name)
    (tmp_path / "x.csv").write_text("case_id,x\nk00,1\n")
    files = [tmp_path / name for name in ("t.parquet", "x.csv", "t.h5ad", "x.csv") * 3]
    verdicts = [one["verdict"] for one in inspect(files)]
    assert verdicts == ["quarantined", "accepted"] * 6


def test_more_cells_than_a_file_can_account_for_are_not_handed_on(tmp_path):
    file = tmp_path / "t.csv"
    file.write_text("a\n")
    limits.require_few_cells(limits.CELLS, [file])
    with pytest.raises(ReadError, match=r"too_large: t\.csv has"):
        limits.require_few_cells(limits.CELLS + 1, [file])


def test_what_is_wrong_with_a_table_is_said_as_before(tmp_path):
    (tmp_path / "t.csv").write_text("case_id,x\na,1,2\n")
    with pytest.raises(DescriptionError, match=r"as long as its header, t\.csv breaks this"):
        tables.read_case_cells(tmp_path / "t.csv")
    with pytest.raises(ReadError, match="ragged"):
        tables.check_table(tmp_path / "t.csv")
    assert issubclass(DescriptionError, MmdiagError)


@pytest.mark.parametrize("kind", ["object", "string[pyarrow]", "large_string[pyarrow]"])
def test_a_table_of_several_files_comes_back_as_it_was(kind):

    parts = [pd.DataFrame({"a": [f"{i}", None], "b": ["ä\n", ""]}, dtype=kind) for i in range(3)]
    for table in (pd.concat(parts, ignore_index=True), parts[0], parts[0].iloc[:0]):
        facts, arrays = pack_frame(table)
        found = unpack_frame(facts, arrays)
        assert found.astype(object).where(found.notna(), None).to_numpy().tolist() == (
            table.astype(object).where(table.notna(), None).to_numpy().tolist()
        )
