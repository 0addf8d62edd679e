"""Each rule of the packaged contracts fails on a table that is broken for it, and on no other."""

import re

import numpy as np
import pandas as pd
import pytest

from mmdiag.application_root import application_root
from mmdiag.contracts.contract import PACKAGED, packaged_contract, read_contract
from mmdiag.contracts.rules import Column, Contract
from mmdiag.contracts.validate import as_table, validate

SOUND = {
    "cases": {
        "case_id": ["a", "b", "c"],
        "subject_id": ["s", "s", "t"],
        "as_of": pd.to_datetime(["2024-01-02", None, "2024-03-04"]),
        "site": ["north", None, "south"],
    },
    "labels": {
        "case_id": ["a", "b", "c"],
        "label": [0.0, 1.0, np.nan],
        "time": [1.0, 2.5, np.nan],
        "event": [0.0, 1.0, np.nan],
    },
    "images": {
        "case_id": ["a", "b", "c"],
        "modality": ["x", "x", "x"],
        "n_slices": [3, 4, 1],
        "height": [64, 64, 64],
        "width": [64, 64, 64],
        "low": [0.0, 1.0, 0.0],
        "high": [9.0, 8.0, 255.0],
        "spacing_row_mm": [1.0, 0.5, np.nan],
        "spacing_column_mm": [1.0, 0.5, np.nan],
        "slice_gap_mm": [3.0, 1.0, np.nan],
        "missing_slices": [0, 0, 0],
        "tilt_degrees": [0.0, 0.2, np.nan],
        "localizers": [1, 0, 0],
        "share_black": [0.2, 0.4, 0.1],
        "pixel_sha256": ["0a", "0b", "0c"],
        "perceptual": ["1a", "1b", "1c"],
    },
    "notes": {
        "case_id": ["a", "b", "c"],
        "modality": ["n", "n", "n"],
        "n_characters": [400, 90, 80],
        "n_words": [60, 12, 10],
        "share_printable": [1.0, 1.0, 0.99],
        "n_sections": [3, 0, 1],
        "encoding": ["utf-8", "cp1252", "utf-8"],
        "format": ["text", "rtf", "pdf"],
        "n_masked": [2, 0, 0],
        "text_sha256": ["0a", "0b", "0c"],
    },
    "tables": {
        "case_id": ["a", "b", "c"],
        "modality": ["g", "g", "g"],
        "n_values": [9, 9, 9],
        "n_missing": [0, 1, 0],
        "share_missing": [0.0, 0.1, 0.0],
        "low": [-2.0, -1.0, 0.0],
        "high": [3.0, 4.0, 5.0],
        "units": ["TPM", "TPM", "TPM"],
    },
    "signals": {
        "case_id": ["a", "b", "c"],
        "modality": ["h", "h", "h"],
        "n_samples": [300, 300, 250],
        "n_channels": [1, 1, 1],
        "rate_hz": [500.0, 500.0, 250.0],
        "seconds": [4.0, 4.0, 3.0],
        "low": [-0.5, -0.4, -0.6],
        "high": [0.6, 0.5, 0.4],
        "share_of_scale": [0.6, 0.5, 0.6],
        "share_clipped": [0.0, 0.0, 0.0],
        "n_flat": [0, 0, 0],
        "n_missing": [0, 0, 0],
    },
    "embeddings": {
        "case_id": ["a", "b", "c"],
        "modality": ["e", "e", "e"],
        "n_vectors": [1, 12, 400],
        "width": [48, 48, 48],
        "low": [-2.0, -3.0, -1.0],
        "high": [2.0, 3.0, 1.5],
        "n_zero": [0, 0, 0],
    },
    "splits": {
        "case_id": ["a", "b", "c"],
        "subject_id": ["s", "s", "t"],
        "together": [0, 0, 1],
        "part": ["fold-0", "fold-0", "fold-11"],
    },
    "predictions": {
        "case_id": ["a", "b", "c"],
        "subject_id": ["s", "s", "t"],
        "as_of": pd.to_datetime(["2024-01-02", None, "2024-03-04"]),
        "bundle_id": ["m", "m", "m"],
        "role": ["new", "test", "out-of-fold"],
        "predicted": ["no", "yes", "no"],
        "n_unanswered": [0, 0, 0],
        "lowest": [0.1, 0.2, 0.0],
        "highest": [0.9, 0.8, 1.0],
        "total": [1.0, 1.0, 1.0],
        "n_modalities": [2, 1, 1],
        "contribution_of_absent": [0.0, 0.0, 0.0],
        "scored_at": ["2024-05-06T00:00:00+00:00"] * 3,
    },
}
NEAR = "between"  # what the wider of two rules on one column also finds
# a cell, or a column of three, that breaks each rule of a contract, in the order of its YAML; then
# other rules that it breaks as well
BROKEN = {
    "cases": [
        ("case_id", "x" * 200, "plain"),
        ("case_id", "../x"),
        ("subject_id", None),
        ("subject_id", "s/1"),
    ],
    "labels": [
        ("label", -1.0, "share"),
        ("label", [1.0, np.nan, np.nan]),
        ("label", [1.0] * 3 + [0.0] * 197),
        ("time", -1.0),
        ("time", [np.nan, 2.0, np.nan], "together"),
        ("event", 2.0),
        ("event", [0.0] * 3 + [1.0] * 197),
        ("time", np.nan, "proportion"),
    ],
    "images": [
        ("n_slices", 0),
        ("height", 4),
        ("width", 4),
        ("high", -5.0),
        ("spacing_row_mm", 400.0),
        ("spacing_column_mm", 400.0),
        ("slice_gap_mm", 25.0),
        ("missing_slices", 2),
        ("tilt_degrees", 12.0),
        ("share_black", 1.0),
    ],
    "notes": [
        ("n_characters", 900_000),
        ("share_printable", 0.4, NEAR),
        ("share_printable", 0.8),
        ("n_words", 1),
    ],
    "tables": [
        ("share_missing", 1.0, NEAR),
        ("share_missing", 0.7),
        ("low", -1e12),
        ("high", 1e12),
    ],
    "signals": [
        ("n_samples", 3),
        ("low", 1.0),
        ("share_clipped", 0.2, NEAR),
        ("share_clipped", 0.005),
        ("share_of_scale", 0.001),
        ("n_flat", 1),
        ("n_missing", 2),
        ("seconds", 0.2),
    ],
    "embeddings": [
        ("n_vectors", 0),
        ("width", 1),
        ("low", 9.0),
        ("n_zero", 3),
    ],
    "splits": [
        ("part", None),
        ("part", "fold-x", "groups"),
        ("part", "train", "groups"),
        ("together", [1, 1, 1]),
    ],
    "predictions": [
        ("role", "maybe"),
        ("n_unanswered", 1),
        ("lowest", -0.2),
        ("highest", 1.7),
        ("total", 1.1),
        ("n_modalities", 0),
        ("contribution_of_absent", 0.3),
        ("as_of", pd.Timestamp("2031-01-02")),
    ],
}
RULES = [
    (name, number) for name in PACKAGED for number in range(len(packaged_contract(name).rules))
]


