"""Pretraining helps where labels are few and an encoder has much to learn."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from pretrain_builders import forget_labels


def without_notes(folder: Path) -> None:
    text = (folder / "cohort.toml").read_text()
    start, end = text.index("[modalities.report]"), text.index("[modalities.expression]")
    (folder / "cohort.toml").write_text(text[:start] + text[end:])


def ingested(folder, workspace, *, labelled, **options):
    """A phantom without notes of which only the first cases still have their label, ingested, and
    what the labels of all were.
    """
    from mmdiag import api
    from mmdiag.description import read_description
    from mmdiag.phantom import write_phantom
    from mmdiag.storage.ledger import Ledger
    from mmdiag.storage.store import Store

    write_phantom(folder, signal="redundant", **options)
    without_notes(folder)
    labels = pd.read_csv(folder / "cases.csv").set_index("case_id")["label"].astype(float)
    forget_labels(folder, range(labelled, options["cases"]))
    description = read_description(folder / "cohort.toml")
    api.ingest(description, workspace, Ledger(workspace.ledger_url))
    store = Store.open(workspace, description.name)
    return description, store, labels.reindex(store.cases["case_id"]).to_numpy()


@pytest.mark.slow
def test_with_24_labels_a_network_over_genes_that_was_aligned_with_the_images_of_300_cases_judges_new_cases_better(
    tmp_path, monkeypatch
):
    from mmdiag.experiment.fit import learn
    from mmdiag.experiment.run import RunData
    from mmdiag.phantom.latent import auroc
    from mmdiag.prepare import extractor
    from mmdiag.prepare.batches import batch_of, prepare_samples
    from mmdiag.prepare.feature_cache import raw_features
    from mmdiag.pretraining import run
    from mmdiag.pretraining.weights import pretrained_init
    from mmdiag.recipes import default
    from mmdiag.workspace import Workspace

    monkeypatch.setattr(run, "LEAST", {"contrastive": 100})
    config, workspace = default(fusion="concat").as_one_network(), Workspace(tmp_path / "workspace")
    config = dataclasses.replace(config, table=dataclasses.replace(config.table, encoder="mlp"))
    description, store, label = ingested(
        tmp_path / "cohort", workspace, labelled=24, cases=300, seed=11, missing=0.1
    )
    _, new, truth = ingested(tmp_path / "new", workspace, labelled=200, cases=200, seed=12)
    folder = run.start(description, workspace, config, ["contrastive"], epochs=40)
    for unit in run.units(folder):
        run.pretrain(folder, unit)
    run.finish(folder)
    pretrained = dataclasses.replace(config, pretrained=folder.name)

    def data_of(store, label):
        raws = {
            name: raw_features(store, name, extractor(kind, config))
            for name, kind in store.modalities.items()
        }
        cases = store.cases.assign(label=label)
        return RunData(dataclasses.replace(store, cases=cases), cases, raws, {})

    data, others = data_of(store, label), data_of(new, truth)

    def judged(config, begin, rows, name):
        learned = learn(
            data, config, ["expression"], rows[:18], rows[18:], tmp_path / name, begin=begin
        )
        with torch.no_grad():
            batch = batch_of(
                learned.preparations,
                prepare_samples(learned.preparations, others.raws, list(range(len(truth)))),
            )
            return auroc(truth.astype(bool), learned.trained.model(batch).logits[:, 0].numpy())

    gains = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        ones, noughts = (
            rng.permutation(np.flatnonzero((label == value) & store.present("expression")))
            for value in (1, 0)
        )
        rows = np.concatenate([ones[:9], noughts[:9], ones[9:12], noughts[9:12]])
        plain, aligned = (
            dataclasses.replace(config, seed=seed),
            dataclasses.replace(pretrained, seed=seed),
        )
        begin = pretrained_init(pretrained, workspace, "all", ["expression"])
        gains.append(judged(aligned, begin, rows, "aligned") - judged(plain, None, rows, "plain"))
    error = np.std(gains, ddof=1) / np.sqrt(len(gains))
    assert np.mean(gains) > 0.03 and np.mean(gains) > 2 * error, f"{np.round(gains, 3)}"
