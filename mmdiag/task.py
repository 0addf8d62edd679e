"""`Task`: what is predicted, in the cohort's own words; known to the store, to bundles and to every
view.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

NOTHING = "none of the labels"  # what is predicted where no label is there
EVEN = 0.5  # the probability from which an answer is positive, unless the task says another
SAYS_YES = {"1", "1.0", "yes", "true", "y", "positive"}  # a positive value that says only that


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is predicted.

    Args:
        kind: `binary`, `multiclass`, `multilabel` or `survival`.
        label: Column of the label; empty for several labels, for survival, and where nothing is
            labelled.
        classes: Values as predictions name them, in the order of their numbers (binary: negative,
            positive).
        labels: Columns of a multilabel task.
        cuts: Ends of the intervals of a survival model but the last, in the unit of its times.
        horizon: The time within which a survival's probability is that of the event, in the unit of
            its times; 0 = not known, as of a model of 0.1, whose risk is relative.
        threshold: From which probability the answer is positive.
        title: How people read the task.
        class_names: Value of the label -> how people read it.
        positive: Value of the positive class.
    """

    kind: str
    label: str = ""
    classes: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    cuts: tuple[float, ...] = ()
    horizon: float = 0.0
    threshold: float = EVEN
    title: str = ""
    class_names: Mapping[str, str] = field(default_factory=dict)
    positive: str = ""

    @staticmethod
    def from_facts(facts: Mapping[str, Any]) -> "Task":
        """Read what description.json or config.json holds; what other versions wrote beside it is
        left aside.
        """
        return Task(
            kind=str(facts["kind"]),
            label=str(facts.get("label") or ""),
            classes=tuple(map(str, facts.get("classes") or ())),
            labels=tuple(map(str, facts.get("labels") or ())),
            cuts=tuple(map(float, facts.get("cuts") or ())),
            horizon=float(facts.get("horizon") or 0.0),
            threshold=float(facts.get("threshold") or EVEN),
            title=str(facts.get("title") or ""),
            class_names={str(k): str(v) for k, v in (facts.get("class_names") or {}).items()},
            positive=str(facts.get("positive") or ""),
        )

    def facts(self) -> dict[str, Any]:
        """What `from_facts` reads; nothing that is empty."""
        listed = {
            "label": self.label,
            "classes": list(self.classes),
            "labels": list(self.labels),
            "cuts": list(self.cuts),
            "horizon": self.horizon,
            "threshold": self.threshold if self.threshold != EVEN else 0,
            "title": self.title,
            "class_names": dict(self.class_names),
            "positive": self.positive,
        }
        return {"kind": self.kind, **{key: value for key, value in listed.items() if value}}

    def asks_as(self, other: "Task") -> bool:
        """Whether a cohort asks what this task answers: the same label, with the same value for
        positive. What an earlier version did not write is no difference.
        """
        return all(
            not (own and theirs) or own == theirs
            for own, theirs in (
                (self.kind, other.kind),
                (self.label, other.label),
                (self.positive, other.positive),
                (sorted(self.labels), sorted(other.labels)),
            )
        )

    def in_words_of(self, cohort: "Task") -> "Task":
        """This task of a model as people read it now: the cohort may edit titles and names of
        classes, not what an answer means, such as its horizon or its threshold. One without labels
        that names nothing, to be scored alone, has the words of the model.
        """
        silent = not (cohort.label or cohort.labels or cohort.title or cohort.class_names)
        if silent or not self.asks_as(cohort) or self.horizon != cohort.horizon:
            return self
        return replace(self, title=cohort.title, class_names=cohort.class_names)

    @property
    def survival(self) -> bool:
        """Whether a time to an event is predicted."""
        return self.kind == "survival"

    @property
    def multilabel(self) -> bool:
        """Whether there are several labels, each present or not."""
        return self.kind == "multilabel"

    @property
    def metric(self) -> str:
        """The metric that models are compared by."""
        return "c_index" if self.survival else "auroc"

    @property
    def probability_columns(self) -> list[str]:
        """Columns of predictions.parquet that hold the answer."""
        names = {"multiclass": self.classes, "multilabel": self.labels}.get(self.kind)
        return ["probability"] if names is None else [f"probability_{name}" for name in names]

    @property
    def outcome(self) -> str:
        """What the probability of a binary task or a survival is the probability of."""
        if self.title:
            return self.title
        if self.survival:
            return "Event"
        label = self.label.removeprefix("label_").replace("_", " ").strip() or "Positive class"
        named = self.class_names.get(self.positive, self.positive)
        return label if named.lower() in {"", *SAYS_YES} else f"{label}: {named}"

    def name_of(self, value: str) -> str:
        """How people read a value of the label, or what predictions name it."""
        if value in self.class_names:
            return self.class_names[value]
        if self.kind == "binary" and self.classes and value == self.classes[0]:
            others = [name for key, name in self.class_names.items() if key != self.positive]
            if len(others) == 1:
                return others[0]
            positive = self.class_names.get(self.positive, self.positive)
            return f"not {positive}" if positive else value
        return value

    def named(self, predicted: str) -> str:
        """How people read what was predicted; of several labels each."""
        if not self.multilabel:
            return self.name_of(predicted)
        return ", ".join(map(self.name_of, predicted.split(", ")))

    def explained(self, answer: Mapping[str, Any]) -> str:
        """What contributions are contributions to: the outcome, the predicted class, or of several
        labels the likeliest one, whether it is said to be there or not.

        Args:
            answer: A row of predictions.parquet.
        """
        if self.kind in ("binary", "survival"):
            return self.outcome
        said = {name: answer.get(f"probability_{name}") for name in self.labels}
        known = {name: float(share) for name, share in said.items() if share is not None}
        if self.multilabel and known:
            return self.name_of(max(known, key=lambda name: known[name]))
        return self.name_of(str(answer["predicted"]))
