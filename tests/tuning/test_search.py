"""A search is nested: trials see training subjects alone; killed at any moment it ends as if it had
not been; what it chose is what is trained.
"""

import dataclasses
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from mmdiag.errors import MmdiagError, UsageError

SPACE = {
    "training.learning_rate": FloatDistribution(3e-4, 3e-2, log=True),
    "model.width": CategoricalDistribution((16, 32)),
}
TRIALS = 3


def quick(**training):
    """A configuration whose trainings take part of a second, and whose cross-validation has two
    folds.
    """
    from mmdiag.config import EvaluationConfig
    from mmdiag.recipes import default

    config = default(seed=5)
    settings = dataclasses.replace(config.training, **({"max_epochs": 6} | training))
    return dataclasses.replace(
        config, training=settings, evaluation=EvaluationConfig(folds=2, resamples=50)
    )


@pytest.fixture(scope="module")
def ingested(tmp_path_factory):
    """A phantom that was ingested, its features stored; nobody may change it."""
    from mmdiag import api
    from mmdiag.description import read_description
    from mmdiag.experiment.run import open_data
    from mmdiag.phantom import write_phantom
    from mmdiag.storage.ledger import Ledger
    from mmdiag.tuning import trials
    from mmdiag.workspace import Workspace

    place = tmp_path_factory.mktemp("search")
    write_phantom(place / "cohort", cases=40, seed=4, missing=0.1)
    description, workspace = (
        read_description(place / "cohort" / "cohort.toml"),
        Workspace(place / "workspace"),
    )
    workspace.path.mkdir()
    api.ingest(description, workspace, Ledger(workspace.ledger_url))
    open_data(trials.start(description, workspace, quick(), 1, SPACE))
    return description, workspace


@pytest.fixture
def begun(ingested, tmp_path):
    """Begin a search on a copy; `begun(name)` gives its folder."""
    from mmdiag.tuning import trials
    from mmdiag.workspace import Workspace

    description, workspace = ingested

    def begin(name="w", config=None, n_trials=TRIALS, **options):
        shutil.copytree(workspace.path, tmp_path / name, ignore=shutil.ignore_patterns("runs"))
        return trials.start(
            description,
            Workspace(tmp_path / name),
            config or quick(),
            n_trials,
            options.pop("space", SPACE),
            **options,
        )

    return begin


def tried(folder, part="fold-0.fused"):
    """The trials of a model, without what time they took."""
    from mmdiag.tuning import trials

    trials.run_trials(folder, part)
    trials.choose(folder, part)
    return pd.read_parquet(folder / "search" / f"{part}.parquet").drop(columns="seconds")


def test_trials_learn_from_and_are_judged_by_training_subjects_alone(begun):
    from mmdiag.experiment import fit
    from mmdiag.experiment.run import Run, open_data
    from mmdiag.tuning import trials

    folder = begun()
    run, data = Run.open(folder), open_data(folder)
    subjects = data.cases["subject_id"].to_numpy()
    names = fit.fits(folder)
    assert len(names) == 9 and {name.split(".")[0] for name in names} == {"fold-0", "fold-1", "all"}
    for name in names:
        part, inner = name.split(".")[0], trials.inner_rows(run, data, name)
        judged = np.concatenate([rows for _, rows in inner])
        assert len(inner) == 3 and len(judged) == len(set(judged)), "every case judges once"
        for train, valid in inner:
            assert not set(subjects[train]) & set(subjects[valid])
            assert set(data.cases["label"].iloc[valid]) == {0.0, 1.0}
            outer = {data.parts[subject] for subject in subjects[np.concatenate([train, valid])]}
            assert part not in outer and len(outer) == (2 if part == "all" else 1)


def test_in_a_held_out_design_the_validation_subjects_judge_and_the_test_subjects_do_not(begun):
    from mmdiag.config import EvaluationConfig
    from mmdiag.experiment.run import Run, open_data
    from mmdiag.tuning import trials

    config = dataclasses.replace(quick(), evaluation=EvaluationConfig(holdout_from=10))
    folder = begun_without_split(begun, config)
    run, data = Run.open(folder), open_data(folder)
    ((train, valid),) = trials.inner_rows(run, data, "test.fused")
    of = data.cases["subject_id"].map(dict(data.parts)).to_numpy()
    assert set(of[train]) == {"train"} and set(of[valid]) == {"valid"}


