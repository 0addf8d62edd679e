"""The blend that is fitted after training, for every family and kind of task."""

import dataclasses

import numpy as np
import pytest
import torch
from model_builders import BINARY, make_preparations, make_raws
from network_builders import make_config, make_model

from mmdiag.task import Task

TASKS = {
    "binary": BINARY,
    "multiclass": Task(kind="multiclass", classes=("a", "b", "c")),
    "survival": Task(kind="survival", cuts=(1.0, 2.0, 3.0)),
}


@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize("chained", ["late", "gated+late"])
def test_the_blend_is_fitted_for_every_kind_of_task_and_lowers_the_loss(kind, chained):
    model, batch = make_model(chained, task=TASKS[kind], cases=120)
    latent = batch.target[:, 0]
    target = {
        "binary": latent[:, None],
        "multiclass": 2 * latent[:, None],
        "survival": torch.stack([3 - 3 * latent, latent], dim=1),
    }[kind]
    batch = dataclasses.replace(batch, target=target)
    model.eval()
    before = model.head.loss(model(batch).logits, target)
    model.finalize([batch.rows(np.arange(60)), batch.rows(np.arange(60, 120))])
    assert model.head.loss(model(batch).logits, target) < before
    assert len(model.fusion.sets.unique(dim=0)) > 2


def test_families_that_are_not_late_have_nothing_to_fit_afterwards(fusion):
    model, batch = make_model(fusion)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.eval().finalize([batch])
    changed = {
        name for name, value in model.state_dict().items() if not torch.equal(value, before[name])
    }
    assert changed == (
        {"fusion.scale", "fusion.shift", "fusion.offset", "fusion.sets"}
        if "late" in fusion
        else set()
    )


def test_a_settled_network_comes_back_from_its_bundle(fusion, tmp_path):
    from mmdiag.inference.bundle import Bundle
    from mmdiag.privacy.subject_keys import SubjectKeys

    model, batch = make_model(fusion)
    model.eval().finalize([batch])
    config = make_config(fusion)
    patterns = frozenset({frozenset({"flair"}), frozenset({"flair", "report"})})
    preparations = make_preparations(make_raws(40, missing=0.4)[0], config)
    bundle = Bundle(
        config=config,
        model=model,
        preparations=preparations,
        task=BINARY,
        kinds={name: found.kind for name, found in preparations.items()},
        cohort={"name": "n", "hash": "h"},
        trained_on=SubjectKeys("", frozenset()),
        patterns=patterns,
    )
    loaded = Bundle.load(bundle.save(tmp_path)[1])
    with torch.inference_mode():
        assert torch.equal(loaded.model(batch).logits, model(batch).logits)
    assert loaded.met(["report", "flair"]) and not loaded.met(["report"]) and not loaded.met([])
