"""Where a case stands in a column among the cases of each outcome."""

import numpy as np
import pandas as pd

from mmdiag.explain.kinds.table import FEWEST, _among, _of_outcomes
from mmdiag.storage.store import Store
from mmdiag.task import Task


def test_it_is_the_percentile_in_the_cohort_of_each_outcome():
    rng = np.random.default_rng(0)
    label = (np.arange(60) % 3).astype(float)
    label[label == 2] = np.nan  # not known yet: in the cohort, in no outcome
    values = np.round(rng.normal(size=60) + 2 * (label == 1), 1)
    values[7] = np.nan
    others = np.arange(60) != 4
    found = _of_outcomes(values, label, others, ("no", "yes"))["among"]
    known = pd.Series(values).where(pd.Series(others))
    rank = (known.rank(method="average") - 0.5) / known.notna().sum() * 100
    for number, name in enumerate(("no", "yes")):
        expected = np.quantile(rank[(label == number) & known.notna()], (0.1, 0.5, 0.9))
        assert np.allclose(found[name], expected, atol=0.051)
    assert found["yes"][1] > found["no"][1]


def test_of_few_cases_nothing_is_told_and_of_none_there_is_nothing():
    label = np.r_[np.zeros(20), np.ones(FEWEST - 1)]
    found = _of_outcomes(np.arange(len(label)) * 1.0, label, label >= 0, ("no", "yes"))
    assert list(found["among"]) == ["no"]
    empty = np.full(len(label), np.nan)
    assert _of_outcomes(empty, label, label >= 0, ("no", "yes")) == {}


def test_a_case_stands_where_those_with_its_value_do(tmp_path):
    """As in a column of 0 and 1, or of counts that are 0 in most."""
    keys = [f"c{number}" for number in range(41)]
    cases = pd.DataFrame({"case_id": keys, "subject_id": keys, "label": np.arange(41) % 2})
    task = Task(kind="binary", classes=("no", "yes"))
    store = Store(tmp_path, cases, task, {"lab": "table"}, "")
    same = np.ones((41, 1))
    same[3] = np.nan
    found = _among(store, same, 0)[0]
    assert found["place"] == found["among"]["no"][1] == found["among"]["yes"][1] == 50
    assert "place" not in _among(store, same, 3)[0], "what was not measured stands nowhere"
