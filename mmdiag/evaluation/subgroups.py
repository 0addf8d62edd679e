"""A model's metrics on the cases of each site and of each value of a group column."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Shaped
from numpy import ndarray

from mmdiag.evaluation.judged import Judged
from mmdiag.spelling import may_be_printed


def by_subgroup(
    judged: Judged, groups: Mapping[str, Shaped[ndarray, "case"]], resamples: int
) -> list[dict[str, Any]]:
    """A row a column, value and metric: `column`, `subgroup`, and what `Judged.measure_part` says.

    Args:
        groups: Column -> its value in each case, "" = unknown. One whose values may not be printed,
            because they are many or long, is left out.
    """
    rows: list[dict[str, Any]] = []
    for column, values in groups.items():
        names = [str(name) for name in np.unique(values) if name]
        if len(names) < 2 or not may_be_printed(names):
            continue
        for name in names:
            found = judged.measure_part(values == name, resamples)
            rows += [{"column": column, "subgroup": name, **row} for row in found]
    return rows
