"""A cohort of pictures whose hue tells the class, and whose luminance does not."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 48
TOML = """
[cohort]
name = "hues"
root = "."
[cases]
table = "cases.csv"
case_id = "case_id"
[task]
kind = "binary"
label = "label"
positive = "1"
[modalities.skin]
kind = "image"
path = "skin/{{case_id}}.png"
size = 32
{colour}
[modalities.lab]
kind = "table"
path = "cases.csv"
key = "case_id"
columns = ["x"]
"""


def make_hue(rng: np.random.Generator, positive: bool) -> np.ndarray:
    """A picture (row, column, 3) that is reddish or bluish, of the same luminance."""
    grey = rng.normal(120, 6, (SIDE, SIDE))
    amount = 25 * (1 if positive else -1) + rng.normal(0, 8)
    red, blue = grey + amount, grey - amount * 0.299 / 0.114 * 0.5
    green = (grey - 0.299 * red - 0.114 * blue) / 0.587
    return np.clip(np.stack([red, green, blue], -1), 0, 255).astype(np.uint8)


def write_hues(
    folder: Path, cases: int, *, grey: Sequence[int] = (), colour: str = "", seed: int = 1
) -> Path:
    """Write a cohort; returns its cohort.toml.

    Args:
        grey: Numbers of the cases whose channels are equal.
        colour: As the section of the pictures says it; empty = not at all.
    """
    rng = np.random.default_rng(seed)
    (folder / "skin").mkdir(parents=True)
    rows = ["case_id,label,x"]
    for number in range(cases):
        picture = make_hue(rng, bool(number % 2))
        if number in grey:
            picture = np.repeat(picture[..., 1:2], 3, axis=2)
        Image.fromarray(picture).save(folder / "skin" / f"s{number:03d}.png")
        rows.append(f"s{number:03d},{number % 2},{rng.normal():.3f}")
    (folder / "cases.csv").write_text("\n".join(rows) + "\n")
    said = f'colour = "{colour}"' if colour else ""
    (folder / "cohort.toml").write_text(TOML.format(colour=said))
    return folder / "cohort.toml"
