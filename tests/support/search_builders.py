"""Searches of few short trials."""

import dataclasses

import pandas as pd
from optuna.distributions import CategoricalDistribution, FloatDistribution

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

    config = default(fusion="concat", seed=5).as_one_network()
    settings = dataclasses.replace(config.training, **({"max_epochs": 6} | training))
    return dataclasses.replace(
        config, training=settings, evaluation=EvaluationConfig(folds=2, resamples=50)
    )


def tried(run, fit="fold-0.fused"):
    """The trials of a model, without what time they took."""
    from mmdiag.experiment.fit_id import FitId
    from mmdiag.tuning import trials

    trials.run_trials(run, FitId.parse(fit))
    trials.choose(run, FitId.parse(fit))
    return pd.read_parquet(run.folder / "search" / f"{fit}.parquet").drop(columns="seconds")
