"""Which cases stay on one side of every split: those of a subject, and those of subjects that share
a value that the description keeps together.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Int64
from numpy import ndarray

from mmdiag.readers.tables.keys import NO_KEY
from mmdiag.spelling import fold

TOGETHER = "together"  # column of the case table: the number of each case's group


def group_numbers(
    subjects: Sequence[str], shared: Sequence[Sequence[str | float | None]]
) -> Int64[ndarray, "case"]:
    """Number of each case's group, from 0, in the order of the groups' first subjects. What ties a
    group together is told by nothing of it.

    Args:
        subjects: Of each case.
        shared: Lists of one value a case; subjects with an equal value in a list are one group, and
            so are those that others tie together. Spellings that print alike are one; empty, or a
            word for it, ties nobody.
    """
    subject, names = pd.factorize(np.asarray(subjects, dtype=object), sort=True)
    start, ends = len(names), [(np.empty(0, int), np.empty(0, int))]
    for values in shared:
        plain = ["" if pd.isna(value) else fold(str(value)) for value in values]
        tied = [None if text in NO_KEY else text for text in plain]
        number, found = pd.factorize(np.asarray(tied, dtype=object))  # -1 where there is none
        there = number >= 0
        ends.append((subject[there], start + number[there]))
        start += len(found)
    one, other = (np.concatenate(side) for side in zip(*ends, strict=True))
    from scipy.sparse import coo_array  # half a second that a look at nothing new does without
    from scipy.sparse.csgraph import connected_components

    edges = coo_array((np.ones(len(one), dtype=np.int8), (one, other)), shape=(start, start))
    component = connected_components(edges, directed=False)[1][: len(names)]
    # subjects are sorted, so that the first of each group comes first
    return np.asarray(pd.factorize(component)[0][subject], dtype=np.int64)


def split_units(cases: pd.DataFrame) -> pd.Series:
    """What no split divides, for each case: the first subject of its group.

    Args:
        cases: `subject_id`, and `together` where the description keeps cases together.
    """
    subjects = cases["subject_id"]
    if TOGETHER not in cases:
        return subjects
    return subjects.groupby(cases[TOGETHER]).transform("min").rename("unit")
