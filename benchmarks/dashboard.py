"""How long a reader waits for the dashboard where the champion has scored 100 000 cases: in a real
browser, each figure beside a bare Streamlit page in the same one.

worklist:  its first paint in a warm browser, a filter
case:      the first one, of a browser that has drawn no chart yet; back to the list and opened
           from it; and the next one by its key
memory:    of the server after so many views, and after as many more

python benchmarks/dashboard.py [--cases 100000] [--views 500] [--folder DIR]
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from pages import CHROMIUM, ENDED, browsing, serving, started  # noqa: E402
from published_example import NAME, publish  # noqa: E402

from dashboards import texts  # noqa: E402
from mmdiag.storage.ledger import Ledger  # noqa: E402

STORED = 100  # cases whose arrays are stored; the others are these once more
CHUNK = 20_000
PATIENCE = 250  # looks, 20 ms apart, before a key is pressed once more
FOUND = 100  # cases whose key has N-0000 in it
BARE = "import streamlit as st\nst.write('a bare page')\n"


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--views", type=int, default=500)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    if CHROMIUM is None:
        print("no Chromium on this machine: nothing was measured")
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        workspace = folder / "workspace"
        if not workspace.is_dir():
            fill(workspace, options.cases)
        print(json.dumps({"floor": floor(folder)} | measured(workspace, folder, options.views)))


def fill(workspace: Path, number: int) -> None:
    """A cohort of so many cases, all of them scored by its champion."""
    example = publish(workspace, cases=STORED, explained=False)
    rows = np.arange(number) % STORED
    keys = [f"N-{place:06d}" for place in range(number)]
    cases = example.cases.iloc[rows].assign(case_id=keys, subject_id=keys, label=np.nan)
    cases.to_parquet(example.workspace.cohort(NAME) / "cases.parquet", index=False)
    rng = np.random.default_rng(0)
    table = example.predictions.iloc[rows].assign(
        case_id=keys, subject_id=keys, role="new", probability=rng.random(number)
    )
    ledger = Ledger(example.workspace.ledger_url)
    for start in range(0, number, CHUNK):
        part: pd.DataFrame = table.iloc[start : start + CHUNK]
        ledger.record_predictions(NAME, part)
    ledger.engine.dispose()


def floor(folder: Path) -> dict[str, float]:
    """What a page costs on which nothing stands."""
    page = folder / "bare.py"
    page.write_text(BARE)
    serve = folder / "serve.py"
    serve.write_text(
        "import sys, streamlit as st\n"
        f"app = st.App({str(page)!r})\n"
        "app.run(config={'server.address': '127.0.0.1', 'server.port': int(sys.argv[-1]), "
        "'server.headless': True, 'browser.gatherUsageStats': False})\n"
    )
    with (
        started([str(serve)], folder, folder / "bare.log", os.environ) as (address, _),
        browsing(address) as tab,
    ):
        return {"first_paint": best(lambda: open_page(tab, address, "a bare page"))}


def measured(workspace: Path, folder: Path, views: int) -> dict[str, Any]:
    """The figures of the dashboard."""
    with serving(workspace, folder / "log") as address, browsing(address) as tab:
        open_page(tab, address, "cases that")  # the first reader waits for the list to be read
        found: dict[str, Any] = {
            "worklist": best(lambda: open_page(tab, address, "cases that")),
            "filter": timed(lambda: filtered(tab)),
            "first_case": timed(lambda: opened(tab)),
            "case": best(lambda: back_and_opened(tab)),
            "next_case": best(lambda: step(tab)),
        }
        memory = [resident(workspace)]
        for _ in range(2):
            for _ in range(views // 2):
                step(tab)
            memory.append(resident(workspace))
        return found | {"memory_mb": memory, "views": views}


def open_page(tab: Any, address: str, text: str) -> None:
    """A page, until all of it is drawn."""
    tab.goto(address)
    tab.get_by_text(text).first.wait_for()
    tab.wait_for_function(ENDED)


def filtered(tab: Any) -> None:
    """The cases with a part of a key."""
    field = tab.get_by_label("Key", exact=True)
    field.fill("N-0000")
    field.press("Enter")
    tab.get_by_text(f"{texts.thin(FOUND)} of").first.wait_for()
    tab.wait_for_function(ENDED)


def opened(tab: Any) -> None:
    """The first case of the list."""
    tab.get_by_test_id("stMain").get_by_test_id("stPageLink").first.click()
    tab.wait_for_url("**/case?*")
    tab.get_by_text("not yet reviewed").first.wait_for()
    tab.wait_for_function(ENDED)


def back_and_opened(tab: Any) -> None:
    """The list once more, and its first case."""
    tab.get_by_test_id("stSidebarNav").get_by_text("Worklist").click()
    tab.get_by_text("cases that").first.wait_for()
    tab.wait_for_function(ENDED)
    opened(tab)


def step(tab: Any) -> None:
    """The next case, by its key."""
    before = tab.url
    while tab.url == before:  # a key that is pressed while the page is drawn anew may be lost
        tab.keyboard.press("j")
        for _ in range(PATIENCE):
            tab.wait_for_timeout(20)
            if tab.url != before:
                break
    tab.wait_for_function(ENDED)


def timed(act: Callable[[], None]) -> float:
    """Seconds that something takes."""
    began = time.perf_counter()
    act()
    return round(time.perf_counter() - began, 2)


def best(act: Callable[[], None]) -> float:
    """The fastest of three."""
    return min(timed(act) for _ in range(3))


def resident(workspace: Path) -> int:
    """Megabytes of memory of the server."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes()
            if b"dashboards/app.py" in line and str(workspace).encode() in line:
                status = (folder / "status").read_text()
                return int(status.split("VmRSS:")[1].split()[0]) // 1024
        except OSError:
            continue
    return 0


if __name__ == "__main__":
    main()
