"""The page of a case as a reader uses it: any scored case, answers that are recorded, an own reading
first, and the job that explains a case in full.
"""

import gc
import json
import shutil
import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from pages import said
from published_example import BUNDLE, NAME, RUN, publish
from sqlalchemy import delete, select
from streamlit.testing.v1 import AppTest

from dashboards.case_view import View
from dashboards.review import explaining
from mmdiag.explain.kept import explanation_path, keep
from mmdiag.explain.parts import CaseParts
from mmdiag.record.models import promote, retire
from mmdiag.record.reviews import list_reviews, record_review
from mmdiag.roles import system_user
from mmdiag.storage.ledger import Ledger
from mmdiag.storage.ledger_tables import PREDICTIONS
from mmdiag.storage.record_tables import AUDIT
from mmdiag.storage.store import Store

HOSTILE = "<img src=x onerror=alert(1)> [k](http://z.test) $x$ :red[y]"


@pytest.fixture
def example(tmp_path):
    return publish(tmp_path / "w", cases=12)


def opened(example):
    return Ledger(example.workspace.ledger_url)


def audited(example, kind):
    query = select(AUDIT).where(AUDIT.c.kind == kind).order_by(AUDIT.c.id)
    return [json.loads(row["payload"]) for row in opened(example).rows(query, AUDIT)]


def shown(test):
    return said(test).replace("\\", "")


def test_a_case_is_agreed_with_overridden_and_flagged_and_nothing_is_erased(page, example):
    test = page(example.workspace.path, "case", case="C-0003")
    assert "not yet reviewed" in shown(test)
    test.button(key="agree").click().run()
    assert "reviewed: agreed, 20" in shown(test) and f"by {system_user()}" in shown(test)
    test.button(key="override").click().run()
    assert test.selectbox(key="label").options[:2] == ["stable (0)", "progresses (1)"]
    test.selectbox(key="label").set_value("1")
    test.text_area[0].set_value(HOSTILE)
    test.button(key="say").click().run()
    assert "reviewed: overridden, 20" in shown(test)
    assert r"\<img src" in said(test) and r"\[k\]" in said(test)
    test.button(key="flag").click().run()
    test.text_area[0].set_value("look again")
    test.button(key="say").click().run()
    found = list_reviews(opened(example), NAME)
    assert [row["verdict"] for row in found] == ["agree", "override", "flag"]
    assert [row["label"] for row in found] == ["", "1", ""] and found[1]["reason"] == HOSTILE
    assert {row["bundle_id"] for row in found} == {BUNDLE}
    text = shown(test)
    assert "reviewed: flagged" in text and "it is progresses (1)" in text and "look again" in text
    assert len(audited(example, "review")) == 3


def test_an_override_without_a_reason_is_refused_and_nothing_is_written(page, example):
    test = page(example.workspace.path, "case", case="C-0003")
    test.button(key="flag").click().run()
    test.button(key="say").click().run()
    assert "A review has a reason" in shown(test) and not list_reviews(opened(example), NAME)


def test_what_is_answered_is_what_was_shown_whatever_is_promoted_meanwhile(page, example):
    test = page(example.workspace.path, "case", case="C-0003")
    ledger = opened(example)
    ledger.record_bundle("b-other", "bundles/b-other", "r-other", NAME, {"fusion": "concat"})
    ledger.record_predictions(NAME, example.predictions.assign(bundle_id="b-other"))
    with pytest.raises(Exception, match="scored"):
        record_review(
            ledger, example.workspace, "C-0003", "agree", "x", seen=(BUNDLE, "no-version")
        )
    record_review(ledger, example.workspace, "C-0003", "agree", "x", seen=("b-other", "v1"))
    assert list_reviews(ledger, NAME)[-1]["bundle_id"] == "b-other"
    promote(ledger, "b-other", "tried", "x")
    test = page(example.workspace.path, "case", case="C-0003")
    assert "model `b-example` (retired)" in shown(test), "the run of that model is what was chosen"
    test.button(key="agree").click().run()
    assert list_reviews(ledger, NAME)[-1]["bundle_id"] == BUNDLE


