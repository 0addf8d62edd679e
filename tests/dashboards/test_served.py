"""The dashboard as it is served: nothing of an exception's text in the log, nothing of the data a
link, headers on every answer, and every page drawn in a browser.
"""

import io
import json
import logging
import os
import subprocess
import sys
import urllib.error
import urllib.request
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pages import CHROMIUM, DRAWN, ENDED, FLAGS, TOKEN, admitted, browsing, serving
from PIL import Image
from published_example import NAME, RUN, publish
from repository import ROOT

SECRET = "MUELLER ANNA"
SHOWN = "chart => chart.checkVisibility()"  # it is in no tab behind another
PAGES = {
    "performance": "Fusion",
    "cohort": "cases received",
    "case": "Contribution of each modality",
}
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium"
)


@needs_chromium
def test_a_patients_value_in_an_exception_does_not_reach_log_or_page(tmp_path):
    workspace = publish(tmp_path / "w", cases=12).workspace
    file = workspace.cohort(NAME) / "cases.parquet"
    pd.read_parquet(file).assign(label=SECRET).to_parquet(file)  # fails within a part
    metrics = workspace.runs / RUN / "metrics.parquet"
    pd.read_parquet(metrics).assign(value=SECRET).to_parquet(metrics)
    run = workspace.runs / RUN / "run.json"
    run.write_text(json.dumps({"config": SECRET}))
    log = tmp_path / "log"
    asked = {"STREAMLIT_LOGGER_ENABLE_RICH": "true", "STREAMLIT_CLIENT_SHOW_ERROR_DETAILS": "full"}
    with serving(workspace.path, log, **asked) as address, browsing(address) as tab:
        for path in ("case", "", "performance", "cohort"):
            tab.goto(f"{address}/{path}")
            tab.get_by_text("Research use only").first.wait_for()
            tab.wait_for_function(ENDED)
            assert SECRET not in tab.content(), path
        tab.goto(f"{address}/case")
        tab.get_by_text("could not be drawn").first.wait_for()
    written = log.read_text()
    assert SECRET not in written and "MUELLER" not in written
    assert "uncaught ValueError at case.py:" in written, "kind and place are kept"


UNCAUGHT = f"""
import logging, sys, threading, warnings
sys.path.insert(0, {str(ROOT)!r})
from dashboards.app import keep_values_out_of_the_log
from streamlit.logger import get_logger
keep_values_out_of_the_log()
def fail(): raise ValueError({SECRET!r})
log = get_logger("streamlit.error_util")
for name in ("streamlit.error_util", "uvicorn.error", "asyncio"):
    logging.getLogger(name).addHandler(logging.StreamHandler())
    try: fail()
    except ValueError as error:
        logging.getLogger(name).error("Uncaught %s", error, exc_info=True)
        logging.getLogger(name).warning("it says: %s", error)
        logging.getLogger(name).warning(error)
warnings.warn({SECRET!r})
thread = threading.Thread(target=fail); thread.start(); thread.join()
class Unraisable:
    def __del__(self): fail()
del (lambda: Unraisable())().__dict__
fail()
"""


def test_whoever_logs_or_prints_an_exception_in_the_process_writes_its_kind_and_place():
    done = subprocess.run(
        [sys.executable, "-c", UNCAUGHT], capture_output=True, text=True, check=False
    )
    assert SECRET not in done.stderr + done.stdout, done.stderr
    assert done.stderr.count("ValueError at <string>:") >= 6, done.stderr
    assert "UserWarning at <string>:" in done.stderr


def test_what_is_logged_without_an_exception_stays():
    from dashboards.app import keep_values_out_of_the_log

    factory, show = logging.getLogRecordFactory(), warnings.showwarning
    hooks = sys.excepthook, sys.unraisablehook
    try:
        keep_values_out_of_the_log()
        record = logging.getLogger("x").makeRecord("x", 20, "f", 1, "%d of %s", (1, "two"), None)
        assert record.getMessage() == "1 of two"
    finally:
        logging.setLogRecordFactory(factory)
        warnings.showwarning = show
        sys.excepthook, sys.unraisablehook = hooks
        import threading

        threading.excepthook = threading.__excepthook__


ADDRESS = "www.evil.test http://x.test/y a@b.test [k](http://z.test) <b>"


