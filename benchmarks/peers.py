"""What a plain method says out of fold on the same cases and stored features as a run's fused
models: it shows what these labels allow.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegressionCV
from sklearn.model_selection import GridSearchCV, PredefinedSplit

from mmdiag.experiment import fit as comparison
from mmdiag.experiment.run import FUSED, Run, RunData, open_data
from mmdiag.inference.bundle import Bundle
from mmdiag.prepare.batches import batch_of, prepare_samples

Features = Mapping[str, np.ndarray]  # (case, feature) of each modality
Present = Mapping[str, np.ndarray]  # (case,) whether a case has it
Answer = Callable[
    [RunData, Features, Present, np.ndarray, np.ndarray], np.ndarray
]  # features, present, seen and judged rows -> what is said of the judged


def logistic_regression(run: Path) -> pd.Series:
    """Chance of the positive label by case: a logistic regression on all features and masks, whose
    penalty is chosen by cross-validation.
    """

    def answer(
        data: RunData, features: Features, present: Present, seen: np.ndarray, judged: np.ndarray
    ) -> np.ndarray:
        table = np.concatenate(
            [
                block
                for name, values in features.items()
                for block in (values, present[name][:, None])
            ],
            axis=1,
        )
        label = data.cases["label"].to_numpy(float)
        penalties = np.logspace(-3, 1, 9).tolist()
        model = LogisticRegressionCV(
            Cs=penalties,
            cv=5,
            scoring="roc_auc",
            max_iter=2000,
            use_legacy_attributes=False,
            l1_ratios=(0.0,),
        )
        return np.asarray(
            model.fit(table[seen], label[seen] > 0).predict_proba(table[judged])[:, 1]
        )

    return _out_of_fold(run, answer)


def late_cox(run: Path) -> pd.Series:
    """Risk by case: late fusion of Cox models, the sum of the standardised log-risks of each
    modality at hand.

    Raises:
        ImportError: scikit-survival is not installed: pip install 'mmdiag[bench]'.
    """
    from sksurv.linear_model import CoxPHSurvivalAnalysis
    from sksurv.util import Surv

    def answer(
        data: RunData, features: Features, present: Present, seen: np.ndarray, judged: np.ndarray
    ) -> np.ndarray:
        truth = Surv.from_arrays(
            data.cases["event"].to_numpy(float) > 0, data.cases["time"].to_numpy(float)
        )
        risk = np.zeros(len(data.cases))
        for name, values in features.items():
            rows = seen[present[name][seen]]
            search = GridSearchCV(
                CoxPHSurvivalAnalysis(),
                {"alpha": np.logspace(-1, 4, 6)},
                cv=PredefinedSplit(np.arange(len(rows)) % 5),
            )
            said = search.fit(values[rows], truth[rows]).predict(values)
            risk += np.where(present[name], (said - said[rows].mean()) / said[rows].std(), 0.0)
        return risk[judged]

    return _out_of_fold(run, answer)


def judging(run: Path, model: str) -> list[str]:
    """Names of a model's fits that judge cases, one a part of the split."""
    return [
        name
        for name in comparison.fits(run)
        if name.endswith(f".{model}") and not name.startswith("all.")
    ]


def _out_of_fold(run: Path, answer: Answer) -> pd.Series:
    """What is said of each judged case, on the features that the fused model of its part was
    given.
    """
    opened, data, found = Run.open(run), open_data(run), []
    modalities = list(data.store.modalities)
    for name in judging(run, FUSED):
        train, valid, judged = comparison.rows_of(opened, data, name.split(".", 1)[0], modalities)
        preparations = Bundle.load(
            opened.workspace.path / opened.fitted(name)["bundle"]
        ).preparations
        batch = batch_of(
            preparations, prepare_samples(preparations, data.raws, range(len(data.cases)))
        )
        features = {key: batch.values[key]["summary"].numpy() for key in modalities}
        present = {key: batch.present[key].numpy() for key in modalities}
        said = answer(data, features, present, np.concatenate([train, valid]), judged)
        found.append(pd.Series(said, index=data.cases["case_id"].to_numpy()[judged]))
    return pd.concat(found)
