"""The page of a case as a file: it holds what the case is made of, asks nobody outside, and what a
file says stays text.
"""

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
