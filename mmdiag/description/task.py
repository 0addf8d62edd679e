"""The task of a cohort.toml: which column is predicted, and what its values mean."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from mmdiag.description.fields import (
    optional_text,
    require_known,
    text_of,
    texts_of,
)
from mmdiag.errors import DescriptionError
from mmdiag.spelling import fold

# in a label, time or event, as `fold` writes them: unknown; "none" may be a class
NO_LABEL = {"", "na", "n/a", "n.a.", "nan", "null", "#n/a", "#na", "<na>", "nat"}
# what is a class only where class_names says so
NOT_KNOWN = {
    *("unknown", "unk", "not known", "not available", "not reported", "missing", "pending", "tbd"),
    *("?", "??", "-", "--", ".", "unbekannt", "k.a.", "keine angabe", "desconocido"),
    *("no disponible", "inconnu", "non disponible", "non renseigné"),
}
REST = "rest"  # every other value of the label is negative
WORDS = ("title", "class_names")  # they change what people read, and nothing that is computed
LATER = ("labels", "negative", "unknown", "horizon", "threshold")
TASKS = ("binary", "multiclass", "multilabel", "survival")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDescription:
    """What is asked: one label column, several, or time and event. Without any the cohort is
    unlabelled: scored, never trained on.

    Args:
        labels: Columns of a multilabel task: 1 = there, 0 = not there, empty = unknown.
        negative: Values of a binary label that are negative, or `rest`: every value that is neither
            positive nor unknown. Empty = the label has one other value.
        unknown: Values of the label that count as unlabelled; of a survival task those of event.
        horizon: Of a survival task: its probability is that of the event within this time, in the
            unit of the times; None = within the median time of the training's events.
        threshold: From which probability the answer is positive; None = from one half.
        title: How people read the task.
        class_names: Value of the label -> how people read it.
        label_patterns: Regular expressions that state the label: a note that matches one is refused
            as an input.
    """

    kind: str
    label: str | None = None
    positive: str | None = None
    time: str | None = None
    event: str | None = None
    label_patterns: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    negative: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    horizon: float | None = None
    threshold: float | None = None
    title: str = ""
    class_names: Mapping[str, str] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """What a hash is made of: all but how people read it, and as it was before there were
        several labels, negative and unknown values.
        """
        said = {key: value for key, value in asdict(self).items() if key not in WORDS}
        return {key: value for key, value in said.items() if key not in LATER or value}


def read_task(task: Mapping[str, Any], where: str) -> TaskDescription:
    """Check the section [task].

    Raises:
        DescriptionError: It says something that is not known, or what does not go together.
    """
    kind = text_of(task, "kind", "[task]", where, default="binary")
    require_known([kind], TASKS, "The kind of a task", where)
    named = {
        key: None if task.get(key) is None else str(task[key])
        for key in ("label", "positive", "time", "event")
    }
    if kind == "survival" and bool(named["time"]) != bool(named["event"]):
        raise DescriptionError(
            f"A survival task in {where} needs both time and event, one is missing: name both "
            "columns, or neither for a cohort to score."
        )
    if kind == "binary" and named["label"] and not named["positive"]:
        raise DescriptionError(
            f"A binary task in {where} must say which label is positive, it does not: add "
            'positive = "..." under [task].'
        )
    negative, unknown = _values(task, kind, named["positive"], where)
    return TaskDescription(
        kind=kind,
        label=named["label"],
        positive=named["positive"],
        time=named["time"],
        event=named["event"],
        label_patterns=_patterns(task, where),
        labels=_label_names(task, kind, where),
        negative=negative,
        unknown=unknown,
        horizon=_horizon(task, kind, where),
        threshold=_threshold(task, kind, where),
        title=optional_text(task, "title", "[task]", where) or "",
        class_names=_class_names(task, where),
    )


def _horizon(task: Mapping[str, Any], kind: str, where: str) -> float | None:
    given = task.get("horizon")
    if given is None:
        return None
    number = isinstance(given, int | float) and not isinstance(given, bool)
    if kind != "survival" or not number or not 0 < given < math.inf:
        raise DescriptionError(
            f"horizon under [task] of {where} is a time above 0 within which the event of a "
            f"survival task is predicted, found {given!r} of a {kind} task: write it like "
            "horizon = 24, or leave it out."
        )
    return float(given)


def _threshold(task: Mapping[str, Any], kind: str, where: str) -> float | None:
    given = task.get("threshold")
    if given is None:
        return None
    number = isinstance(given, int | float) and not isinstance(given, bool)
    if kind not in ("binary", "multilabel") or not number or not 0 < given < 1:
        raise DescriptionError(
            f"threshold under [task] of {where} is a probability between 0 and 1 from which the "
            f"answer of a binary or multilabel task is positive, found {given!r} of a {kind} task: "
            "write it like threshold = 0.5, or leave it out."
        )
    return float(given)


def _patterns(task: Mapping[str, Any], where: str) -> tuple[str, ...]:
    patterns = texts_of(task.get("label_patterns", ()), "label_patterns", "[task]", where)
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            raise DescriptionError(
                f"label_patterns under [task] of {where} must be regular expressions, one is not "
                f"({error}): correct it."
            ) from None
    return patterns


def _values(
    task: Mapping[str, Any], kind: str, positive: str | None, where: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Which values of the label are negative, and which say that it is not known."""
    negative = _label_values(task, "negative", where)
    unknown = _label_values(task, "unknown", where)
    if negative and kind != "binary":
        raise DescriptionError(
            f"negative under [task] of {where} belongs to a binary task, this one is {kind}: "
            "leave it out."
        )
    if REST in negative and len(negative) > 1:
        raise DescriptionError(
            f'negative under [task] of {where} is a list of values or "{REST}", found both: '
            "keep one of the two."
        )
    stated = [*negative, *unknown, *([positive] if positive else [])]
    empty = sorted(value for value in negative if fold(value) in NO_LABEL)
    if empty:
        raise DescriptionError(
            f"negative under [task] of {where} holds values, {', '.join(map(repr, empty))} says "
            "that nothing is known: leave it out."
        )
    twice = _spelled_twice(stated)
    if twice:
        raise DescriptionError(
            f"A value of the label is one of positive, negative and unknown in {where}, found "
            f"{', '.join(map(repr, twice))} twice: keep it in one of them."
        )
    return negative, unknown


