"""What inside its modalities moved the answer for one case; how for each kind:
`explain.kinds`.
"""

from dataclasses import dataclass, field
from typing import Any

from jaxtyping import Float
from numpy import ndarray

from mmdiag.explain.probe import Explanation, OcclusionProbe
from mmdiag.inference.bundle import Bundle
from mmdiag.kinds import KINDS, kind_named
from mmdiag.samples import Sample
from mmdiag.storage.store import Store


def _nothing() -> dict[str, dict[str, Any]]:
    """Every kind that is explained by values, so that a reader finds each."""
    return {name: {} for name, kind in KINDS.items() if kind.drawn_as != "image"}


@dataclass(frozen=True, slots=True)
class CaseExplanation:
    """What is kept of one case.

    Args:
        heat: For each image modality a signed map (slice, row, column) on a coarse grid; for each
            signal a signed row, one value a window of equal length.
        values: Kind -> modality -> what is explained of it: of a note the `spans` (start, end,
            weight), of a table its `genes` and `groups`, of a signal its windows, of an
            embedding its vectors.
    """

    heat: dict[str, Float[ndarray, "..."]] = field(default_factory=dict)
    values: dict[str, dict[str, Any]] = field(default_factory=_nothing)


def explain_within(bundle: Bundle, store: Store, row: int, sample: Sample) -> CaseExplanation:
    """Explain one case.

    Args:
        row: Its row in `store.cases`.
        sample: Its prepared arrays.
    """
    found = CaseExplanation()
    probe = OcclusionProbe(bundle, sample)
    for name in sample:
        kind = kind_named(bundle.kinds[name])
        explained: Explanation = kind.explain(probe, store, name, row)
        if explained.heat is not None:
            found.heat[name] = explained.heat
        if explained.values is not None:
            found.values.setdefault(kind.name, {})[name] = explained.values
    return found
