"""The gate: a plan, a comparison and what else is known decide whether a challenger is promoted,
held or refused. A pure function: nothing is read or written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmdiag.evaluation.verdict import metric_name
from mmdiag.lifecycle.compare import CALIBRATION, EVERYBODY, SENSITIVITY
from mmdiag.lifecycle.plan import IMPACT, MODIFICATIONS, PROTOCOL, ChangePlan

PROMOTED, HELD, REFUSED = DECISIONS = ("promoted", "held", "refused")
LEVEL = 0.05  # of all subgroups together
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the gate knows beside the comparison.

    Args:
        cases: Cases that both are judged on, which neither has learned from.
        of_a_kind: Of these the rarer class, or events.
        changed: In what the challenger differs from the champion, beside the cases.
        new_leaks: Leakage warnings that the champion did not have, by code and modality; None where
            it is not known which it had.
        shortage: Why there are no more cases, in a sentence; may be empty.
    """

    cases: int
    of_a_kind: int
    changed: tuple[str, ...] = ()
    new_leaks: tuple[str, ...] | None = ()
    shortage: str = ""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why: a section of the plan, its rule, and the fact."""

    section: str
    rule: str
    fact: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What is decided, and all that it rests on."""

    decision: str
    reasons: tuple[Reason, ...]


def decide(plan: ChangePlan, comparison: Sequence[Row], facts: Facts) -> Decision:
    """Decide on a challenger: refused where a rule is broken for certain, held where the cases do
    not decide, promoted where it is better and no rule is broken.
    """
    told = () if plan.written else (_of(PROTOCOL, "plan", "the built-in plan holds: no file"),)
    too_few = _too_few(plan, facts)
    broken = [*_modifications(plan, facts), *_leaks(facts)]
    if not too_few:  # what a handful of cases says is no certainty
        broken += _worse(plan, comparison)
        broken += _calibration(plan, comparison)
        broken += _subgroups(plan, comparison)
    if broken:
        return Decision(REFUSED, (*broken, *told))
    undecided = [*too_few, *_unknown_leaks(facts), *_not_better(plan, comparison)]
    if undecided:
        return Decision(HELD, (*undecided, *told))
    return Decision(PROMOTED, (*_better(comparison, facts), *told))


def _of(section: str, rule: str, fact: str) -> Reason:
    return Reason(section, rule, fact)


def _modifications(plan: ChangePlan, facts: Facts) -> list[Reason]:
    return [
        _of(MODIFICATIONS, "may_change", f"the challenger has other {name} than the champion")
        for name in facts.changed
        if name not in plan.may_change
    ]


def _leaks(facts: Facts) -> list[Reason]:
    rule = "no new leakage warning"
    return [
        _of(PROTOCOL, rule, f"{leak} was not there when the champion was made")
        for leak in facts.new_leaks or ()
    ]


def _unknown_leaks(facts: Facts) -> list[Reason]:
    if facts.new_leaks is not None:
        return []
    fact = "the cohort has warnings, and it is not known which it had when the champion was made"
    return [_of(PROTOCOL, "no new leakage warning", fact)]


def _too_few(plan: ChangePlan, facts: Facts) -> list[Reason]:
    because = f" ({facts.shortage})" if facts.shortage else ""
    found: list[Reason] = []
    if facts.cases < plan.least_cases:
        fact = f"{facts.cases} cases that neither has learned from, {plan.least_cases} are needed"
        found.append(_of(PROTOCOL, "least_cases", fact + because))
    elif facts.of_a_kind < plan.least_of_a_kind:
        fact = f"{facts.of_a_kind} of the rarer outcome, {plan.least_of_a_kind} are needed"
        found.append(_of(PROTOCOL, "least_of_a_kind", fact + because))
    return found


def _primary(comparison: Sequence[Row]) -> Row | None:
    """The task's metric on all cases."""
    rows = [row for row in comparison if row["on"] == EVERYBODY]
    own = [row for row in rows if row["metric"] not in (CALIBRATION, SENSITIVITY)]
    return own[0] if own else None


def _worse(plan: ChangePlan, comparison: Sequence[Row]) -> list[Reason]:
    row = _primary(comparison)
    if row is None or row["high"] >= -plan.margin:
        return []
    return [_of(IMPACT, "margin", f"the challenger is worse: {_difference(row)}")]


def _not_better(plan: ChangePlan, comparison: Sequence[Row]) -> list[Reason]:
    row = _primary(comparison)
    if row is None:
        return [_of(IMPACT, "margin", "the metric does not exist on these cases")]
    if row["low"] > 0 and row["difference"] >= plan.margin:
        return []
    return [_of(IMPACT, "margin", f"the cases do not decide: {_difference(row)}")]


def _better(comparison: Sequence[Row], facts: Facts) -> list[Reason]:
    row = _primary(comparison)
    groups = len({r["on"] for r in comparison} - {EVERYBODY})
    judged = f"{groups} subgroups that are large enough, none is worse for certain"
    found = [_of(IMPACT, "margin", f"the challenger is better: {_difference(row)}")] if row else []
    rows = [r for r in comparison if r["metric"] == CALIBRATION]
    found += [_of(IMPACT, "calibration_margin", _difference(r)) for r in rows]
    enough = f"{facts.cases} cases that neither has learned from"
    return [*found, _of(IMPACT, "subgroup_margin", judged), _of(PROTOCOL, "least_cases", enough)]


def _calibration(plan: ChangePlan, comparison: Sequence[Row]) -> list[Reason]:
    return [
        _of(IMPACT, "calibration_margin", f"the challenger is calibrated worse: {_difference(row)}")
        for row in comparison
        if row["metric"] == CALIBRATION and row["low"] > plan.calibration_margin
    ]


def _subgroups(plan: ChangePlan, comparison: Sequence[Row]) -> list[Reason]:
    """Subgroups, and the positive cases of all, in which the challenger is worse for certain; the
    more are looked at, the more certain.
    """
    rows = [row for row in comparison if row["on"] != EVERYBODY or row["metric"] == SENSITIVITY]
    level = LEVEL / max(len(rows), 1)
    worse = [row for row in rows if row["high"] < -plan.subgroup_margin and row["p"] <= level]
    worse.sort(key=lambda row: row["difference"])
    return [
        _of(
            IMPACT,
            "subgroup_margin",
            f"the challenger is worse for {row['on']}: {_difference(row)}",
        )
        for row in worse
    ]


def _difference(row: Row) -> str:
    return (
        f"{metric_name(row['metric'])} {row['challenger']:.3f} against {row['champion']:.3f}, "
        f"difference {row['difference']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f}), "
        f"n = {row['n']}"
    )
