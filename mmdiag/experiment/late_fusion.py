"""The simplest rival that a user could write: for each modality one linear model of scikit-learn on
plain features, and the mean of what those say that a case has. A model that is not above it is not
worth its trouble, so every run fits it on the same folds and cases.

Notes are TF-IDF of words and pairs of words, tables their standardised columns, images, signals and
embeddings their statistics. Classes: logistic regression; survival: Cox's with a ridge (Breslow
1974). The penalty is chosen inside the other parts, by subjects and what is kept together with
them.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, logit
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

from mmdiag.cohort.kept_together import split_units
from mmdiag.cohort.labels import label_values
from mmdiag.evaluation.verdict import LATE_FUSION
from mmdiag.experiment.run import RunData
from mmdiag.kinds import NOTE, ROW, kind_named
from mmdiag.prepare.extract import extractor
from mmdiag.prepare.feature_cache import raw_features
from mmdiag.prepare.signal import signal_statistics
from mmdiag.recipes import default

# weight of the data against the ridge, as C of scikit-learn, for rows of length about 1
PENALTIES = (0.03, 0.3, 3.0, 30.0, 300.0)
FOLDS = 3  # in which the penalty is chosen
LEAST = 1e-6  # how near to 0 or 1 a chance may come
# numbers, features and scores of rows; without names, because several lists of rows meet
Rows = Int[ndarray, "_"]
Features = Float[ndarray, "_ _"]
Scores = Float[ndarray, "_ _"]
# features of the rows to learn from and of those to judge
Make = Callable[[Rows, Rows], tuple[Features, Features]]


def late_fusion(
    data: RunData, part: pd.Series, held_out: Bool[ndarray, "case"], facts: pd.DataFrame
) -> pd.DataFrame:
    """Predictions for the held-out cases; of a case without any modality, what the mean of the
    others is.

    Args:
        part: Part of the split of each case.
        held_out: Which cases are evaluated.
        facts: What is known of them, one row each.

    Returns:
        The rows of `facts` with `model`, `part` and the probability columns; of survival a chance
        that rises with the hazard.
    """
    target = _Target.of(data)
    makers = {name: _features(data, name) for name in data.store.modalities}
    scores = np.zeros((len(data.cases), target.answers))
    for name in sorted(part[held_out].unique()):
        others = np.sort(data.taught[(part.iloc[data.taught] != name).to_numpy()])
        inside = np.flatnonzero(held_out & (part == name).to_numpy())
        scores[inside] = _fused(data, target, makers, _by_key(data, others), inside)
    answers = target.chances(scores[held_out])
    columns = dict(zip(data.store.task.probability_columns, answers.T, strict=True))
    return facts.assign(model=LATE_FUSION, part="", **columns)


def _by_key(data: RunData, rows: Rows) -> Rows:
    """Rows in the order of their keys: in which they stand in a table is no information."""
    keys = data.cases["case_id"].to_numpy(str)[rows]
    return rows[np.argsort(keys, kind="stable")]


def _fused(
    data: RunData, target: "_Target", makers: dict[str, Make], others: Rows, inside: Rows
) -> Scores:
    """The mean of what the modalities say of some cases, learned from others."""
    prior = target.prior(others)
    total, count = np.zeros((len(inside), target.answers)), np.zeros((len(inside), 1))
    for name, make in makers.items():
        there = data.store.present(name)
        learned, judged = others[there[others]], there[inside]
        if not judged.any() or not target.can_be_learned(learned):
            continue
        given, asked = make(learned, inside[judged])
        if not given.shape[1]:  # nothing of it varies in what there is to learn from
            continue
        units = split_units(data.cases).to_numpy(str)[learned]
        total[judged] += target.fit(given, learned, units, asked)
        count[judged] += 1
    return np.where(count > 0, total / np.maximum(count, 1), prior)


class _Target:
    """What is predicted: one score a label, a class, or the log of the hazard."""

    def __init__(self, kind: str, values: ndarray, answers: int) -> None:
        self.kind, self.values, self.answers = kind, values, answers

    @staticmethod
    def of(data: RunData) -> "_Target":
        """The target of a run's task."""
        task = data.store.task
        if task.survival:
            return _Target(task.kind, data.cases[["time", "event"]].to_numpy(float), 1)
        values = label_values(data.cases, task)
        return _Target(task.kind, values, len(task.probability_columns))

    def can_be_learned(self, rows: Rows) -> bool:
        """Whether there is something to learn: an event, or two values of an answer."""
        values = self.values[rows].reshape(len(rows), -1)
        if self.kind == "survival":
            return bool(values[:, 1].any())
        return any(len(_counts(column)) > 1 for column in values.T)

    def prior(self, rows: Rows) -> Float[ndarray, "answer"]:
        """What is said where nothing is known."""
        values = self.values[rows]
        if self.kind == "survival":
            return np.zeros(1)
        if self.kind == "multiclass":
            shares = np.asarray([np.mean(values == number) for number in range(self.answers)])
            return np.asarray(np.log(np.clip(shares, LEAST, 1)))
        shares = np.nanmean(values.reshape(len(rows), -1), axis=0)
        return np.asarray(logit(np.clip(shares, LEAST, 1 - LEAST)))

    def chances(self, scores: Scores) -> Scores:
        """Scores as probabilities."""
        several = self.kind == "multiclass"
        return np.asarray(np.exp(log_softmax(scores, axis=1)) if several else expit(scores))

    def fit(self, given: Features, rows: Rows, units: ndarray, asked: Features) -> Scores:
        """Learn from some rows, and say what is found of others."""
        given, asked = _rotated(given, asked)
        values = self.values[rows]
        if self.kind == "survival":
            return _cox(given, values, units, asked)
        if self.kind == "multiclass":
            found = np.full((len(asked), self.answers), np.log(LEAST))
            model = _logistic(given, values.astype(int), units)
            found[:, model.classes_] = np.maximum(model.predict_log_proba(asked), np.log(LEAST))
            return found
        columns = []
        for label in values.reshape(len(rows), -1).T:
            known = ~np.isnan(label)
            if min(_counts(label[known]), default=0) < 2 or len(_counts(label[known])) < 2:
                share = np.clip(np.mean(label[known]) if known.any() else 0.5, LEAST, 1 - LEAST)
                columns.append(np.full(len(asked), logit(share)))
                continue
            model = _logistic(given[known], label[known].astype(int), units[known])
            columns.append(model.decision_function(asked))
        return np.stack(columns, axis=1)


