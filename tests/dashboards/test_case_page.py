"""What the case page says is so: no answer where the model abstained, what was refused beside what
was not acquired, the case that was asked for and no other, and what explanations add up to.
"""

import html
import json
import re

import numpy as np
import pandas as pd
import pytest
from pages import said, viewed
from published_example import BUNDLE, NAME, RUN, answer_again, publish

from dashboards import case_parts
from dashboards.case_view import View
from mmdiag.record.models import retire
from mmdiag.storage.ledger import Ledger
from mmdiag.storage.store import Store

NO_ANSWER = "No answer: no case with only these modalities was in training"


@pytest.fixture
def workspace(tmp_path):
    return publish(tmp_path / "w", cases=12).workspace


def change(workspace, **columns):
    table = pd.read_parquet(workspace.runs / RUN / "predictions.parquet")
    answer_again(workspace, table.assign(**columns))


def having(workspace, *modalities, without=()):
    cases = pd.read_parquet(workspace.cohort(NAME) / "cases.parquet")
    kept = np.all([cases[f"has_{m}"] for m in modalities], axis=0)
    lacking = np.all([~cases[f"has_{m}"] for m in without], axis=0) if without else True
    return cases.loc[kept & lacking, "case_id"].iloc[0]


@pytest.mark.parametrize("classes", [(), ("a", "b", "c")])
def test_an_abstained_case_has_no_percentage(page, workspace, classes):
    change(workspace, abstained=True)
    if classes:
        file = workspace.cohort(NAME) / "description.json"
        task = {"kind": "multiclass", "label": "grade", "classes": classes}
        file.write_text(json.dumps({**json.loads(file.read_text()), "task": task}))
        table = pd.read_parquet(workspace.runs / RUN / "predictions.parquet")
        table = table.drop(columns="probability").assign(predicted="c")
        answer_again(workspace, table.assign(**{f"probability_{name}": 0.33 for name in classes}))
    test = page(workspace.path, "case", case=having(workspace, "flair", "report"))
    lines = " ".join(viewed(test)["flair"]["map"]["lines"])
    text = said(test) + lines
    assert NO_ANSWER in text.replace("\\", "") and "add up to" in lines
    assert not re.search(r"\d\s*%", text), text
    assert not test.get("progress") and all(
        "no answer" in o for o in test.selectbox(key="case").options
    )
    drawn = " ".join(str(chart.proto.spec) for chart in test.get("vega_lite_chart"))
    assert "cases outside training" not in drawn


def test_abstained_cases_come_first_and_are_no_company_for_others(page, workspace):
    table = pd.read_parquet(workspace.runs / RUN / "predictions.parquet")
    silent = table["case_id"].isin(sorted(table["case_id"])[-3:])
    change(workspace, abstained=silent)
    test = page(workspace.path, "case")
    shown = test.selectbox(key="case").options
    assert all("no answer" in option for option in shown[:3])
    assert not any("no answer" in option for option in shown[3:])
    test.selectbox(key="case").set_value(table.loc[~silent, "case_id"].iloc[0]).run()
    drawn = " ".join(str(chart.proto.spec) for chart in test.get("vega_lite_chart"))
    assert "of 9)" in drawn, "nine of twelve have an answer"
    assert "3 no answer" in " ".join(
        str(chart.proto.spec) + str(chart.proto)
        for chart in page(workspace.path, "cohort").get("vega_lite_chart")
    )


def test_quarantined_and_not_acquired_have_different_marks(page, workspace):
    file = workspace.cohort(NAME) / "cases.parquet"
    cases = pd.read_parquet(file)
    own = cases["case_id"].isin(["C-0001"])  # t1gd is in quarantine there
    cases.assign(
        has_t1gd=cases["has_t1gd"] & ~own, has_report=cases["has_report"] & ~own
    ).to_parquet(file)
    test = page(workspace.path, "case", case="C-0001")
    boxes = [str(element.proto.body) for element in test.get("html")]
    refused = [box for box in boxes if 'class="mmrefused"' in box]
    assert len(refused) == 1 and "T1 post-contrast quarantined: truncated" in refused[0]
    assert "A file must be complete" in refused[0] and "Transfer the file again" in refused[0]
    absent = [box for box in boxes if 'class="mmabsent"' in box]
    assert any("Radiology report not acquired" in box for box in absent)
    assert not any("T1 post-contrast" in box for box in absent)
    link = test.get("page_link")[0].proto
    assert link.page.endswith("cohort") and "case=C-0001" in str(link)


