"""Two processes train what one does: the same losses, the same bundle form; one process alone is
left as it is.
"""

import dataclasses
import shutil

import numpy as np
import pandas as pd
import pytest
from special_files import plant_modules
from training_builders import Told

from mmdiag.errors import UsageError
from mmdiag.failures import StepFailed


def without_chance(epochs, **training):
    """A configuration whose steps draw nothing, so that it does not matter which process a case
    falls to.
    """
    from mmdiag.recipes import default

    config = default(fusion="modality_attention", seed=2).as_one_network()
    settings = dataclasses.replace(
        config.training, max_epochs=epochs, modality_dropout=0.0, **training
    )
    return dataclasses.replace(
        config, training=settings, model=dataclasses.replace(config.model, dropout=0.0)
    )


@pytest.fixture
def begin(small_run, tmp_path):
    """Begin a run on a copy of the small cohort; `begin(name, config)` gives its run."""
    from mmdiag.description import read_description
    from mmdiag.experiment.plan import plan_run
    from mmdiag.workspace import Workspace

    def begin(name, config):
        place = tmp_path / name
        shutil.copytree(
            small_run.workspace.path, place, ignore=shutil.ignore_patterns("runs", "bundles")
        )
        return plan_run(
            read_description(small_run.cohort / "cohort.toml"), Workspace(place), config
        )

    return begin


@pytest.mark.slow
def test_two_processes_have_the_losses_of_one(begin):
    from mmdiag.experiment.fit import fit
    from mmdiag.experiment.fit_id import FitId
    from mmdiag.workers import launch

    config = without_chance(6, batch_size=7)  # 7 is odd: the two processes have unequal shares
    alone, together = begin("alone", config), begin("together", config)
    progress = Told()
    name = FitId.parse("fold-0.fused")
    fit(alone, name)
    launch.fit(together, name, 2, progress)
    one, two = (
        pd.read_parquet(run.fit_folder(name) / "curve.parquet") for run in (alone, together)
    )
    assert progress == list(range(1, 7)) and len(one) == 6
    for column in ("train_loss", "valid_loss", "valid_metric"):
        np.testing.assert_allclose(two[column], one[column], atol=1e-5)
    answers = [run.predictions(name)["probability"] for run in (alone, together)]
    np.testing.assert_allclose(*answers, atol=1e-4)


@pytest.mark.slow
def test_a_process_that_fails_is_said_in_one_sentence(begin, tmp_path, monkeypatch):
    from mmdiag.experiment.fit_id import FitId
    from mmdiag.workers import launch

    ran = plant_modules(tmp_path / "planted")
    monkeypatch.chdir(tmp_path / "planted")
    run = begin("broken", without_chance(2))
    with pytest.raises(StepFailed, match=r"should not have: \w+ at mmdiag/"):
        launch.fit(run, FitId.parse("fold-0.nothing"), 2)
    assert not ran.exists(), "no file of the current folder is run as a module"


def test_more_processes_than_devices_are_refused(begin, monkeypatch):
    import torch

    from mmdiag.experiment.fit_id import FitId
    from mmdiag.workers import launch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UsageError, match=r"2 were asked for and 1 are here"):
        launch.fit(begin("few", without_chance(2)), FitId.parse("fold-0.fused"), 2)


def test_shares_of_a_batch_are_all_of_its_cases_and_a_case_too_few_counts_for_nothing():
    import torch

    from mmdiag.samples import Batch, Batches

    whole = Batch({}, {}, torch.arange(7.0)[:, None])
    seen = []
    for rank in range(3):
        rows = Batches(whole.rows, 7, batch_size=5, block=2)
        rows.share(rank, 3)
        seen.append([batch.target[:, 0].tolist() for batch in rows])
    assert [len(parts) for parts in seen] == [2, 2, 2]
    values = [value for parts in seen for part in parts for value in part]
    assert (
        sorted(value for value in values if value == value) == list(range(7))
        and sum(value != value for value in values) == 1
    )
