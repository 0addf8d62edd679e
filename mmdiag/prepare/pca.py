"""Standardise, then project on principal components: fitted on training rows, applied
everywhere.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32
from numpy import ndarray


@dataclass(frozen=True, slots=True)
class Projection:
    """A linear map from raw columns to a few scores: `(clip((x - center) / scale)) @ components`.

    Columns that do not vary on the training rows have scale infinity, so that they contribute 0.
    The leading score has deviation 1, and each other one
    its share of the leading variance: small components are learned slowly and decay first, which on
    a few hundred cases is worth more than choosing
    how many to keep.
    """

    center: Float32[ndarray, "column"]
    scale: Float32[ndarray, "column"]
    components: Float32[ndarray, "column score"]

    CLIP = 6.0  # deviations; a damaged value must not throw a case out of the training cloud

    def __call__(self, rows: Float32[ndarray, "row column"]) -> Float32[ndarray, "row score"]:
        """Scores of some rows; NaN (not measured) counts as the training mean."""
        scores: ndarray = self.standardise(rows) @ self.components
        return scores

    def standardise(self, rows: Float32[ndarray, "row column"]) -> Float32[ndarray, "row column"]:
        """Deviations from the training mean, 0 where not measured."""
        deviations: ndarray = ((rows - self.center) / self.scale).clip(-self.CLIP, self.CLIP)
        deviations[np.isnan(deviations)] = 0.0
        return deviations


def fit_projection(rows: Float32[ndarray, "row column"], components: int) -> Projection:
    """Fit on training rows; at most one component for every four rows, so that small cohorts stay
    estimable.
    """
    with np.errstate(all="ignore"):
        measured = np.isfinite(rows)
        counts = np.maximum(measured.sum(axis=0), 1)
        center = (np.where(measured, rows, 0).sum(axis=0, dtype=np.float64) / counts).astype(
            np.float32
        )
        deviation = np.sqrt(
            np.where(measured, (rows - center) ** 2, 0).sum(axis=0, dtype=np.float64) / counts
        )
    scale = np.where(deviation > 1e-6 * np.maximum(np.abs(center), 1e-3), deviation, np.inf).astype(
        np.float32
    )
    plain = Projection(center, scale, np.zeros((rows.shape[1], 0), np.float32))
    standardised = plain.standardise(rows).astype(np.float64)
    kept = max(1, min(components, rows.shape[1], max(len(rows) // 4, 2)))
    directions = _principal(standardised, kept)
    spread = (standardised @ directions).std(axis=0)
    return Projection(
        center,
        scale,
        (directions * spread / max(float(spread.max(initial=0)) ** 2, 1e-6)).astype(np.float32),
    )


def _principal(rows: np.ndarray, kept: int) -> np.ndarray:
    """Directions (column, kept) of largest variance, with a fixed sign."""
    if rows.shape[1] <= len(rows):
        _, vectors = np.linalg.eigh(rows.T @ rows / max(len(rows), 1))
        directions = vectors[:, ::-1][:, :kept]
    else:
        _, left = np.linalg.eigh(rows @ rows.T / max(len(rows), 1))
        directions = rows.T @ left[:, ::-1][:, :kept]
        directions = directions / np.maximum(np.linalg.norm(directions, axis=0), 1e-12)
    signs = np.sign(directions[np.abs(directions).argmax(axis=0), np.arange(directions.shape[1])])
    turned: np.ndarray = directions * np.where(signs == 0, 1, signs)
    return turned
