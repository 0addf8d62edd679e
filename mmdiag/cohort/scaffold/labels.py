"""What could be predicted: columns of the case table that may be labels, the likeliest first."""

import re
from collections import Counter
from dataclasses import dataclass

import pandas as pd

from mmdiag.cohort.scaffold.outcomes import END, LABEL, TIME, is_named_like, words_of
from mmdiag.cohort.scaffold.text import quoted
from mmdiag.description.task import NO_LABEL, NOT_KNOWN
from mmdiag.spelling import as_number, fold

FEW_CLASSES = 6
WRONG_TIMES = 0.02  # share of negative ones, whose cases a contract refuses
FEWEST_OF_A_CLASS = 2  # cases
NOT_A_LABEL = 12  # columns that are offered as labels
KINDS = r"diagnos\w*|disease|class|classification|finding|category|status|grade|stage|subtype|type"
# of people, files and sites: few values, and nothing to predict
NOT_PREDICTED = (
    r"has|missing|exists|sex|gender|is female|is male|race|ethnicity|site|hospital|cent(?:er|re)|"
    r"scanner|view|folder|split|train|fold|quality|licen[cs]e|n|id|date|study|modality|permissive"
)
POSITIVE = {"1", "yes", "y", "true", "t", "positive", "pos", "present", "abnormal", "malignant"}


@dataclass(frozen=True, slots=True)
class Offer:
    """One task that the case table could ask.

    Args:
        lines: Keys of [task], as TOML.
        columns: Its label, or its time and event.
    """

    kind: str
    lines: tuple[str, ...]
    columns: tuple[str, ...]


def offers(cases: pd.DataFrame, key: str) -> tuple[list[Offer], list[str]]:
    """Tasks in the order in which they are likely, and the columns that have few values."""
    few = {
        name: values
        for name in map(str, cases.columns)
        if name != key and 2 <= len(values := _classes(cases[name])) <= FEW_CLASSES
    }
    named = [name for name in few if is_named_like(name, LABEL)]
    others = [name for name in few if name not in named and not _is_no_label(name)]
    likely = [name for name in others if is_named_like(name, KINDS)]
    last = [name for name in others if name not in likely]
    found = [
        *(_of_classes(cases, name, few[name]) for name in named),
        *_survival(cases),
        *(_of_classes(cases, name, few[name]) for name in [*likely, *last]),
    ]
    found.sort(key=lambda offer: _has_a_lone_case(cases, offer))  # stable: nothing else is moved
    return found, [*named, *likely, *last][:NOT_A_LABEL]


def _has_a_lone_case(cases: pd.DataFrame, offer: Offer) -> bool:
    """Whether a class has one case, which cannot be learned from and tested on."""
    label = offer.columns[-1] if offer.kind == "survival" else offer.columns[0]
    known = set(_classes(cases[label]))
    counts = Counter(folded for folded in map(fold, cases[label]) if folded in known)
    return min(counts.values()) < FEWEST_OF_A_CLASS


def _is_no_label(name: str) -> bool:
    return re.match(rf"(?:{NOT_PREDICTED})\b", words_of(name)) is not None


def _classes(cells: pd.Series) -> dict[str, str]:
    """The classes of a column, each under its most frequent spelling."""
    found: dict[str, str] = {}
    for value in cells.value_counts().index:
        folded = fold(str(value))
        if folded not in NO_LABEL and folded.strip("[]()<> ") not in NOT_KNOWN:
            found.setdefault(folded, " ".join(str(value).split()))
    return found


def _of_classes(cases: pd.DataFrame, name: str, classes: dict[str, str]) -> Offer:
    unknown = sorted(
        {
            " ".join(value.split())
            for value in cases[name].unique()
            if fold(value) not in classes and fold(value) not in NO_LABEL
        }
    )
    lines = [f"label = {quoted(name)}"]
    if len(classes) == 2:
        likely = sorted(classes, key=lambda folded: (folded not in POSITIVE, folded == "0", folded))
        positive = likely[0] if likely[0] in POSITIVE else sorted(classes)[-1]
        lines += [f"positive = {quoted(classes[positive])}"]
    if unknown:
        lines += [f"unknown = [{', '.join(map(quoted, unknown))}]"]
    return Offer("binary" if len(classes) == 2 else "multiclass", tuple(lines), (name,))


def _survival(cases: pd.DataFrame) -> list[Offer]:
    """The time and the event that share most words of their names."""
    columns = [str(name) for name in cases.columns]
    events = [name for name in columns if is_named_like(name, END) and _is_event(cases[name])]
    times = [
        name
        for name in columns
        if is_named_like(name, TIME)
        and (is_named_like(name, rf"{END}|follow ?up|last") or words_of(name) == "time")
        and _is_time(cases[name])
    ]
    pairs = [(event, time) for event in events for time in times if event != time]
    if not pairs:
        return []
    shared = {
        pair: len(set(words_of(pair[0]).split()) & set(words_of(pair[1]).split())) for pair in pairs
    }
    event, time = max(pairs, key=lambda pair: shared[pair])
    lines = (f"time = {quoted(time)}", f"event = {quoted(event)}")
    return [Offer("survival", lines, (time, event))]


def _is_event(cells: pd.Series) -> bool:
    return {fold(value) for value in cells.unique()} - NO_LABEL == {"0", "1"}


def _is_time(cells: pd.Series) -> bool:
    numbers = [as_number(value) for value in cells.unique() if fold(value) not in NO_LABEL]
    positive = sum(number is not None and number >= 0 for number in numbers)
    return (
        len(numbers) > FEW_CLASSES
        and None not in numbers
        and positive >= (1 - WRONG_TIMES) * len(numbers)
    )
