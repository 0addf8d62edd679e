"""Draw what the record says for people: models in use, reviews, outcomes, the audit."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmdiag.cli.printed import line, table_of
from mmdiag.evaluation.judged import TOO_FEW
from mmdiag.evaluation.verdict import interval, metric_name, other_classes

Row = Mapping[str, Any]
MODEL = ("bundle_id", "cohort", "state", "fusion", "since", "by", "reason")
REVIEW = ("case_id", "cohort", "verdict", "label", "by", "at", "reason", "bundle_id")


def show_models(rows: Sequence[Row], *, metrics: bool = False) -> None:
    """Every model with its state, and how it was judged when it was made."""
    if not rows:
        line("No model yet: `mmdiag train` makes one.")
        return
    table_of(MODEL, rows, title="Models")
    for row in rows if metrics else ():
        show_metrics(row["metrics"])


def show_metrics(metrics: Sequence[Row]) -> None:
    """A line a metric, with its interval and n."""
    for metric in metrics:
        line(f"  {metric_name(metric['metric'])} {interval(metric)}")


def show_reviews(rows: Sequence[Row]) -> None:
    """What was said of answers, the newest last."""
    table_of(REVIEW, rows, title="Reviews")


def show_reviewed(row: Row) -> None:
    """One review."""
    line(f"{row['case_id']}: {row['verdict']} recorded for {row['bundle_id']}.")


def show_outcomes(answer: Row) -> None:
    """Of each model what came out, beside what was promised."""
    for model in answer["models"]:
        state = model["state"] or "not of this cohort"
        line(
            f"{model['bundle_id']} ({state}): {model['scored']} cases scored, "
            f"{model['known']} with an outcome that came later."
        )
        if model["other_classes"]:
            line(f"  {other_classes(model['other_classes'])}")
        if not model["same_question"]:
            line("  The cohort asks for something else now than this model answers: not judged.")
        if model["metrics"]:
            line("  Since it came into use:" if model["enough"] else f"  {TOO_FEW}")
            show_metrics(model["metrics"])
            if model["promised"]:
                line("  As it was judged when it was made:")
                show_metrics(model["promised"])


def show_verified(answer: Row) -> None:
    """Whether the chain holds, and where it does not."""
    if answer["ok"]:
        line(f"All {answer['rows']} rows of the audit hold.")
    for fault in answer["broken"]:
        line(f"Row {fault['id']} {fault['why']}.")


def show_refit(answer: Row) -> None:
    """The decision, each of its reasons, and what it rests on."""
    line(f"{answer['challenger']} against {answer['champion']}: {answer['decision']}.")
    for reason in answer["reasons"]:
        line(f"  {reason['section']}, {reason['rule']}: {reason['fact']}")
    if reviewed := answer["labels_by_review"]:
        line(f"Of the cases that it learned from, {reviewed} have a person's review for a label.")
    if answer["comparison"]:
        columns = ("metric", "on", "champion", "challenger", "difference", "low", "high", "n")
        table_of(columns, [_rounded(row) for row in answer["comparison"]], title="Comparison")
    line(f"In use: {answer['champion_now']}.")


def _rounded(row: Row) -> dict[str, Any]:
    return {key: round(v, 4) if isinstance(v, float) else v for key, v in row.items()}
