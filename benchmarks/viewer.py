"""How fast a reader scrolls: slices a second in the viewer of the Case page, in a real browser, and
what a slice takes from the key until its canvas is drawn, beside a canvas that only paints as many
pixels.

alone     each slice is there already, as it is once a series was loaded
with map  likewise, with the map over it
floor     a canvas of as many pixels is painted

python benchmarks/viewer.py --workspace DIR [--case KEY]
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from pages import CHROMIUM, ENDED, browsing, serving  # noqa: E402

FRAME_MS = 1000 / 60
SCROLL = """async (root, [key, steps]) => {
    const pane = root.querySelector(".pane"), took = [];
    for (let step = 0; step < steps; step++) {
        const before = pane.dataset.drawn, began = performance.now();
        root.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
        while (pane.dataset.drawn === before) await new Promise(requestAnimationFrame);
        took.push(performance.now() - began);
    }
    return took;
}"""
FLOOR = """async (root, steps) => {
    const canvas = root.querySelector(".pane canvas"), took = [];
    const bare = new OffscreenCanvas(canvas.width, canvas.height), context = bare.getContext("2d");
    const image = context.createImageData(canvas.width, canvas.height);
    for (let step = 0; step < steps; step++) {
        const began = performance.now();
        image.data.fill(step);
        context.putImageData(image, 0, 0);
        took.push(performance.now() - began);
    }
    return took;
}"""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--case")
    asked = parser.parse_args()
    if CHROMIUM is None:
        print("no Chromium on this machine: nothing was measured")
        return
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(asked.workspace.resolve(), Path(folder) / "log") as address,
        browsing(address) as tab,
    ):
        tab.goto(f"{address}/case" + (f"?case={asked.case}" if asked.case else ""))
        viewer = tab.locator(".viewer[data-ready='1']")
        viewer.wait_for()
        tab.wait_for_function(ENDED)
        measure(tab, viewer)


def measure(tab: Any, viewer: Any) -> None:
    """Scroll through the stack and back."""
    steps = int(viewer.get_attribute("data-slices")) - 1
    canvas = viewer.locator(".pane canvas").first
    size = canvas.evaluate("(one) => `${one.width} x ${one.height}`")
    tab.wait_for_load_state("networkidle")  # a series is fetched ahead, slice after slice
    viewer.press("Home")
    rows = {"alone": viewer.evaluate(SCROLL, ["ArrowDown", steps])}
    viewer.press("h")
    if viewer.get_attribute("data-map") == "on":
        viewer.evaluate(SCROLL, ["ArrowUp", steps])
        rows["with map"] = viewer.evaluate(SCROLL, ["ArrowDown", steps])
    rows["floor"] = viewer.evaluate(FLOOR, steps)
    print(f"{steps + 1} slices on a canvas of {size}")
    print("| | slices a second | median ms | slowest ms | share of a frame of 60 Hz |")
    print("|---|---|---|---|---|")
    for name, took in rows.items():
        middle = statistics.median(took)
        print(
            f"| {name} | {1000 * len(took) / sum(took):.0f} | {middle:.1f} | {max(took):.1f} | "
            f"{middle / FRAME_MS:.2f} |"
        )


if __name__ == "__main__":
    main()
