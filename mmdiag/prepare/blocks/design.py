"""The cases of one block of features as the rows of a matrix, for what is linear."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy import ndarray
from scipy.sparse import csr_matrix


def design(values: Sequence[ndarray], buckets: int = 0) -> tuple[Any, float]:
    """A matrix (case, feature), and a factor that brings its rows to a length of about 1.

    Args:
        values: Of each case its standardised features; of terms bucket and weight of each.
        buckets: Of terms; those beyond are folded into them. 0 = they are features.
    """
    if not buckets:
        table = np.stack(values).astype(float)
        active = int((table.std(axis=0) > 0).sum())
        return table, 1 / max(active, 1) ** 0.5
    rows = np.repeat(np.arange(len(values)), [len(terms) for terms in values])
    every = np.concatenate(values)
    place = (rows, every[:, 0].astype(int) % buckets)
    return csr_matrix((every[:, 1].astype(float), place), shape=(len(values), buckets)), 1.0
