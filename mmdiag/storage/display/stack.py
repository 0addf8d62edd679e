"""The display stack of one image, read slice by slice: where its slices lie in a shard, what their
pixels mean, and where the array that networks read lies in them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from mmdiag.storage.display.codec import Pixels, checksum, decode_slice

INDEX = "display.parquet"  # of a shard: case_id, version, modality, start, facts
CONTENT = "-display.bin"  # behind a modality's name: slices one after the other


@dataclass(frozen=True, slots=True)
class DisplayStack:
    """One image as it is to be looked at.

    Args:
        file: Where its slices lie, after `start` bytes.
        facts: As `readers.imaging.display.DisplaySlices.facts` gives them.
    """

    file: Path
    start: int
    facts: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.facts["offsets"])

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of each slice."""
        return int(self.facts["rows"]), int(self.facts["columns"])

    def slice(self, number: int) -> Pixels:
        """The stored pixels of one slice; nothing else is read.

        Raises:
            IndexError: There is none of that number.
            ValueError: Its bytes are not those that were written.
        """
        if not 0 <= number < len(self):
            raise IndexError(number)
        with self.file.open("rb") as file:
            file.seek(self.start + int(self.facts["offsets"][number]))
            encoded = file.read(int(self.facts["lengths"][number]))
        if checksum(encoded) != int(self.facts["checksums"][number]):
            raise ValueError("a slice of a display stack was changed or cut")
        return decode_slice(encoded)

    def rescale(self, number: int) -> tuple[float, float]:
        """Slope and intercept that bring the stored pixels of a slice to their units."""
        slopes, intercepts = self.facts["slopes"], self.facts["intercepts"]
        place = number if len(slopes) > 1 else 0
        return float(slopes[place]), float(intercepts[place])

    def parts_of_array(self, parts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Parts of the array that networks read, in rows and columns of this stack.

        Args:
            parts: Of each `slice`, `row`, `column`, `height`, `width` and `value`; what lies in the
                margin that made the array square is cut off.
        """
        top, left, height, width = self.facts["array_inside"]
        down, across = self.shape[0] / height, self.shape[1] / width
        found = []
        for part in parts:
            first, last = part["row"] - top, part["row"] - top + part["height"]
            begin, end = part["column"] - left, part["column"] - left + part["width"]
            first, last = max(first, 0), min(last, height)
            begin, end = max(begin, 0), min(end, width)
            if first < last and begin < end:
                place = {"row": first * down, "height": (last - first) * down}
                place |= {"column": begin * across, "width": (end - begin) * across}
                number = int(self.facts["array_slices"][int(part["slice"])])
                found.append({"slice": number, **place, "value": float(part["value"])})
        return found


def read_display(shard: Path, case_id: str, version: str, modality: str) -> DisplayStack | None:
    """The display stack of an image; None where its shard has none, as those of earlier versions.

    Raises:
        ValueError: The shard lists it, and its file is shorter than the list says.
        OSError: The list or the file cannot be read.
    """
    index = shard / INDEX
    if not index.is_file():
        return None
    table = _index(index)
    own = table[
        (table["case_id"] == case_id)
        & (table["version"] == version)
        & (table["modality"] == modality)
    ]
    if own.empty:
        return None
    row = own.iloc[0]
    stack = DisplayStack(
        shard / f"{modality}{CONTENT}", int(row["start"]), json.loads(row["facts"])
    )
    end = max(map(sum, zip(stack.facts["offsets"], stack.facts["lengths"], strict=True)))
    if stack.file.stat().st_size < stack.start + end:
        raise ValueError("shorter than its list says")
    return stack


@lru_cache(maxsize=16)
def _index(file: Path) -> pd.DataFrame:
    return pd.read_parquet(file)