def _spelled_twice(values: Iterable[str]) -> list[str]:
    """Values that are there in two spellings, or in one twice."""
    spelled = [*values]
    folded = [fold(value) for value in spelled]
    return sorted(
        {value for value, key in zip(spelled, folded, strict=True) if folded.count(key) > 1}
    )


def _label_values(task: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    given = task.get(key, ())
    listed = given if isinstance(given, list | tuple) else [given]
    plain = [str(value) if type(value) in (bool, int, float) else value for value in listed]
    return texts_of(plain, key, "[task]", where)


def _class_names(task: Mapping[str, Any], where: str) -> dict[str, str]:
    names = task.get("class_names", {})
    if not isinstance(names, Mapping) or not all(
        isinstance(name, str) and name for name in names.values()
    ):
        raise DescriptionError(
            f"class_names under [task] of {where} must give a text for each value, it does not: "
            'write class_names = { "0" = "stable", "1" = "progresses" }.'
        )
    twice = _spelled_twice(map(str, names))
    if twice:
        raise DescriptionError(
            f"class_names under [task] of {where} names a value once, found "
            f"{', '.join(map(repr, twice))}: they are spellings of one, keep one of them."
        )
    return {str(value): name for value, name in names.items()}


def _label_names(task: Mapping[str, Any], kind: str, where: str) -> tuple[str, ...]:
    names = texts_of(task.get("labels", ()), "labels", "[task]", where)
    if kind != "multilabel":
        if names:
            raise DescriptionError(
                f"labels under [task] of {where} belong to a multilabel task, this one is "
                f'{kind}: write kind = "multilabel", or label.'
            )
        return ()
    if task.get("label") or len(names) == 1 or len(set(names)) < len(names):
        raise DescriptionError(
            f"A multilabel task in {where} names two columns or more, each once, under labels: "
            'write labels = ["...", "..."] and no label.'
        )
    return names