def test_the_link_leads_to_the_entry_in_quarantine(page, workspace):
    test = page(workspace.path, "cohort", case="C-0001")
    text = said(test)
    assert "T1 post-contrast of case C-0001 quarantined: truncated" in text
    assert "1 of 7 files" in text and "Transfer the file again" in text
    assert "is in quarantine" in said(page(workspace.path, "cohort", case="C-0000"))


def test_the_address_shows_its_case(page, workspace):
    cases = pd.read_parquet(workspace.runs / RUN / "predictions.parquet")["case_id"]
    for case in cases:
        test = page(workspace.path, "case", case=case)
        assert f"**case {case}**" in said(test) and test.selectbox(key="case").value == case


@pytest.mark.parametrize("asked", ["nobody", "C-00", "c-0001", "C-0001 ", "", "www.x.test"])
def test_an_address_without_a_case_shows_none(page, workspace, asked):
    test = page(workspace.path, "case", case=asked)
    text = said(test)
    assert (
        "**No case" in text and "**case C-" not in text and test.selectbox(key="case").value is None
    )
    assert not test.get("vega_lite_chart") and not test.get("imgs")
    test.selectbox(key="case").set_value("C-0003").run()
    assert "**case C-0003**" in said(test) and "C-0003" in test.query_params["case"]


def test_a_refused_case_is_said_to_be_refused(page, workspace):
    text = said(page(workspace.path, "case", case="X-0001"))
    assert "Case X-0001 quarantined: no_modality" in text and "Add the files of the case" in text


def test_the_viewer_opens_where_most_tissue_is_and_not_where_the_model_looked(page, workspace):
    shard = workspace.cohort(NAME) / "shards" / "s0" / "flair.npy"
    stacks = np.load(shard)
    seven = np.arange(len(stacks)) % 7
    stacks[seven != 1, :20] = stacks[seven != 1, -20:] = 0  # the second slice shows the whole head
    np.save(shard, stacks)
    for file in workspace.path.glob("explanations/*/*.json"):
        kept = json.loads(file.read_text())
        place = {"slice": 5, "row": 32, "column": 32, "height": 8, "width": 8}
        kept["parts"]["flair"] = [{**place, "value": 3.0}]
        file.write_text(json.dumps(kept))
    case = having(workspace, "flair", "t1gd")
    told = viewed(page(workspace.path, "case", case=case))
    assert told["flair"]["start"] == 2, "the second slice of the array is the third that is shown"
    assert "The largest effect lies in slice 11 of 13." in told["flair"]["map"]["lines"]
    assert told["t1gd"]["slices"] == 7 and "as the network reads it" in told["t1gd"]["said"]


def test_under_every_picture_stands_what_it_adds_up_to(page, workspace):
    case = having(workspace, "flair", "report", "expression", "ecg")
    predictions = pd.read_parquet(workspace.runs / RUN / "predictions.parquet")
    signs = {"flair": 0.9, "report": 0.6, "expression": -0.5, "ecg": 0.4}
    change(
        workspace,
        **{
            f"contribution_{name}": predictions["case_id"].map(lambda _, v=value: v)
            for name, value in signs.items()
        },
    )
    test = page(workspace.path, "case", case=case)
    test.toggle(key="heat-ecg").set_value(True).run()
    lines = " ".join(viewed(test)["flair"]["map"]["lines"])
    text = said(test).replace("\\", "")
    assert (
        "3 words add up to +0.30 of the contribution of Radiology report, +0.60; not attributed to "
        "a place: +0.30." in text
    )
    assert "20 columns add up to +0.20 of the contribution of expression, -0.50" in text
    assert re.search(r"\d+ regions add up to [+-][\d.]+ of the contribution of FLAIR", lines)
    assert re.search(r"10 windows add up to [+-][\d.]+ of the contribution of ECG", text)
    assert "Full colour is" in text


