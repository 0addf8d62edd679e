"""A search is nested: trials see training subjects alone, and the best of them is chosen."""

import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution, IntDistribution
from search_builders import SPACE, TRIALS, quick, tried

from mmdiag.errors import UsageError


def test_trials_learn_from_and_are_judged_by_training_subjects_alone(begun):
    from mmdiag.experiment.run import open_data
    from mmdiag.tuning import trials

    run = begun()
    data = open_data(run)
    subjects = data.cases["subject_id"].to_numpy()
    assert len(run.fits) == 9 and {fit.fold for fit in run.fits} == {"fold-0", "fold-1", "all"}
    for fit in run.fits:
        part, inner = fit.fold, trials.inner_rows(run, data, fit)
        judged = np.concatenate([rows for _, rows in inner])
        assert len(inner) == 3 and len(judged) == len(set(judged)), "every case judges once"
        for train, valid in inner:
            assert not set(subjects[train]) & set(subjects[valid])
            assert set(data.cases["label"].iloc[valid]) == {0.0, 1.0}
            outer = {
                data.split.part[subject] for subject in subjects[np.concatenate([train, valid])]
            }
            assert part not in outer and len(outer) == (2 if part == "all" else 1)


def test_in_a_held_out_design_the_validation_subjects_judge_and_the_test_subjects_do_not(begun):
    from mmdiag.config import EvaluationConfig
    from mmdiag.experiment.fit_id import FitId
    from mmdiag.experiment.run import open_data
    from mmdiag.tuning import trials

    config = dataclasses.replace(quick(), evaluation=EvaluationConfig(holdout_from=10))
    run = begun_without_split(begun, config)
    data = open_data(run)
    ((train, valid),) = trials.inner_rows(run, data, FitId.parse("test.fused"))
    of = data.cases["subject_id"].map(dict(data.split.part)).to_numpy()
    assert set(of[train]) == {"train"} and set(of[valid]) == {"valid"}


def begun_without_split(begun, config):
    """A search on a cohort whose split was not made yet."""
    from mmdiag.tuning import trials

    try:
        original = trials.plan_run

        def start(description, workspace, *rest, **options):
            (workspace.cohort(description.name) / "split.json").unlink()
            return original(description, workspace, *rest, **options)

        trials.plan_run = start
        return begun(config=config)
    finally:
        trials.plan_run = original


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


@pytest.mark.slow
def test_the_choice_is_the_same_whatever_the_judged_subjects_are(begun, monkeypatch):
    from mmdiag.experiment.run import open_data
    from mmdiag.tuning import trials

    calm, blind, seen = begun("calm"), begun("blind"), begun("seen")
    data = open_data(calm)
    fold = data.cases["subject_id"].map(dict(data.split.part)).to_numpy()
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
    from mmdiag.experiment.fit_id import FitId
    from mmdiag.tuning import trials

    run = begun()
    table = tried(run)
    assert (
        table["training.learning_rate"].iloc[0] == quick().training.learning_rate
        and table["model.width"].iloc[0] == 32
    )
    assert len(table) == TRIALS and table["training.learning_rate"].between(3e-4, 3e-2).all()
    chosen = trials.choose(run, FitId.parse("fold-0.fused"))
    best = table.loc[table["loss"].idxmin()]
    assert chosen["loss"] == best["loss"] and chosen["values"] == {
        name: best[name] for name in sorted(SPACE)
    }
    assert (
        run.config_of(FitId.parse("fold-0.fused")).training.learning_rate
        == best["training.learning_rate"]
    )
    with pytest.raises(
        UsageError, match=r"those of fold-1.fused are not: run `mmdiag search` again"
    ):
        run.config_of(FitId.parse("fold-1.fused"))
    with pytest.raises(UsageError, match=r"3 trials, fold-1.fused has 0"):
        trials.choose(run, FitId.parse("fold-1.fused"))


def test_a_modality_is_searched_for_what_its_own_model_has(begun):
    from mmdiag.experiment.fit_id import FitId
    from mmdiag.tuning import trials

    space = {
        **SPACE,
        "fusion": CategoricalDistribution(("gated",)),
        "image.components": IntDistribution(2, 8),
        "text.components": IntDistribution(2, 8),
    }
    run = begun(space=space)
    assert set(trials.space_of(run, FitId.parse("fold-0.fused"))) == set(space)
    assert set(trials.space_of(run, FitId.parse("fold-0.flair"))) == {
        *SPACE,
        "image.components",
    }
    assert set(trials.space_of(run, FitId.parse("fold-0.expression"))) == set(SPACE)
    table = tried(run, "fold-0.flair")
    assert (
        len(table) == TRIALS
        and run.config_of(FitId.parse("fold-0.flair")).image.components
        == table.loc[table["loss"].idxmin(), "image.components"]
    )


def test_a_modality_for_which_nothing_of_the_space_matters_is_not_searched(begun):
    from mmdiag.experiment.fit_id import FitId
    from mmdiag.tuning import trials

    run = begun(space={"fusion": CategoricalDistribution(("gated", "concat"))})
    trials.run_trials(run, FitId.parse("fold-0.flair"))
    assert trials.choose(run, FitId.parse("fold-0.flair")) == {
        "values": {},
        "loss": None,
        "trials": 0,
        "pruned": 0,
    }
    assert run.config_of(FitId.parse("fold-0.flair")) == run.config


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
