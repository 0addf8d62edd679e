"""Small prepared cohorts for tests of networks and training: three modalities with a known linear
signal.
"""

import numpy as np

from mmdiag.task import Task


def make_raws(cases: int = 60, *, seed: int = 0, missing: float = 0.0):
    """Raw features as the extractors give them, and labels that follow from all three
    modalities.
    """
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(cases, 3))
    slices = [(rng.normal(size=(4, 6)) + latent[i, 0]).astype(np.float32) for i in range(cases)]
    sentences = [
        np.concatenate([rng.normal(size=(5, 8)) + latent[i, 1], np.ones((5, 1))], axis=1).astype(
            np.float32
        )
        for i in range(cases)
    ]
    table = (rng.normal(size=(cases, 20)) + latent[:, 2:3]).astype(np.float32)
    raws = {"flair": list(slices), "report": list(sentences), "expression": list(table)}
    for name in raws:
        raws[name] = [None if rng.random() < missing else raw for raw in raws[name]]
    for i in range(cases):
        if all(raws[name][i] is None for name in raws):
            raws["flair"][i] = slices[i]
    label = (latent.sum(axis=1) + 0.3 * rng.normal(size=cases) > 0).astype(float)
    return raws, label


KINDS = {"flair": "image", "report": "text", "expression": "table"}


def make_preparations(raws, config):
    from mmdiag.prepare import fit_preparation

    columns = [f"G{i}" for i in range(20)]
    return {
        name: fit_preparation(
            KINDS[name],
            [raw for raw in raws[name] if raw is not None],
            config,
            columns=columns if name == "expression" else (),
        )
        for name in raws
    }


def make_batches(raws, label, preparations, rows, *, shuffle=False, seed=0, batch_size=16):
    from mmdiag.prepare.batches import batch_of, prepare_samples
    from mmdiag.samples import Batches

    target = label[rows] if label.ndim == 2 else label[rows][:, None]
    whole = batch_of(
        preparations, prepare_samples(preparations, raws, np.asarray(rows).tolist()), target
    )
    return Batches(
        whole.rows, len(rows), batch_size=batch_size, shuffle=shuffle, seed=seed, block=2
    )


BINARY = Task(kind="binary", classes=("no", "yes"), label="label")
