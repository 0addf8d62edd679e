"""What a model must beat: the baselines of a run."""

import numpy as np
import pandas as pd
import pytest


def test_a_group_alone_is_a_baseline_of_survival_learned_from_the_other_parts():
    from mmdiag.evaluation.metrics import evaluate
    from mmdiag.experiment.baselines import by_group

    rng = np.random.default_rng(0)
    kind = np.repeat(["slow", "fast"], 100)
    time = rng.exponential(np.where(kind == "fast", 5.0, 50.0))
    cases = pd.DataFrame(
        {
            "case_id": [f"c{n}" for n in range(200)],
            "time": time,
            "event": 1.0,
            "group_cancer": kind,
            "group_empty": None,
        }
    )
    where = pd.Series(np.where(np.arange(200) % 2, "fold-0", "fold-1"))
    (found,) = by_group(
        cases,
        np.arange(200),
        where,
        np.ones(200, dtype=bool),
        cases[["case_id", "time", "event"]],
        horizon=10.0,
    )
    assert set(found["model"]) == {"baseline:cancer"} and len(found) == 200
    row = evaluate(
        np.full(200, np.nan),
        found["probability"].to_numpy(),
        kind="survival",
        time=time,
        event=np.ones(200),
        resamples=20,
    )[0]
    assert row["value"] == pytest.approx(0.7, abs=0.1), "two groups order the pairs between them"
    part = where == "fold-0"
    others = cases[~part & (cases["group_cancer"] == "fast")]
    expected = 1 - np.exp(-len(others) / others["time"].sum() * 10.0)
    assert found["probability"][part & (kind == "fast")].unique() == pytest.approx([expected]), (
        "what is judged is not learned from"
    )
    own = cases[part & (cases["group_cancer"] == "fast")]
    assert expected != pytest.approx(1 - np.exp(-len(own) / own["time"].sum() * 10.0))
