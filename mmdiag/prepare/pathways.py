"""Pathway tokens: groups of a table's columns, named by the user's gene sets or found on the
training cases, each brought to a few scores.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

PATHWAY_SCORES = (
    3  # mean, and the first two principal components, of the group's standardised columns
)
SMALLEST = 4  # measured columns in a group


def pathway_components(
    standardised: Float32[ndarray, "row column"],
    columns: Sequence[str],
    gene_sets: Mapping[str, Sequence[int]] | None,
    most: int,
) -> tuple[tuple[str, ...], Float32[ndarray, "column score"]]:
    """Groups of columns, and the linear map from a standardised row to the scores of all of them.

    Args:
        standardised: Training rows in deviations from the mean.
        gene_sets: Named groups of column numbers; None or none large enough = modules by k-means on
            the columns.
        most: Number of groups kept; of named ones those that vary most on the training rows.

    Returns:
        Names, and a matrix (column, group * PATHWAY_SCORES).
    """
    varies = standardised.std(axis=0) > 0
    named = {name: [i for i in members if varies[i]] for name, members in (gene_sets or {}).items()}
    named = {name: members for name, members in named.items() if len(members) >= SMALLEST}
    groups = named or _modules(standardised, columns, varies, most)
    spread = {
        name: float(standardised[:, members].mean(axis=1).std()) for name, members in groups.items()
    }
    kept = sorted(groups, key=lambda name: (-spread[name], name))[:most]
    matrix = np.zeros((standardised.shape[1], len(kept) * PATHWAY_SCORES), dtype=np.float32)
    for number, name in enumerate(kept):
        matrix[groups[name], number * PATHWAY_SCORES : (number + 1) * PATHWAY_SCORES] = _scores(
            standardised[:, groups[name]]
        )
    return tuple(kept), matrix


def _scores(rows: np.ndarray) -> np.ndarray:
    """(column, 3): the mean and two principal components, each scaled to unit deviation on the
    training rows.
    """
    gram = rows.T.astype(np.float64) @ rows
    vectors = np.linalg.eigh(gram)[1][:, ::-1][:, : PATHWAY_SCORES - 1]
    vectors = vectors * np.where(vectors.sum(axis=0) < 0, -1, 1)
    directions = np.concatenate([np.full((rows.shape[1], 1), 1 / rows.shape[1]), vectors], axis=1)
    # a group may have fewer columns than scores
    directions = np.pad(directions, ((0, 0), (0, PATHWAY_SCORES - directions.shape[1])))
    deviation = (rows @ directions).std(axis=0)
    scaled: np.ndarray = directions / np.maximum(deviation, 1e-6)
    return scaled


def _modules(
    standardised: np.ndarray, columns: Sequence[str], varies: np.ndarray, most: int
) -> dict[str, list[int]]:
    """Columns that move together on the training rows, named after their most typical column."""
    from sklearn.cluster import KMeans

    usable = np.flatnonzero(varies)
    if len(usable) == 0:
        return {"all columns": list(range(len(columns)))}
    number = max(1, min(most, len(usable) // SMALLEST))
    points = standardised[:, usable].T
    points = points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-9)
    clusters = KMeans(number, n_init=1, max_iter=30, random_state=0).fit(points)
    modules = {}
    for cluster in range(number):
        members = usable[clusters.labels_ == cluster]
        if len(members):
            centre = clusters.cluster_centers_[cluster]
            typical = members[np.argmax(points[clusters.labels_ == cluster] @ centre)]
            modules[f"module {cluster + 1} ({columns[typical]})"] = [int(i) for i in members]
    return modules
