"""What a model has scored, in few columns: the newest answer of each case, and what was said last of
it.
"""

import pandas as pd
import pytest
from published_example import BUNDLE, NAME, publish

from mmdiag.record.reviews import record_review
from mmdiag.record.worklist import (
    newest_reviews,
    outcome_stamp,
    review_stamp,
    reviews_of,
    scored_cases,
    scored_stamp,
    states_of,
)
from mmdiag.storage.ledger import Ledger
from mmdiag.storage.store import Store


@pytest.fixture
def example(tmp_path):
    return publish(tmp_path / "w", cases=12)


def opened(example):
    return Ledger(example.workspace.ledger_url)


def test_a_case_stands_once_with_its_newest_answer(example):
    ledger, task = opened(example), Store.open(example.workspace, NAME).task
    before, stamp = scored_cases(ledger, NAME, BUNDLE, task), scored_stamp(ledger, NAME, BUNDLE)
    assert sorted(before["case_id"]) == sorted(example.predictions["case_id"])
    row = example.predictions.iloc[[3]].assign(version="v2", probability=0.875, abstained=True)
    row = row.assign(scored_at="2024-07-07T08:00:00+00:00", abstained_because="atypical:flair")
    ledger.record_predictions(NAME, row)
    after = scored_cases(ledger, NAME, BUNDLE, task).set_index("case_id")
    changed = after.loc[row["case_id"].iloc[0]]
    assert len(after) == len(before) and scored_stamp(ledger, NAME, BUNDLE) == stamp + 1
    assert (changed["version"], changed["share"]) == ("v2", 0.875)
    assert changed["abstained"] and changed["because"] == "atypical:flair"
    assert changed["sure"] == pytest.approx(0.375)


def test_what_was_said_last_counts_and_all_of_it_is_kept(example):
    ledger = opened(example)
    assert newest_reviews(ledger, NAME, BUNDLE).empty and review_stamp(ledger, NAME) == 0
    for verdict, more in (("override", {"label": "1"}), ("agree", {})):
        record_review(ledger, example.workspace, "C-0003", verdict, "seen", by="x", **more)
    newest = newest_reviews(ledger, NAME, BUNDLE)
    assert newest[["case_id", "verdict", "label"]].values.tolist() == [["C-0003", "agree", ""]]
    assert [row["verdict"] for row in reviews_of(ledger, NAME, "C-0003")] == ["agree", "override"]
    assert reviews_of(ledger, NAME, "C-0004") == [] and review_stamp(ledger, NAME) == 2


def test_a_ledger_without_tables_has_scored_nothing(tmp_path, example):
    task = Store.open(example.workspace, NAME).task
    empty = Ledger(f"sqlite:///{tmp_path / 'none.db'}")
    assert scored_cases(empty, NAME, BUNDLE, task).empty and states_of(empty) == {}
    assert scored_stamp(empty, NAME, BUNDLE) == 0 and not (tmp_path / "none.db").exists()
    assert isinstance(newest_reviews(empty, NAME, BUNDLE), pd.DataFrame)


def test_the_answer_of_several_classes_is_its_largest_share(tmp_path):
    example = publish(tmp_path / "w", cases=4)
    ledger, task = opened(example), Store.open(example.workspace, NAME).task
    task = type(task)(kind="multiclass", label="grade", classes=("a", "b"))
    table = example.predictions.drop(columns="probability")
    table = table.assign(probability_a=0.25, probability_b=0.75, bundle_id="b-other")
    ledger.record_predictions(NAME, table)
    found = scored_cases(ledger, NAME, "b-other", task)
    assert found["share"].tolist() == [0.75] * 4 and found["sure"].tolist() == [0.75] * 4


def test_what_is_said_of_the_answer_of_another_model_is_no_word_on_this_one(example):
    ledger = opened(example)
    record_review(ledger, example.workspace, "C-0003", "agree", "seen", seen=(BUNDLE, "v1"))
    ledger.record_predictions(NAME, example.predictions.assign(bundle_id="b-other"))
    record_review(ledger, example.workspace, "C-0003", "flag", "odd", seen=("b-other", "v1"))
    assert newest_reviews(ledger, NAME, BUNDLE)["verdict"].tolist() == ["agree"]
    assert newest_reviews(ledger, NAME, "b-other")["verdict"].tolist() == ["flag"]


def test_what_the_cohort_says_anew_is_judged_anew(example):
    """As whose a case is: the hash of a cohort is of that, too."""
    ledger = opened(example)
    before = outcome_stamp(ledger, NAME)
    assert outcome_stamp(ledger, NAME) == before
    ledger.record_cohort(NAME, "sha256:another", {"kind": "binary"}, {}, {"in": 1})
    assert outcome_stamp(ledger, NAME) != before