def test_a_case_of_no_run_is_shown_with_what_the_ledger_holds(page, tmp_path):
    example = publish(tmp_path / "w", cases=12)
    file = example.workspace.runs / RUN / "predictions.parquet"
    table = pd.read_parquet(file)
    table[table["case_id"] != "C-0003"].to_parquet(file)
    own = example.predictions[example.predictions["case_id"] == "C-0003"]
    opened(example).record_predictions(NAME, own.assign(role="new", probability=0.8125))
    test = page(example.workspace.path, "case", case="C-0003")
    text = shown(test)
    assert "**case C-0003**" in text and "Progression within 24 months: 81 %" in text
    assert "model `b-example` (champion)" in text and "not used in training" in text
    drawn = " ".join(str(chart.proto.spec) for chart in test.get("vega_lite_chart"))
    assert "Contribution of each modality" in " ".join(drawn.split())


@pytest.mark.parametrize("in_use", [True, False])
def test_the_answer_of_earlier_files_is_said_to_be_one(page, example, in_use):
    """That of the model in use, and that of a run whose model, or that of a fold, is not."""
    if not in_use:
        retire(opened(example), BUNDLE, "tried")
    file = example.workspace.cohort(NAME) / "cases.parquet"
    cases = pd.read_parquet(file)
    cases.assign(version=cases["version"].where(cases["case_id"] != "C-0003", "v2")).to_parquet(
        file
    )
    test = page(example.workspace.path, "case", case="C-0003")
    assert "files of this case changed after this answer" in test.warning[0].value
    assert not page(example.workspace.path, "case", case="C-0004").warning


def test_a_view_is_recorded_once_a_session_and_case(page, example):
    test = page(example.workspace.path, "case", case="C-0003")
    test.run()
    test.button(key="next").click().run()
    other = test.query_params["case"]
    views = [row["case_id"] for row in audited(example, "view")]
    assert sorted(views) == sorted(["C-0003", other]) and other != "C-0003"


def test_the_recorded_outcome_stands_behind_a_click(page, example):
    known = example.cases.loc[example.cases["label"] == 1, "case_id"].iloc[0]
    test = page(example.workspace.path, "case", case=known)
    assert "recorded" not in shown(test)
    test.toggle(key=f"outcome-{known}").set_value(True).run()
    assert "recorded: **progresses**" in shown(test)


def test_my_reading_comes_first_where_it_is_wanted(page, example):
    having = example.cases[example.cases["has_report"] & example.cases["has_expression"]]
    case = having["case_id"].iloc[0]
    test = page(example.workspace.path, "case", case=case)
    assert "Progression within 24 months: " in shown(test)
    test.toggle(key="reading-first").set_value(True).run()
    text = shown(test)
    assert "Your reading: How likely is Progression within 24 months?" in text
    assert " %" not in text.split("Your reading")[1] and "Orange" not in text
    assert not [b for b in test.button if b.key in ("agree", "override", "flag")]
    assert "Increase in enhancement" in text and len(test.dataframe[0].value)
    drawn = " ".join(str(chart.proto.spec) for chart in test.get("vega_lite_chart"))
    assert "Contribution of each" not in drawn
    test.button(key="estimate-3").click().run()
    text = shown(test)
    assert "Progression within 24 months: " in text and "Your own reading: likely." in text
    row = audited(example, "reading")[-1]
    assert (row["case_id"], row["estimate"], row["bundle_id"]) == (case, "likely", BUNDLE)
    test.run()
    assert len(audited(example, "reading")) == 1


