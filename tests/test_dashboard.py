"""The dashboard: every page on a real run, on an empty workspace, in a real browser; nothing leaves the machine, nothing of a note becomes markup."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
PAGES = {"": "Fusion", "cohort": "cases came in", "case": "What moved it"}


@pytest.fixture(scope="module")
def run(small_run):
    return small_run


@pytest.fixture
def page(monkeypatch):
    from streamlit.testing.v1 import AppTest

    def show(workspace: Path, path: str = ""):
        monkeypatch.setenv("MMDIAG_WORKSPACE", str(workspace))
        monkeypatch.delenv("MMDIAG_LEDGER", raising=False)
        test = AppTest.from_file(str(ROOT / "dashboards" / "main.py"), default_timeout=60).run()
        if path:
            test = test.switch_page(f"views/{path}.py").run()
        assert not test.exception, test.exception
        return test

    return show


def said(test) -> str:
    return " ".join(str(element.value) for kind in (test.markdown, test.subheader, test.caption, test.info, test.code) for element in kind)


def test_an_empty_workspace_says_which_command_fills_it(page, tmp_path):
    assert "mmdiag run" in said(page(tmp_path)) and not list(tmp_path.iterdir()), "and looking at it writes nothing"


def test_the_overview_gives_the_verdict_with_its_interval_and_n(page, run):
    text = said(page(run.workspace.path))
    assert "Fusion" in text and "n = 39" in text and "Research use only" in text


def test_the_cohort_page_accounts_for_every_case(page, run):
    test = page(run.workspace.path, "cohort")
    assert "40 cases came in, 39 were accepted, 1 refused" in said(test)
    refused = test.dataframe[1].value
    assert set(refused["code"]) == {"no_modality", "truncated", "not_text"} and refused["cure"].str.len().min() > 10


def test_the_case_page_shows_an_absent_modality_as_absent(page, run):
    lacking = run.predictions[[len(m) == 1 for m in run.predictions["modalities"]]]["case_id"].iloc[0]
    test = page(run.workspace.path, "case")
    test.selectbox(key="case").set_value(lacking).run()
    assert not test.exception and lacking in said(test)
    assert any("for this case" in str(element.proto.body) for element in test.get("html"))


def test_the_most_uncertain_case_comes_first(page, run):
    test = page(run.workspace.path, "case")
    first = run.predictions.assign(doubt=(run.predictions["probability"] - 0.5).abs()).sort_values(["doubt", "case_id"])["case_id"].iloc[0]
    assert test.selectbox(key="case").value == first


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</span></div><style>*{display:none}</style>",
    "a\u202eb",
    "![x](http://x.test/y)",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_a_note_becomes_markup(text, monkeypatch, tmp_path):
    import importlib

    monkeypatch.setenv("MMDIAG_WORKSPACE", str(tmp_path))
    case = importlib.import_module("dashboards.views.case")
    shown = case.shaded(text, [[0, len(text), 1.0]])
    inner = shown.removeprefix('<span class="p5">').removesuffix("</span>")
    assert "<" not in inner and "\u202e" not in inner


def test_dashboards_never_import_torch():
    code = "import sys; sys.path.insert(0, '.'); import dashboards.published, dashboards.charts; print([m for m in ('torch', 'monai', 'transformers') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip() == "[]"


@pytest.fixture
def server(run):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(ROOT / "dashboards" / "app.py"), "--workspace", str(run.workspace.path), "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "MMDIAG_LEDGER": ""})
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=1).read()
                break
            except OSError:
                time.sleep(0.25)
        yield address
    finally:
        process.terminate()
        process.wait(20)


def test_every_answer_carries_the_security_headers_and_internal_pages_do_not_answer(server):
    with urllib.request.urlopen(server) as answer:
        assert "default-src 'none'" in answer.headers["content-security-policy"] and answer.headers["x-content-type-options"] == "nosniff"
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{server}/_stcore/metrics")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_drawn_in_a_browser_and_asks_nobody_outside(server, scheme, tmp_path):
    from playwright.sync_api import sync_playwright

    pictures = Path(os.environ.get("MMDIAG_SCREENSHOTS", tmp_path))
    pictures.mkdir(parents=True, exist_ok=True)
    outside, failures = [], []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, chromium_sandbox=False, args=FLAGS)
        tab = browser.new_context(color_scheme=scheme, viewport={"width": 1440, "height": 1500}).new_page()
        tab.on("request", lambda request: outside.append(request.url) if not request.url.startswith((server, "data:", "blob:")) else None)
        tab.on("console", lambda message: failures.append(message.text) if "Content Security Policy" in message.text else None)
        for path, word in PAGES.items():
            tab.goto(f"{server}/{path}")
            tab.get_by_text(word).first.wait_for(timeout=30_000)
            tab.wait_for_timeout(2_500)
            assert tab.get_by_text("could not be shown").count() == 0
            file = pictures / f"{path or 'overview'}-{scheme}.png"
            tab.screenshot(path=file)
            assert file.stat().st_size > 30_000, "a page that is drawn is not a small picture"
        browser.close()
    assert not outside and not failures