def sound(name, rows=3):
    """A table that holds its contract, of three rows or more: keys go on, everything else is
    repeated.
    """
    table = pd.DataFrame(SOUND[name])
    if rows == 3:
        return table
    return (
        table.iloc[np.arange(rows) % 2]
        .reset_index(drop=True)
        .assign(case_id=[f"k{i}" for i in range(rows)])
    )


def breaking(name, number):
    """The table that is broken for one rule, and words of the other rules that it also breaks."""
    column, value, *also = BROKEN[name][number]
    if isinstance(value, list):
        return sound(name, len(value)).assign(**{column: value}), also
    table = sound(name)
    table[column] = table[column].astype(object)
    table.loc[0, column] = value
    table[column] = table[column].infer_objects()
    return table, also


@pytest.mark.parametrize("name", PACKAGED)
def test_a_sound_table_holds_its_contract(name):
    assert [
        result.rule
        for result in validate(sound(name), packaged_contract(name))
        if not result.passed
    ] == []


@pytest.mark.parametrize("name", PACKAGED)
def test_every_rule_has_an_example_that_breaks_it(name):
    assert len(BROKEN[name]) == len(packaged_contract(name).rules), (
        "a rule was added or taken away: give BROKEN its example"
    )


@pytest.mark.parametrize(("name", "number"), RULES)
def test_every_rule_fails_on_a_table_broken_for_it_and_names_the_row_and_no_value(name, number):
    rule = packaged_contract(name).rules[number]
    table, also = breaking(name, number)
    failed = [result for result in validate(table, packaged_contract(name)) if not result.passed]
    hit = [result for result in failed if (result.rule, result.column) == (rule.text, rule.column)]
    assert len(hit) == 1 and hit[0].severity == rule.severity and hit[0].why == rule.why
    on_rows = not any(word in rule.expect for word in ("proportion", "rarest"))
    assert (0 in hit[0].failed_rows) == on_rows and hit[0].failed == max(len(hit[0].failed_rows), 1)
    assert [
        result.rule
        for result in failed
        if result not in hit and not any(word in result.rule for word in also)
    ] == []
    value = str(BROKEN[name][number][1])
    assert (
        len(value) < 4
        or value not in " ".join(f"{result.rule} {result.why}" for result in failed)
        or value in rule.text
    )