def test_an_own_reading_is_asked_for_once_although_the_files_have_changed(page, example):
    file = example.workspace.cohort(NAME) / "cases.parquet"
    cases = pd.read_parquet(file)
    cases.assign(version="v2").to_parquet(file)
    test = page(example.workspace.path, "case", case="C-0003")
    test.toggle(key="reading-first").set_value(True).run()
    test.button(key="estimate-3").click().run()
    assert "Your own reading: likely." in shown(test)


def test_the_worklist_hides_answers_that_come_after_an_own_reading(page, example):
    test = page(example.workspace.path)
    assert "after your own reading" not in shown(test)
    test.toggle(key="reading-first").set_value(True).run()
    assert shown(test).count("after your own reading") == 12
    assert 'style="width:' not in shown(test)


def users(example, role):
    (example.workspace.path / "users.toml").write_text(
        f'[users.{json.dumps(system_user())}]\nrole = "{role}"\n'
    )


def test_roles_decide_who_answers_and_whose_reading_comes_first(page, example):
    users(example, "reader")
    test = page(example.workspace.path, "case", case="C-0003")
    assert "To answer a case one is reviewer" in shown(test)
    assert not [b for b in test.button if b.key == "agree"]
    users(example, "reviewer")
    test = page(example.workspace.path, "case", case="C-0003")
    assert "Your reading:" in shown(test)
    (example.workspace.path / "users.toml").write_text('[users.somebody]\nrole = "operator"\n')
    for path in ("", "case", "performance", "cohort", "operations"):
        test = page(example.workspace.path, path, **({"case": "C-0003"} if path == "case" else {}))
        assert "has a role in users.toml" in shown(test) and "C-0003" not in shown(test)
        assert not test.get("page_link") and not test.dataframe


def test_a_login_of_yesterday_still_looks_and_answers_nothing(page, example, monkeypatch):
    yesterday = datetime.now(UTC) - timedelta(days=1)
    monkeypatch.setattr("dashboards.review.reader.logged_in_at", lambda *_: yesterday)
    test = page(example.workspace.path, "case", case="C-0003")
    assert "**case C-0003**" in shown(test)
    test.button(key="agree").click().run()
    assert "logged in within 12 hours" in shown(test) and not list_reviews(opened(example), NAME)


EXPLAINS = """
import json, pathlib, sys
path = pathlib.Path(sys.argv[1])
path.parent.mkdir(parents=True, exist_ok=True)
path.write_text(json.dumps({"parts": {"report": [{"start": 10, "end": 33, "value": 0.6}]}}))
"""


def ended(key):
    explaining.jobs().of[key].process.wait()


@pytest.fixture
def bare(tmp_path):
    explaining.jobs.clear()
    return publish(tmp_path / "w", cases=12, explained=False)


def test_a_click_explains_a_case_in_full_and_shows_it(page, bare, monkeypatch):
    case = bare.cases.loc[bare.cases["has_report"], "case_id"].iloc[0]
    path = explanation_path(bare.workspace, BUNDLE, case, "v1")
    monkeypatch.setattr(
        explaining, "command", lambda *_: [sys.executable, "-c", EXPLAINS, str(path)]
    )
    test = page(bare.workspace.path, "case", case=case)
    assert "Orange, underlined" not in shown(test)
    test.button(key="explain").click().run()
    ended((BUNDLE, case, "v1"))
    text = shown(test.run())
    assert "Orange, underlined" in text and not [b for b in test.button if b.key == "explain"]


def test_a_case_whose_key_another_cohort_has_is_explained_as_one_of_its_own(
    page, bare, monkeypatch
):
    folder = bare.workspace.cohort(NAME)
    shutil.copytree(folder, folder.with_name("another"))
    asked = []

    def command(*given):
        asked.append(given)
        return [sys.executable, "-c", ""]

    monkeypatch.setattr(explaining, "command", command)
    test = page(bare.workspace.path, "case", cohort=NAME, case="C-0003")
    test.button(key="explain").click().run()
    ended((BUNDLE, "C-0003", "v1"))
    assert asked == [(bare.workspace, NAME, "C-0003", BUNDLE, [])]


