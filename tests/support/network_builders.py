"""Networks at their beginning, and a batch of cases for them."""

import dataclasses

import numpy as np
import torch
from model_builders import BINARY, make_batches, make_preparations, make_raws


def make_config(fusion="concat", **training):
    from mmdiag.config import RunConfig

    config = RunConfig(fusion=fusion, seed=3)
    return dataclasses.replace(config, training=dataclasses.replace(config.training, **training))


def make_model(fusion="concat", *, task=BINARY, cases=40, missing=0.4, **training):
    """A model at its beginning, and a batch of cases of which many lack something."""
    from mmdiag.model.network import DiagnosisModel

    config = make_config(fusion, **training)
    raws, label = make_raws(cases, missing=missing)
    prepared = make_preparations(raws, config)
    torch.manual_seed(0)
    return DiagnosisModel(config, prepared, task), make_batches(
        raws, label, prepared, np.arange(cases)
    ).take(np.arange(cases))
