"""What an answer would be without some of the parts that it is attributed to: each taken away by
what is nothing, or replaced by what is usual.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mmdiag.explain.parts import Part
from mmdiag.explain.within.probe import Probe
from mmdiag.inference.columns import align
from mmdiag.kinds import kind_named
from mmdiag.prepare import extractor
from mmdiag.storage.store import Store

NULL, MEAN = "null", "mean"  # what fills the place of a part
FILLS = (NULL, MEAN)
WORD = re.compile(r"\S+")


def can_remove(store: Store, name: str) -> bool:
    """Whether parts of a modality can be taken away."""
    return kind_named(store.modalities[name]).drawn_as in ("image", "text", "table")


def without(
    probe: Probe, store: Store, name: str, row: int, fill: str, removed: Sequence[Sequence[Part]]
) -> Float[ndarray, "variant"]:
    """What a modality would contribute without each of some sets of its parts.

    Args:
        fill: `null`: black cells, no words, values that were not measured; `mean`: another
            patient's cells and words, the training mean.
    """
    make = {"image": _images, "text": _notes, "table": _rows}
    variants = make[kind_named(store.modalities[name]).drawn_as](
        probe, store, name, row, fill, removed
    )
    return probe.contribution(name, variants)


def _another(store: Store, name: str, row: int) -> int:
    """The next case of another subject that has the modality; the case itself where none has."""
    subjects = store.cases["subject_id"].to_numpy()
    others = np.flatnonzero(store.present(name) & (subjects != subjects[row]))
    return int(others[np.searchsorted(others, row) % len(others)]) if len(others) else row


def _images(
    probe: Probe, store: Store, name: str, row: int, fill: str, removed: Sequence[Sequence[Part]]
) -> list[dict[str, ndarray]]:
    preparation = probe.bundle.preparations[name]
    stack = store.images(name, row, colour=preparation.colour)
    theirs = np.zeros_like(stack)
    if fill == MEAN:
        other = store.images(name, _another(store, name, row), colour=preparation.colour)
        theirs = other[np.linspace(0, len(other) - 1, len(stack)).round().astype(int)]
    stacks = []
    for parts in removed:
        changed = stack.copy()
        for part in parts:
            rows = slice(part["row"], part["row"] + part["height"])
            columns = slice(part["column"], part["column"] + part["width"])
            changed[part["slice"], rows, columns] = theirs[part["slice"], rows, columns]
        stacks.append(changed)
    raws = extractor("image", probe.bundle.config)(stacks)
    return [preparation.apply(raw) for raw in raws]


def _notes(
    probe: Probe, store: Store, name: str, row: int, fill: str, removed: Sequence[Sequence[Part]]
) -> list[dict[str, ndarray]]:
    preparation, note = probe.bundle.preparations[name], store.text(name, row)
    others = WORD.findall(store.text(name, _another(store, name, row))) or [""]
    extract = extractor("text", probe.bundle.config)
    notes = []
    for parts in removed:
        text = note
        for number, part in sorted(enumerate(parts), key=lambda one: -one[1]["start"]):
            filled = others[number % len(others)] if fill == MEAN else ""
            text = text[: part["start"]] + filled + text[part["end"] :]
        notes.append(text)
    found = extract(notes)
    return [
        preparation.apply(extract.finished(text, one))
        for text, one in zip(notes, found, strict=True)
    ]


def _rows(
    probe: Probe, store: Store, name: str, row: int, fill: str, removed: Sequence[Sequence[Part]]
) -> list[dict[str, ndarray]]:
    preparation = probe.bundle.preparations[name]
    assert preparation.summary is not None
    values: Any = align(store, name, preparation).values[row]
    place = {column: number for number, column in enumerate(preparation.columns)}
    found = []
    for parts in removed:
        changed = values.copy()
        for part in parts:
            i = place[part["name"]]
            changed[i] = preparation.summary.center[i] if fill == MEAN else np.nan
        found.append(preparation.apply(changed))
    return found
