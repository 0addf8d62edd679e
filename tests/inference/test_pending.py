"""What a model has still to score, and why the other cases are not meant."""

import numpy as np
import pandas as pd
import pytest
from record_builders import BINARY, COHORT, MODEL, make_workspace

from mmdiag.cli.show import show_score
from mmdiag.inference.pending import pending
from mmdiag.privacy.subject_keys import SubjectKeys, made_workspace_key
from mmdiag.storage.store import Store

LABELLED, REVIEWED, TRAINED = 3, 2, 4


@pytest.fixture
def asked(tmp_path):
    """Of ten cases three have a label, two a review, and of four subjects the model has learned."""
    workspace, ledger = make_workspace(tmp_path, cases=10)
    cases = pd.DataFrame({"case_id": [f"c{i}" for i in range(10)], "version": "v"})
    cases["subject_id"] = cases["case_id"].str.replace("c", "s")
    cases["label"] = np.where(cases.index < LABELLED, 1.0, np.nan)
    store = Store(workspace.cohort(COHORT), cases, BINARY, {}, "sha256:0")
    key = made_workspace_key(workspace.path)
    learned = SubjectKeys.of([f"s{i}" for i in (0, 5, 6, 7, 8)], "salt", key)
    reviewed = {("c3", "v"), ("c4", "v"), ("c9", "before its files changed")}

    def ask(**which):
        return pending(store, ledger, MODEL, (learned,), key, reviewed=reviewed, **which)

    return ask


def test_each_case_is_meant_or_left_out_for_one_reason(asked):
    todo = asked(only_open=True)
    assert list(todo.new) == [9]
    assert todo.left_out == {"labelled": LABELLED, "reviewed": REVIEWED, "train": TRAINED}
    assert asked().left_out == {} and len(asked().new) == 10


def test_the_command_says_why_cases_were_left_out(asked, capsys):
    """A cohort whose keys of subjects are those of the training is not just `0 cases scored`."""
    answer = {"cohort": {"name": "k"}, "modalities": {}, "workspace": "w", "shift": {}}
    answer |= {"cases": {"in": 10, "accepted": 10, "quarantined": 0, "labelled": 3}}
    answer |= {"scored": 1, "already_scored": 0, "bundle": {"id": MODEL}, "predictions": "p"}
    answer |= {"abstained": {}, "new_sites": None, "training_known": True}
    show_score(answer | {"left_out": dict(asked(only_open=True).left_out)})
    said = capsys.readouterr().out.replace("\n", " ")
    assert "3 with a label, 2 with a review, 4 of subjects that it learned from" in said
    show_score(answer | {"left_out": {}})
    assert "Left out" not in capsys.readouterr().out