def begun_without_split(begun, config):
    """A search on a cohort whose split was not made yet."""
    from mmdiag.tuning import trials

    try:
        original = trials.fit.start

        def start(description, workspace, *rest, **options):
            (workspace.cohort(description.name) / "split.json").unlink()
            return original(description, workspace, *rest, **options)

        trials.fit.start = start
        return begun(config=config)
    finally:
        trials.fit.start = original


def spoiled(data, rows):
    """The cohort with the labels of some cases turned round, and nothing but noise in their
    features.
    """
    rng = np.random.default_rng(0)
    cases = data.cases.copy()
    cases.loc[cases.index[rows], "label"] = 1 - cases["label"].iloc[rows]
    raws = {
        name: [
            rng.normal(size=raw.shape).astype(raw.dtype)
            if raw is not None and row in set(rows)
            else raw
            for row, raw in enumerate(values)
        ]
        for name, values in data.raws.items()
    }
    return dataclasses.replace(data, cases=cases, raws=raws)


def test_the_choice_is_the_same_whatever_the_judged_subjects_are(begun, monkeypatch):
    from mmdiag.experiment.run import open_data
    from mmdiag.tuning import trials

    calm, blind, seen = begun("calm"), begun("blind"), begun("seen")
    data = open_data(calm)
    fold = data.cases["subject_id"].map(dict(data.parts)).to_numpy()
    found = tried(calm)
    monkeypatch.setattr(
        trials, "open_data", lambda *_: spoiled(data, np.flatnonzero(fold == "fold-0"))
    )
    pd.testing.assert_frame_equal(tried(blind), found, check_exact=True)
    monkeypatch.setattr(
        trials, "open_data", lambda *_: spoiled(data, np.flatnonzero(fold == "fold-1"))
    )
    assert not np.allclose(tried(seen)["loss"], found["loss"]), (
        "those who are learned from do have a say"
    )


def test_the_recipe_itself_is_the_first_trial_and_the_best_is_chosen(begun):
    from mmdiag.experiment.run import Run
    from mmdiag.tuning import trials

    folder = begun()
    table = tried(folder)
    assert (
        table["training.learning_rate"].iloc[0] == quick().training.learning_rate
        and table["model.width"].iloc[0] == 32
    )
    assert len(table) == TRIALS and table["training.learning_rate"].between(3e-4, 3e-2).all()
    chosen = trials.choose(folder, "fold-0.fused")
    best = table.loc[table["loss"].idxmin()]
    assert chosen["loss"] == best["loss"] and chosen["values"] == {
        name: best[name] for name in sorted(SPACE)
    }
    assert (
        Run.open(folder).config_of("fold-0.fused").training.learning_rate
        == best["training.learning_rate"]
    )
    with pytest.raises(
        UsageError, match=r"those of fold-1.fused are not: run `mmdiag search` again"
    ):
        Run.open(folder).config_of("fold-1.fused")
    with pytest.raises(UsageError, match=r"3 trials, fold-1.fused has 0"):
        trials.choose(folder, "fold-1.fused")


def test_a_modality_is_searched_for_what_its_own_model_has(begun):
    from mmdiag.experiment.run import Run
    from mmdiag.tuning import trials

    space = {
        **SPACE,
        "fusion": CategoricalDistribution(("gated",)),
        "image.components": IntDistribution(2, 8),
        "text.components": IntDistribution(2, 8),
    }
    folder = begun(space=space)
    run = Run.open(folder)
    assert set(trials.space_of(run, "fold-0.fused")) == set(space)
    assert set(trials.space_of(run, "fold-0.flair")) == {*SPACE, "image.components"}
    assert set(trials.space_of(run, "fold-0.expression")) == set(SPACE)
    table = tried(folder, "fold-0.flair")
    assert (
        len(table) == TRIALS
        and run.config_of("fold-0.flair").image.components
        == table.loc[table["loss"].idxmin(), "image.components"]
    )


def test_a_modality_for_which_nothing_of_the_space_matters_is_not_searched(begun):
    from mmdiag.experiment.run import Run
    from mmdiag.tuning import trials

    folder = begun(space={"fusion": CategoricalDistribution(("gated", "concat"))})
    trials.run_trials(folder, "fold-0.flair")
    assert trials.choose(folder, "fold-0.flair") == {
        "values": {},
        "loss": None,
        "trials": 0,
        "pruned": 0,
    }
    assert Run.open(folder).config_of("fold-0.flair") == Run.open(folder).config


class Killed(Exception):
    """Stands for a SIGKILL in the middle of a trial."""