def test_nothing_is_shaded_on_headings_and_separators():
    from dashboards import notes

    text = "FINDINGS:\n-----\nMarked oedema.\n=====\nIMPRESSION: Stable."
    shown = notes.note(text, [{"start": 0, "end": len(text), "value": 1.0}])
    inside = re.findall(r'<span class="p\d">(.*?)</span>', shown)
    assert inside == ["Marked oedema.", "Stable."]


def test_a_column_shows_where_the_case_stands_among_those_of_each_outcome(page, workspace):
    test = page(workspace.path, "case", case=having(workspace, "expression"))
    drawn = [str(chart.proto.spec) for chart in test.get("vega_lite_chart")]
    own = [spec for spec in drawn if "percent of the cohort below" in spec]
    assert len(own) == 1 and "diamond" in own[0] and "GENE00_rnaseq" in own[0]


def test_a_threshold_is_a_line_among_the_answers(page, workspace):
    file = workspace.cohort(NAME) / "description.json"
    facts = json.loads(file.read_text())
    task = {**facts["task"], "threshold": 0.4}
    file.write_text(json.dumps({**facts, "task": task}))
    test = page(workspace.path, "case")
    drawn = " ".join(str(chart.proto.spec) for chart in test.get("vega_lite_chart"))
    assert "strokeDash" in drawn and "Positive from 40" in said(test)


NOTE = "Dear colleague,\nFINDINGS: Marked <oedema>.\n\nIMPRESSION: Stable.\nPLAN: Control."


def test_sections_are_folded_but_for_those_with_a_shaded_word():
    from dashboards import notes

    at = NOTE.index("Stable")
    part = {"start": at, "end": at + 6, "value": 0.3}
    shown = notes.note(NOTE, [part])
    assert re.findall(r"<details( open)?><summary>(\w+):", shown) == [
        ("", "FINDINGS"),
        (" open", "IMPRESSION"),
        ("", "PLAN"),
    ]
    assert "<summary>IMPRESSION:<i>+0.30</i></summary>" in shown
    assert '<span class="p5">Stable</span>' in shown
    bare = re.sub(r"<i>.*?</i>|<style>.*</style>|<[^>]+>", " ", shown)
    assert re.findall(r"\w+", html.unescape(bare)) == re.findall(r"\w+", NOTE)


@pytest.mark.parametrize("parts", [None, []])
def test_a_note_of_which_nothing_is_shaded_is_all_open(parts):
    from dashboards import notes

    shown = notes.note(NOTE, parts)
    assert shown.count("<details open>") == 3 and "<details>" not in shown
    assert ("<i>" in shown) == (parts is not None)


CAPITALS = (
    "DIAGNOSIS: SEE BELOW.\nGLIOBLASTOMA MULTIFORME\nMICROSCOPIC DESCRIPTION:\n"
    "SECTIONS SHOW A CELLULAR GLIOMA."
)


@pytest.mark.parametrize("text", [NOTE, CAPITALS])
def test_every_shaded_word_is_drawn_in_a_section_that_is_open(text):
    from dashboards import notes
    from mmdiag.explain.drawn import shaded_pieces

    for word in re.finditer(r"\w+", text):
        part = {"start": word.start(), "end": word.end(), "value": 0.3}
        shown = notes.note(text, [part])
        pieces = shaded_pieces(text, [part])
        assert len(re.findall(r'<span class="p5', shown)) == len(pieces), word.group()
        assert not re.search(r"<details>(?:(?!</details>).)*<span", shown, re.S), word.group()


