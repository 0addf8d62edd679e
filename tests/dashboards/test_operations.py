"""Operations: what waits, which models are in use, what was done; no key of a case, and the record
of work for operators alone.
"""

from datetime import datetime

import numpy as np
import pandas as pd
import pytest
from pages import said
from published_example import BUNDLE, NAME, publish

from mmdiag.inference.settled import PlainBundle
from mmdiag.record.activity import recent_activity, said_of
from mmdiag.record.models import retire
from mmdiag.record.reviews import record_review
from mmdiag.roles import system_user
from mmdiag.storage.ledger import Ledger
from mmdiag.storage.store import Store
from mmdiag.workspace import Workspace


@pytest.fixture
def example(tmp_path):
    return publish(tmp_path / "w", cases=12)


def tables(test):
    return [frame.value for frame in test.dataframe]


def test_it_says_what_waits_and_which_model_is_in_use(page, example):
    cohorts, models, _ = tables(page(example.workspace.path, "operations"))
    row = cohorts.set_index("cohort").loc[NAME]
    assert row["in use"] == BUNDLE and row["scored by it"] == len(example.predictions)
    assert pd.isna(row["waiting"])  # what waits is told by the model, which this workspace lacks
    assert models.set_index("model").loc[BUNDLE, "state"] == "champion"
    stamps = [*cohorts["last ingested"], *models["since"]]
    assert all(datetime.strptime(stamp, "%Y-%m-%d %H:%M") for stamp in stamps)


def test_what_waits_is_what_the_next_score_would_answer(page, example, monkeypatch):
    """Not what was trained on, nor what has its label or its review; and what is new."""
    store = Store.open(example.workspace, NAME)
    plain = PlainBundle(BUNDLE, store.folder, {}, ())
    monkeypatch.setattr(Workspace, "bundle", lambda *_: store.folder)
    monkeypatch.setattr(PlainBundle, "read", staticmethod(lambda *_: plain))
    file = store.folder / "cases.parquet"
    cases = pd.read_parquet(file)
    cases.loc[:4, "label"] = np.nan  # of twelve; the ledger knows no answer for the first three
    cases.loc[:2, "version"] = "new"
    cases.to_parquet(file)
    waiting = tables(page(example.workspace.path, "operations"))[0].set_index("cohort")["waiting"]
    assert waiting[NAME] == 3


def test_a_cohort_without_a_model_in_use_says_none(page, example):
    retire(Ledger(example.workspace.ledger_url), BUNDLE, "tried")
    cohorts = tables(page(example.workspace.path, "operations"))[0].set_index("cohort")
    assert cohorts.loc[NAME, "in use"] == "none"


def test_what_was_done_names_no_case_and_not_who_looked(page, example):
    ledger = Ledger(example.workspace.ledger_url)
    record_review(ledger, example.workspace, "C-0003", "flag", "C-0003 again", seen=(BUNDLE, "v1"))
    page(example.workspace.path, "case", case="C-0003")  # a view
    rows = recent_activity(ledger)
    assert {"score", "review"} <= {row["kind"] for row in rows}
    assert not {"view", "reading"} & {row["kind"] for row in rows}
    assert not [row for row in rows if "C-0003" in str(row)]
    assert rows == sorted(rows, key=lambda row: row["at"], reverse=True)
    shown = tables(page(example.workspace.path, "operations"))[2]
    assert shown["said"].tolist() == [row["said"] for row in rows]


def test_the_record_of_work_is_for_operators(page, example):
    users = example.workspace.path / "users.toml"
    users.write_text(f'[users.{system_user()}]\nrole = "reader"\n')
    test = page(example.workspace.path, "operations")
    assert len(tables(test)) == 2 and "What was done is shown to operators" in said(test)
    users.write_text(f'[users.{system_user()}]\nrole = "operator"\n')
    assert len(tables(page(example.workspace.path, "operations"))) == 3


@pytest.mark.parametrize(
    ("kind", "payload", "words"),
    [
        ("ingest", {"counts": {"in": 9, "new": 2, "quarantined": 1}}, "2 of 9 cases"),
        ("score", {"count": 3, "bundles": ["b-1"], "cases": ["k1"]}, "3 cases by b-1"),
        ("refit", {"challenger": "b-2", "decision": "held"}, "b-2: held"),
        ("promote", {"bundle_id": "b-2", "reason": "better"}, "b-2: better"),
        ("register", {"bundle_id": "b-2", "state": "candidate"}, "b-2 is candidate"),
        ("erase", {"rows": {"1": "x"}}, ""),
    ],
)
def test_each_kind_of_row_is_a_sentence(kind, payload, words):
    said = said_of(kind, payload)
    assert said.startswith(words) and "k1" not in said and not said.endswith((":", ": "))


def test_scored_are_the_cases_that_are_still_there(page, example):
    ledger = Ledger(example.workspace.ledger_url)
    ledger.record_verdicts(NAME, ledger.verdicts(NAME).iloc[1:])  # one left the case table
    row = tables(page(example.workspace.path, "operations"))[0].set_index("cohort").loc[NAME]
    assert row["scored by it"] == len(example.predictions) - 1
