"""Which regions of an image moved the answer: a heat map by occlusion."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

from mmdiag.explain.drawn import heat_on_tissue
from mmdiag.explain.occlusion import heat_map
from mmdiag.explain.probe import Explanation, OcclusionProbe
from mmdiag.prepare import extractor
from mmdiag.prepare.feature_cache import raw_features
from mmdiag.prepare.kinds.image import statistics_alone
from mmdiag.storage.store import Store

COARSE = 4  # patches a side, on two slices, where every question is a whole volume
OTHER_PATIENTS = 3  # whose images stand in for a patch that is taken away


def explain_image(probe: OcclusionProbe, store: Store, name: str, row: int) -> Explanation:
    """A signed map (slice, row, column) on a coarse grid, 0 outside of the body."""
    volume = probe.bundle.config.image.encoder.endswith("_3d")
    fewer = {"grid": COARSE, "slices": 2} if volume else {}
    colour = probe.bundle.preparations[name].colour
    stack = store.images(name, row, colour=colour)
    others = _other_patients(store, name, row, colour)
    heat = heat_map(stack, _logit(probe, store, name, row), others, **fewer)
    return Explanation(heat=heat_on_tissue(heat, stack).astype(np.float16))


def _other_patients(
    store: Store, name: str, row: int, colour: bool
) -> list[UInt8[ndarray, "_ row column *colour"]]:
    """Images of a few other subjects of the cohort, the same ones for every case but their own."""
    subjects = store.cases["subject_id"].to_numpy()
    others = np.flatnonzero(store.present(name) & (subjects != subjects[row]))
    chosen = (
        others[np.unique(np.linspace(0, len(others) - 1, OTHER_PATIENTS).round().astype(int))]
        if len(others)
        else others
    )
    return [store.images(name, int(other), colour=colour) for other in chosen]


def _logit(
    probe: OcclusionProbe, store: Store, name: str, row: int
) -> Callable[[UInt8[ndarray, "variant slice row column *colour"]], Float[ndarray, "variant"]]:
    """Ask about other images; features of slices that stay the same are made once."""
    preparation, config = probe.bundle.preparations[name], probe.bundle.config
    if config.image_beside:
        # what a pretrained network sees of the whole image stays as it is
        whole = extractor("image", config)
        beside = raw_features(store, name, whole, colour=preparation.colour, only=[row])
        behind = np.asarray(beside[row])[:, preparation.shape[0] :]
        alone = _SliceFeatures(extractor("image", statistics_alone(config)))
        return lambda stacks: probe.log_odds(
            name,
            [
                preparation.apply(np.concatenate([features, behind], axis=1))
                for features in alone(list(stacks))
            ],
        )
    extract = extractor("image", config)
    if not preparation.trains_on_raw_input and not config.image.encoder.endswith("_3d"):
        extract_all: Callable[[Sequence[ndarray]], list[ndarray]] = _SliceFeatures(extract)
    else:
        extract_all = extract
    return lambda stacks: probe.log_odds(
        name, [preparation.apply(raw) for raw in extract_all(list(stacks))]
    )


class _SliceFeatures:
    """Features of stacks, each distinct slice extracted once."""

    def __init__(self, extract: Callable[[Sequence[ndarray]], list[ndarray]]) -> None:
        self.extract, self.known = extract, dict[bytes, ndarray]()

    def __call__(self, stacks: Sequence[ndarray]) -> list[ndarray]:
        keys = [[plane.tobytes() for plane in stack] for stack in stacks]
        fresh = {
            key: plane
            for row, stack in zip(keys, stacks, strict=True)
            for key, plane in zip(row, stack, strict=True)
            if key not in self.known
        }
        if fresh:
            features = self.extract([np.stack(list(fresh.values()))])[0]
            self.known.update(zip(fresh, features, strict=True))
        return [np.stack([self.known[key] for key in row]) for row in keys]
