"""What a plain method says out of fold on the same cases and stored features as a run's fused
models: it shows what these labels allow.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegressionCV
from sklearn.model_selection import GridSearchCV, PredefinedSplit

from mmdiag.evaluation.verdict import FUSED
from mmdiag.experiment.fit import rows_of
from mmdiag.experiment.fit_id import ALL, FitId
from mmdiag.experiment.run import Run, RunData, open_data
from mmdiag.inference.bundle import Bundle
from mmdiag.prepare.batches import batch_of, prepare_samples

Features = Mapping[str, np.ndarray]  # (case, feature) of each modality
Present = Mapping[str, np.ndarray]  # (case,) whether a case has it
# features, present, seen and judged rows -> what is said of the judged
Answer = Callable[[RunData, Features, Present, np.ndarray, np.ndarray], np.ndarray]


def logistic_regression(run: Run) -> pd.Series:
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


def late_cox(run: Run) -> pd.Series:
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


def judging(run: Run, model: str) -> list[FitId]:
    """A model's fits that judge cases, one a part of the split."""
    return [fit for fit in run.fits if fit.model == model and fit.fold != ALL]


def _out_of_fold(run: Run, answer: Answer) -> pd.Series:
    """What is said of each judged case, on the features that the fused model of its part was
    given.
    """
    data, found = open_data(run), []
    modalities = list(data.store.modalities)
    for name in judging(run, FUSED):
        rows = rows_of(run, data, name)
        preparations = Bundle.load(run.bundle_folder(name)).preparations
        batch = batch_of(
            preparations, prepare_samples(preparations, data.raws, range(len(data.cases)))
        )
        features = {key: batch.values[key]["summary"].numpy() for key in modalities}
        present = {key: batch.present[key].numpy() for key in modalities}
        said = answer(data, features, present, rows.seen, rows.held_out)
        found.append(pd.Series(said, index=data.cases["case_id"].to_numpy()[rows.held_out]))
    return pd.concat(found)
