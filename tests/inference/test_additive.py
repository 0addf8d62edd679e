"""What of a model's answers is a sum over modalities."""

from types import SimpleNamespace

import jaxtyping
import numpy as np
import pytest
import torch

from mmdiag.inference.coalitions import additive
from mmdiag.inference.coalitions.additive import additive_log_odds
from mmdiag.task import Task
from mmdiag.tokens import Tokens

N = 40


class Model:
    """Two numbers a case, one of each modality; absent ones count 0."""

    def __init__(self, say):
        rng = np.random.default_rng(0)
        self.say, self.first, self.second = say, rng.normal(size=N), rng.normal(size=N)
        self.there = rng.random(N) < 0.8

    def encode(self, _batch, _present):
        def tokens(values, there):
            array = torch.as_tensor(values, dtype=torch.float64)[:, None, None]
            return Tokens(array, torch.as_tensor(there)[:, None])

        return {"a": tokens(self.first, np.ones(N, bool)), "b": tokens(self.second, self.there)}

    def diagnose(self, tokens):
        a, b = (torch.where(t.mask, t.values[..., 0], 0.0) for t in (tokens["a"], tokens["b"]))
        return SimpleNamespace(logits=self.say(a, b))

    head = SimpleNamespace(log_odds=lambda logits, _: logits[:, 0])

    def answers(self):
        return self.diagnose(self.encode(None, None)).logits[:, 0].numpy()


def bundle_of(model, kind="binary", raw=False):
    prepared = SimpleNamespace(trains_on_raw_input=raw)
    return SimpleNamespace(
        model=model, task=Task(kind=kind), preparations={"a": prepared, "b": prepared}
    )


@pytest.fixture(autouse=True)
def _without_batches(monkeypatch):
    monkeypatch.setattr(additive, "batch_of", lambda *_: SimpleNamespace(present=None))
    jaxtyping.config.update("jaxtyping_disable", True)  # the stand-ins are no bundle
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def project(monkeypatch):
    monkeypatch.setattr(additive, "TOGETHER", 7)
    return lambda model, **facts: additive_log_odds(bundle_of(model, **facts), [{}] * N)


def test_of_a_sum_it_is_the_answer_itself(project):
    model = Model(lambda a, b: 0.5 + 2 * a - b**2)
    assert np.allclose(project(model), model.answers())


def test_of_a_product_nothing_is_left_that_ranks_cases(project):
    model = Model(lambda a, b: 3 * a * b)
    found, said = project(model), model.answers()
    assert abs(np.corrcoef(found, said)[0, 1]) < 0.5 and np.std(found) < 0.5 * np.std(said)


def test_of_other_tasks_and_raw_inputs_there_is_none(project):
    model = Model(lambda a, b: a + b)
    assert project(model, kind="multiclass") is None and project(model, raw=True) is None
