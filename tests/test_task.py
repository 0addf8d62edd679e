"""A task in the words of its cohort: what people read, and the columns that hold the answer."""

import pytest

from mmdiag.task import Task

PROGRESSION = Task(
    kind="binary",
    label="label_progressed_24m",
    positive="1",
    classes=("not 1", "1"),
    title="Progression within 24 months",
    class_names={"0": "stable", "1": "progresses"},
)
UNTITLED = Task(kind="binary", label="label_progressed_24m", positive="1", classes=("not 1", "1"))


def test_the_outcome_is_the_title_else_the_label_with_its_value_where_that_says_more_than_yes():
    assert PROGRESSION.outcome == "Progression within 24 months"
    assert UNTITLED.outcome == "progressed 24m"
    covid = Task(
        kind="binary", label="finding", positive="COVID-19", classes=("not COVID-19", "COVID-19")
    )
    assert covid.outcome == "finding: COVID-19"
    assert Task(kind="survival").outcome == "Event"


@pytest.mark.parametrize(
    ("task", "value", "name"),
    [
        (PROGRESSION, "1", "progresses"),
        (PROGRESSION, "not 1", "stable"),
        (UNTITLED, "not 1", "not 1"),
        (Task(kind="multiclass", classes=("a", "b"), class_names={"a": "Alpha"}), "a", "Alpha"),
        (Task(kind="multiclass", classes=("a", "b"), class_names={"a": "Alpha"}), "b", "b"),
    ],
)
def test_a_value_of_the_label_is_read_by_its_class_name(task, value, name):
    assert task.name_of(value) == name


def test_the_columns_of_the_answer_are_those_of_predictions():
    assert PROGRESSION.probability_columns == ["probability"]
    classes = Task(kind="multiclass", classes=("a", "b"))
    assert classes.probability_columns == ["probability_a", "probability_b"]
    labels = Task(kind="multilabel", labels=("x", "y"))
    assert labels.probability_columns == ["probability_x", "probability_y"]


def test_a_task_comes_back_from_what_is_written_and_what_others_wrote_is_left_aside():
    cut = Task(kind="survival", cuts=(1.0, 2.5))
    for task in (PROGRESSION, UNTITLED, cut):
        assert Task.from_facts({**task.facts(), "label_patterns": ["x"], "time": None}) == task
    assert Task.from_facts({"kind": "binary", "label": None, "classes": []}) == Task(kind="binary")


def test_a_threshold_is_kept_and_one_half_is_not_said():
    task = Task(kind="binary", classes=("no", "yes"), threshold=0.3)
    assert task.facts()["threshold"] == 0.3 and Task.from_facts(task.facts()) == task
    even = Task(kind="binary", classes=("no", "yes"))
    assert "threshold" not in even.facts() and Task.from_facts(even.facts()).threshold == 0.5


@pytest.mark.parametrize(
    ("shares", "predicted", "explained"),
    [
        ({"fluid": 0.7, "nodule": 0.9}, "fluid, nodule", "Nodule"),
        ({"fluid": 0.4, "nodule": 0.1}, "none of the labels", "fluid"),
    ],
)
def test_of_several_labels_the_likeliest_is_explained_not_the_sentence_on_all(
    shares, predicted, explained
):
    """`log_odds` is that label's: below one half where none of the labels is predicted."""
    task = Task(kind="multilabel", labels=("fluid", "nodule"), class_names={"nodule": "Nodule"})
    answer = {f"probability_{name}": share for name, share in shares.items()}
    assert task.explained({**answer, "predicted": predicted}) == explained


def test_of_classes_the_predicted_one_is_explained_and_else_the_outcome():
    classes = Task(kind="multiclass", label="dx", classes=("a", "b"), class_names={"b": "B"})
    answer = {"predicted": "b", "probability_a": 0.4, "probability_b": 0.6}
    assert classes.explained(answer) == "B"
    binary = Task(kind="binary", title="Progression", classes=("0", "1"), positive="1")
    assert binary.explained({"predicted": "0", "probability": 0.2}) == "Progression"
