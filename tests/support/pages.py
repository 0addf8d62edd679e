"""The dashboard as a person meets it: what a page says, a server of its own, a browser."""

import io
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from repository import ROOT

# of these nothing is shown to who was not let in
CLOSED = (
    "/case",
    "/cohort?case=C-0001",
    "/_stcore/host-config",
    "/_stcore/health/x",
    "/_stcore/stream",
    "/_stcore/metrics",
    "/media/1234.png",
    "/api/slices?cohort=glioma-example&case=C-0000&modality=flair&slice=0&of=array",
    "/static/index.js",
    "//case",
)
TOKEN = "the-token-of-a-dashboard-of-the-tests"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DRAWN = """() => {
    const app = document.querySelector('[data-testid="stApp"]');
    const charts = [...document.querySelectorAll('[data-testid="stVegaLiteChart"]')]
        .filter(chart => chart.checkVisibility());
    return app?.dataset.testScriptState === 'notRunning' && charts.length > 0
        && charts.every(chart => chart.getBoundingClientRect().height > 20)
        && document.fonts.status === 'loaded' && !document.querySelector('[data-testid="stSkeleton"]');
}"""  # the script has ended, and each of its charts has its height, but for those of a tab behind
ENDED = """() => document.querySelector('[data-testid="stApp"]')?.dataset.testScriptState
    === 'notRunning' && !document.querySelector('[data-testid="stSkeleton"]')"""

AT_ITS_HEAD = """() => document.querySelector('[data-testid="stMain"]').scrollTop === 0"""


def said(test: Any) -> str:
    """All that a page of `AppTest` says in words, with the HTML of its own."""
    kinds = (
        test.markdown,
        test.subheader,
        test.caption,
        test.info,
        test.warning,
        test.error,
        test.code,
    )
    words = [str(element.value) for kind in kinds for element in kind]
    return " ".join([*words, *(str(element.proto.body) for element in test.get("html"))])


def viewed(test: Any) -> dict[str, Any]:
    """Modality -> what the viewer of a page of `AppTest` is told of its image."""
    told = [json.loads(element.proto.json) for element in test.get("bidi_component")]
    return {one["name"]: one for viewer in told for one in viewer["series"]}


@contextmanager
def serving(workspace: Path, log: Path, **environment: str) -> Iterator[str]:
    """The address of a dashboard that serves a workspace; what it writes goes into `log`."""
    program = str(ROOT / "dashboards" / "app.py")
    shown = {"MMDIAG_LEDGER": "", "MMDIAG_DASHBOARD_TOKEN": TOKEN, **environment}
    with started([program], workspace, log, os.environ | shown) as (address, _):
        yield address


@contextmanager
def started(
    program: list[str], workspace: Path, log: Path, environment: Mapping[str, str]
) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """The address and the process of a dashboard that answers, or has ended.

    Args:
        program: What Python runs.
        log: What it writes goes there.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, *program, "--workspace", str(workspace), "--port", port]
    with log.open("wb") as written:
        process = subprocess.Popen(
            command, stdout=written, stderr=subprocess.STDOUT, env=environment, cwd=ROOT
        )
        address = f"http://127.0.0.1:{port}"
        try:
            deadline = time.monotonic() + 300  # ends a hang only
            while process.poll() is None and time.monotonic() < deadline:
                try:
                    urllib.request.urlopen(f"{address}/_stcore/health", timeout=120).read()
                    break
                except OSError:
                    time.sleep(0.1)
            yield address, process
        finally:
            process.terminate()
            process.wait(120)


def admitted(address: str) -> str:
    """The cookie, `name=value`, that a dashboard gives for its token."""
    opener = urllib.request.build_opener(Stay)
    answer = opener.open(f"{address}/?token={TOKEN}", timeout=120)
    return str(answer.headers["set-cookie"]).split(";")[0]


class Stay(urllib.request.HTTPRedirectHandler):
    """Gives a redirect as the answer that it is."""

    def http_error_303(self, *asked_and_answer: Any) -> Any:
        return asked_and_answer[1]


@contextmanager
def browsing(address: str, scheme: str = "light") -> Iterator[Any]:
    """A tab of Chromium that was let in at the address of a dashboard; waits end a hang only."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=CHROMIUM, chromium_sandbox=False, args=FLAGS
        )
        size = {"width": 1440, "height": 900}
        tab = browser.new_context(color_scheme=scheme, viewport=size).new_page()
        tab.set_default_timeout(300_000)
        tab.goto(f"{address}/?token={TOKEN}")
        yield tab
        browser.close()


def at(tab: Any, **facts: object) -> Any:
    """The viewer of a page in a browser, once it says so of itself."""
    wanted = "".join(f"[data-{name}='{value}']" for name, value in facts.items())
    viewer = tab.locator(f".viewer[data-ready='1']{wanted}")
    viewer.wait_for()
    return viewer


def look(tab: Any) -> np.ndarray:
    """The pixels of the viewer's first pane."""
    shown = Image.open(io.BytesIO(tab.locator(".pane").first.screenshot())).convert("RGB")
    return np.asarray(shown, int)
