"""A table to score is read by the names of the bundle's columns: order is free, what is missing or
beside is said, and a category that no training case had is not measured.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from table_builders import ingest, rows, write_cohort

from mmdiag.errors import DescriptionError, UsageError
from mmdiag.readers.tables.categories import by_name, one_hot
from mmdiag.readers.tables.form import PLAIN

TRAIN = {
    "a": [f"{number}" for number in range(12)],
    "b": [f"{number * number % 7}" for number in range(12)],
    "stage": ["I", "II", "III"] * 4,
}
CATEGORIES = 'categories = ["stage"]'


def fitted(folder, columns=TRAIN, train_rows=None):
    """What is fitted on the table of a cohort, and its store."""
    from network_builders import make_config

    from mmdiag.prepare import fit_preparation

    _, cohort = ingest(write_cohort(folder, rows(columns), CATEGORIES), folder / "w")
    store = cohort.store
    raws = list(store.table("labs")[train_rows] if train_rows else store.table("labs"))
    return store, fit_preparation(
        "table",
        raws,
        make_config(),
        columns=store.columns("labs"),
        categories=store.categories("labs"),
    )


def aligned(folder, preparation, columns):
    from mmdiag.inference.columns import align

    wanted = {"labs": [*preparation.columns, *preparation.categories]}
    cohort = write_cohort(folder, rows(columns), CATEGORIES if "stage" in columns else "")
    answer, found = ingest(cohort, folder / "w", wanted=wanted)
    return answer, align(found.store, "labs", preparation)


def test_order_is_free_and_what_is_beside_is_left_out_and_said(tmp_path):
    store, preparation = fitted(tmp_path / "1")
    other = {"more": ["9"] * 12, **{name: TRAIN[name] for name in ("stage", "b", "a")}}
    _, found = aligned(tmp_path / "2", preparation, other)
    assert np.array_equal(found.values, store.table("labs"))
    assert found.answer()["left_out"] == ["more"] and found.missing == ()


def test_what_is_not_there_is_missing_and_said(tmp_path):
    _, preparation = fitted(tmp_path / "1")
    _, found = aligned(tmp_path / "2", preparation, {"a": TRAIN["a"]})
    assert found.answer()["missing"] == ["b", "stage"]
    assert np.isnan(found.values[:, 1:]).all() and np.isfinite(found.values[:, 0]).all()


def test_a_column_that_nobody_here_has_a_value_in_is_said(tmp_path):
    _, preparation = fitted(tmp_path / "1")
    _, found = aligned(tmp_path / "2", preparation, {**TRAIN, "b": [""] * 12})
    assert found.answer()["missing"] == ["b"] and np.isnan(found.values[:, 1]).all()


def test_a_dirty_cell_costs_one_cell_although_most_of_its_column_is(tmp_path):
    _, preparation = fitted(tmp_path / "1")
    dirty = {**TRAIN, "b": ["<0.1"] * 11 + ["3"]}
    answer, found = aligned(tmp_path / "2", preparation, dirty)
    assert found.values[11, 1] == 3 and np.isnan(found.values[:11, 1]).all()
    assert answer["modalities"]["labs"]["not_numbers"] == {"b": 11}
    assert answer["modalities"]["labs"]["present"] == 12


def test_a_batch_in_european_form_is_refused_as_the_training_table_would_be(tmp_path):
    _, preparation = fitted(tmp_path / "1")
    commas = {**TRAIN, "b": [f"{cell},5" for cell in TRAIN["b"]]}
    cohort = write_cohort(tmp_path / "2", rows(commas, separator=";"), CATEGORIES)
    wanted = {"labs": [*preparation.columns, *preparation.categories]}
    with pytest.raises(DescriptionError, match='decimal = ","'):
        ingest(cohort, tmp_path / "2" / "w", wanted=wanted)
    cohort.write_text(cohort.read_text() + 'decimal = ","\n')
    _, found = ingest(cohort, tmp_path / "2" / "w", wanted=wanted)
    assert found.table("labs")["b"].tolist() == [float(cell) + 0.5 for cell in TRAIN["b"]]


def test_a_column_that_is_written_otherwise_is_said_to_be_that(tmp_path):
    _, preparation = fitted(tmp_path / "1")
    other = {"A ": TRAIN["a"], "stage": TRAIN["stage"], "c": TRAIN["b"]}
    _, found = aligned(tmp_path / "2", preparation, other)
    assert found.missing == ("a", "b") and found.left_out == ("A ", "c")
    assert found.sentences()[-1].endswith("written otherwise (call them as it does): A for a")


def test_a_category_that_no_training_case_had_is_missing_and_said(tmp_path):
    _, preparation = fitted(tmp_path / "1")
    new = {**TRAIN, "stage": ["IV", "ii", *["I"] * 10]}
    _, found = aligned(tmp_path / "2", preparation, new)
    place = [preparation.columns.index(f"stage={stage}") for stage in ("I", "II", "III")]
    assert found.values[:2, place].tolist() == [[0, 0, 0], [0, 1, 0]]
    lacking = found.values[0].copy()
    lacking[place] = np.nan
    for key, value in preparation.apply(found.values[0]).items():
        assert np.array_equal(value, preparation.apply(lacking)[key])
    assert found.answer()["unseen_categories"] == {"stage": 1}
    assert "IV" not in json.dumps(found.answer()), "a patient's value is not shown"


def test_a_category_of_cases_outside_the_training_is_not_learned_from(tmp_path):
    columns = {**TRAIN, "stage": ["I", "II"] * 5 + ["III", "III"]}
    store, preparation = fitted(tmp_path, columns, train_rows=list(range(10)))
    assert preparation.categories == {"stage": ("stage=I", "stage=II")}
    table = store.table("labs")
    unknown, lacking = table[10].copy(), table[10].copy()
    lacking[[store.columns("labs").index(f"stage={s}") for s in ("I", "II")]] = np.nan
    for key, value in preparation.apply(unknown).items():
        assert np.array_equal(value, preparation.apply(lacking)[key])


def test_a_preparation_with_categories_comes_back_as_it_was(tmp_path):
    from mmdiag.prepare import restore_preparation

    store, preparation = fitted(tmp_path)
    again = restore_preparation(json.loads(json.dumps(preparation.config())), preparation.state())
    for row in store.table("labs"):
        for key, value in preparation.apply(row).items():
            assert np.array_equal(again.apply(row)[key], value)


def test_a_table_without_a_common_column_is_refused(tmp_path):
    _, preparation = fitted(tmp_path / "1")
    with pytest.raises(UsageError, match="labs has none of its 5"):
        aligned(tmp_path / "2", preparation, {"x": TRAIN["a"]})


WORDS = st.lists(st.sampled_from(["I", "II", "III", "IV", ""]), min_size=1, max_size=12)


@given(train=WORDS, new=WORDS, order=st.randoms())
def test_each_category_is_found_in_any_order_none_of_them_or_missing(train, new, order):
    _, known = one_hot({"stage": train}, PLAIN, "t.csv")
    shown, groups = one_hot({"stage": new}, PLAIN, "t.csv")
    columns = list(shown.columns)
    order.shuffle(columns)
    found, unseen = by_name(
        shown[columns].to_numpy(np.float32), columns, {"stage": columns}, known["stage"], known
    )
    for word, row in zip(new, found, strict=True):
        expected = [np.nan] * len(known["stage"])
        if word:
            expected = [float(column == f"stage={word}") for column in known["stage"]]
        assert np.array_equal(row, expected, equal_nan=True)
    others = sum(bool(word) and f"stage={word}" not in known["stage"] for word in new)
    assert sum(unseen.values()) == (others if groups["stage"] else 0)


def test_one_hot_is_what_pandas_makes_of_it():
    cells = ["I", "II", "", "III", "II", "I"]
    found, _ = one_hot({"stage": cells}, PLAIN, "t.csv")
    expected = pd.get_dummies(pd.Series(cells).replace("", np.nan), prefix="stage", prefix_sep="=")
    known = np.asarray([bool(cell) for cell in cells])
    assert list(found.columns) == list(expected.columns)
    assert np.array_equal(found[known].to_numpy(), expected[known].to_numpy(float))
    assert found[~known].isna().all(axis=None)


def test_a_batch_is_scored_by_names_and_a_bad_one_writes_nothing(small_run, tmp_path):

    from mmdiag import api
    from mmdiag.description import read_description
    from mmdiag.phantom import write_phantom
    from mmdiag.storage.ledger import Ledger
    from mmdiag.workspace import Workspace

    bundle, probabilities = Path(small_run.answer["bundle"]["path"]), {}
    for name in ("same", "bent"):
        write_phantom(tmp_path / name, cases=10, seed=77)
        table = pd.read_csv(tmp_path / name / "genomics.csv", dtype=str)
        if name == "bent":
            table = table[[table.columns[0], *table.columns[:0:-1]]].assign(more="1")
            table.to_csv(tmp_path / name / "genomics.csv", index=False)
        place, cohort = Workspace(tmp_path / name / "w"), tmp_path / name / "cohort.toml"
        out = tmp_path / f"{name}.parquet"
        answer = api.score(bundle, read_description(cohort), place, Ledger(place.ledger_url), out)
        probabilities[name] = pd.read_parquet(out)["probability"]
    assert "columns" not in answer, "the description chooses its columns, and all are there"
    assert np.allclose(probabilities["same"], probabilities["bent"], atol=1e-6)
    renamed = table.rename(columns={c: f"x{c}" for c in table.columns[1:]})
    renamed.to_csv(tmp_path / "bent" / "genomics.csv", index=False)
    with pytest.raises(UsageError, match="expression has none of its"):
        api.open_bundle(bundle, read_description(tmp_path / "bent" / "cohort.toml"), None)
