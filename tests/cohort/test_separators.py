"""Tables as spreadsheets of other countries write them: parted by semicolons, with commas in
numbers.
"""

import tomllib

import numpy as np
import pytest

from mmdiag.cohort.case_table import read_cases
from mmdiag.cohort.scaffold import describe_folder
from mmdiag.description import read_description
from mmdiag.errors import DescriptionError
from mmdiag.readers.tables.cohort_tables import read_numbers

DESCRIBED = """
[cohort]
name = "c"
[cases]
table = "cases.csv"
case_id = "id"
[task]
kind = "binary"
label = "label"
positive = "1"
[modalities.labs]
kind = "table"
path = "labs.csv"
key = "id"
"""


def write(folder, *, separator=";", first="", decimal=",", encoding="utf-8"):
    def line(*cells):
        return separator.join(map(str, cells)) + "\n"

    cases = line("id", "label", "ward") + "".join(line(f"{n:03}", n % 2, "Süd") for n in range(20))
    numbers = np.random.default_rng(0).normal(5, 1, 20).round(2)
    labs = [line(f"{n:03}", f"{x:.2f}".replace(".", decimal)) for n, x in enumerate(numbers)]
    (folder / "cases.csv").write_text(first + cases, encoding=encoding)
    (folder / "labs.csv").write_text(first + line("id", "crp") + "".join(labs), encoding=encoding)
    (folder / "cohort.toml").write_text(DESCRIBED)
    return numbers


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize(
    ("separator", "first"),
    [(";", ""), ("\t", ""), ("|", ""), (";", "sep=;\n"), (";", "sep=;;;\r\n")],
)
def test_a_case_table_is_parted_as_its_header_shows(tmp_path, separator, first, encoding):
    write(tmp_path, separator=separator, first=first, encoding=encoding)
    cases = read_cases(read_description(tmp_path / "cohort.toml"))
    assert cases["case_id"].tolist() == [f"{n:03}" for n in range(20)]
    assert cases["label"].tolist() == [0.0, 1.0] * 10
    assert set(cases["column_ward"]) == {"Süd"}


def test_a_separator_that_is_told_counts_in_a_table_of_numbers(tmp_path):
    numbers = write(tmp_path, first="sep=;\n", decimal=".")
    read = read_numbers([tmp_path / "labs.csv"], "id", (), (), "refuse").values
    assert read.columns.tolist() == ["crp"] and np.allclose(read["crp"], numbers)


def test_a_case_table_whose_header_is_parted_in_two_ways_is_refused(tmp_path):
    write(tmp_path)
    (tmp_path / "cases.csv").write_text("id,label;ward\na,1;x\n")
    with pytest.raises(DescriptionError, match=r"label|separated"):
        read_cases(read_description(tmp_path / "cohort.toml"))


@pytest.mark.parametrize("first", ["", "sep=;\n"])
def test_init_describes_tables_with_semicolons_and_commas_so_that_they_are_read(tmp_path, first):
    numbers = write(tmp_path, first=first)
    written = describe_folder(tmp_path)
    section = tomllib.loads(written)["modalities"]["labs"]
    assert (section["key"], section["decimal"]) == ("id", ",")
    (tmp_path / "cohort.toml").write_text(written)
    description = read_description(tmp_path / "cohort.toml")
    assert description.table.name == "cases.csv" and len(read_cases(description)) == 20
    from mmdiag.readers.tables.modality import read_modality

    files = [tmp_path / "labs.csv"]
    read = read_modality(files, description.modalities["labs"], tmp_path).values
    assert np.allclose(read["crp"].sort_index(), numbers)
