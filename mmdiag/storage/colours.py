"""Where the channels of images in colour lie beside their grey levels, and whether the images of a
modality are read in colour, all of them alike.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

COLOURS_FILE = "-colours.npy"  # behind a modality's name, beside <modality>.npy
NO_COLOURS = -1
KEEP = "keep"
# Share of a modality's images from which all are read in colour: a few tinted films among
# radiographs are read as grey as the others.
LEAST_IN_COLOUR = 0.1


def colours_start(modality: str) -> str:
    """The column of a case's first row in the file of colours; `NO_COLOURS` where its channels are
    alike.
    """
    return f"colours_start_{modality}"


def shows_colour(modality: str) -> str:
    """The column that says whether a case's image is one in colour, not only tinted."""
    return f"shows_colour_{modality}"


def with_colour_columns(cases: pd.DataFrame) -> pd.DataFrame:
    """The case table, its columns of colours whole; a shard of an earlier version has none, and a
    case without the image neither.
    """
    whole: dict[str, Any] = {}
    for name in map(str, cases.columns):
        if name.startswith(colours_start("")):
            whole[name] = cases[name].fillna(NO_COLOURS).astype("int64")
        elif name.startswith(shows_colour("")):
            whole[name] = cases[name].eq(True)
    return cases.assign(**whole)


def read_in_colour(cases: pd.DataFrame, modality: str, colour: str | None) -> bool:
    """Whether all images of a modality are read in colour.

    Args:
        colour: As its section says it; with `keep` one image whose channels differ is enough.
    """
    if colours_start(modality) not in cases:  # another kind, or an earlier version
        return False
    has = cases[f"has_{modality}"].astype(bool)
    if colour == KEEP:
        return bool((has & (cases[colours_start(modality)] != NO_COLOURS)).any())
    coloured = _coloured(cases, modality)
    return coloured > 0 and coloured >= LEAST_IN_COLOUR * int(has.sum())


def _coloured(cases: pd.DataFrame, modality: str) -> int:
    column = shows_colour(modality)
    return (
        int((cases[f"has_{modality}"].astype(bool) & cases[column]).sum()) if column in cases else 0
    )


def said_of_colour(
    cases: pd.DataFrame, modality: str, in_colour: Sequence[str]
) -> dict[str, list[str]]:
    """What people are told of images in colour that are read as grey.

    Args:
        in_colour: Modalities whose images are read in colour.
    """
    coloured, images = _coloured(cases, modality), int(cases[f"has_{modality}"].sum())
    if not coloured or modality in in_colour:
        return {}
    verb = "is" if coloured == 1 else "are"
    return {
        "said": [
            f"{coloured} of {images} images {verb} in colour and read as grey like the others; "
            'colour = "keep" reads all of them in colour'
        ]
    }


def in_colour(cases: pd.DataFrame, asked: Mapping[str, Any]) -> list[str]:
    """Modalities whose images are read in colour.

    Args:
        asked: Modality -> `colour` of its description.
    """
    return [name for name, colour in asked.items() if read_in_colour(cases, name, colour)]
