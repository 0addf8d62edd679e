"""What people read of an evaluation, in one wording for every view: the verdict on fusion, a case's
answer, and the names of metrics, models and roles. Imports no torch.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mmdiag.task import Task

FUSED = "fused"  # the model of all modalities; any other of a run is named for the one that it has
DIFFERENCE, BASELINE = "fused-minus-best", "baseline:"
LATE_FUSION = f"{BASELINE}late_fusion"
RIVAL_DIFFERENCE = "fused-minus-late_fusion"
DIFFERENCES = {
    DIFFERENCE: "Difference: fused less the best single modality",
    RIVAL_DIFFERENCE: "Difference: fused less late fusion of linear models",
}
# in the order in which they are shown
METRICS = {
    "c_index": "C-index",
    "c_index_within": "C-index within site or group",
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "accuracy": "accuracy",
    "brier": "Brier score",
    "ece": "calibration error",
    "log_loss": "log loss",
}
SMALLER_IS_BETTER = ("brier", "ece", "log_loss")
RANKS = ("auroc", "c_index", "c_index_within")  # metrics whose value by chance is CHANCE
CHANCE = 0.5
BASELINES = {
    "prevalence": "Prevalence (baseline)",
    "availability": "Which modalities are present (baseline)",
    "late_fusion": "Late fusion (baseline)",
}
ROLES = {
    "train": "in the training set",
    "new": "not used in training",
    "test": "held-out test case",
    "out-of-fold": "cross-validated (out-of-fold) prediction",
}
# what a leak is, before its fact
LEAKS = {
    "near_same_image": "nearly the same picture under two subjects. ",
    "label_by_input": "columns that tell the label. ",
    "label_by_absence": "which modalities are present goes with the label. ",
    "label_by_site": "it goes with the label. ",
}
HARMLESS = ("template_note",)  # a short note that several people share tells nothing
NO_ANSWER = "No answer: no case with only these modalities was in training"
# reasons of an abstention; behind the second the modalities, such as atypical:flair+report
PATTERN, UNLIKE = "pattern", "atypical:"
Row = Mapping[str, Any]
Title = Callable[[str], str]


def verdict(metrics: Sequence[Row], *, title: Title = str, leaks: Sequence[Row] = ()) -> str:
    """Whether fusion is worth it on this cohort, in one sentence with the difference, its interval
    and n; and what may have given the label away.

    Args:
        metrics: `model, modalities (a list), metric, value, low, high, n`, and `p` of a difference.
        title: How people read a modality.
        leaks: `code, modality, fact` of each leak that the contracts found.
    """
    said = f"{_of_metrics(metrics, title)}{_below_chance(metrics, title)}"
    found = leak_sentences(leaks, title=title)
    return f"{said} The figures may be too good: {' '.join(found)}" if found else said


def leak_sentences(leaks: Sequence[Row], *, title: Title = str) -> list[str]:
    """Each leak that was found, in a sentence that begins with its modality."""
    return [
        f"{title(leak['modality']) if leak['modality'] else 'Cohort'}: "
        f"{LEAKS.get(leak['code'], '')}{leak['fact']}"
        for leak in leaks
        if leak["code"] not in HARMLESS
    ]


def _of_metrics(metrics: Sequence[Row], title: Title) -> str:
    primary = primary_metric(metrics)
    of_primary = {row["model"]: row for row in metrics if row["metric"] == primary}
    if FUSED not in of_primary:
        return "The run has no fused model."
    if DIFFERENCE not in of_primary:
        return _by_intervals(of_primary, primary, title)
    row = of_primary[DIFFERENCE]
    best = ", ".join(map(title, row["modalities"]))
    known = row.get("p") is not None and math.isfinite(row["p"])
    p = f", p = {row['p']:.2g}" if known else ""
    size = (
        f"{row['value']:+.2f} {metric_name(primary)} against {best} alone ({row['low']:+.2f} to "
        f"{row['high']:+.2f}), n = {row['n']:.0f}{p}"
    )
    said = {
        1: "Fusion helps on this cohort",
        -1: "Fusion performs worse than the best single modality on this cohort",
        0: "Fusion is not shown to be better than the best single modality",
    }[_shown(row, primary)]
    return f"{said}: {size}.{_against_rival(of_primary, primary)}"


def _below_chance(metrics: Sequence[Row], title: Title) -> str:
    """Which modalities alone rank cases worse than chance would, in a sentence; empty where none
    does.
    """
    primary = primary_metric(metrics)
    below = [
        f"{title(str(row['model']))} {_bounded(row)}"
        for row in metrics
        if row["metric"] == primary in RANKS
        and row["model"] != FUSED
        and row["model"] not in DIFFERENCES
        and not str(row["model"]).startswith(BASELINE)
        and _measured(row)
        and row["value"] < CHANCE
    ]
    return f" Alone below chance ({CHANCE}): {', '.join(below)}." if below else ""


def _shown(difference: Row, metric: str) -> int:
    """What the interval of a difference shows: 1 = better, -1 = worse, 0 = neither."""
    sign = -1 if metric in SMALLER_IS_BETTER else 1
    low, high = sorted((sign * difference["low"], sign * difference["high"]))
    return 1 if low > 0 else -1 if high < 0 else 0


def _against_rival(of_primary: Mapping[str, Row], primary: str) -> str:
    """How the fused model stands beside a plain late fusion, in a sentence; empty where that was
    not measured.
    """
    row = of_primary.get(RIVAL_DIFFERENCE)
    if row is None or not _measured(row):
        return ""
    size = f"{row['value']:+.2f} {metric_name(primary)} ({row['low']:+.2f} to {row['high']:+.2f})"
    rival = "the mean of one linear model a modality"
    said = {
        1: f"It is above {rival}",
        -1: f"It is below {rival}, which is simpler",
        0: f"It is not shown to be above {rival}, which is simpler",
    }[_shown(row, primary)]
    return f" {said}: {size}."


def _by_intervals(of_primary: Mapping[str, Row], primary: str, title: Title) -> str:
    """The verdict where the models were not compared pair by pair: what the intervals say, and no
    more.
    """
    fused = of_primary[FUSED]
    if not _measured(fused):
        return "The fused model was evaluated on too few cases to say whether fusion helps."
    reached = f"{metric_name(primary)} {interval(fused)}"
    singles = [
        row
        for name, row in of_primary.items()
        if name != FUSED and not name.startswith(BASELINE) and _measured(row)
    ]
    if not singles:
        return f"The fused model reaches {reached}; no single modality was evaluated beside it."
    sign = -1 if primary in SMALLER_IS_BETTER else 1
    best = max(singles, key=lambda row: float(sign * row["value"]))
    beside = f"{reached}, beside {title(best['model'])} alone with {_bounded(best)}"
    if fused["low"] <= best["high"] and fused["high"] >= best["low"]:
        return (
            "Fusion is not shown to differ from the best single modality, the intervals "
            f"overlap: {beside}."
        )
    if sign * (fused["value"] - best["value"]) > 0:
        return f"Fusion helps on this cohort, the intervals lie apart: {beside}."
    return (
        "Fusion performs worse than the best single modality on this cohort, the intervals lie "
        f"apart: {beside}."
    )


def _measured(row: Row) -> bool:
    """Whether a metric has a value and an interval."""
    return all(
        row.get(key) is not None and math.isfinite(row[key]) for key in ("value", "low", "high")
    )


def primary_metric(metrics: Sequence[Row]) -> str:
    """The metric that the verdict is about: the first of METRICS that was evaluated."""
    names = [str(row["metric"]) for row in metrics]
    return next((name for name in METRICS if name in names), next(iter(names), ""))


def not_above_chance(metrics: Sequence[Row]) -> Row | None:
    """The rank metric by which a fused model is not shown to be above chance; None where it is by
    all of them.
    """
    return next(
        (
            row
            for row in metrics
            if row["model"] == FUSED
            and row["metric"] in RANKS
            and row["low"] is not None
            and row["low"] <= CHANCE
        ),
        None,
    )


def at_chance(metrics: Sequence[Row]) -> str:
    """That figure in words, `C-index within site or group 0.63 (0.49 to 0.74), n = 123`; empty
    where the model is above chance.
    """
    row = not_above_chance(metrics)
    return f"{metric_name(row['metric'])} {interval(row)}" if row else ""


def ordered_metrics(names: Sequence[str]) -> list[str]:
    """Metrics in the order in which they are shown, those without a place last."""
    order = list(METRICS)
    return sorted(set(names), key=lambda name: (order.index(name) if name in order else 99, name))


def metric_name(metric: str) -> str:
    """`auroc` -> AUROC, `auroc_edema` -> AUROC of edema."""
    if metric.startswith("auroc_"):
        return f"AUROC of {metric.removeprefix('auroc_')}"
    return METRICS.get(metric, metric)


def model_name(model: str, *, title: Title = str, fusion: str | None = None) -> str:
    """How people read a model of the comparison.

    Args:
        model: `fused`, the name of a modality, or `baseline:NAME`.
        title: How people read a modality.
        fusion: Family of the fused model.
    """
    if model == FUSED:
        return f"Fused model ({fusion})" if fusion else "Fused model"
    if model.startswith(BASELINE):
        name = model.removeprefix(BASELINE)
        return BASELINES.get(name, f"{name.replace('_', ' ')} alone (baseline)")
    return title(model)


def other_classes(cases: int) -> str:
    """That some outcomes are of classes that a model does not know."""
    return (
        f"{cases} more came out as a class that the model does not know: it cannot have been right "
        "on them, and they are not in these figures."
    )


def interval(row: Row) -> str:
    """A value with its interval and n: `0.78 (0.66 to 0.88), n = 50`."""
    return f"{_bounded(row)}, n = {row['n']:.0f}"


def _bounded(row: Row) -> str:
    return f"{row['value']:.2f} ({row['low']:.2f} to {row['high']:.2f})"


def answer_of(task: Task, row: Row, title: Title = str) -> str:
    """What the model answers for a case, in the cohort's own words: `Progression within 24 months:
    50 %`; of a case for which the model abstained that there is none, and why.

    Args:
        row: A row of predictions.parquet.
        title: How people read a modality.
    """
    if is_abstained(row):
        return why_abstained(row, title)
    if task.survival and task.horizon:
        within = f"within {task.horizon:g} (in the unit of its times)"
        return f"{task.outcome} {within}: {percent(row['probability'])}"
    if task.survival:
        return f"{task.outcome}: risk {row['probability']:.2f} (from 0 to 1, higher = earlier)"
    if task.kind == "binary":
        return f"{task.outcome}: {percent(row['probability'])}"
    said = ", ".join(f"{cls} {text}" for cls, _, text in shares_of(task, row))
    return f"{question(task)}: {said}"


LOG_ODDS, LOG_HAZARD = "log-odds", "log hazard"
BASE, THIS_CASE = "cases with these inputs", "this case"  # the ends of a waterfall


def scale_of(task: Task, row: Row) -> str:
    """In what contributions to an answer are given: of a survival model whose members agree more or
    less, as all but a single network's do, in its log hazard.

    Args:
        row: A row of predictions.parquet.
    """
    agreement = row.get("agreement")
    of_members = agreement is not None and agreement == agreement
    return LOG_HAZARD if task.survival and of_members else LOG_ODDS


def why_abstained(row: Row, title: Title = str) -> str:
    """Why there is no answer for a case that the model abstained from."""
    reason = str(row.get("abstained_because") or PATTERN)
    if not reason.startswith(UNLIKE):
        return NO_ANSWER
    names = ", ".join(map(title, reason.removeprefix(UNLIKE).split("+")))
    return f"No answer: unlike the cases it was trained on: {names}"


def is_abstained(row: Row) -> bool:
    """Whether the model gives no answer for a case: its probability is kept for evaluation, and
    shown nowhere.
    """
    abstained = row.get("abstained")
    return abstained is not None and abstained == abstained and bool(abstained)


def question(task: Task) -> str:
    """What a task of several classes or labels asks for."""
    return task.title or task.label.removeprefix("label_").replace("_", " ") or "Prediction"


TENTH = 0.1  # of like cases, in the tail that a batch is judged by


def shares_of(task: Task, row: Row) -> list[tuple[str, float, str]]:
    """Classes or labels as people read them, with their probability, as a number and as people read
    it, the likeliest first.
    """
    columns = [key for key in row if str(key).startswith("probability_")]
    return [
        (task.name_of(key.removeprefix("probability_")), float(row[key]), percent(row[key]))
        for key in sorted(columns, key=lambda key: -float(row[key]))
    ]


def percent(share: float) -> str:
    """A probability without decimals. No model is sure: one that rounds to 0 or 1, or is so far out
    that a number holds it no better, says so.
    """
    rounded = round(100 * share)
    return {0: "< 1 %", 100: "> 99 %"}.get(rounded, f"{rounded} %")


def unlike_training(answer: Mapping[str, Any], titles: Mapping[str, str]) -> list[str]:
    """What the answer of scoring says at its head: how many cases have no answer and why, and which
    modalities of the batch are unlike the training.
    """
    said = []
    for reason, count in answer.get("abstained", {}).items():
        row = {"abstained": True, "abstained_because": reason}
        why = why_abstained(row, lambda name: titles.get(name, name))
        said.append(f"{count} of these cases: {why}.")
    for name, found in answer.get("shift", {}).items():
        if found["unlike"]:
            where = "among the tenth of the training that is furthest from its middle"
            few = "nearer to the middle of the training than its own cases are"
            how = few if found["share"] <= TENTH else "unlike the training"
            said.append(
                f"{titles.get(name, name)} of this batch is {how}: {found['share']:.0%} of "
                f"{found['cases']} cases are {where}, 10 % are expected."
            )
    new = answer.get("new_sites") or {}
    if new.get("cases"):
        number = f"{new['cases']}, of {new['sites']} site{'s' * (new['sites'] != 1)}"
        measured = "by_subgroup" in answer  # of a validation, whose figures hold for them
        said.append(
            f"Cases of sites that the model has learned from no case of: {number}"
            + ("." if measured else "; how good it is there was not measured.")
        )
    return said
