"""A clinician's walk through a case of a real cohort in a browser, from the picture to what moved
the answer. MMDIAG_TEST_LGG names a workspace in which `lgg` was run, else it is run here;
MMDIAG_TEST_PICTURES a folder for a picture of each step, in both themes and two widths.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pages import AT_ITS_HEAD, CHROMIUM, ENDED, at, browsing, look, serving
from repository import ROOT

from mmdiag.storage.store import Store
from mmdiag.workspace import Workspace

NAME = "lgg-progression"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    if given := os.environ.get("MMDIAG_TEST_LGG"):
        return Workspace(Path(given))
    place = tmp_path_factory.mktemp("lgg") / "w"
    cohort = ROOT / "tests" / "cohorts" / "lgg.toml"
    command = [sys.executable, "-m", "mmdiag", "run", "--cohort", cohort, "--workspace", place]
    subprocess.run([*map(str, command)], check=True, capture_output=True)
    return Workspace(place)


def case_of(workspace):
    """The labelled case with the most slices of those that have everything."""
    store = Store.open(workspace, NAME)
    whole = np.all([store.present(name) for name in store.modalities], axis=0)
    rows = np.flatnonzero(whole & store.cases["label"].notna().to_numpy())
    row = max(rows, key=lambda row: len(store.images("flair", int(row))))
    return str(store.cases["case_id"].iloc[row])


def keep(tab, step, width, scheme):
    """Keep a picture of the page, where somebody wants to look at it."""
    if folder := os.environ.get("MMDIAG_TEST_PICTURES"):
        tab.screenshot(path=Path(folder) / f"{step}-{scheme}-{width}.png")


def explained(tab):
    """Ask for the full explanation where the case has none yet."""
    button = tab.get_by_role("button", name="Make the full explanation")
    if button.count():
        button.click()
        button.wait_for(state="detached")
    tab.get_by_text("Similar earlier cases").wait_for()
    tab.wait_for_function(ENDED)


@pytest.mark.parametrize(
    ("scheme", "width", "height"), [("light", 1280, 800), ("dark", 1920, 1080)]
)
def test_a_case_is_read_from_its_picture_to_what_moved_it(
    workspace, tmp_path, scheme, width, height
):
    case, sent = case_of(workspace), []
    with (
        serving(workspace.path, tmp_path / "log") as server,
        browsing(server, scheme) as tab,
    ):
        tab.set_viewport_size({"width": width, "height": height})
        tab.on("websocket", lambda socket: socket.on("framesent", lambda f: sent.append(f)))
        tab.goto(f"{server}/case?case={case}&cohort={NAME}")
        viewer = at(tab)
        tab.wait_for_function(ENDED)
        keep(tab, "1-opened", width, scheme)
        assert (look(tab).max(axis=2) > 60).mean() > 0.1, "it opens at tissue"
        explained(tab)
        keep(tab, "2-explained", width, scheme)

        sent.clear()
        pane = tab.locator(".pane").first
        pane.hover()
        tab.keyboard.press("Home")
        at(tab, slice=1)
        slices = int(viewer.get_attribute("data-slices"))
        assert slices > 20
        for number in range(2, 22):
            tab.mouse.wheel(0, 40)
            at(tab, slice=number)
        box = pane.bounding_box()
        x, y = box["x"] + box["width"] / 3, box["y"] + box["height"] / 2
        before = [viewer.get_attribute(f"data-{name}") for name in ("low", "high")]
        tab.mouse.move(x, y)
        tab.mouse.down()
        tab.mouse.move(x + 60, y)
        tab.mouse.up()
        at(tab, preset="")
        assert [viewer.get_attribute(f"data-{name}") for name in ("low", "high")] != before
        tab.keyboard.press("h")
        at(tab, map="on")
        keep(tab, "3-map", width, scheme)
        colours = np.ptp(look(tab)[60:-60, 60:-60], axis=2)
        tab.keyboard.press("h")
        at(tab, map="off")
        grey = np.ptp(look(tab)[60:-60, 60:-60], axis=2)
        assert (colours > 10).mean() > 0.02 and not (grey > 10).any()
        tab.keyboard.press("h")
        at(tab, map="on")
        legend = tab.locator(".legend").inner_text()
        scale = re.search(r"\u2212([\d.]+)\s+0 log-odds\s+(?:\u2265 )?\+([\d.]+)", legend)
        assert scale and scale[1] == scale[2] and float(scale[1]) > 0
        assert not sent, "nothing of this ran the page again"

        tab.get_by_text("What if", exact=True).click()
        tab.get_by_role("button", name="Pathology report").click()
        tab.get_by_role("button", name="Ask the model").click()
        moved = tab.get_by_text("The answer moves by")
        moved.wait_for()
        assert re.search(r"[+-]\d+\.\d\d log-odds\. The bar is [+-]\d", moved.inner_text())
        moved.scroll_into_view_if_needed()
        keep(tab, "4-what-if", width, scheme)

        similar = tab.locator("a", has_text="most alike in").first
        other = re.match(r"\S+?(?=[,:])", similar.inner_text().strip())[0]
        similar.click()
        tab.get_by_text(f"case {other}").first.wait_for()
        at(tab)
        tab.wait_for_function(ENDED)
        tab.wait_for_function(AT_ITS_HEAD)
        keep(tab, "5-similar", width, scheme)
        assert other != case