@pytest.mark.parametrize("number", [1, 5])
def test_a_trial_that_was_killed_does_not_count_and_is_made_again(begun, monkeypatch, number):
    from mmdiag.tuning import trials

    calm, killed = tried(begun("calm")), begun("killed")
    learn, calls = trials.fit.learn, []

    def dies(*arguments, **options):
        calls.append(1)
        if len(calls) == number:  # of three inner trainings a trial
            raise Killed
        return learn(*arguments, **options)

    with monkeypatch.context() as context:
        context.setattr(trials.fit, "learn", dies)
        with pytest.raises(Killed):
            trials.run_trials(killed, "fold-0.fused")
    pd.testing.assert_frame_equal(tried(killed), calm, check_exact=True)


def test_a_process_that_was_killed_leaves_a_search_that_ends_the_same(begun):
    calm, killed = tried(begun("calm")), begun("killed")
    code = (
        "from mmdiag.tuning import trials; from pathlib import Path; "
        f"trials.run_trials(Path({str(killed)!r}), 'fold-0.fused')"
    )
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code], env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    deadline = time.monotonic() + 120
    while (
        not list(killed.glob("search/trial-*/*"))
        and process.poll() is None
        and time.monotonic() < deadline
    ):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.returncode == -signal.SIGKILL, "it was at work"
    pd.testing.assert_frame_equal(tried(killed), calm, check_exact=True)


def test_a_part_is_searched_by_one_process_at_a_time(begun):
    from mmdiag.experiment.run import Run
    from mmdiag.tuning import trials
    from mmdiag.tuning.study import open_study

    folder = begun()
    with (
        open_study(Run.open(folder), "fold-0.fused"),
        pytest.raises(MmdiagError, match=r"another one is at fold-0.fused"),
    ):
        trials.run_trials(folder, "fold-0.fused")


def test_a_record_that_cannot_be_written_is_said_with_its_cure(begun, monkeypatch):
    import optuna

    from mmdiag.tuning import trials

    def full(*_):
        raise optuna.exceptions.StorageInternalError("disk I/O error")

    folder = begun()
    monkeypatch.setattr(trials, "_trial", full)
    with pytest.raises(
        MmdiagError, match=r"could not be written: free some space, and run again"
    ) as raised:
        trials.run_trials(folder, "fold-0.fused")
    assert raised.value.exit_code == 1


def test_a_trial_without_prospect_is_pruned():
    import optuna

    from mmdiag.tuning.pruning import LEAST_EPOCHS, UNPRUNED, PruningWatch

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        pruner=optuna.pruners.MedianPruner(n_startup_trials=UNPRUNED, n_warmup_steps=LEAST_EPOCHS)
    )
    ended = []

    def train(loss):
        trial = study.ask()
        watch = PruningWatch(trial, [])
        for epoch in range(1, 21):
            watch.look(
                SimpleNamespace(
                    state=SimpleNamespace(epoch=epoch, metrics={"valid_loss": loss}),
                    terminate=lambda: ended.append(loss),
                )
            )
            if watch.pruned:
                return epoch
        study.tell(trial, loss)
        return 0

    assert [train(0.5 + 0.01 * i) for i in range(UNPRUNED)] == [0] * UNPRUNED
    assert train(0.9) == LEAST_EPOCHS and ended == [0.9]
    assert train(0.4) == 0
    assert train(math.nan) == LEAST_EPOCHS, "a loss that is no number has no prospect"


def test_the_loss_of_a_trial_is_that_of_the_weights_that_are_kept():
    from mmdiag.training.early_stopping import Epoch
    from mmdiag.tuning.pruning import best_epoch_loss

    curve = [
        Epoch(1, 0.7, 0.6, 0.5),
        Epoch(2, 0.6, 0.4, 0.7),
        Epoch(3, 0.5, math.nan, 0.9),
        Epoch(4, 0.5, 0.5, 0.8),
    ]
    assert best_epoch_loss(curve, "loss") == 0.4 and best_epoch_loss(curve, "auroc") == 0.5
    assert (
        best_epoch_loss([dataclasses.replace(row, valid_metric=math.nan) for row in curve], "auroc")
        == 0.4
    )
    assert best_epoch_loss([Epoch(1, 0.7, math.nan, 0.5)], "loss") == math.inf


