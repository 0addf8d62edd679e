"""The expectations that mmdiag adds to Great Expectations find the rows that break them."""

import re

import pandas as pd
import pytest

from mmdiag.contracts.rules import Contract, Rule
from mmdiag.contracts.validate import validate

CUSTOM = [
    (
        "expect_column_values_to_be_plain_keys",
        {"column": "a"},
        ["a", None, "x/y", " z", "7"],
        None,
        (2, 3),
    ),
    (
        "expect_groups_to_have_one_value",
        {"column_A": "a", "column_B": "b"},
        ["s", "s", "t", "u", "u"],
        ["1", "1", "1", "1", "2"],
        (3, 4),
    ),
    (
        "expect_column_values_to_not_be_after",
        {"column_A": "a", "column_B": "b"},
        ["2024-01-02", "2024-01-03", None, "soon", "2024-01-02T10:00"],
        ["2024-01-02", "2024-01-02", "2024-01-02", "2024-01-02", "2024-01-02T11:00+02:00"],
        (1, 4),
    ),
    (
        "expect_column_pair_values_to_be_known_together",
        {"column_A": "a", "column_B": "b"},
        [1.0, None, None, 2.0, 0.0],
        [1.0, None, 3.0, None, 0.0],
        (2, 3),
    ),
    (
        "expect_column_rarest_value_to_have_share",
        {"column": "a", "min_value": 0.3},
        ["x", "x", "x", "x", "y"],
        None,
        (),
    ),
]


def custom(expect, kwargs, first, second):
    table = pd.DataFrame({"a": first, "b": second if second is not None else "same"}, dtype=object)
    contract = Contract(
        table="t",
        version=1,
        columns={},
        other_columns="allow",
        rules=(Rule(expect=expect, kwargs=kwargs, severity="warn", why="w"),),
    )
    return validate(table, contract)


@pytest.mark.parametrize(("expect", "kwargs", "first", "second", "rows"), CUSTOM)
def test_an_expectation_of_mmdiag_finds_the_rows_that_break_it(expect, kwargs, first, second, rows):
    (result,) = custom(expect, kwargs, first, second)
    assert not result.passed and result.failed_rows == rows


def test_the_rarest_of_values_that_are_nearly_even_or_not_known_has_its_share():
    for cells in (["x", "x", "y", "y", None], [None, None], ["x"]):
        (result,) = custom(
            "expect_column_rarest_value_to_have_share",
            {"column": "a", "min_value": 0.3},
            cells,
            None,
        )
        assert result.passed


def test_the_help_of_the_command_lists_every_expectation_of_mmdiag():
    import mmdiag.contracts.expectations as module
    from mmdiag.cli.data.contracts import contracts

    own = {
        re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
        for name in vars(module)
        if name.startswith("Expect") and vars(module)[name].__module__ == module.__name__
    }
    assert (
        own
        == set(re.findall(r"\bexpect_\w+", contracts.help or ""))
        == {expect for expect, *_ in CUSTOM}
    )
