"""The worklist: what the champion has scored, in the order of use, filtered, a page at a time; every
text of others stays text.
"""

import json

import pandas as pd
import pytest
from pages import said
from published_example import BUNDLE, NAME, publish

from dashboards.worklist import rows, scored
from dashboards.worklist.scored import Filters
from mmdiag.record.models import promote, retire
from mmdiag.record.reviews import record_review
from mmdiag.storage.ledger import Ledger
from mmdiag.task import Task

HOSTILE = "<img src=x onerror=alert(1)> [k](http://z.test) www.evil.test =1+1 a\u202eb"


@pytest.fixture
def example(tmp_path):
    return publish(tmp_path / "w", cases=60)


def keys(test) -> list[str]:
    """The cases of a page of the list, in their order."""
    return [link.proto.label.replace("\\", "") for link in test.get("page_link")]


def opened(example):
    return Ledger(example.workspace.ledger_url)


def answered(example, **columns):
    """Predictions with other columns, as scored by the champion."""
    table = example.predictions.assign(**columns)
    opened(example).record_predictions(NAME, table)
    return table


def test_the_page_shows_the_most_uncertain_first_and_a_page_of_them(page, example):
    test = page(example.workspace.path)
    doubt = (example.predictions["probability"] - 0.5).abs()
    order = example.predictions.assign(doubt=doubt).sort_values(["doubt", "case_id"])["case_id"]
    assert keys(test) == order.tolist()[:25] and "**60 of 60 cases**" in said(test)
    test.pagination[0].set_value(3).run()
    assert keys(test) == order.tolist()[50:]
    link = test.get("page_link")[0].proto
    assert link.page.endswith("case") and f"case={order.iloc[50]}" in str(link)
    assert f"cohort={NAME}" in str(link)


def test_reviewed_cases_go_down_and_those_without_an_answer_come_first(page, example):
    silent = example.predictions["case_id"].isin(["C-0007", "C-0041"])
    answered(example, abstained=silent, abstained_because=silent.map({True: "pattern", False: ""}))
    for case, verdict in (("C-0007", "agree"), ("C-0009", "flag")):
        record_review(opened(example), example.workspace, case, verdict, "seen", by="reader-7")
    test = page(example.workspace.path)
    assert keys(test)[0] == "C-0041" and "none: modalities not met in training" in said(test)
    test.pagination[0].set_value(3).run()
    assert keys(test)[-2:] == ["C-0009", "C-0007"]
    assert "agreed, 20" in said(test) and "by reader-7" in said(test)
    assert "58 open · 1 flagged · 1 reviewed" in said(test)


def test_each_filter_leaves_what_it_says(page, example):
    test = page(example.workspace.path)
    cases = example.cases.set_index("case_id")
    test.selectbox(key="worklist-missing").set_value("report").run()
    left = cases.index[~cases["has_report"]]
    assert set(keys(test)) == set(left) and len(left) < 25
    test.selectbox(key="worklist-site").set_value("HT").run()
    both = cases.index[~cases["has_report"] & (cases["site"] == "HT")]
    assert set(keys(test)) == set(both) and 0 < len(both) < len(left)
    test.selectbox(key="worklist-missing").set_value("").run()
    test.selectbox(key="worklist-site").set_value("").run()
    test.text_input(key="worklist-text").set_value("c-001").run()
    assert sorted(keys(test)) == [f"C-001{n}" for n in range(10)]
    test.selectbox(key="worklist-state").set_value("reviewed").run()
    assert not keys(test) and "No case is like that" in said(test)


def test_another_model_in_use_has_its_own_list(page, example):
    ledger = opened(example)
    ledger.record_bundle("b-other", "bundles/b-other", "r-other", NAME, {"fusion": "concat"})
    assert len(keys(page(example.workspace.path))) == 25
    promote(ledger, "b-other", "tried", "x")
    test = page(example.workspace.path)
    text, links = said(test), [link.proto.label for link in test.get("page_link")]
    assert "`b-other`, has scored no case" in text and "mmdiag score" in text
    assert any(label.startswith("Cases of its training") for label in links)
    ledger.record_predictions(NAME, example.predictions.head(3).assign(bundle_id="b-other"))
    test = page(example.workspace.path)
    assert len(keys(test)) == 3 and BUNDLE not in test.get("page_link")[0].proto.label


