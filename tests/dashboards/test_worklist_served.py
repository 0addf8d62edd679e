"""A reader with a browser and its keys: the worklist is opened, three cases are answered, and the
ledger holds what was said; what the data says runs nowhere.
"""

import json

import pandas as pd
import pytest
from pages import CHROMIUM, ENDED, browsing, serving
from published_example import BUNDLE, NAME, RUN, publish

from mmdiag.record.reviews import list_reviews
from mmdiag.storage.ledger import Ledger

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium"
)
HOSTILE = "<img src=x onerror=window.ran=1> ![x](http://x.test/y) www.evil.test"


def key_of(tab) -> str:
    """The case of the address."""
    return tab.url.split("case=")[1].split("&")[0]


def at_another_case(tab, case):
    tab.wait_for_function("key => !location.search.includes(`case=${key}`)", arg=case)
    tab.wait_for_function(ENDED)


def said(tab, words):
    tab.get_by_text(words).first.wait_for()
    tab.wait_for_function(ENDED)


@needs_chromium
def test_three_cases_are_answered_by_keys_and_found_in_the_ledger(tmp_path):
    example = publish(tmp_path / "w", cases=12)
    with serving(example.workspace.path, tmp_path / "log") as address, browsing(address) as tab:
        tab.get_by_text("12 of 12 cases").wait_for()
        tab.wait_for_function(ENDED)
        tab.get_by_test_id("stMain").get_by_test_id("stPageLink").first.click()
        tab.wait_for_url("**/case?*")
        answered = []
        said(tab, "not yet reviewed")
        answered.append(key_of(tab))
        tab.keyboard.press("a")
        said(tab, "reviewed: agreed")
        tab.keyboard.press("j")
        at_another_case(tab, answered[0])
        said(tab, "not yet reviewed")
        answered.append(key_of(tab))
        tab.keyboard.press("o")
        tab.get_by_label("Reason").fill(HOSTILE)
        tab.get_by_text("Override the answer").click()
        said(tab, "reviewed: overridden")
        tab.keyboard.press("j")
        at_another_case(tab, answered[1])
        said(tab, "not yet reviewed")
        answered.append(key_of(tab))
        tab.keyboard.press("f")
        tab.get_by_label("Reason").fill("joking: look again")  # letters that are keys elsewhere
        tab.get_by_text("Flag the case").click()
        said(tab, "reviewed: flagged")
        tab.keyboard.press("k")
        at_another_case(tab, answered[2])
        assert key_of(tab) == answered[1], "the order stays while a reader walks along it"
        assert tab.locator("main img[src=x]").count() == 0
        assert tab.evaluate("window.ran") is None
        tab.get_by_test_id("stSidebarNav").get_by_text("Worklist").click()
        tab.get_by_text("9 open · 1 flagged · 2 reviewed").wait_for()
    ledger = Ledger(example.workspace.ledger_url)
    found = list_reviews(ledger, NAME)
    assert [row["case_id"] for row in found] == answered and len(set(answered)) == 3
    assert [row["verdict"] for row in found] == ["agree", "override", "flag"]
    assert found[1]["label"] in ("0", "1") and found[1]["reason"] == HOSTILE
    assert found[2]["reason"] == "joking: look again"
    assert {row["bundle_id"] for row in found} == {BUNDLE}


@needs_chromium
def test_the_filters_stay_while_a_case_is_looked_at_and_its_address_is_one(tmp_path):
    example = publish(tmp_path / "w", cases=12)
    run = example.workspace.runs / RUN / "run.json"
    assert json.loads(run.read_text())["cohort"] == NAME
    with serving(example.workspace.path, tmp_path / "log") as address, browsing(address) as tab:
        tab.get_by_text("12 of 12 cases").wait_for()
        tab.get_by_label("Key", exact=True).fill("C-0007")
        tab.get_by_label("Key", exact=True).press("Enter")
        tab.get_by_text("1 of 12 cases").wait_for()
        tab.wait_for_function(ENDED)
        tab.get_by_test_id("stMain").get_by_test_id("stPageLink").first.click()
        tab.get_by_text("case C-0007").first.wait_for()
        tab.get_by_test_id("stSidebarNav").get_by_text("Worklist").click()
        tab.get_by_text("1 of 12 cases").wait_for()
        tab.goto(f"{address}/case?case=C-0004&cohort={NAME}")
        tab.get_by_text("case C-0004").first.wait_for()


@needs_chromium
def test_hostile_keys_and_sites_stay_text_on_the_worklist(tmp_path):
    example = publish(tmp_path / "w", cases=12)
    file = example.workspace.cohort(NAME) / "cases.parquet"
    key = "www.evil.test"
    cases = pd.read_parquet(file).assign(site=HOSTILE)
    pd.concat([cases, cases[:1].assign(case_id=key)]).to_parquet(file)
    table = example.predictions.replace({"case_id": {"C-0000": key}})
    Ledger(example.workspace.ledger_url).record_predictions(NAME, table)
    with serving(example.workspace.path, tmp_path / "log") as address, browsing(address) as tab:
        tab.get_by_text("13 of 13 cases").wait_for()
        tab.wait_for_function(ENDED)
        shown = tab.get_by_test_id("stMain").inner_text()
        assert "onerror=window.ran=1" in shown and key in shown.replace("\u2060", "")
        links = [link.get_attribute("href") for link in tab.locator("main a[href]").all()]
        assert links and all("/case?" in link or link.startswith("case?") for link in links), links
        assert tab.evaluate("window.ran") is None
        assert tab.locator("main img[src=x]").count() == 0
        assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
