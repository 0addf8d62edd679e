"""From which probability an answer is positive."""

import numpy as np
import pytest

from mmdiag.inference.predict import NOTHING, _answers
from mmdiag.task import Task


@pytest.mark.parametrize(
    ("threshold", "predicted"), [(0.5, ["no", "no", "yes"]), (0.3, ["no", "yes", "yes"])]
)
def test_an_answer_is_positive_from_the_threshold_of_its_task(threshold, predicted):
    task = Task(kind="binary", classes=("no", "yes"), threshold=threshold)
    found = _answers(task, np.asarray([[0.1], [0.3], [0.8]], dtype=np.float64))
    assert found["predicted"].tolist() == predicted
    assert found["probability"].tolist() == [0.1, 0.3, 0.8], "which a threshold does not change"


def test_each_of_several_labels_is_there_from_the_threshold():
    task = Task(kind="multilabel", labels=("oedema", "nodule"), threshold=0.3)
    found = _answers(task, np.asarray([[0.4, 0.2], [0.1, 0.2]]))
    assert found["predicted"].tolist() == ["oedema", NOTHING]
