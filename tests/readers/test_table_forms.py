"""Cells in the forms that a description names: the same numbers as pandas reads them, and nothing
taken for missing that lies among the others.
"""

import io

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmdiag.readers.tables.cohort_tables import read_numbers
from mmdiag.readers.tables.form import TableForm
from mmdiag.readers.tables.missing_codes import NEGATIVE, POSITIVE, coded_cells
from mmdiag.readers.tables.numbers import strict_numbers

NUMBERS = st.decimals(-9999, 9999, allow_nan=False, allow_infinity=False, places=3)
FORMS = [(",", "."), (";", "."), (";", ","), ("\t", ","), ("|", ".")]


def column(cells):
    return pa.chunked_array([pa.array(cells, pa.string())])


@pytest.mark.parametrize(("delimiter", "decimal"), FORMS)
@given(cells=st.lists(st.one_of(NUMBERS, st.sampled_from(["", "NA"])), min_size=1, max_size=8))
def test_a_table_is_read_as_pandas_reads_it(tmp_path_factory, delimiter, decimal, cells):
    written = [str(cell).replace(".", decimal) for cell in cells]
    lines = [f"id{delimiter}a{delimiter}b"]
    lines += [f"k{row}{delimiter}{cell}{delimiter}1" for row, cell in enumerate(written)]
    file = tmp_path_factory.mktemp("t") / "t.csv"
    file.write_text("\n".join(lines) + "\n")
    form = TableForm(delimiter=delimiter, decimal=decimal, missing_codes=())
    found = read_numbers([file], "id", ["a", "b"], [], "refuse", form=form)
    expected = pd.read_csv(
        io.StringIO(file.read_text()), sep=delimiter, decimal=decimal, dtype={"id": str}
    ).set_index("id")
    assert not found.refused
    assert np.allclose(found.values.to_numpy(), expected.to_numpy(float), rtol=1e-6, equal_nan=True)


@given(text=st.text("0123456789.,+-eE<% \N{MINUS SIGN}", max_size=9), decimal=st.sampled_from(".,"))
def test_a_cell_is_what_python_reads_or_wrong(text, decimal):
    values, wrong = strict_numbers(column([text]), TableForm(decimal=decimal))
    other = "," if decimal == "." else "."
    plain = text.strip().replace("\N{MINUS SIGN}", "-")
    try:
        expected = float(plain.replace(",", ".")) if other not in plain else None
    except ValueError:
        expected = None
    if not plain:
        assert not wrong[0] and np.isnan(values[0])
    elif expected is None or not np.isfinite(expected):
        assert wrong[0] and np.isnan(values[0])
    else:
        assert not wrong[0] and values[0] == expected


@given(
    limit=NUMBERS, sign=st.sampled_from(["<", "<=", "\u2264", "< "]), decimal=st.sampled_from(".,")
)
def test_a_limit_is_refused_missing_or_its_number(limit, sign, decimal):
    cells = column([f"{sign}{limit}".replace(".", decimal), ">5", "<", "<low"])
    found = {
        below: strict_numbers(cells, TableForm(below=below, decimal=decimal))
        for below in ("refuse", "missing", "limit")
    }
    assert found["refuse"][1].all()
    assert np.isnan(found["missing"][0]).all() and found["missing"][1].tolist() == [
        False,
        True,
        True,
        True,
    ]
    assert found["limit"][0][0] == float(limit) and found["limit"][1][1:].all()


OTHERS = st.lists(st.floats(0, 90, width=32), min_size=4, max_size=20)
FAR = sorted({float(code) for code in NEGATIVE if code <= -99} | {float(code) for code in POSITIVE})


@given(others=OTHERS, code=st.sampled_from(FAR), times=st.integers(1, 3))
def test_a_code_far_from_all_others_is_found_and_they_stay(others, code, times):
    spread = [*others, 1.5, 2.5, 3.5]
    values = np.asarray([[*spread, *[code] * times]], np.float32)
    found = coded_cells(values)
    if code < 0 or code >= 4 * max(spread):
        assert found is not None and found[0].tolist() == [False] * len(spread) + [True] * times
    assert found is None or not found[0][: len(spread)].any()


@given(st.lists(st.floats(-60, 60, width=32), min_size=1, max_size=20))
def test_nothing_is_a_code_where_there_is_none(numbers):
    values = np.asarray([[number for number in numbers if number != -9] or [0]], np.float32)
    assert coded_cells(values) is None


def test_a_code_that_lies_among_the_others_is_a_value():
    values = np.asarray([[-2000, -999, -500, 0, 999, 1500], [900, 999, 1000, 950, 980, 910]])
    assert coded_cells(values.astype(np.float32)) is None


def test_a_count_of_999_is_a_count():
    values = np.asarray([[0, 1, 2, 3, 0, 9999], [-999, 1, 2, 3, 4, 5]], np.float32)
    found = coded_cells(values, counts=True)
    assert found is not None and not found[0].any() and found[1].tolist() == [True] + [False] * 5
