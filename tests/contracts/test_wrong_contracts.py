"""A contract that is wrong is refused as it is loaded, with its cure."""

import pytest

from mmdiag.contracts.contract import (
    read_contract,
)
from mmdiag.errors import MmdiagError

CONTRACT = """
table: t
version: 1
columns: {a: {type: number}}
rules:
  - expect: expect_column_values_to_be_between
    kwargs: {column: a, min_value: 0}
    severity: quarantine
    why: No debts.
"""
WRONG = {
    "an unknown severity": ("quarantine", "quarantain", "did you mean 'quarantine'"),
    "an unknown type": ("type: number", "type: numeric", "The type of a column"),
    "no reason": ("why: No debts.", "why: ''", "says why"),
    "an unknown expectation": (
        "to_be_between",
        "to_be_betwixt",
        "expect_column_values_to_be_betwixt",
    ),
    "a misspelt argument": (
        "min_value",
        "minimum",
        r"expect_column_values_to_be_between .*minimum",
    ),
    "a misspelt section": ("rules:", "rule:", "A key of a contract .* did you mean 'rules'"),
    "a misspelt answer": ("rules:", "other_columns: refus\nrules:", "did you mean 'refuse'"),
    "a rule on a column that it does not name": (
        "column: a",
        "column: b",
        "The column of a rule .* found 'b'",
    ),
    "not YAML": ("rules:", "rules: [", "holds table, version"),
    "no rules where rules are": ("  - expect:", "  - expects:", "holds table, version"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_contract_is_refused_as_it_is_loaded_with_its_cure(tmp_path, name):
    old, new, message = WRONG[name]
    assert old in CONTRACT
    (tmp_path / "c.yaml").write_text(CONTRACT.replace(old, new, 1))
    with pytest.raises(MmdiagError, match=message):
        read_contract(tmp_path / "c.yaml")