def test_a_job_that_fails_says_why_and_can_be_begun_again(page, bare, monkeypatch):
    fails = [
        sys.executable,
        "-c",
        "import sys; print('The rule. <b>', file=sys.stderr); sys.exit(2)",
    ]
    monkeypatch.setattr(explaining, "command", lambda *_: fails)
    test = page(bare.workspace.path, "case", case="C-0003")
    test.button(key="explain").click().run()
    ended((BUNDLE, "C-0003", "v1"))
    test.run()
    assert r"\(exit 2\)" in said(test) or "(exit 2)" in said(test)
    assert r"The rule\. \<b\>" in said(test) and test.button(key="explain")


def test_the_command_names_the_model_that_is_at_hand_and_a_key_is_no_option(bare):
    workspace = bare.workspace
    command = explaining.command(workspace, NAME, "-c7", BUNDLE)
    assert command[-2:] == ["--", "-c7"] and "--bundle" not in command
    (workspace.bundles / BUNDLE).mkdir(parents=True)
    command = explaining.command(workspace, NAME, "-c7", BUNDLE)
    assert f"--cohort-name={NAME}" in command
    assert command[command.index("--bundle") + 1] == BUNDLE
    assert command[1:5] == ["-P", "-m", "mmdiag", "explain"]


def test_the_command_names_the_model_of_a_fold_not_that_of_a_newer_answer(bare):
    fold = "b-0123456789ab"
    (bare.workspace.runs / RUN / "fits" / "fold-0.fused" / fold).mkdir(parents=True)
    command = explaining.command(bare.workspace, NAME, "c7", fold)
    assert command[command.index("--bundle") + 1] == fold


ANSWERS = """
import gc
import json
print(json.dumps({"answer": "Progression: 48 %%", "logit": -0.5, "recorded": {"logit": 0.25},
                  "outcome": %r, "contributions": {"flair": 0.125}}))
"""


@pytest.mark.parametrize("same", [True, False])
def test_without_a_modality_the_model_answers_anew_and_says_why_the_bar_is_another(
    page, bare, monkeypatch, same
):
    having = bare.predictions[bare.predictions["modalities"].map(len) == 3].iloc[0]
    outcome = Store.open(bare.workspace, NAME).task.outcome if same else "another class"
    asked = []

    def command(*given):
        asked.append(given[-1])
        return [sys.executable, "-c", ANSWERS % outcome]

    monkeypatch.setattr(explaining, "command", command)
    case = having["case_id"]
    test = page(bare.workspace.path, "case", case=case)
    assert not [b for b in test.button if b.key == "what-if"]
    test.button_group(key=f"without-{case}").set_value(["report"]).run()
    test.button(key="what-if").click().run()
    key = (BUNDLE, case, "v1", "--without=report")
    ended(key)
    assert asked == [["--without=report"]]
    while not explaining.jobs().of[key].answer:  # its thread reads on for a moment
        pass
    text = shown(test.run())
    assert "**Progression: 48 %**" in text
    assert ("The answer moves by -0.75 log-odds" in text) is same
    assert (f"The bar is {having['contribution_report']:+.2f}" in text) is same
    assert ("those then to another class" in text) is not same
    assert "0.125" in str(test.dataframe[-1].value.to_dict())


