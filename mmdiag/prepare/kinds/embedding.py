"""Embeddings: mean and deviation of a case's vectors, and the vectors themselves, on directions
that are fitted on the training cases.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Float32
from numpy import ndarray
from torch import nn

from mmdiag.config import RunConfig
from mmdiag.prepare.extract import Extractor
from mmdiag.prepare.preparation import Preparation, fit_parts

MOST_PARTS = 128  # tokens of a case; of more vectors neighbours are averaged, so that all is read
COMPONENTS = 32  # kept of a vector, and of what is said of a case


def embedding_extractor(_config: RunConfig) -> Extractor:
    """Vectors as they are: nothing is stored."""
    return Extractor("", list)


def summarise_vectors(
    features: Float[ndarray, "vector number"],
) -> tuple[Float32[ndarray, "summary"], Float32[ndarray, "part number"]]:
    """Mean and deviation over the vectors; and the vectors, or the means of neighbours. One vector
    has no deviation: 0 would be the largest difference between the cases of a cohort.
    """
    vectors = np.asarray(features, dtype=np.float32)
    mean = vectors.mean(axis=0)
    spread = vectors.std(axis=0) if len(vectors) > 1 else np.full_like(mean, np.nan)
    summary = [mean, spread]
    if len(vectors) > MOST_PARTS:
        neighbours = np.array_split(vectors, MOST_PARTS)
        return np.concatenate(summary), np.stack([part.mean(axis=0) for part in neighbours])
    return np.concatenate(summary), vectors


def embedding_blocks(
    raw: Float[ndarray, "vector number"], _widths: Sequence[int]
) -> dict[str, Float32[ndarray, "_"]]:
    """Mean and deviation over the vectors."""
    return {"vectors": summarise_vectors(raw)[0]}


def fit_embedding(
    raws: Sequence[Float32[ndarray, "_ number"]],
    _config: RunConfig,
    _columns: Sequence[str],
    _gene_sets: Mapping[str, Sequence[int]] | None,
) -> Preparation:
    """Projections of what is said of a case and of its vectors."""
    return fit_parts("embedding", raws, COMPONENTS)


def embedding_encoder(preparation: Preparation, config: RunConfig) -> nn.Module:
    """The network on stored features."""
    from mmdiag.prepare.build_encoder import stored_encoder

    return stored_encoder(preparation, config)
