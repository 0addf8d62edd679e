"""The page of a case as a file: it holds what the case is made of, asks nobody outside, and what a
file says stays text.
"""

import dataclasses
import re
import stat

import pytest
from phantom_runs import explained_cases

from mmdiag import api
from mmdiag.explain.report.drawings import bars, shaded, waterfall
from mmdiag.explain.report.page import page
from mmdiag.storage.store import Store


@pytest.fixture(scope="module")
def facts(small_run):
    case = sorted(explained_cases(small_run.workspace))[0]
    return api.explain_case(small_run.workspace, case)


def test_the_page_stands_alone_and_says_what_the_answer_is_made_of(small_run, facts, tmp_path):
    file = tmp_path / "case.html"
    api.write_case_page(small_run.workspace, facts, file)
    text = file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "default-src 'none'" in text and not re.search(r"""(src|href)=["'](?!data:)""", text)
    assert "<script" not in text and "For research use only" in text
    store = Store.open(small_run.workspace, facts["cohort"])
    for name in store.modalities:
        assert f"<h2>{store.title(name)}</h2>" in text
    assert facts["bundle_id"] in text and f"{facts['logit']:+.2f}" in text
    for one in facts["drawn"].values():
        assert one["sentence"].split(";")[0] in text


def test_what_a_file_says_stays_text(small_run, facts):
    store = Store.open(small_run.workspace, facts["cohort"])
    row = store.cases["case_id"].tolist().index(facts["case_id"])
    evil = "<img src=x onerror=alert(1)>"
    similar = [
        {"case_id": evil, "label": evil, "similarity": 0.5, "alike_in": "report", "later": False}
    ]
    text = page({**facts, "answer": evil, "similar": similar}, store, row)
    assert evil not in text and "&lt;img src=x" in text
    assert evil not in shaded(evil, [(0, 4, 0.3)]) and evil not in bars([(evil, 1.0)])


def test_a_waterfall_begins_at_the_base_and_ends_at_the_answer():
    drawn = waterfall(0.2, [("FLAIR", 0.5), ("Report", -0.3)], ("this case", 0.4))
    rows = re.findall(r'<rect x="([\d.]+)" y="\d+" width="([\d.]+)"', drawn)
    (first, _), (flair, wide), (report, _), (last, _) = [(float(x), float(w)) for x, w in rows]
    assert flair == pytest.approx(first + 1, abs=0.2) and report == pytest.approx(last + 1, abs=0.2)
    assert flair < report < flair + wide


def test_what_is_missing_says_whether_it_was_refused_or_never_there(small_run, facts):
    store = Store.open(small_run.workspace, facts["cohort"])
    row = store.cases["case_id"].tolist().index(facts["case_id"])
    *names, gone = facts["modalities"]
    less = {**facts, "modalities": names}
    assert "<p>The model that answered does not read it.</p>" in page(less, store, row)
    lacking = store.cases.assign(**{f"has_{gone}": False})
    bare = dataclasses.replace(store, cases=lacking)
    assert "<p>Not acquired: it contributes 0.</p>" in page(less, bare, row)
    refused = {gone: {"code": "encoding", "rule": "R <b>.", "detail": "", "cure": "C."}}
    text = page({**less, "quarantined": refused}, bare, row)
    assert "<p>Quarantined (encoding): R &lt;b&gt;. Cure: C. It contributes 0.</p>" in text
    drawing = text.partition("What the answer is made of")[2].partition("</svg>")[0]
    assert "cases with these inputs" in drawing and store.title(gone) not in drawing


def test_of_a_case_without_an_answer_no_answer_is_drawn(small_run, facts):
    store = Store.open(small_run.workspace, facts["cohort"])
    row = store.cases["case_id"].tolist().index(facts["case_id"])
    drawing, silent = (
        page({**facts, "abstained": abstained}, store, row).partition("made of")[2]
        for abstained in (False, True)
    )
    drawn, left_out = drawing.partition("</svg>")[0], silent.partition("</svg>")[0]
    assert "this case" in drawn and f"{facts['logit']:+.2f}" in drawn
    assert "this case" not in left_out and "cases with these inputs" in left_out


def test_similar_cases_have_their_outcome_in_the_words_of_the_cohort(small_run, facts):
    store = Store.open(small_run.workspace, facts["cohort"])
    row = store.cases["case_id"].tolist().index(facts["case_id"])
    label = store.task.classes[0]
    similar = [{"case_id": "c2", "label": label, "similarity": 0.5, "alike_in": "report"}]
    similar[0]["later"] = False
    named = store.task.name_of(label)
    assert named != label
    assert f"<td>{named}</td>" in page({**facts, "similar": similar}, store, row)


def test_two_long_names_are_told_apart_beside_their_bars():
    names = [f"Laboratory values of the first 24 hours, {part}" for part in ("blood", "urine")]
    drawn = bars([(names[0], 1.0), (names[1], 0.5)])
    shown = re.findall(r'<text x="0.0"[^>]*>([^<]*)</text>', drawn)
    assert len(set(shown)) == 2 and all(len(name) == 34 for name in shown)
    assert shown[0].endswith("blood") and "EGFR (97 % below)" in bars([("EGFR (97 % below)", 1.0)])