def test_where_a_column_is_changed_too_the_bar_is_not_what_the_answer_moves_by(
    page, bare, monkeypatch
):
    having = bare.predictions[bare.predictions["modalities"].map(len) == 3].iloc[0]
    outcome, asked = Store.open(bare.workspace, NAME).task.outcome, []

    def command(*given):
        asked.append(given[-1])
        return [sys.executable, "-c", ANSWERS % outcome]

    monkeypatch.setattr(explaining, "command", command)
    case = having["case_id"]
    column = Store.open(bare.workspace, NAME).columns("expression")[1]
    kept = CaseParts(parts={"expression": [{"name": column, "value": 0.2, "z": 1.0}]})
    keep(explanation_path(bare.workspace, BUNDLE, case, "v1"), case, kept)
    test = page(bare.workspace.path, "case", case=case)
    test.button_group(key=f"without-{case}").set_value(["report"]).run()
    test.button_group(key=f"median-{case}").set_value([column]).run()
    test.button(key="what-if").click().run()
    key = (BUNDLE, case, "v1", "--without=report", f"--set={column}=median")
    ended(key)
    while not explaining.jobs().of[key].answer:  # its thread reads on for a moment
        pass
    text = shown(test.run())
    assert "The answer moves by -0.75 log-odds" in text and "The bar is" not in text
    test.button_group(key=f"without-{case}").set_value(["expression"]).run()
    test.button(key="what-if").click().run()
    assert asked[-1] == ["--without=expression"], "the column went with its table"
    ended((BUNDLE, case, "v1", "--without=expression"))


def test_what_is_changed_are_options_of_explain(bare):
    from dashboards.review.what_if import changes

    assert changes(["flair"], ["EGFR"]) == ("--without=flair", "--set=EGFR=median")
    command = explaining.command(bare.workspace, NAME, "c1", BUNDLE, ("--without=flair",))
    assert command[-3:] == ["--without=flair", "--", "c1"]


def test_the_list_of_a_case_offers_those_around_it():
    from dashboards.review.choice import MOST, around

    assert around(5, MOST) == (0, MOST) and around(-1, 10 * MOST) == (0, MOST)
    start, stop = around(5 * MOST, 10 * MOST)
    assert start < 5 * MOST < stop and stop - start == MOST
    assert around(10 * MOST - 1, 10 * MOST) == (9 * MOST, 10 * MOST)


def test_the_values_that_are_shown_are_the_farthest_from_the_middle():
    from dashboards.review.reading import extremes

    others = np.arange(10.0)[:, None].repeat(3, axis=1)
    table = extremes(["low", "middle", "none"], np.array([-1.0, 4.5, np.nan]), others)
    assert table["name"].tolist() == ["low", "middle"] and table["percentile"].tolist() == [0, 50]


def test_the_model_of_a_fold_is_said_to_be_one(page, example):
    table = pd.read_parquet(example.workspace.runs / RUN / "predictions.parquet")
    own = table["case_id"] == "C-0003"
    table = table.assign(bundle_id=table["bundle_id"].where(~own, "b-fold"), role="out-of-fold")
    table.to_parquet(example.workspace.runs / RUN / "predictions.parquet")
    with opened(example).writing() as connection:
        connection.execute(delete(PREDICTIONS).where(PREDICTIONS.c.case_id == "C-0003"))
    text = shown(page(example.workspace.path, "case", case="C-0003"))
    assert "model `b-fold` (a fold of b-example)" in text


def test_a_case_that_was_left_is_not_kept(page, example):
    test = page(example.workspace.path, "case", case=example.cases["case_id"][0])
    for case_id in example.cases["case_id"][1:5]:
        test.query_params["case"] = case_id
        test.run()
    gc.collect()
    views = [one for one in gc.get_objects() if type(one) is View]  # asks no class of others
    own = [view for view in views if view.store.folder.is_relative_to(example.workspace.path)]
    assert {view.case_id for view in own} <= {case_id}


def test_of_several_labels_any_number_is_said_to_be_there():
    def choose():
        import streamlit as st

        from dashboards.review.panel import _label
        from mmdiag.task import Task

        st.markdown(_label(Task(kind="multilabel", labels=("oedema", "mass"))))

    test = AppTest.from_function(choose).run()
    assert test.markdown[0].value == "none of the labels"
    test.multiselect(key="label").set_value(["oedema", "mass"]).run()
    assert test.markdown[0].value == "oedema, mass"
