"""What inside its modalities moved the answer for one case; how for each kind: `explain.kinds`."""

from typing import Any

from mmdiag.explain.parts import DIGITS, CaseParts, rounded
from mmdiag.explain.within.probe import Explanation, Probe
from mmdiag.inference.bundle import Bundle
from mmdiag.kinds import kind_named
from mmdiag.samples import Sample
from mmdiag.storage.store import Store


def explain_within(bundle: Bundle, store: Store, row: int, sample: Sample) -> CaseParts:
    """Explain one case.

    Args:
        row: Its row in `store.cases`.
        sample: Its prepared arrays.
    """
    found = CaseParts()
    probe = Probe(bundle, sample)
    found.interaction.update(_interaction(probe))
    for name in sample:
        explained: Explanation = kind_named(bundle.kinds[name]).explain(probe, store, name, row)
        found.parts[name] = [rounded(part) for part in explained.parts]
        if explained.groups:
            found.groups[name] = [rounded(part) for part in explained.groups]
        found.gap[name] = float(explained.gap)
        found.contributions[name] = float(explained.contribution)
    return found


def _interaction(probe: Probe) -> dict[str, Any]:
    """The matrix of the modalities that the case has."""
    names = [name for name in probe.model.modalities if name in probe.sample]
    rows = [list(probe.model.modalities).index(name) for name in names]
    matrix = probe.interactions()[rows][:, rows]
    return {
        "modalities": names,
        "matrix": [[round(v, DIGITS) for v in row] for row in matrix.tolist()],
    }