def test_each_version_of_a_contract_has_its_line_in_the_changelog():
    lines = (application_root() / "data_contracts" / "CHANGELOG.md").read_text()
    for path in (application_root() / "data_contracts").glob("*.yaml"):
        contract = read_contract(path)
        assert path.stem == contract.table and path.stem in PACKAGED
        assert re.search(
            rf"^- (.*, )?{contract.table} {contract.version}\b", lines, re.MULTILINE
        ), contract.table


def test_a_missing_column_and_an_unknown_one_are_broken_rules_and_no_crash():
    table = sound("notes").drop(columns="n_words").assign(surprise=1)
    failed = {
        (result.column, result.severity)
        for result in validate(table, packaged_contract("notes"))
        if not result.passed
    }
    assert ("n_words", "block") in failed and ("", "block") in failed


def test_an_empty_table_breaks_nothing():
    assert all(
        result.passed for result in validate(sound("notes").iloc[:0], packaged_contract("notes"))
    )


def broken(table, contract):
    return {
        (r.column, r.rule.split(" (")[0]): (r.severity, r.failed_rows)
        for r in validate(table, contract)
        if not r.passed
    }


def test_a_key_names_one_row_and_is_made_of_all_key_columns():
    notes = packaged_contract("notes")
    same_case = sound("notes").iloc[:2].assign(case_id="a", modality=["n", "m"])
    assert broken(same_case, notes) == {}
    assert broken(same_case.assign(modality="n"), notes) == {
        ("", "compound columns to be unique"): ("block", (0, 1))
    }


TYPED = [
    ("number", [1.5, "x"]),
    ("integer", [1.0, 1.5]),
    ("text", ["001", 1]),
    ("boolean", [True, 1]),
    ("boolean", ["true", "maybe"]),
    ("date", ["2024-01-02", "2024-13-02"]),
    ("date", ["2024-01-02", "2024-01-02T10:00"]),
    ("datetime", ["2024-01-02T10:00", "noon"]),
]


@pytest.mark.parametrize(("kind", "cells"), TYPED)
def test_a_cell_of_another_type_is_refused_and_a_missing_one_is_not(kind, cells):
    contract = Contract(table="t", version=1, columns={"a": Column(type=kind)})
    table = pd.DataFrame(
        {"a": [cells[0], None, cells[1]]}, index=["sound", "missing", "wrong"], dtype=object
    )
    assert broken(table, contract) == {
        ("a", f"column values to be of type {kind}"): ("quarantine", ("wrong",))
    }


def test_a_rule_on_an_optional_column_that_is_not_there_is_not_judged():
    images = sound("images").drop(columns=["spacing_row_mm", "slice_gap_mm"])
    assert broken(images, packaged_contract("images")) == {}


def test_a_column_of_one_type_throughout_is_judged_without_looking_at_its_cells():
    contract = Contract(
        table="t",
        version=1,
        columns={
            "a": Column(type="number"),
            "b": Column(type="text"),
            "c": Column(type="datetime"),
        },
    )
    table = pd.DataFrame(
        {"a": [1.5, np.nan], "b": ["x", None], "c": pd.to_datetime(["2024-01-02", None])}
    )
    assert broken(table, contract) == {}
    assert set(broken(table.assign(a=[True, False], b=[1, 2], c=["x", "y"]), contract)) == {
        ("a", "column values to be of type number"),
        ("b", "column values to be of type text"),
        ("c", "column values to be of type datetime"),
    }


def test_results_of_shards_are_added_up_and_a_broken_table_counts_as_one_row():
    results = [
        *validate(breaking("labels", 1)[0], packaged_contract("labels")),
        *validate(breaking("labels", 3)[0], packaged_contract("labels")),
    ]
    table = as_table(results).set_index(["rule", "column"])
    assert table.loc[
        ("column values to be between (min_value=0)", "time"), ["checked", "failed"]
    ].tolist() == [6, 1]
    share = table.loc[
        ("column proportion of non null values to be between (min_value=0.5)", "label")
    ]
    assert share[["checked", "failed"]].tolist() == [6, 1] and list(as_table([])) == [
        "contract",
        "rule",
        "column",
        "severity",
        "why",
        "checked",
        "failed",
    ]
