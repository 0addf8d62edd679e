"""The simplest rival: it finds what is linear, learns nothing of whom it judges, and takes every
task, absent modalities and rows in any order.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import approx_fprime
from sklearn.metrics import roc_auc_score

from mmdiag.experiment.baselines import _by_availability
from mmdiag.experiment.late_fusion import _cox_slopes, _partial_likelihood, late_fusion
from mmdiag.experiment.run import RunData
from mmdiag.storage.store import Store
from mmdiag.task import Task

N = 180
KINDS = {"labs": "table", "note": "text"}


class StoreOf(Store):
    """A store whose content is in memory."""

    def __init__(self, task: Task, values: Any, texts: Any, there: Any) -> None:
        kinds = {name: KINDS[name] for name in there}
        super().__init__(Path(), pd.DataFrame(), task, kinds, "")
        object.__setattr__(self, "kept", (values, texts, there))

    def present(self, modality: str) -> Any:
        return self.kept[2][modality]  # type: ignore[attr-defined]

    def table(self, modality: str) -> Any:
        assert modality == "labs"
        return self.kept[0].astype(np.float32)  # type: ignore[attr-defined]

    def text(self, modality: str, row: int) -> str:
        assert modality == "note"
        return str(self.kept[1][row])  # type: ignore[attr-defined]


def made(kind: str = "binary", columns: int = 6, **task: Any) -> tuple[RunData, pd.Series]:
    """Cases whose label a column and a word of the note tell, half each."""
    rng = np.random.default_rng(5)
    hidden = rng.normal(size=N)
    values = rng.normal(size=(N, columns))
    values[:, 0] += hidden
    values[rng.random((N, columns)) < 0.1] = np.nan
    texts = [
        f"the lesion is {'large' if hidden[i] + rng.normal() > 0 else 'small'} and seen on image {i}"
        for i in range(N)
    ]
    label = (hidden + 0.3 * rng.normal(size=N) > 0).astype(float)
    cases = pd.DataFrame({"case_id": [f"c{i:03d}" for i in range(N)], "label": label})
    cases["subject_id"] = [f"s{i // 2:03d}" for i in range(N)]
    cases["time"], cases["event"] = np.nan, np.nan
    if kind == "survival":
        cases["time"] = rng.exponential(np.exp(-2 * hidden))
        cases["event"], cases["label"] = (rng.random(N) < 0.7).astype(float), np.nan
    if kind == "multiclass":
        cases["label"] = np.digitize(hidden, [-0.5, 0.5]).astype(float)
    if kind == "multilabel":
        cases["label_one"], cases["label_two"] = (
            label,
            np.where(np.arange(N) % 7, 1 - label, np.nan),
        )
    there = {"labs": rng.random(N) > 0.2, "note": rng.random(N) > 0.2}
    part = pd.Series([f"fold-{(i // 2) % 3}" for i in range(N)])
    return data_of(StoreOf(Task(kind=kind, **task), values, texts, there), cases), part


def data_of(store: Store, cases: pd.DataFrame) -> RunData:
    return RunData(store, cases, {}, {})


def judged(data: RunData, part: pd.Series) -> pd.DataFrame:
    return late_fusion(data, part, np.ones(N, dtype=bool), data.cases[["case_id"]])


BINARY = {"classes": ("no", "yes"), "label": "label"}


@pytest.mark.parametrize("columns", [6, 500])
def test_what_is_linear_is_found_and_two_modalities_are_better_than_one(columns: int) -> None:
    data, part = made(columns=columns, **BINARY)
    label = data.cases["label"]
    whole = roc_auc_score(label, judged(data, part)["probability"])
    single = {}
    values, texts, there = data.store.kept  # type: ignore[attr-defined]
    for name in there:
        alone = StoreOf(data.store.task, values, texts, {name: there[name]})
        found = judged(data_of(alone, data.cases), part)
        single[name] = roc_auc_score(label, found["probability"])
    assert whole > 0.65 and whole > max(single.values())


def test_who_is_judged_is_not_learned_from() -> None:
    data, part = made(**BINARY)
    before = judged(data, part)
    turned = (part == "fold-1").to_numpy()
    data.cases.loc[turned, "label"] = 1 - data.cases.loc[turned, "label"]
    after = judged(data, part)
    assert np.allclose(before["probability"][turned], after["probability"][turned])
    assert not np.allclose(before["probability"][~turned], after["probability"][~turned])


def test_the_order_of_rows_is_no_information() -> None:
    data, part = made(**BINARY)
    before = judged(data, part).set_index("case_id")["probability"]
    order = np.random.default_rng(1).permutation(N)
    values, texts, there = data.store.kept  # type: ignore[attr-defined]
    shuffled = data_of(
        StoreOf(
            data.store.task,
            values[order],
            [texts[i] for i in order],
            {name: has[order] for name, has in there.items()},
        ),
        data.cases.iloc[order].reset_index(drop=True),
    )
    after = judged(shuffled, part.iloc[order].reset_index(drop=True)).set_index("case_id")
    assert after["probability"].loc[before.index].to_numpy() == pytest.approx(before.to_numpy())


def test_a_case_without_any_modality_gets_the_share_of_the_others() -> None:
    data, part = made(**BINARY)
    for name in data.store.modalities:
        data.store.present(name)[0] = False
    others = data.cases["label"][part != part[0]]
    assert judged(data, part)["probability"].iloc[0] == pytest.approx(others.mean())


@pytest.mark.parametrize("kind", ["binary", "multiclass", "survival"])
def test_a_modality_of_one_class_alone_and_one_of_nobody_say_nothing_and_stop_nobody(
    kind: str,
) -> None:
    data, part = made(kind, **(BINARY if kind == "binary" else {"classes": ("a", "b", "c")}))
    event = data.cases["event"] if kind == "survival" else data.cases["label"]
    data.store.present("labs")[:] = (event == 0).to_numpy()  # no event, or one class
    first = judged(data, part)[data.store.task.probability_columns].to_numpy()
    assert np.isfinite(first).all()
    data.store.present("labs")[:] = False
    alone = judged(data, part)[data.store.task.probability_columns].to_numpy()
    assert np.isfinite(alone).all()


@pytest.mark.parametrize("kind", ["binary", "multiclass", "survival"])
def test_a_table_of_which_nothing_varies_says_nothing(kind: str) -> None:
    data, part = made(kind, **(BINARY if kind == "binary" else {"classes": ("a", "b", "c")}))
    columns = data.store.task.probability_columns
    data.store.kept[0][:] = 3.0  # type: ignore[attr-defined]
    constant = judged(data, part)[columns].to_numpy()
    data.store.present("labs")[:] = False
    np.testing.assert_allclose(constant, judged(data, part)[columns].to_numpy())


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_a_class_of_one_part_alone_stops_no_baseline(kind: str) -> None:
    """Of it nothing is said by what was learned from the others."""
    data, part = made(kind, **(BINARY if kind == "binary" else {"classes": ("a", "b", "c")}))
    last = data.cases["label"].max()
    data.cases.loc[(part != "fold-0") & (data.cases["label"] == last), "label"] = 0.0
    everybody = np.ones(N, dtype=bool)
    found = _by_availability(data, part, everybody, 1 if kind == "binary" else 3)
    assert not found[part == "fold-0", -1].any()
    assert (found[part != "fold-0", -1] > 0).all()


def test_a_rare_class_keeps_no_modality_out() -> None:
    data, part = made("multiclass", classes=("low", "middle", "high"), label="label")
    data.cases["label"] = data.cases["label"].clip(upper=1)
    data.cases.loc[0, "label"] = 2.0
    chances = judged(data, part)[data.store.task.probability_columns].to_numpy()
    assert roc_auc_score(data.cases["label"] == 0, chances[:, 0]) > 0.7


@pytest.mark.parametrize(
    ("kind", "task"),
    [
        ("multiclass", {"classes": ("low", "middle", "high"), "label": "label"}),
        ("multilabel", {"labels": ("one", "two")}),
        ("survival", {}),
    ],
)
def test_every_task_has_its_rival(kind: str, task: dict[str, Any]) -> None:
    data, part = made(kind, **task)
    found = judged(data, part)
    columns = data.store.task.probability_columns
    chances = found[columns].to_numpy()
    assert np.isfinite(chances).all() and (chances >= 0).all() and (chances <= 1).all()
    if kind == "multiclass":
        assert chances.sum(axis=1) == pytest.approx(np.ones(N))
        assert (chances.argmax(axis=1) == data.cases["label"]).mean() > 0.45
    elif kind == "multilabel":
        assert roc_auc_score(data.cases["label_one"], chances[:, 0]) > 0.75
    else:
        early = data.cases["time"] < data.cases["time"].median()
        assert roc_auc_score(early, chances[:, 0]) > 0.65


def test_the_partial_likelihood_is_its_definition_and_has_its_gradient() -> None:
    rng = np.random.default_rng(2)
    values = np.stack([rng.integers(1, 6, 30), rng.random(30) < 0.6], axis=1).astype(float)
    risk = rng.normal(size=30)
    expected = sum(
        risk[i] - np.log(np.exp(risk[values[:, 0] >= values[i, 0]]).sum())
        for i in np.flatnonzero(values[:, 1])
    )
    found, gradient = _partial_likelihood(risk, values)
    assert found == pytest.approx(expected)
    numeric = approx_fprime(risk, lambda r: _partial_likelihood(r, values)[0], 1e-6)
    assert gradient == pytest.approx(numeric, abs=1e-4)


def test_a_larger_weight_of_the_data_gives_steeper_slopes_in_the_right_direction() -> None:
    rng = np.random.default_rng(3)
    given = rng.normal(size=(200, 2))
    values = np.stack([rng.exponential(np.exp(-given[:, 0])), np.ones(200)], axis=1)
    weak, strong = (_cox_slopes(given, values, weight) for weight in (1e-3, 10.0))
    assert 0 < weak[0] < strong[0] and strong[0] == pytest.approx(1.0, abs=0.3)
    assert abs(strong[1]) < 0.3
