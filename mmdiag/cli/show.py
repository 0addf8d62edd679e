"""Draw answers for people: a number with its interval and its n, names and counts, never a
patient's value that was not asked for.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from mmdiag.cli.context import Answer

RESEARCH = "For research use only: not a medical device."
DIFFERENCE = "fused-minus-best"
METRICS = (
    "auroc",
    "auprc",
    "brier",
    "ece",
    "calibration_error",
    "c_index",
    "concordance",
    "accuracy",
    "macro_auroc",
)


def show_run(answer: Answer) -> None:
    """Metrics, the verdict on fusion, the counts, and what to do next."""
    _metrics(answer["metrics"])
    _availability(answer.get("availability", ()))
    _counts(answer)
    _line(f"Bundle {answer['bundle']['id']} in {answer['bundle']['path']}")
    _line(f"Predictions in {answer['predictions']}")
    _line(
        f"Done in {answer['seconds']:.0f} s. Open the dashboard: mmdiag dashboard --workspace "
        f"{answer['workspace']}"
    )
    _line(RESEARCH)


def show_search(answer: Answer) -> None:
    """What was chosen for each model, then all that a run shows."""
    found = answer["search"]
    rows = [
        {
            "model": name,
            **{
                field: f"{value:.3g}" if isinstance(value, float) else value
                for field, value in chosen["values"].items()
            },
            "loss": f"{chosen['loss']:.3f}",
        }
        for name, chosen in found["fits"].items()
        if chosen["trials"]
    ]
    fields = list(
        dict.fromkeys(field for row in rows for field in row if field not in ("model", "loss"))
    )
    _table(
        ("model", *fields, "loss"),
        rows,
        title=f"Chosen for each model from {found['trials']} trials on its training subjects, by "
        "validation loss",
    )
    show_run(answer)


def show_evaluation(answer: Answer) -> None:
    """The metrics of a run."""
    _metrics(answer["metrics"])
    _availability(answer.get("availability", ()))
    _line(f"Run {answer['run']}")
    _line(RESEARCH)


def show_ingest(answer: Answer) -> None:
    """What came in, and what was refused."""
    _counts(answer)


def show_score(answer: Answer) -> None:
    """What was scored, and where the predictions are."""
    _counts(answer)
    _line(
        f"{answer['scored']} cases scored by {answer['bundle']['id']}, "
        f"{answer['already_scored']} were scored before. Predictions in {answer['predictions']}"
    )
    _line(RESEARCH)


def show_explanation(answer: Answer) -> None:
    """One case: its probability, what moved it, and its leading words and genes."""
    _line(
        f"Case {answer['case_id']}: {_answer_of_case(answer)} ({answer['role']}, model "
        f"{answer['bundle_id']})"
    )
    table = Table(
        "modality", "contribution (log-odds)", "weight", title="What moved it", title_justify="left"
    )
    for key in (key for key in answer if key.startswith("contribution_")):
        name = key.removeprefix("contribution_")
        present = name in (answer.get("modalities") or ())
        table.add_row(
            name,
            f"{answer[key]:+.2f}" if present else "not acquired",
            _number(answer.get(f"weight_{name}")) if present else "",
        )
    _console().print(table)
    _line(
        f"Image maps, words and genes: mmdiag dashboard --workspace {answer['workspace']}, or "
        "--json."
    )
    _line(RESEARCH)


def show_phantom(answer: Answer) -> None:
    """Where the phantom is, and the command that runs it."""
    _line(
        f"{answer['cases']} cases in {answer['out']}, their truth in truth/. Next: mmdiag run "
        f"--cohort {answer['cohort']}"
    )


def show_init(answer: Answer) -> None:
    """Where the description is, and what to do with it."""
    _line(
        f"Wrote {answer['cohort']}: read and edit it, then mmdiag ingest --cohort "
        f"{answer['cohort']}"
    )


def show_verdict(verdict: Mapping[str, Any]) -> None:
    """One file of `inspect`, a line."""
    _line(f"{verdict['verdict']:<11} {verdict['code'] or '-':<28} {verdict['path']}")


def show_lines(lines: Iterable[str]) -> None:
    """Lines as they are."""
    for line in lines:
        _line(line)


def show_quarantine(rows: Sequence[Mapping[str, Any]]) -> None:
    """All that was refused, a row a case and modality."""
    if not rows:
        _line("Nothing is in quarantine.")
        return
    _table(
        ("case_id", "modality", "code", "last_seen", "cure"),
        [{**row, "modality": row["modality"] or "whole case"} for row in rows],
    )


def show_refusals(rows: Sequence[Mapping[str, Any]]) -> None:
    """Everything that was refused of one case."""
    for row in rows:
        _line(
            f"{row['case_id']} · {row['modality'] or 'whole case'} · {row['code']} · first seen "
            f"{row['first_seen']}, last {row['last_seen']}"
        )
        _line(f"  rule: {row['rule']}")
        _line(f"  fact: {row.get('detail') or 'see the code'}")
        _line(f"  cure: {row['cure']}")


def show_decided(answer: Answer) -> None:
    """Which cases a decision is about, and what brings it into force."""
    _line(
        f"{len(answer['cases'])} cases: {', '.join(answer['cases'][:10])}. It holds from the "
        f"next ingestion on: {answer['next']}"
    )


def show_contracts(rows: Sequence[Mapping[str, Any]]) -> None:
    """The rules that are broken, the severest first, and how many were checked."""
    broken = [row for row in rows if row["failed"]]
    if broken:
        _table(("contract", "column", "rule", "severity", "failed", "checked", "why"), broken)
    _line(
        f"{len(rows)} rules were checked, {len(broken)} are broken by some row. Which cases: "
        "mmdiag quarantine list"
    )


def show_status(answer: Answer) -> None:
    """What a workspace holds."""
    if not answer["cohorts"]:
        _line(
            f"{answer['workspace']} holds nothing yet. Start with mmdiag run --cohort C.toml, or "
            "mmdiag phantom --help for a synthetic cohort."
        )
        return
    for title in ("cohorts", "bundles", "runs"):
        rows = answer[title]
        _table(
            [
                name
                for name in (rows[0] if rows else {})
                if not isinstance(rows[0][name], (dict, list))
            ][:6],
            rows,
            title=title.capitalize(),
        )
    _line(
        f"{answer['predictions']} predictions, {answer['quarantined']} rows in quarantine "
        "(mmdiag quarantine list)."
    )


def _metrics(metrics: Sequence[Mapping[str, Any]]) -> None:
    rows = [metric for metric in metrics if metric["model"] != DIFFERENCE]
    named = {
        metric["model"]: f"fused ({metric['fusion']})"
        if metric["model"] == "fused"
        else metric["model"]
        for metric in rows
    }
    _metric_table(
        "model",
        named,
        rows,
        f"Metrics with 95 % intervals ({rows[0]['split']})" if rows else "No metrics",
    )
    for metric in metrics:
        if metric["model"] == DIFFERENCE:
            _line(_verdict(metric))


def _availability(metrics: Sequence[Mapping[str, Any]]) -> None:
    """The fused model by the modalities at hand, where cases differ in that."""
    named = {
        metric["availability"]: ", ".join(metric["modalities"]) or "none" for metric in metrics
    }
    if len(named) > 1:
        _metric_table(
            "availability",
            named,
            metrics,
            f"The fused model by the modalities at hand ({metrics[0]['split']})",
        )


def _metric_table(
    key: str, named: Mapping[str, str], metrics: Sequence[Mapping[str, Any]], title: str
) -> None:
    """A row for each value of `key`, under its name, and a column for each metric."""
    names = sorted(
        {metric["metric"] for metric in metrics},
        key=lambda name: METRICS.index(name) if name in METRICS else len(METRICS),
    )
    by_cell = {(metric[key], metric["metric"]): metric for metric in metrics}
    table = Table(
        "modalities" if key == "availability" else key,
        *names,
        "n",
        title=title,
        title_justify="left",
    )
    for value, name in named.items():
        first = next(metric for metric in metrics if metric[key] == value)
        table.add_row(
            name, *(_interval(by_cell.get((value, metric))) for metric in names), str(first["n"])
        )
    _console().print(table)


def _verdict(difference: Mapping[str, Any]) -> str:
    best = ", ".join(difference["modalities"])
    metric = {"c_index": "C-index"}.get(difference["metric"], difference["metric"].upper())
    size = (
        f"{difference['value']:+.2f} {metric} ({difference['low']:+.2f} to "
        f"{difference['high']:+.2f}), n = {difference['n']}"
    )
    if difference["low"] > 0:
        return f"Fusion helps on this cohort: {size} against the best single modality, {best}."
    if difference["high"] < 0:
        return f"Fusion harms on this cohort: {size} against the best single modality, {best}."
    return f"Fusion is not shown to be better than the best single modality, {best}: {size}."


def _counts(answer: Answer) -> None:
    cases = answer["cases"]
    unread = f", {cases['new']} read now" if "new" in cases else ""
    _line(
        f"{answer['cohort']['name']}: {cases['in']} cases in = {cases['accepted']} accepted + "
        f"{cases['quarantined']} in quarantine; {cases['labelled']} labelled{unread}."
    )
    rows = [{"modality": name, **counts} for name, counts in answer["modalities"].items()]
    _table(("modality", "kind", "present", "absent", "quarantined"), rows)
    for row in (row for row in rows if row.get("masked")):
        _line(
            f"{row['masked']} identifiers were masked in {row['modality']}: no masking is "
            "complete, read a sample."
        )
    if cases["quarantined"] or any(row["quarantined"] for row in rows):
        _line(f"What was refused and why: mmdiag quarantine list --workspace {answer['workspace']}")


def _answer_of_case(answer: Answer) -> str:
    if "probability" in answer:
        return f"{100 * answer['probability']:.0f} % for the positive class"
    classes = {
        key.removeprefix("probability_"): answer[key]
        for key in answer
        if key.startswith("probability_")
    }
    return ", ".join(f"{name} {100 * value:.0f} %" for name, value in classes.items())


def _interval(metric: Mapping[str, Any] | None) -> str:
    if metric is None:
        return ""
    if metric["value"] is None:
        return "too few"
    if metric.get("low") is None:
        return _number(metric["value"])
    return f"{metric['value']:.2f} ({metric['low']:.2f} to {metric['high']:.2f})"


def _number(value: Any) -> str:
    return "" if value is None else f"{value:.2f}"


def _table(
    columns: Sequence[str], rows: Iterable[Mapping[str, Any]], title: str | None = None
) -> None:
    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        table.add_row(*(_printable(row.get(name, "")) for name in columns))
    _console().print(table)


def _line(text: str) -> None:
    _console().print(_printable(text), soft_wrap=True)


def _printable(value: Any) -> str:
    """A file's name may hold anything, a terminal's escape sequences too."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(value))


def _console() -> Console:
    return Console(markup=False, highlight=False, emoji=False)