def _counts(column: ndarray) -> list[int]:
    return [int(n) for n in np.unique(column[~np.isnan(column)], return_counts=True)[1]]


def _rotated(given: Features, asked: Features) -> tuple[Features, Features]:
    """Features of which there are more than rows, in the coordinates of the rows: a ridge finds the
    same in them.
    """
    if given.shape[1] <= len(given):
        return given, asked
    return _by_products(given @ given.T, asked @ given.T)


def _by_products(
    own: Float[ndarray, "row row"], other: Float[ndarray, "asked row"]
) -> tuple[Features, Features]:
    """Features of rows, and of others, whose products with the rows are these."""
    values, vectors = np.linalg.eigh(own)
    kept = values > 1e-9 * max(values[-1], 1e-12)
    root = np.sqrt(values[kept])
    return vectors[:, kept] * root, other @ (vectors[:, kept] / root)


def _inner(sides: ndarray, units: ndarray) -> list[tuple[Rows, Rows]]:
    """Parts by units of the split in which a penalty is chosen; none where there are too few."""
    least = min(np.unique(sides, return_counts=True)[1])
    folds = min(FOLDS, int(least), len(np.unique(units)))
    if folds < 2:
        return []
    split = StratifiedGroupKFold(folds, shuffle=True, random_state=0)
    pairs = split.split(np.zeros(len(sides)), sides, units)
    return [
        (train, test)
        for train, test in pairs
        if len(np.unique(sides[train])) == len(np.unique(sides))
    ]


def _logistic(given: Features, label: Int[ndarray, "row"], units: ndarray) -> Any:
    """A logistic regression, its penalty chosen by the log loss of inner parts."""
    inner = _inner(label, units)
    classes = np.unique(label)

    def loss(weight: float) -> float:
        total = 0.0
        for train, test in inner:
            model = LogisticRegression(C=weight, tol=1e-3, max_iter=200)
            model.fit(given[train], label[train])
            column = np.searchsorted(classes, label[test])
            chances = model.predict_proba(given[test])[np.arange(len(test)), column]
            total -= float(np.log(np.clip(chances, LEAST, 1)).sum())
        return total

    chosen = min(PENALTIES, key=loss) if inner else PENALTIES[1]
    return LogisticRegression(C=chosen, max_iter=500).fit(given, label)


def _cox(
    given: Features, values: Float[ndarray, "row 2"], units: ndarray, asked: Features
) -> Scores:
    """The log of the hazard by Cox's regression with a ridge, its penalty chosen by the partial
    likelihood that inner parts add.
    """

    def loss(weight: float) -> float:
        total = 0.0
        for train, _ in inner:
            slopes = _cox_slopes(given[train], values[train], weight)
            whole = _partial_likelihood(given @ slopes, values)[0]
            total -= whole - _partial_likelihood(given[train] @ slopes, values[train])[0]
        return total

    inner = _inner(values[:, 1].astype(int), units)
    chosen = min(PENALTIES, key=loss) if inner else PENALTIES[1]
    risk: Scores = (asked @ _cox_slopes(given, values, chosen))[:, None]
    return risk


