"""The page of performance: what the champion was promised to do beside what came out since, and who
decided on each model.
"""

import json
import shutil

import pytest
from pages import said
from published_example import BUNDLE, KINDS, NAME, RUN, publish

from dashboards import published
from mmdiag.explain.kept import checks_path
from mmdiag.record.models import promote
from mmdiag.storage.ledger import Ledger
from mmdiag.workspace import write_text


@pytest.fixture
def example(tmp_path):
    return publish(tmp_path / "w", cases=120)


def shown(test):
    return said(test).replace("\\", "")


def labels_arrive(example, cases):
    """The case table now has their label: 1 for every second one."""
    modalities = {name: {"kind": kind} for name, kind in KINDS.items()}
    labels = {case: f"{float(place % 2)}" for place, case in enumerate(cases)}
    counts = {"in": 122, "accepted": 120, "quarantined": 2, "new": 0, "labelled": 120}
    ledger = Ledger(example.workspace.ledger_url)
    ledger.record_cohort(NAME, "sha256:later", {"kind": "binary"}, modalities, counts, labels)


def test_what_came_out_stands_beside_what_was_promised(page, example):
    new = example.predictions.loc[example.predictions["role"] == "new", "case_id"].tolist()
    text = shown(page(example.workspace.path, "performance"))
    assert f"has scored {len(new)} new cases in all; no outcome is known yet" in text
    assert "count from the ingestion that first sees them" in text
    labels_arrive(example, new[:10])
    test = page(example.workspace.path, "performance")
    assert f"scored {len(new)} new cases in all; the outcome of 10 is known, 10 of them" in shown(
        test
    )
    table = test.dataframe[0].value.set_index("metric")
    assert (
        "n = 10" in table.loc["AUROC", "in use"] and "n = 107" in table.loc["AUROC", "at training"]
    )
    drawn = " ".join(str(chart.proto.spec) for chart in test.get("vega_lite_chart"))
    assert "as it was promised" in " ".join(drawn.split())


def test_a_cohort_that_is_chosen_after_one_without_a_run_shows_its_own(page, example):
    """The newest cohort may be one that is only scored: it has been looked at first."""
    place = example.workspace
    shutil.copytree(place.cohort(NAME), place.cohort("only-scored"))
    modalities = {name: {"kind": kind} for name, kind in KINDS.items()}
    counts = {"in": 120, "accepted": 120, "quarantined": 0, "new": 120, "labelled": 0}
    ledger = Ledger(place.ledger_url)
    ledger.record_cohort("only-scored", "sha256:other", {"kind": "binary"}, modalities, counts, {})
    test = page(place.path, "performance", cohort="only-scored")
    assert "No model was evaluated on this cohort yet" in shown(test)
    test.selectbox(key="cohort").set_value(NAME).run()
    assert test.selectbox(key="run").value == RUN
    assert "No model was evaluated" not in shown(test) and test.metric


def test_every_model_stands_with_its_state_and_who_decided_why(page, example):
    ledger = Ledger(example.workspace.ledger_url)
    ledger.record_bundle("b-other", "bundles/b-other", "r-other", NAME, {"fusion": "concat"})
    promote(ledger, "b-other", "better on site HT", "operator-7")
    test = page(example.workspace.path, "performance")
    assert "has scored 0 new cases in all" in shown(test)
    table = next(t.value for t in test.dataframe if "bundle_id" in t.value and "by" in t.value)
    rows = table.set_index("bundle_id")
    assert rows.loc["b-other", ["state", "by", "reason"]].tolist() == [
        "champion",
        "operator-7",
        "better on site HT",
    ]
    assert rows.loc[BUNDLE, "state"] == "retired"


def test_what_is_to_be_said_of_the_model_stands_under_the_verdict_and_the_answer(page, example):
    said_of_it = "the model answers every case alike"
    assert said_of_it not in shown(page(example.workspace.path, "performance"))
    card = example.workspace.bundles / BUNDLE / "card.json"
    card.parent.mkdir(parents=True, exist_ok=True)
    write_text(card, json.dumps({"warnings": [said_of_it]}))
    test = page(example.workspace.path, "performance")
    assert [warning.value for warning in test.warning] == [said_of_it]
    answered = page(example.workspace.path, "case", case=example.cases["case_id"].iloc[0])
    assert said_of_it in [warning.value for warning in answered.warning], "beside each answer"


def test_what_is_to_be_said_of_the_model_of_a_fold_is_known(example, monkeypatch):
    fit = example.workspace.runs / "r-1" / "fits" / "fold-0.fused"
    (fit / "b-0123456789ab").mkdir(parents=True)
    write_text(fit / "fit.json", json.dumps({"warnings": ["this fold answers every case alike"]}))
    monkeypatch.setattr(published, "workspace", lambda: example.workspace)
    assert published.warnings("b-0123456789ab") == ["this fold answers every case alike"]
    assert published.warnings("b-ba9876543210") == published.warnings("") == []


FOUND = {
    "cases": 12,
    "completeness": 1e-6,
    "same_sign": 1.0,
    "deletion": {
        "null": {"value": 0.3, "low": 0.2, "high": 0.4, "n": 12},
        "mean": {"value": 0.2, "low": -0.1, "high": 0.3, "n": 12},
    },
    "randomised": 0.1,
    "stability": None,
    "outside_tissue": 0.25,
    "reliable": False,
    "reasons": ["25% of the effect lies outside of the body or on headings"],
}


def test_whether_explanations_hold_stands_beside_the_metrics(page, example):
    asked = shown(page(example.workspace.path, "performance"))
    assert "Whether the explanations of this model hold was not checked" in asked
    write_text(checks_path(example.workspace, BUNDLE), json.dumps(FOUND))
    test = page(example.workspace.path, "performance")
    assert "not reliable for this model: 25% of the effect lies outside" in shown(test)
    table = next(t.value for t in test.dataframe if "asked" in t.value).set_index("check")
    assert table["found"].tolist() == [
        "1.0e-06",
        "100.0%",
        "+0.30 (+0.20 to +0.40)",
        "+0.20 (-0.10 to +0.30)",
        "0.10",
        "",
        "25.0%",
    ]
    case = shown(page(example.workspace.path, "case"))
    assert "not reliable for this model: 25% of the effect lies outside" in case