def test_a_search_ends_with_models_trained_on_what_it_chose(ingested, tmp_path, monkeypatch):
    import mmdiag
    from mmdiag.explain import run as explanations
    from mmdiag.inference.bundle import Bundle
    from mmdiag.workspace import Workspace

    description, workspace = ingested
    shutil.copytree(workspace.path, tmp_path / "w", ignore=shutil.ignore_patterns("runs"))
    monkeypatch.setattr(explanations, "chunks", lambda _: [])
    told = []
    cohort = mmdiag.Cohort(description, Workspace(tmp_path / "w"))
    space = {**SPACE, "fusion": CategoricalDistribution(("gated", "low_rank"))}
    found = mmdiag.search(
        cohort, quick(), space=space, trials=2, progress=lambda *said: told.append(said)
    )
    fused = {name: values for name, values in found.chosen.items() if name.endswith(".fused")}
    assert set(fused) == {"fold-0.fused", "fold-1.fused", "all.fused"} and all(
        set(values) == set(space) for values in fused.values()
    )
    assert set(found.chosen) == {
        *fused,
        *(f"fold-{i}.{m}" for i in (0, 1) for m in ("flair", "report", "expression")),
    }
    assert all(
        set(values) == set(SPACE) for name, values in found.chosen.items() if name not in fused
    ), "one modality has nothing to fuse"
    config = Bundle.load(found.bundle.path).config
    assert (
        config.model.width == found.chosen["all.fused"]["model.width"]
        and config.fusion == found.chosen["all.fused"]["fusion"]
    )
    rows = [row for row in found.metrics if row["model"] == "fused"]
    families = {values["fusion"] for values in fused.values()}
    assert rows[0]["n"] == 40 and rows[0]["low"] <= rows[0]["value"] <= rows[0]["high"]
    assert rows[0]["fusion"] == (families.pop() if len(families) == 1 else "searched")
    assert len(pd.read_parquet(found.trials)) == 18
    assert [said[1:3] for said in told if said[0] == "search"][-1] == (9, 9)
    began = time.monotonic()
    again = mmdiag.search(cohort, quick(), space=space, trials=2)
    assert (
        again.chosen == found.chosen
        and again.bundle == found.bundle
        and time.monotonic() - began < 20
    ), "nothing is repeated"
    show(found, tmp_path)


def show(found, tmp_path):
    """The table of what was chosen can be drawn."""
    from mmdiag.cli.show import show_search

    fits = {
        name: {"values": values, "loss": 0.5, "trials": 2, "pruned": 0}
        for name, values in found.chosen.items()
    }
    show_search(
        {
            "search": {"trials": 2, "fits": fits},
            "metrics": found.metrics,
            "cohort": {"name": "c"},
            "modalities": {},
            "seconds": 1.0,
            "cases": {"in": 40, "accepted": 40, "quarantined": 0, "labelled": 40},
            "bundle": {"id": "b", "path": "p"},
            "predictions": "p",
            "workspace": str(tmp_path),
        }
    )


@pytest.mark.usefixtures("prefect_server")
def test_the_flow_makes_the_same_trials_in_batches(begun, monkeypatch):
    from prefect import flow

    from flows import search as searching
    from mmdiag.experiment import fit
    from mmdiag.tuning import trials

    monkeypatch.setattr(searching, "BATCH", 1)
    monkeypatch.setenv("MMDIAG_PROCESSES", "2")
    config = quick(max_epochs=1)
    plain, flowing = begun("plain", config, 2), begun("flowing", config, 2)
    monkeypatch.setenv("MMDIAG_WORKSPACE", str(flowing.parent.parent))

    @flow(name="test-search", persist_result=False)
    def alone(run: Path) -> dict:
        return searching.search_all(run)

    found = alone(flowing)
    for name in fit.fits(plain):
        trials.run_trials(plain, name)
    assert found["fits"] == trials.summary(plain)["fits"] and found["trials"] == 2


def test_a_gpu_is_waited_for_and_a_machine_without_one_waits_for_nothing(monkeypatch):
    import contextlib

    import torch

    from flows import search as searching

    asked = []

    @contextlib.contextmanager
    def concurrency(name, **options):
        asked.append((name, options))
        yield

    monkeypatch.setattr(searching, "concurrency", concurrency)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with searching.gpu_slot():
        assert asked == []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with searching.gpu_slot():
        assert asked == [("gpu", {"occupy": 1, "strict": False})]


def test_the_command_teaches_and_refuses_wrong_use(mmdiag_command, tmp_path):
    told = mmdiag_command("search", "--help").stdout
    assert (
        "no judged subject had a say" in " ".join(told.split())
        and "--trials" in told
        and "mmdiag search --cohort cohort.toml" in told
    )
    done = mmdiag_command("search", "--cohort", tmp_path / "none.toml", "--trials", 0)
    assert done.returncode == 2 and "--trials" in done.stderr and not list(tmp_path.iterdir())