def _cox_slopes(
    given: Features, values: Float[ndarray, "row 2"], weight: float
) -> Float[ndarray, "feature"]:
    def objective(slopes: ndarray) -> tuple[float, ndarray]:
        likelihood, gradient = _partial_likelihood(given @ slopes, values)
        loss = 0.5 * float(slopes @ slopes) - weight * likelihood
        return loss, slopes - weight * (given.T @ gradient)

    start = np.zeros(given.shape[1])
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 200})
    slopes: ndarray = found.x
    return slopes


def _partial_likelihood(
    risk: Float[ndarray, "row"], values: Float[ndarray, "row 2"]
) -> tuple[float, Float[ndarray, "row"]]:
    """Cox's log partial likelihood, ties as Breslow has them, and its gradient by the risks."""
    time, event = values[:, 0], values[:, 1] > 0
    order = np.argsort(-time, kind="stable")
    top = float(risk.max(initial=0.0))
    weights = np.exp(risk[order] - top)
    later = np.cumsum(weights)  # all that are at risk, and of equal times those before
    last = np.searchsorted(-time[order], -time[order], side="right") - 1
    at_risk = later[last]
    happened = event[order]
    likelihood = float((risk[order] - top - np.log(at_risk))[happened].sum())
    share = np.where(happened, 1 / at_risk, 0.0)
    first = np.searchsorted(-time[order], -time[order], side="left")
    behind = np.cumsum(share[::-1])[::-1][first]  # of all events at which a row is at risk
    gradient = np.empty(len(risk))
    gradient[order] = happened - weights * behind
    return likelihood, gradient


def _features(data: RunData, name: str) -> Make:
    """How the plain features of a modality are made."""
    store, kind = data.store, data.store.modalities[name]
    layout = kind_named(kind).layout
    if layout == NOTE:
        having = np.flatnonzero(store.present(name)).tolist()
        return _of_notes({row: store.text(name, row) for row in having})
    return _standardised(plain_columns(data, name))


def plain_columns(data: RunData, name: str) -> Float[ndarray, "case column"]:
    """A row of numbers a case of a modality that is no note; NaN where it has none."""
    store, kind = data.store, data.store.modalities[name]
    if kind_named(kind).layout == ROW:
        return np.asarray(store.table(name).astype(np.float64))
    plain = default(fusion="concat").as_one_network()
    if kind_named(kind).summarise is not None:
        raws: Sequence[Any] = raw_features(store, name, extractor(kind, plain))
    else:
        there = store.present(name)
        raws = [
            signal_statistics(store.raw_input(name, row)) if there[row] else None
            for row in range(len(there))
        ]
    width = max((raw.shape[1] for raw in raws if raw is not None), default=0)
    table = np.full((len(raws), 2 * width), np.nan)
    for row, raw in enumerate(raws):
        if raw is not None:
            # a channel that a signal lacks is NaN
            known = raw[~np.isnan(raw).all(axis=1)]
            table[row] = np.concatenate([known.mean(axis=0), known.std(axis=0)])
    return table


def _of_notes(notes: dict[int, str]) -> Make:
    def make(learned: Rows, judged: Rows) -> tuple[Features, Features]:
        texts = [notes[row] for row in learned]
        for least in (2, 1):
            try:
                words = TfidfVectorizer(ngram_range=(1, 2), min_df=least, sublinear_tf=True)
                given = words.fit_transform(texts)
                break
            except ValueError:  # no word is left
                if least == 1:
                    return np.zeros((len(learned), 1)), np.zeros((len(judged), 1))
        asked = words.transform([notes[row] for row in judged])
        return _by_products((given @ given.T).toarray(), (asked @ given.T).toarray())

    return make


def _standardised(table: Float[ndarray, "case column"]) -> Make:
    def make(learned: Rows, judged: Rows) -> tuple[Features, Features]:
        given, asked = table[learned], table[judged]
        known = np.isfinite(given)
        count = known.sum(axis=0)
        middle = np.where(known, given, 0.0).sum(axis=0) / np.maximum(count, 1)
        centred = np.where(known, given - middle, 0.0)
        spread = np.sqrt((centred**2).sum(axis=0) / np.maximum(count, 1))
        kept = (count > 1) & (spread > 1e-9 * np.maximum(np.abs(middle), 1.0))
        scale = spread[kept] * np.sqrt(max(int(kept.sum()), 1))
        others = np.where(np.isfinite(asked), asked - middle, 0.0)
        return centred[:, kept] / scale, others[:, kept] / scale

    return make