def test_an_address_of_another_cohort_shows_nothing_of_this_one(page, example):
    test = page(example.workspace.path, "case", cohort="elsewhere", case="C-0001")
    assert "no cohort elsewhere" in said(test) and "C-0001" not in said(test)
    assert "C-0001" in said(page(example.workspace.path, "case", cohort=NAME, case="C-0001"))


def test_no_text_of_others_becomes_markup_in_a_row():
    task = Task(kind="multiclass", label="grade", classes=("a",), class_names={"a": HOSTILE})
    row = {"case_id": HOSTILE, "site": HOSTILE, "as_of": pd.NaT, "role": "new", "abstained": False}
    row |= {"predicted": "a", "share": 0.5, "modalities": '["flair"]', "because": ""}
    row |= {"verdict": "agree", "at": "2026-11-28", "by": HOSTILE}
    names = {"flair": HOSTILE, "report": HOSTILE}
    shown = rows.row_of(row, names, task, {(HOSTILE, "report")}) + rows.legend(names)
    shown += rows.row_of(
        {**row, "abstained": True, "because": f"atypical:{HOSTILE}"}, names, task, ()
    )
    assert "<img" not in shown and "\u202e" not in shown and "&lt;img" in shown
    assert shown.count('onerror=alert(1)&gt;"') == 0 and "width:50%" in shown


def test_what_was_learned_from_comes_last():
    table = pd.DataFrame(
        {
            "case_id": ["a", "b", "c", "d"],
            "role": ["train", "new", "new", "new"],
            "state": ["open", "reviewed", "open", "open"],
            "sure": [0.0, 0.1, 0.4, 0.2],
            "abstained": [True, False, False, False],
        }
    )
    assert scored.ordered(table)["case_id"].tolist() == ["d", "c", "b", "a"]


def test_a_key_that_is_a_pattern_is_searched_as_it_is():
    table = pd.DataFrame({"case_id": ["a.b", "axb", "A.B2"], "state": "open"})
    assert scored.chosen(table, Filters(text="a.b"))["case_id"].tolist() == ["a.b", "A.B2"]


def test_a_review_is_of_the_answer_that_was_seen_not_of_the_case_as_it_is_now():
    """Once its files changed it has another answer, which nobody has seen."""
    table = pd.DataFrame({"case_id": ["a", "b"], "version": ["v2", "v1"]})
    reviews = pd.DataFrame(
        {"case_id": ["a", "b"], "version": ["v1", "v1"], "verdict": "agree", "by": "x", "at": "y"}
    )
    found = scored.with_reviews(table, reviews).set_index("case_id")["state"]
    assert dict(found) == {"a": scored.OPEN, "b": scored.REVIEWED}


def test_an_answer_of_earlier_files_is_said_to_be_one(page, example):
    file = example.workspace.cohort(NAME) / "cases.parquet"
    cases = pd.read_parquet(file)
    first, other = example.predictions["case_id"].iloc[:2]
    cases.loc[cases["case_id"] == first, "version"] = "v2"
    cases.to_parquet(file)
    test = page(example.workspace.path)
    test.text_input(key="worklist-text").set_value(first).run()
    assert keys(test) == [first] and rows.OLDER in said(test)
    test.text_input(key="worklist-text").set_value(other).run()
    assert keys(test) == [other] and rows.OLDER not in said(test)


def test_of_several_labels_the_share_is_said_to_be_that_of_the_likeliest():
    task = Task(kind="multilabel", labels=("bleed", "edema"))
    row = {"predicted": "none of the labels", "share": 0.39}
    assert rows.answer_text(row, task) == "none of the labels; the likeliest 39 %"


def test_a_site_that_was_corrected_is_shown(page, example):
    """Of which a model learns nothing, so that the cohort has the same hash."""
    assert "Elsewhere" not in said(page(example.workspace.path))
    file = example.workspace.cohort(NAME) / "cases.parquet"
    pd.read_parquet(file).assign(site="Elsewhere").to_parquet(file)
    test = page(example.workspace.path)
    assert said(test).count('title="Elsewhere"') == len(keys(test))


