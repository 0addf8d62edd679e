"""From raw features and what was fitted to samples and batches."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mmdiag.prepare.blocks.terms import Raw
from mmdiag.prepare.preparation import Preparation
from mmdiag.samples import Batch, Sample, collate


def prepare_samples(
    preparations: Mapping[str, Preparation],
    raws: Mapping[str, Sequence[Raw | None]],
    rows: Sequence[int],
) -> list[Sample]:
    """Apply the fitted state to some cases; a modality that a case lacks has no key."""
    samples: list[Sample] = []
    for row in rows:
        arrays = {name: raws[name][row] for name in preparations}
        samples.append(
            {name: preparations[name].apply(raw) for name, raw in arrays.items() if raw is not None}
        )
    return samples


def batch_of(
    preparations: Mapping[str, Preparation],
    samples: Sequence[Sample],
    target: Float[ndarray, "case target"] | None = None,
    only: Collection[str] = (),
) -> Batch:
    """Samples as a batch; without targets they are NaN.

    Args:
        only: Names of the arrays that are wanted; none = all.
    """
    shapes = {
        name: {key: shape for key, shape in preparation.shapes().items() if not only or key in only}
        for name, preparation in preparations.items()
    }
    return collate(
        samples,
        tuple(preparations),
        np.full((len(samples), 1), np.nan) if target is None else target,
        shapes,
    )
