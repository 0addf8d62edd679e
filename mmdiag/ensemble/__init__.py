"""Members of an ensemble and how they are stacked: several models a modality, each with its penalty
chosen in inner folds, combined by weights that are learned from answers they gave to cases they
had not seen.
"""

from jaxtyping import Int
from numpy import ndarray

Fold = tuple[Int[ndarray, "_"], Int[ndarray, "_"]]  # rows to learn from, and rows to judge
