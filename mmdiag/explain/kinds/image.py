"""Which regions of an image moved the answer: by what is made of them where that is a mean of
cells, else by what changes where what is usual at a place stands there.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from numpy import ndarray

from mmdiag.config import IMAGE_STATISTICS
from mmdiag.explain.within.attribution import Attribution
from mmdiag.explain.within.cells import Cells, cells_of
from mmdiag.explain.within.probe import Explanation, Probe
from mmdiag.explain.within.sampled import sampled_shapley
from mmdiag.explain.within.usual_image import usual_stacks
from mmdiag.prepare import extractor
from mmdiag.prepare.blocks.preparation import BlockPreparation
from mmdiag.prepare.kinds.image import maps_beside, statistics_alone, summarise_slices
from mmdiag.storage.store import Store

GRID, ORDERS = 8, 12  # cells a side, and orders in which they are made known
COARSE, FEW = 4, 2  # likewise, where every question is asked of a network
OTHER_PATIENTS = 12  # of whose images what is usual is made
Ask = Callable[["States"], Float[ndarray, "variant"]]


@dataclass(frozen=True, slots=True)
class States:
    """Variants of a stack by the planes that they are made of.

    Args:
        planes: Each distinct slice of them.
        index: Number of the plane that each slice of each variant is.
    """

    planes: UInt8[ndarray, "plane row column *colour"]
    index: Int[ndarray, "variant slice"]


def explain_image(probe: Probe, store: Store, name: str, row: int) -> Explanation:
    """The value of each cell on the body: `slice`, and `row`, `column`, `height` and `width` in
    pixels of the stored array. What a network or a statistic makes of the rest has no place.
    """
    preparation, found = probe.bundle.preparations[name], probe.attribution(name)
    stack = store.images(name, row, colour=preparation.colour)
    config = probe.bundle.config
    cheap = config.image_beside or config.image.encoder in IMAGE_STATISTICS
    cells = cells_of(stack, GRID if cheap else COARSE)
    ask: Ask
    itself = States(stack, np.arange(len(stack))[None])
    if isinstance(preparation, BlockPreparation):
        assert found is not None
        ask = _linear(probe, preparation, found)
        contribution, gap = found.contribution, found.gap
        whole = float(ask(itself)[0]) + found.presence
    else:
        ask = _of_model(probe, name)
        whole = contribution = float(ask(itself)[0])
        gap = found.gap if found else 0.0
    others = _other_patients(store, name, row, preparation.colour)
    several = cheap and isinstance(preparation, BlockPreparation)
    values = _sampled(stack, others, cells, ask, ORDERS if several else FEW)
    # usual cells make no usual case: what they are off it is all cells' alike
    values += (whole - values.sum()) / max(len(values), 1)
    if isinstance(preparation, BlockPreparation) and found and "pretrained" in found.slopes:
        values += _of_maps(probe, preparation, found, stack, cells)
    return Explanation(cells.parts(values), contribution=contribution, gap=gap)


def _linear(probe: Probe, preparation: BlockPreparation, found: Attribution) -> Ask:
    """What the computed features of an image add: a dot product with their slopes."""
    config = probe.bundle.config
    own = statistics_alone(config) if config.image_beside else config
    extract = extractor("image", own)
    slopes, fitted = found.slopes["features"], preparation.dense["features"]

    def ask(states: States) -> Float[ndarray, "variant"]:
        features = extract([states.planes])[0]
        rows = np.stack([summarise_slices(features[one])[0] for one in states.index])
        value: ndarray = fitted.standardise(rows).astype(float) @ slopes
        return value

    return ask


def _of_model(probe: Probe, name: str) -> Ask:
    """What a whole model says of an image."""
    preparation, config = probe.bundle.preparations[name], probe.bundle.config
    extract = extractor("image", config)
    by_slice = not preparation.trains_on_raw_input and not config.image.encoder.endswith("_3d")

    def ask(states: States) -> Float[ndarray, "variant"]:
        if by_slice:
            features = extract([states.planes])[0]
            raws = [features[one] for one in states.index]
        else:
            raws = extract([states.planes[one] for one in states.index])
        return probe.contribution(name, [preparation.apply(raw) for raw in raws])

    return ask


def _other_patients(
    store: Store, name: str, row: int, colour: bool
) -> list[UInt8[ndarray, "_ row column *colour"]]:
    """Images of a few other subjects of the cohort, the same ones for every case but their own."""
    subjects = store.cases["subject_id"].to_numpy()
    others = np.flatnonzero(store.present(name) & (subjects != subjects[row]))
    if not len(others):
        return []
    chosen = np.unique(np.linspace(0, len(others) - 1, OTHER_PATIENTS).round().astype(int))
    return [store.images(name, int(other), colour=colour) for other in others[chosen]]


def _sampled(
    stack: UInt8[ndarray, "slice row column *colour"],
    others: list[UInt8[ndarray, "_ row column *colour"]],
    cells: Cells,
    ask: Ask,
    orders: int,
) -> Float[ndarray, "cell"]:
    """The value of each cell beside what is usual there."""
    if not others:
        return np.zeros(len(cells.slice))
    usual = usual_stacks(stack, others, cells, orders)

    def answers(known: Bool[ndarray, "variant cell"], order: int) -> Float[ndarray, "variant"]:
        return ask(_states(stack, usual[order], cells, known))

    return sampled_shapley(len(cells.slice), answers, orders=orders)


def _states(
    stack: UInt8[ndarray, "slice row column *colour"],
    other: UInt8[ndarray, "slice row column *colour"],
    cells: Cells,
    known: Bool[ndarray, "variant cell"],
) -> States:
    """Variants in which each cell that is not known is another's, with soft edges.

    Args:
        known: Each variant knows all that the one before it knows.
    """
    planes: list[ndarray] = []
    index = np.zeros((len(known), len(stack)), dtype=int)
    for number, (own, theirs) in enumerate(zip(stack, other, strict=True)):
        here = np.flatnonzero(cells.slice == number)
        more = np.concatenate([[True], (known[1:, here] != known[:-1, here]).any(axis=1)])
        index[:, number] = len(planes) + np.cumsum(more) - 1
        change = theirs.astype(np.float32) - own
        for amount in cells.covered(here, ~known[more][:, here]):
            weight = amount[..., None] if own.ndim == 3 else amount
            planes.append(np.rint(own + weight * change).astype(np.uint8))
    return States(np.stack(planes), index)


def _of_maps(
    probe: Probe,
    preparation: BlockPreparation,
    found: Attribution,
    stack: UInt8[ndarray, "slice row column *colour"],
    cells: Cells,
) -> Float[ndarray, "cell"]:
    """What a pretrained network's features add, which are a mean over slices and cells."""
    maps = maps_beside(probe.bundle.config, stack)
    if maps is None:
        return np.zeros(len(cells.slice))
    fitted, slopes = preparation.dense["pretrained"], found.slopes["pretrained"]
    deviation = (maps - fitted.center[:, None, None]) / fitted.scale[:, None, None]
    values = np.einsum("sfrc,f->src", deviation.astype(float), slopes)
    return cells.spread(values / maps[:, 0].size)
