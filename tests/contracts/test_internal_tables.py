"""The case table, splits and predictions are held before anything is made of them, and a table that
is refused leaves nothing.
"""

import json

import numpy as np
import pandas as pd
import pytest

from mmdiag.contracts.contract import packaged_contract
from mmdiag.contracts.internal_tables import (
    validate_case_table,
    validate_predictions,
    validate_split,
)
from mmdiag.contracts.validate import raise_if_blocked, validate
from mmdiag.errors import ContractError


def make_case_table(**changes):
    table = pd.DataFrame(
        {
            "case_id": ["a", "b", "c"],
            "subject_id": ["s", "s", "t"],
            "as_of": pd.NaT,
            "site": pd.NA,
            "label": [0.0, 1.0, 1.0],
            "time": np.nan,
            "event": np.nan,
            "group_sex": ["f", "m", "f"],
            "column_note": "text",
        }
    )
    return table.assign(**changes)


def test_the_case_table_is_held_with_its_labels_and_a_bad_row_is_refused_alone():
    results, refused = validate_case_table(make_case_table())
    assert (
        refused == {}
        and all(result.passed for result in results)
        and {result.contract for result in results} == {"cases", "labels"}
    )
    survival = make_case_table(
        label=np.nan, time=[3.0, -2.0, 5.0], event=[1.0, 0.0, 0.0]
    ).set_index(pd.Index([7, 8, 9]))
    _, refused = validate_case_table(survival)
    assert refused == {"b": "labels: time column values to be between (min_value=0)"}
    unlabelled, refused = validate_case_table(make_case_table(label=np.nan))
    assert refused == {} and all(result.passed for result in unlabelled)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        (
            "case_id",
            ["a", "a", "c"],
            "cases must hold, column case_id breaks 'column values to be unique'",
        ),
        ("event", [2.0, 1.0, 0.0], "labels must hold, column event"),
        ("label", [-1.0, 1.0, 0.0], "labels must hold, column label"),
        (
            "subject_id",
            ["s/1", "s", "t"],
            "column subject_id .* in 1 of 3 rows: .* Correct the case table",
        ),
    ],
)
def test_a_case_table_that_breaks_a_block_is_refused_as_a_whole(column, values, message):
    with pytest.raises(ContractError, match=message):
        validate_case_table(make_case_table(**{column: values}))


def test_a_split_in_which_a_labelled_case_has_no_part_or_an_unknown_one_is_refused():
    cases = pd.DataFrame({"case_id": ["a", "b"], "subject_id": ["s", "t"]})
    assert all(
        result.passed
        for result in validate_split({"s": "train", "t": "test", "gone": "valid"}, cases)
    )
    for part in ({"s": "train"}, {"s": "train", "t": "training"}):
        with pytest.raises(
            ContractError, match=r"splits must hold, column part .* Remove split.json"
        ):
            validate_split(part, cases)


def test_a_subject_on_both_sides_of_a_split_is_refused():
    table = pd.DataFrame({"subject_id": ["s", "s", "t"], "part": ["train", "test", "test"]})
    with pytest.raises(ContractError, match="A subject on both sides of a split"):
        raise_if_blocked(validate(table, packaged_contract("splits")), "Split anew.")


def test_a_split_file_that_was_edited_is_refused_and_left_as_it_is(tmp_path):
    from mmdiag.cohort.splits import read_or_make_split
    from mmdiag.config import EvaluationConfig

    path = tmp_path / "split.json"
    cases = pd.DataFrame(
        {"subject_id": [f"s{i}" for i in range(20)], "stratum": [float(i % 2) for i in range(20)]}
    )
    read_or_make_split(path, cases, EvaluationConfig())
    edited = json.loads(path.read_text())
    edited["part"]["s3"] = "fold-three"
    path.write_text(json.dumps(edited))
    with pytest.raises(ContractError, match="in 1 of 20 rows: Another part is unknown to training"):
        read_or_make_split(path, cases, EvaluationConfig())
    assert json.loads(path.read_text()) == edited


def make_predictions(**changes):
    table = pd.DataFrame(
        {
            "case_id": ["a", "b"],
            "subject_id": ["s", "t"],
            "as_of": pd.NaT,
            "bundle_id": "m",
            "role": ["new", "train"],
            "predicted": ["x", "y"],
            "probability_x": [0.7, 0.2],
            "probability_y": [0.3, 0.8],
            "modalities": [["scan", "note"], ["scan"]],
            "contribution_scan": [0.5, -1.0],
            "contribution_note": [0.1, 0.0],
            "abstained": False,
            "scored_at": "2024-05-06T00:00:00+00:00",
            "version": "v",
        }
    )
    return table.assign(**changes)


def test_sound_predictions_may_be_published_of_many_classes_of_one_probability_and_where_the_model_abstained():
    binary = make_predictions(probability=[0.7, 0.2]).drop(
        columns=["probability_x", "probability_y"]
    )
    abstained = make_predictions(
        abstained=[True, False], probability_x=[np.nan, 0.2], probability_y=[np.nan, 0.8]
    )
    for table in (
        make_predictions(),
        binary,
        abstained,
        make_predictions().set_index(pd.Index([5, 5])),
    ):
        assert all(result.passed for result in validate_predictions(table))


@pytest.mark.parametrize(
    ("changes", "column"),
    [
        ({"probability_x": [1.2, 0.2]}, "highest"),
        ({"probability_x": [-0.1, 0.2]}, "lowest"),
        ({"probability_x": [0.5, 0.2]}, "total"),
        ({"probability_x": [np.nan, 0.2]}, "n_unanswered"),
        ({"contribution_note": [0.1, 1e-6]}, "contribution_of_absent"),
        ({"contribution_note": [0.1, np.nan]}, "contribution_of_absent"),
        ({"role": ["new", "old"]}, "role"),
        ({"case_id": ["a", "a"]}, "case_id"),
    ],
)
def test_predictions_that_break_their_contract_are_not_published(changes, column):
    with pytest.raises(
        ContractError, match=rf"predictions must hold, column {column} .* Nothing was published"
    ):
        validate_predictions(make_predictions(**changes))


def test_a_case_table_is_held_against_its_contract_once_and_again_where_it_changed(monkeypatch):
    from mmdiag.contracts import internal_tables

    seen = []

    def count(table, contract):
        seen.append(contract.table)
        return validate(table, contract)

    validate = internal_tables.validate
    monkeypatch.setattr(internal_tables, "validate", count)
    monkeypatch.setattr(internal_tables, "_LAST", {})
    table = make_case_table()
    first = internal_tables.validate_case_table(table)
    assert internal_tables.validate_case_table(table.copy()) == first
    assert seen == ["cases", "labels"]
    table.loc[0, "site"] = "another"
    internal_tables.validate_case_table(table)
    assert seen == ["cases", "labels", "cases"]
