"""The viewer in a browser: wheel and keys scroll without a rerun, a drag and a key set the window,
H lays the map over the image, and a ruler measures.
"""

import re

import numpy as np
import pytest
from pages import AT_ITS_HEAD, CHROMIUM, ENDED, at, browsing, look

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium"
)


def case_of(example, *, both):
    return next(
        row["case_id"]
        for row in example.cases.to_dict("records")
        if row["has_flair"] and row["has_t1gd"] == both
    )


def opened(tab, address, case):
    """Open a case and wait until its page has run; the frames that it sends from then on."""
    sent = []
    tab.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(frame)))
    tab.goto(f"{address}/case?case={case}")
    at(tab)
    tab.wait_for_function(ENDED)
    sent.clear()
    return sent


@needs_chromium
def test_a_reader_scrolls_sets_windows_and_turns_the_map_without_a_rerun(server, example):
    with browsing(server) as tab:
        sent = opened(tab, server, case_of(example, both=True))
        viewer, pane = at(tab, series="flair", slices=13, map="off"), tab.locator(".pane").first
        first = int(viewer.get_attribute("data-slice"))
        pane.hover()
        for number in range(first, 13):
            tab.mouse.wheel(0, 40)
            at(tab, slice=number + 1)
        tab.mouse.wheel(0, 40)
        tab.keyboard.press("Home")
        at(tab, slice=1)
        tab.keyboard.press("ArrowDown")
        at(tab, slice=2)
        assert "slice 2 of 13\n-12.5 mm" in pane.inner_text()
        assert {"L", "R", "A", "P"} <= set(re.findall(r"^[A-Z]$", pane.inner_text(), re.M))
        assert "AX FLAIR" in pane.inner_text() and "mm" in pane.locator(".br").inner_text()

        tab.keyboard.press("2")
        at(tab, preset="Full range", low=0, high=200)
        wide = look(tab)
        tab.keyboard.press("1")
        at(tab, preset="Series", low=20, high=150)
        assert np.abs(look(tab) - wide).max() > 20, "another window is another picture"
        box = pane.bounding_box()
        x, y = box["x"] + box["width"] / 3, box["y"] + box["height"] / 2
        tab.mouse.move(x, y)
        tab.mouse.down()
        tab.mouse.move(x + box["width"] / 3, y)
        tab.mouse.up()
        viewer = at(tab, preset="")
        low, high = (float(viewer.get_attribute(f"data-{name}")) for name in ("low", "high"))
        assert high - low > 130 + 0.1 * box["width"] and low < 20, "to the right it gets wider"
        tab.keyboard.press("0")
        at(tab, low=20, high=150)

        grey = look(tab)
        assert np.ptp(grey[60:-60, 60:-60], axis=2).max() < 30, "no colour before it is asked for"
        tab.keyboard.press("h")
        at(tab, map="on")
        shown = look(tab)
        assert np.ptp(shown[60:-60, 60:-60], axis=2).max() > 60
        corner = shown[60:90, 60:90]
        assert np.ptp(corner, axis=2).max() < 10, "nothing is shaded outside of the body"
        legend = tab.locator(".legend").inner_text()
        assert "lowers Progression" in legend and "raises Progression" in legend
        scale = re.search(r"\u2212([\d.]+)\s+0 log-odds\s+(?:\u2265 )?\+([\d.]+)", legend)
        assert scale and scale[1] == scale[2] and float(scale[1]) > 0
        assert "add up to" in tab.locator(".lines").inner_text()

        tab.keyboard.press("m")
        tab.mouse.move(x, y)
        tab.mouse.down()
        tab.mouse.move(x + 80, y)
        tab.mouse.up()
        assert re.fullmatch(r"[\d.]+ mm", viewer_says(tab, "ruler"))
        tab.keyboard.press("+")
        at(tab, zoom=1.25)
        assert not sent, "the page did not run again"


def viewer_says(tab, name):
    return tab.locator(".viewer").get_attribute(f"data-{name}")


@needs_chromium
def test_another_case_opens_at_its_head(server, example):
    with browsing(server) as tab:
        opened(tab, server, case_of(example, both=True))
        case = case_in(tab)
        tab.evaluate("document.querySelector('[data-testid=\"stMain\"]').scrollTo(0, 1e6)")
        assert not tab.evaluate(AT_ITS_HEAD)
        tab.keyboard.press("j" if tab.locator(".st-key-next button").first.is_enabled() else "k")
        tab.wait_for_function("before => !location.search.includes(before)", arg=case)
        at(tab)
        tab.wait_for_function(AT_ITS_HEAD)
        assert case_in(tab) != case


def case_in(tab):
    return re.search(r"[?&]case=([^&]+)", tab.url)[1]


@needs_chromium
def test_two_series_scroll_together_and_a_rerun_leaves_them_as_they_are(server, example):
    with browsing(server) as tab:
        opened(tab, server, case_of(example, both=True))
        tab.get_by_label("Beside").select_option("t1gd")
        assert tab.locator(".pane").count() == 2
        tab.locator(".pane").first.hover()
        tab.keyboard.press("End")
        at(tab, panes="13 7")
        tab.keyboard.press("Home")
        at(tab, panes="1 1")
        assert "as the network reads it" in tab.locator(".lines").inner_text()
        tab.get_by_text("Show the recorded outcome").click()
        tab.get_by_text("recorded:").wait_for()
        tab.wait_for_function(ENDED)
        assert viewer_says(tab, "panes") == "1 1", "a rerun of the page is none of the viewer"
        tab.context.clear_cookies()
        status = tab.evaluate(
            "async (url) => (await fetch(url)).status",
            f"{server}/api/slices?cohort=glioma-example&case=C-0000&modality=flair&slice=0",
        )
        assert status == 403, "without the cookie of the page there is no slice"