def test_modalities_act_together_where_contributions_were_never_recorded(page, workspace):
    case = having(workspace, "flair", "report", "expression")
    table = pd.read_parquet(workspace.runs / RUN / "predictions.parquet")
    table.loc[:, [name for name in table if name.startswith("contribution_")]] = np.nan
    answer_again(workspace, table)
    test = page(workspace.path, "case", case=case)
    assert "were not computed when this case was scored" in said(test)
    drawn = " ".join(" ".join(str(c.proto.spec).split()) for c in test.get("vega_lite_chart"))
    assert "How modalities act together" in drawn


def test_a_modality_that_the_model_does_not_read_is_not_said_to_be_not_acquired(workspace):
    store = Store.open(workspace, NAME)
    case = having(workspace, "flair", without=["report"])
    row = store.cases["case_id"].tolist().index(case)
    answer = {"case_id": case, "modalities": ["expression"], "version": "v1"}
    view = View(store, row, answer, store.task, {}, "Progression", {}, None)
    assert view.without("flair") == "not read by the model"
    assert view.without("report") == "not acquired"
    later = View(store, row, answer | {"version": "v0"}, store.task, {}, "Progression", {}, None)
    assert later.without("flair") == "not there then"


def test_two_labels_of_a_case_are_read_as_one_is(page, workspace):
    file = workspace.cohort(NAME) / "description.json"
    labels = ["label_edema", "label_mass"]
    names = {"label_edema": "Oedema", "label_mass": "Mass effect"}
    task = {"kind": "multilabel", "title": "Findings", "labels": labels, "class_names": names}
    file.write_text(json.dumps({**json.loads(file.read_text()), "task": task}))
    table = pd.read_parquet(workspace.runs / RUN / "predictions.parquet")
    table = table.drop(columns="probability").assign(predicted="label_edema, label_mass")
    answer_again(workspace, table.assign(probability_label_edema=0.7, probability_label_mass=0.6))
    test = page(workspace.path, "case", case=having(workspace, "flair", "report"))
    assert "Findings\\: Oedema, Mass effect" in said(test)
    assert [bar.proto.text for bar in test.get("progress")] == ["70 % Oedema", "60 % Mass effect"]


def test_the_attention_of_an_answer_of_a_run_says_of_how_much_of_the_model_it_is(page, workspace):
    case = having(workspace, "flair", "report")
    table = pd.read_parquet(workspace.runs / RUN / "predictions.parquet")
    names = ["flair", "report"]
    found = {"member": "cross_modal", "weight": 0.12, "modalities": names}
    found |= {"matrix": [[0.6, 0.4], [0.3, 0.7]]}
    own = table["case_id"] == case
    ledger = Ledger(workspace.ledger_url)
    whole = table[own].assign(version="v1", attention=[found] * own.sum())
    ledger.record_predictions(NAME, whole)
    retire(ledger, BUNDLE, "tried")  # what its run answered is shown then
    test = page(workspace.path, "case", case=case)
    drawn = " ".join(" ".join(str(c.proto.spec).split()) for c in test.get("vega_lite_chart"))
    assert "networks that are 12 %" in drawn.replace('", "', " ")


def test_the_diamond_lies_on_the_scale_of_the_bars(workspace, monkeypatch):
    store, drawn = Store.open(workspace, NAME), []
    monkeypatch.setattr(case_parts, "chart", lambda _: None)
    monkeypatch.setattr(case_parts.charts, "among", lambda table, *_: drawn.append(table))
    view = View(store, 0, {"case_id": "c"}, store.task, {}, "Progression", {}, None)
    among = {store.task.classes[0]: [20.0, 70.0, 70.0]}
    case_parts._among(view, [{"name": "x", "percentile": 40.0, "among": among, "place": 70.0}])
    case_parts._among(view, [{"name": "x", "percentile": 40.0, "among": among}])  # of earlier ones
    assert [table["own"].tolist() for table in drawn] == [[70.0], [40.0]]
