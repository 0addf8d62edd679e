"""Each rule of the packaged contracts fails on a table that is broken for it, and a wrong contract is refused as it is loaded."""

import numpy as np
import pandas as pd
import pytest

from mmdiag.contracts import Column, Contract, hold, packaged_contract, read_contract
from mmdiag.errors import MmdiagError

SOUND = {
    "cases": {"case_id": ["a", "b"], "subject_id": ["s", "t"], "time": [1.0, 2.0]},
    "images": {
        "case_id": ["a", "b"], "modality": ["x", "x"], "n_slices": [3, 4], "height": [64, 64], "width": [64, 64], "low": [0.0, 1.0], "high": [9.0, 8.0],
        "spacing_row_mm": [1.0, np.nan], "spacing_column_mm": [1.0, np.nan], "slice_gap_mm": [3.0, np.nan], "share_black": [0.2, 0.4],
    },
    "notes": {"case_id": ["a", "b"], "modality": ["n", "n"], "n_characters": [400, 90], "n_words": [60, 12], "share_printable": [1.0, 1.0]},
    "tables": {
        "case_id": ["a", "b"], "modality": ["g", "g"], "n_values": [9, 9], "n_missing": [0, 1], "share_missing": [0.0, 0.1], "low": [-2.0, -1.0],
        "high": [3.0, 4.0],
    },
    "predictions": {
        "case_id": ["a", "b"], "subject_id": ["s", "t"], "bundle_id": ["b-1", "b-1"], "role": ["new", "test"], "predicted": ["no", "yes"],
        "probability": [0.1, 0.9],
    },
}  # fmt: skip
BROKEN = [
    ("cases", "case_id", "b", "unique"), ("cases", "time", -1.0, "between"), ("cases", "case_id", "x" * 200, "lengths"),
    ("images", "n_slices", 0, "between"), ("images", "height", 4, "between"), ("images", "width", 4, "between"), ("images", "high", -5.0, "greater"),
    ("images", "spacing_row_mm", 400.0, "between"), ("images", "share_black", 1.0, "between"),
    ("notes", "n_characters", 900_000, "between"), ("notes", "share_printable", 0.4, "between"), ("notes", "n_words", 1, "between"),
    ("tables", "share_missing", 1.0, "between"), ("tables", "low", -1e12, "between"), ("tables", "high", 1e12, "between"),
    ("predictions", "role", "maybe", "set"), ("predictions", "probability", 1.7, "between"), ("predictions", "case_id", "b", "unique"),
]  # fmt: skip


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_table_holds_its_contract(name):
    assert [result.rule for result in hold(pd.DataFrame(SOUND[name]), packaged_contract(name)) if not result.passed] == []


@pytest.mark.parametrize(("name", "column", "value", "rule"), BROKEN)
def test_every_rule_fails_on_a_table_broken_for_it_and_names_the_row_and_no_value(name, column, value, rule):
    table = pd.DataFrame(SOUND[name])
    table[column] = table[column].astype(object)
    table.loc[0, column] = value
    table[column] = table[column].infer_objects()
    failed = [result for result in hold(table, packaged_contract(name)) if not result.passed]
    hit = [result for result in failed if rule in result.rule]
    assert hit and all(0 in result.failed_rows and result.why and result.severity in ("block", "quarantine", "warn") for result in hit)
    assert str(value) not in " ".join(f"{result.rule} {result.why}" for result in hit if len(str(value)) > 3)


def test_a_missing_column_and_an_unknown_one_are_broken_rules_and_no_crash():
    table = pd.DataFrame(SOUND["notes"]).drop(columns="n_words").assign(surprise=1)
    failed = {(result.column, result.severity) for result in hold(table, packaged_contract("notes")) if not result.passed}
    assert ("n_words", "block") in failed and ("", "block") in failed


def test_an_empty_table_breaks_nothing():
    assert all(result.passed for result in hold(pd.DataFrame(SOUND["notes"]).iloc[:0], packaged_contract("notes")))


def broken(table, contract):
    return {(r.column, r.rule.split(" (")[0]): (r.severity, r.failed_rows) for r in hold(table, contract) if not r.passed}


def test_a_key_names_one_row_and_is_made_of_all_key_columns():
    notes = packaged_contract("notes")
    same_case = pd.DataFrame(SOUND["notes"]).assign(case_id="a", modality=["n", "m"])
    assert broken(same_case, notes) == {}
    assert broken(same_case.assign(modality="n"), notes) == {("", "compound columns to be unique"): ("block", (0, 1))}


TYPED = [
    ("number", [1.5, "x"]), ("integer", [1.0, 1.5]), ("text", ["001", 1]), ("boolean", [True, 1]), ("boolean", ["true", "maybe"]),
    ("date", ["2024-01-02", "2024-13-02"]), ("date", ["2024-01-02", "2024-01-02T10:00"]), ("datetime", ["2024-01-02T10:00", "noon"]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "cells"), TYPED)
def test_a_cell_of_another_type_is_refused_and_a_missing_one_is_not(kind, cells):
    contract = Contract(table="t", version=1, columns={"a": Column(type=kind)})
    table = pd.DataFrame({"a": [cells[0], None, cells[1]]}, index=["sound", "missing", "wrong"], dtype=object)
    assert broken(table, contract) == {("a", f"column values to be of type {kind}"): ("quarantine", ("wrong",))}


def test_a_rule_on_an_optional_column_that_is_not_there_is_not_judged():
    images = pd.DataFrame(SOUND["images"]).drop(columns=["spacing_row_mm", "slice_gap_mm"])
    assert broken(images, packaged_contract("images")) == {}


def test_the_case_table_holds_its_contract_with_all_its_columns():
    cases = pd.DataFrame(SOUND["cases"]).assign(event=[1.0, np.nan], label=[0.0, 1.0], as_of=pd.to_datetime(["2024-01-02", None]))
    contract = packaged_contract("cases")
    assert broken(cases, contract) == {}
    assert {column for column, _ in broken(cases.assign(event=[2.0, 1.0], label=[-1.0, 1.0]), contract)} == {"event", "label"}


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
    "an unknown expectation": ("to_be_between", "to_be_betwixt", "expect_column_values_to_be_betwixt"),
    "a misspelt argument": ("min_value", "minimum", r"expect_column_values_to_be_between .*minimum"),
    "a misspelt section": ("rules:", "rule:", "A key of a contract .* did you mean 'rules'"),
    "a misspelt answer": ("rules:", "other_columns: refus\nrules:", "did you mean 'refuse'"),
    "a rule on a column that it does not name": ("column: a", "column: b", "The column of a rule .* found 'b'"),
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
