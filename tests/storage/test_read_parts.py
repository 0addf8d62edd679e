"""A table that lies in many files is read as one."""

import pandas as pd
import pytest

from mmdiag.storage.tables import read_parts, write_parquet

ROWS = pd.DataFrame({"case_id": ["a", "b"], "start": [0, 4], "has_note": [True, False]})


@pytest.fixture
def parts(tmp_path):
    def written(*tables):
        files = [tmp_path / f"{number}.parquet" for number in range(len(tables))]
        for file, table in zip(files, tables, strict=True):
            write_parquet(file, table)
        return files

    return written


def test_parts_of_one_form_are_as_pandas_would_put_them_together(parts):
    files = parts(ROWS, ROWS.iloc[:0], ROWS.assign(start=[9, 9]))
    expected = pd.concat([pd.read_parquet(file) for file in (files[0], files[2])])
    pd.testing.assert_frame_equal(
        read_parts(files, list(ROWS)), expected.reset_index(drop=True), check_exact=True
    )


def test_a_part_of_another_form_keeps_what_it_has(parts):
    files = parts(ROWS, ROWS.drop(columns="has_note").assign(start=[1.5, 2.5]))
    found = read_parts(files, list(ROWS))
    assert found["start"].tolist() == [0, 4, 1.5, 2.5]
    assert found["has_note"].tolist()[:2] == [True, False] and found["has_note"].isna().sum() == 2


def test_without_a_row_there_are_its_columns(parts):
    assert list(read_parts(parts(ROWS.iloc[:0]), ["case_id", "version"])) == ["case_id", "version"]
    assert list(read_parts([], ["case_id"])) == ["case_id"]