def test_a_case_that_left_the_case_table_leaves_the_list(page, example):
    test = page(example.workspace.path, "worklist")
    first = keys(test)[0]
    file = example.workspace.cohort(NAME) / "cases.parquet"
    cases = pd.read_parquet(file)
    cases[cases["case_id"] != first].to_parquet(file)
    description = file.with_name("description.json")
    described = json.loads(description.read_text())
    description.write_text(json.dumps(described | {"hash": "sha256:another"}))
    assert first not in keys(page(example.workspace.path, "worklist"))


def test_a_case_whose_files_came_back_has_its_first_answer_and_its_review(page, example):
    key = "C-0005"
    first = example.predictions[example.predictions["case_id"] == key].iloc[[0]]
    record_review(opened(example), example.workspace, key, "agree", "seen", by="reader-7")
    second = first.assign(version="v2", probability=0.99, scored_at="2030-01-01T00:00:00.000+00:00")
    opened(example).record_predictions(NAME, second)
    seen = (BUNDLE, "v2")
    record_review(opened(example), example.workspace, key, "flag", "cut short", seen=seen)
    test = page(example.workspace.path)
    test.text_input(key="worklist-text").set_value(key).run()
    text = said(test)
    share = f"{100 * first['probability'].iloc[0]:.0f} %"
    assert share in text and "before this case changed" not in text and "agreed, 20" in text
    case = said(page(example.workspace.path, "case", case=key))
    assert "files of this case changed" not in case and share in case.replace("\\", "")


def test_a_modality_that_the_model_does_not_read_has_no_dot(page, example):
    folder = example.workspace.bundles / BUNDLE
    folder.mkdir(parents=True, exist_ok=True)
    kinds = {"kinds": {"flair": "image", "report": "text"}}
    (folder / "config.json").write_text(json.dumps(kinds))
    test = page(example.workspace.path)
    assert "not acquired" in said(test) and "T1 post-contrast" not in said(test)
    assert test.selectbox(key="worklist-missing").options == [
        "with or without any",
        "without FLAIR",
        "without Radiology report",
    ]


def test_several_labels_are_read_in_the_words_of_the_cohort():
    names = {"label_edema": "Oedema", "label_mass": "Mass effect"}
    task = Task(kind="multilabel", labels=tuple(names), class_names=names)
    row = {"predicted": "label_edema, label_mass", "share": 0.998}
    assert rows.answer_text(row, task) == "Oedema, Mass effect; the likeliest > 99 %"
    assert task.named("none of the labels") == "none of the labels"


def test_a_cohort_without_a_model_of_its_own_shows_what_another_has_scored(page, tmp_path):
    """As new cases that are scored by `--champion-of`, or by a bundle from elsewhere."""
    bare = publish(tmp_path / "bare", cases=12, trained=False)
    answers = publish(tmp_path / "w", cases=12).predictions.head(4)
    assert "no model in use" in said(page(bare.workspace.path))
    opened(bare).record_predictions(NAME, answers.assign(bundle_id="b-elsewhere", role="new"))
    test = page(bare.workspace.path)
    assert sorted(keys(test)) == sorted(answers["case_id"])
    assert "**4 of 4 cases** that `b-elsewhere` (of another cohort) scored" in said(test)
    case = said(page(bare.workspace.path, "case", case=answers["case_id"].iloc[0]))
    assert "model `b-elsewhere` (of another cohort)" in case
    assert "No case of this cohort has a prediction" not in case
    told = said(page(bare.workspace.path, "performance"))
    assert "`b-elsewhere`, which is of another cohort, has scored 4 new cases in all" in told
    table = page(bare.workspace.path, "operations").dataframe[0].value.set_index("cohort").loc[NAME]
    assert (table["in use"], table["scored by it"]) == ("b-elsewhere of another cohort", 4)


def test_a_cohort_whose_champion_retired_has_none(page, example):
    retire(opened(example), BUNDLE, "tried")
    test = page(example.workspace.path)
    assert "no model in use" in said(test) and not scored.in_use(NAME)
