"""Tables: what is wrong with a file is found before a cell is read, keys tell cases apart, and a
cell is a number, missing, or wrong.
"""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mmdiag.errors import DescriptionError, ReadError
from mmdiag.readers.tables.cohort_tables import (
    KEY,
    check_table,
    read_numbers,
    read_text_table,
    row_hashes,
    table_header,
    table_keys,
)
from mmdiag.readers.tables.keys import guessed_key, skeleton
from mmdiag.readers.tables.numbers import strict_numbers
from mmdiag.reasons import REASONS

ROWS = "".join(f"C{number:04d},{40 + number},F,{number / 100}\n" for number in range(12))
PLAIN = "case_id,age,sex,TP53_vaf\n" + ROWS


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


WRONG: dict[str, tuple[str, str | bytes]] = {
    "nothing": ("no_rows", ""),
    "a header only": ("no_rows", "case_id,age\n"),
    "UTF-16 without its mark": ("encoding", PLAIN.encode("utf-16-le")),
    "UTF-8 and Windows-1252 mixed": (
        "encoding",
        "case_id,site\n1,Zürich\n".encode() + "2,Zürich\n".encode("cp1252"),
    ),
    "bytes of no encoding": ("encoding", b"case_id,site\n1,\x81\x8d\n"),
    "a tail of NUL bytes": ("nul_bytes", PLAIN.encode() + b"\0" * 40),
    "a control character": ("control_characters", PLAIN.replace(",F,", ",F\x07,", 1)),
    "text that runs backwards": ("control_characters", PLAIN.replace(",F,", ",\u202eF,", 1)),
    "a line separator of Unicode": ("control_characters", PLAIN.replace(",F,", ",F\u2028,", 1)),
    "CR alone": ("line_ends", PLAIN.replace("\n", "\r")),
    "semicolons": ("delimiter", PLAIN.replace(",", ";")),
    "decimal commas": ("delimiter", "case_id;age;vaf\nC1;50;0,25\n"),
    "tabs under .csv": ("delimiter", PLAIN.replace(",", "\t")),
    "a row that was cut": ("ragged", PLAIN[:-8]),
    "rows wider than the header": ("ragged", PLAIN.replace("\nC", "\nx,C")),
    "a quote that is never closed": ("ragged", PLAIN.replace(",F,0.03", ',F,"0.03', 1)),
    "a column twice": ("duplicate_column", PLAIN.replace("sex", "age", 1)),
    "a column of Python's own": ("bad_column", PLAIN.replace("sex", "__class__", 1)),
    "gzip under .csv": ("not_a_table", gzip.compress(PLAIN.encode())),
    "a workbook": ("not_a_table", b"PK\x03\x04" + bytes(200)),
    "a web page": ("not_a_table", "<!DOCTYPE html><html><body>404</body></html>"),
    "a cell without end": ("cell_too_long", PLAIN.replace(",F,", f",{'F' * 140_000},", 1)),
    "a key twice": ("duplicate_key", PLAIN + "C0001,3,F,0\n"),
    "no key": ("missing_key", PLAIN + ",3,F,0\n"),
    "a key that says nothing": ("missing_key", PLAIN + "NA,3,F,0\n"),
    "a key in other case": ("look_alike_key", PLAIN + "c0001,3,F,0\n"),
    "a key with a blank": ("look_alike_key", PLAIN + "C0001 ,3,F,0\n"),
    "a key with what does not show": ("look_alike_key", PLAIN + "C00\u200b01,3,F,0\n"),
    "a key in Cyrillic": ("look_alike_key", PLAIN + "С0001,3,F,0\n"),  # noqa: RUF001
    "a key in full width": ("look_alike_key", PLAIN + "\uff230001,3,F,0\n"),
    "a path": ("bad_key", PLAIN + "../../etc/passwd,3,F,0\n"),
    "a path below": ("bad_key", PLAIN + "a/b,3,F,0\n"),
    "a device of Windows": ("bad_key", PLAIN + "CON,3,F,0\n"),
    "a template": ("bad_key", PLAIN + "{{7*7}},3,F,0\n"),
    "a format": ("bad_key", PLAIN + "%(case)s,3,F,0\n"),
    "a key without end": ("bad_key", PLAIN + f"{'C' * 200},3,F,0\n"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_a_table_has_a_code_of_its_own_and_names_no_cell(tmp_path, name):
    code, content = WRONG[name]
    with pytest.raises(ReadError, match=r"table\.csv") as refusal:
        check_table(write(tmp_path / "table.csv", content))
    assert refusal.value.code == code and code in REASONS
    assert not [
        cell for cell in ("C0001", "0.03", "passwd", "Zürich") if cell in str(refusal.value)
    ]


ODD = {
    "a byte order mark": "\ufeff" + PLAIN,
    "a byte order mark before numbers": "\ufeffcase_id,age\n007,1\n008,2\n",
    "UTF-16 with its mark": PLAIN.encode("utf-16"),
    "Windows-1252": PLAIN.replace(",F,", ",Zürich,").encode("cp1252"),
    "Windows' line ends": PLAIN.replace("\n", "\r\n"),
    "no last line end": PLAIN.rstrip("\n"),
    "a line end within quotes": PLAIN.replace(",F,", ',"F\nM",', 1),
    "columns in another order": "age,case_id\n5,C1\n6,C2\n",
    "keys that differ by zeros": "case_id,age\n007,1\n7,2\n",
    "a formula": 'case_id,age\n"=1+1",1\n"+cmd|\' /C calc\'!A0",2\n"@SUM(A1)",3\n',
    "a blank line": PLAIN.replace("\nC0003", "\n\nC0003"),
}


@pytest.mark.parametrize("name", ODD)
def test_a_table_that_is_odd_and_whole_is_accepted_and_its_keys_stay_text(tmp_path, name):
    table = check_table(write(tmp_path / "table.csv", ODD[name]))
    first = {
        "columns in another order": "C1",
        "keys that differ by zeros": "007",
        "a byte order mark before numbers": "007",
        "a formula": "=1+1",
    }.get(name, "C0000")
    assert table["case_id"].iloc[0] == first and all(
        isinstance(key, str) for key in table["case_id"]
    )


def test_a_torn_gzip_stream_and_junk_behind_it_are_refused(tmp_path):
    whole = gzip.compress(PLAIN.encode())
    assert len(check_table(write(tmp_path / "t.csv.gz", whole))) == 12
    for content in (whole[:-20], whole + b"JUNK"):
        with pytest.raises(ReadError, match="truncated"):
            check_table(write(tmp_path / "t.csv.gz", content))
    with pytest.raises(ReadError, match=r"not_a_table.*is not gzip"):
        check_table(write(tmp_path / "t.csv.gz", PLAIN))


def test_the_key_is_the_one_that_is_named_or_the_finest_that_looks_like_one(tmp_path):
    assert (
        guessed_key(["patient_id", "sample_id", "x"]) == "sample_id"
        and guessed_key(["x", "y"]) is None
    )
    file = write(tmp_path / "t.csv", "case_id,visit\n1,a\n1,b\n")
    with pytest.raises(ReadError, match="duplicate_key"):
        check_table(file)
    assert (
        len(check_table(file, "visit")) == 2 and len(check_table(file, ["case_id", "visit"])) == 2
    )


def test_the_skeleton_of_a_key_is_what_the_eye_sees():
    assert skeleton("C1 ") == skeleton("с1") == skeleton("Ｃ\u200b1") == "c1"  # noqa: RUF001
    assert skeleton("C1") != skeleton("Cl") and skeleton("C0") != skeleton("CO"), (
        "digits and letters of one alphabet are ordinary keys"
    )


def test_a_note_with_nul_bytes_leaves_the_other_notes_of_its_table_readable(tmp_path):
    file = write(tmp_path / "notes.csv", "id,text\n1,No oedema.\n2,cut\0\0off\n")
    table = read_text_table([file], "id")
    assert table[KEY].tolist() == ["1", "2"] and table["text"].iloc[0] == "No oedema."
    with pytest.raises(ReadError, match="nul_bytes"):
        check_table(file)


def test_keys_that_look_alike_stop_a_cohorts_table_with_rule_fact_and_cure(tmp_path):
    file = write(tmp_path / "t.csv", "id,A\nc1,1\nC1,2\n")
    with pytest.raises(
        DescriptionError,
        match=r"Keys differ by more than case.*, t\.csv has 1 keys that print like another one: "
        r"correct the keys",
    ):
        read_text_table([file], "id")


@pytest.mark.parametrize(
    "cell", ["5_0", "1 000", "0x10", "1e400", "true", "2020-01-01", "1,5", "--1"]
)
def test_a_cell_that_only_looks_like_a_number_is_wrong(tmp_path, cell):
    file = write(tmp_path / "t.csv", f'id,A,B\n1,"{cell}",2\n2,3,4\n')
    table = read_numbers([file], "id", ["A", "B"], [], "refuse")
    assert table.refused == {
        "1": ("table_value", "1 cells of 2 are not finite numbers")
    } and np.isnan(table.values.loc["1", "A"])
    assert list(read_numbers([file], "id", [], [], "refuse").values.columns) == ["B"]


@pytest.mark.parametrize("cell", ["5", "+5", "5.", " 5", "5e0", ".5e1", "0.5E+1", '"5"'])
def test_a_number_is_read_in_every_decimal_form(tmp_path, cell):
    file = write(tmp_path / "t.csv", f"id,A\n1,{cell}\n2,NaN\n3,n/a\n")
    values = read_numbers([file], "id", ["A"], [], "refuse").values
    assert (
        values.loc["1", "A"] == 5
        and values["A"].isna().sum() == 2
        and values["A"].dtype == np.float32
    )


def test_a_number_that_overflows_is_wrong_in_a_contract_too():
    values, wrong = strict_numbers(pa.chunked_array([pa.array(["1e999", "16777217", "n/a"])]))
    assert (
        wrong.tolist() == [True, False, False]
        and values[1] == 16_777_217
        and np.isnan(values[[0, 2]]).all()
    )


def test_a_column_of_text_in_one_table_is_none_of_the_numbers_of_another(tmp_path):
    files = [
        write(tmp_path / "a.csv", "id,A,B\n1,1,2\n"),
        write(tmp_path / "b.csv", "id,A,B\n2,1,low\n"),
    ]
    assert list(read_numbers(files, "id", [], [], "refuse").values.columns) == ["A"]


def test_the_same_table_gives_the_same_numbers_as_csv_tsv_and_parquet(tmp_path):
    values = pd.DataFrame(
        np.random.default_rng(0).normal(size=(9, 5)).round(4), columns=list("ABCDE")
    )
    values.insert(0, "id", [f"{number:03d}" for number in range(9)])
    values.to_csv(tmp_path / "t.csv", index=False)
    values.to_csv(tmp_path / "t.tsv.gz", index=False, sep="\t")
    values.to_parquet(tmp_path / "t.parquet")
    values.set_index("id").to_parquet(tmp_path / "indexed.parquet")
    values.set_index("id").rename_axis(None).to_parquet(tmp_path / "nameless.parquet")
    assert (
        "index" in table_header(tmp_path / "nameless.parquet")
        and table_keys(tmp_path / "nameless.parquet", "index")[2] == "002"
    )
    read = [
        read_numbers([tmp_path / name], "id", [], [], "refuse").values
        for name in ("t.csv", "t.tsv.gz", "t.parquet", "indexed.parquet")
    ]
    assert all(table.equals(read[0]) for table in read) and read[0].shape == (9, 5)
    assert (
        "id" in table_header(tmp_path / "indexed.parquet")
        and table_keys(tmp_path / "indexed.parquet", "id")[2] == "002"
    )


def test_a_row_that_changes_changes_its_hash_alone_and_a_column_changes_all(tmp_path):
    file = write(tmp_path / "t.csv", "id,A,B\n1,1,2\n2,3,4\n3,5,6\n")
    first = row_hashes([file], "id")
    second = row_hashes([write(tmp_path / "t.csv", "id,A,B\n1,1,2\n2,3,9\n3,5,6\n")], "id")
    third = row_hashes([write(tmp_path / "t.csv", "id,A,C\n1,1,2\n2,3,4\n3,5,6\n")], "id")
    assert [first[key] == second[key] for key in "123"] == [True, False, True] and not set(
        first.values()
    ) & set(third.values())
