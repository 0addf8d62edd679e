"""Which columns and groups of a table moved the answer: gradient times input, through what is
fitted of them.
"""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float, Shaped
from numpy import ndarray

from mmdiag.explain.probe import Explanation, OcclusionProbe
from mmdiag.inference.bundle import Bundle
from mmdiag.inference.columns import align
from mmdiag.prepare import Preparation
from mmdiag.prepare.batches import batch_of
from mmdiag.readers.tables.categories import known_categories
from mmdiag.samples import Sample
from mmdiag.storage.store import Store

TOP_GENES = 20


def explain_table(probe: OcclusionProbe, store: Store, name: str, row: int) -> Explanation:
    """The columns and groups that moved the answer most."""
    preparation = probe.bundle.preparations[name]
    table = align(store, name, preparation).values
    values = table[row]
    if preparation.categories:
        values = known_categories(values, preparation.columns, preparation.categories)
    assert preparation.summary is not None
    z = preparation.summary.standardise(values[None])[0]
    weight, groups = _weights(preparation, z, _gradients(probe.bundle, name, probe.sample))
    top = np.argsort(-np.abs(weight), kind="stable")[:TOP_GENES]
    cohort = table[:, top]
    with np.errstate(invalid="ignore"):
        below = np.nanmean(np.where(np.isfinite(cohort), cohort < values[top], np.nan), axis=0)
    genes = [
        {
            "name": preparation.columns[i],
            "z": round(float(z[i]), 3),
            "percentile": round(100 * float(share), 1) if np.isfinite(values[i]) else None,
            "weight": round(float(weight[i]), 5),
        }
        for i, share in zip(top, below, strict=True)
    ]
    order = np.argsort(-np.abs(groups), kind="stable")[:TOP_GENES]
    named = [{"name": preparation.groups[i], "weight": round(float(groups[i]), 5)} for i in order]
    return Explanation({"genes": genes, "groups": named})


def _weights(
    preparation: Preparation,
    z: Float[ndarray, "column"],
    gradients: Mapping[str, Shaped[ndarray, "..."]],
) -> tuple[Float[ndarray, "column"], Float[ndarray, "group"]]:
    """What each column moved the answer by, and each group by its columns."""
    if preparation.detail is None:
        name = "row" if "row" in gradients else "columns"
        direct = z * gradients[name]
        if "summary" not in gradients or preparation.summary is None:
            return direct, np.zeros(0)
        return direct + z * (preparation.summary.components @ gradients["summary"]), np.zeros(0)
    assert preparation.summary is not None
    weight = z * (
        preparation.summary.components @ gradients["summary"]
        + preparation.detail.components @ gradients["detail"].ravel()
    )
    parts = preparation.detail.components.reshape(len(weight), len(preparation.groups), -1)
    members = np.abs(parts).sum(axis=2) > 0
    return weight, weight @ members


def _gradients(bundle: Bundle, name: str, sample: Sample) -> dict[str, Shaped[ndarray, "..."]]:
    """Gradient of the log-odds by each array of one modality."""
    batch = batch_of(bundle.preparations, [sample])
    arrays: Mapping[str, torch.Tensor] = {
        key: array.requires_grad_()
        for key, array in batch.values[name].items()
        if array.is_floating_point()
    }
    logits = bundle.model(batch).logits
    chosen = bundle.model.head.probability(logits).argmax(dim=1)
    bundle.model.head.log_odds(logits, chosen).sum().backward()  # type: ignore[no-untyped-call]
    bundle.model.zero_grad(set_to_none=True)
    return {
        key: (torch.zeros_like(array) if array.grad is None else array.grad)[0].numpy()
        for key, array in arrays.items()
    }