@needs_chromium
def test_no_text_of_the_data_becomes_a_link_or_markup(tmp_path):
    workspace = publish(tmp_path / "w", cases=12).workspace
    cohort, run = workspace.cohort(NAME), workspace.runs / RUN
    described = json.loads((cohort / "description.json").read_text())
    described["titles"] = {name: f"{name} {ADDRESS}" for name in described["modalities"]}
    described["task"] |= {"title": ADDRESS, "class_names": {"0": ADDRESS, "1": ADDRESS}}
    (cohort / "description.json").write_text(json.dumps(described))
    cases = pd.read_parquet(cohort / "cases.parquet").assign(site=ADDRESS)
    key = "www.evil.test"
    cases.replace({"case_id": {"C-0000": key}}).to_parquet(cohort / "cases.parquet")
    for name in ("predictions.parquet", "explanations/modality.parquet"):
        table = pd.read_parquet(run / name).replace({"case_id": {"C-0000": key}})
        table.to_parquet(run / name)
    with serving(workspace.path, tmp_path / "log") as address, browsing(address) as tab:
        for path in (
            f"case?case={key}",
            "case?case=a@b.test",
            "",
            "performance",
            "cohort",
            f"cohort?case={key}",
        ):
            tab.goto(f"{address}/{path}")
            tab.get_by_text("Research use only").first.wait_for()
            tab.wait_for_function(ENDED)
            links = [link.get_attribute("href") for link in tab.locator("a[href]").all()]
            outside = [
                link for link in links if not link.startswith((address, "#", "cohort", "case?"))
            ]
            assert not outside and tab.locator("main b").count() == 0, (path, outside)
            if path.startswith("case?case=www"):
                shown = tab.get_by_test_id("stMain").inner_text().replace("\u2060", "")
                assert f"case {key}" in shown and ADDRESS in shown


def test_every_answer_carries_the_security_headers_and_internal_pages_do_not_answer(server):
    cookie = {"Cookie": admitted(server)}
    with urllib.request.urlopen(urllib.request.Request(server, headers=cookie)) as answer:
        assert (
            "default-src 'none'" in answer.headers["content-security-policy"]
            and answer.headers["x-content-type-options"] == "nosniff"
        )
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(urllib.request.Request(f"{server}/_stcore/metrics", headers=cookie))


def orange(picture: bytes) -> int:
    """How many pixels of a picture are."""
    colours = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"), int)
    return int(((colours[..., 0] - colours[..., 2]) > 60).sum())


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_drawn_in_a_browser_and_asks_nobody_outside(server, scheme, tmp_path):
    from playwright.sync_api import sync_playwright

    pictures = Path(os.environ.get("MMDIAG_SCREENSHOTS", tmp_path))
    pictures.mkdir(parents=True, exist_ok=True)
    outside, failures = [], []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=CHROMIUM, chromium_sandbox=False, args=FLAGS
        )
        tab = browser.new_context(
            color_scheme=scheme, viewport={"width": 1440, "height": 900}
        ).new_page()
        tab.set_default_timeout(300_000)  # ends a hang; a busy machine takes its time
        tab.on(
            "request",
            lambda request: (
                outside.append(request.url)
                if not request.url.startswith((server, "data:", "blob:"))
                else None
            ),
        )
        tab.on("pageerror", lambda error: failures.append(str(error)))
        tab.on(
            "console",
            lambda message: (
                failures.append(message.text) if "Content Security Policy" in message.text else None
            ),
        )
        tab.goto(f"{server}/?token={TOKEN}")
        for path, word in PAGES.items():
            tab.goto(f"{server}/{path}")
            tab.get_by_text(word).first.wait_for()
            tab.wait_for_function(DRAWN)
            assert tab.get_by_text("could not be shown").count() == 0
            assert orange(tab.get_by_text("Research use only").screenshot()) > 50, (
                "the notice is seen, not only there"
            )
            charts = tab.get_by_test_id("stVegaLiteChart").all()
            drawn = [chart.bounding_box() for chart in charts if chart.evaluate(SHOWN)]
            assert drawn and all(
                box and box["height"] > 20 and box["x"] + box["width"] <= 1440 for box in drawn
            ), "a chart that failed has no height"
            file = pictures / f"{path or 'worklist'}-{scheme}.png"
            tab.screenshot(path=file)
            assert file.stat().st_size > 30_000, "a page that is drawn is not a small picture"
        browser.close()
    assert not outside and not failures
