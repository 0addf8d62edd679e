"""Draw answers for people: a number with its interval and its n, names and counts, never a
patient's value that was not requested.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from rich.table import Table

from mmdiag.cli.context import Answer
from mmdiag.cli.printed import RESEARCH, a_console, line, number, printable, table_of
from mmdiag.evaluation.interplay import interplay_sentences
from mmdiag.evaluation.verdict import (
    DIFFERENCES,
    leak_sentences,
    metric_name,
    model_name,
    ordered_metrics,
    primary_metric,
    unlike_training,
    verdict,
)
from mmdiag.explain.report.checked import checked_sentence

Titles = Mapping[str, str]  # modality -> how people read it
NO_TITLES: Titles = {}


def show_run(answer: Answer, titles: Titles = NO_TITLES) -> None:
    """Metrics, the verdict on fusion, the counts, and what to do next."""
    _metrics(answer, titles)
    _availability(answer.get("availability", ()), titles)
    _counts(answer, titles)
    line(f"Bundle {answer['bundle']['id']} in {answer['bundle']['path']}")
    line(f"Predictions in {answer['predictions']}")
    line(
        f"Done in {answer['seconds']:.0f} s. Open the dashboard: mmdiag dashboard --workspace "
        f"{answer['workspace']}"
    )
    line(RESEARCH)


def show_search(answer: Answer, titles: Titles = NO_TITLES) -> None:
    """What was chosen for each model, then all that a run shows."""
    searched = answer["search"]
    rows = [
        {
            "model": name,
            **{
                field: f"{value:.3g}" if isinstance(value, float) else value
                for field, value in chosen["values"].items()
            },
            "loss": f"{chosen['loss']:.3f}",
        }
        for name, chosen in searched["fits"].items()
        if chosen["trials"]
    ]
    fields = list(
        dict.fromkeys(field for row in rows for field in row if field not in ("model", "loss"))
    )
    table_of(
        ("model", *fields, "loss"),
        rows,
        title=f"Chosen for each model from {searched['trials']} trials on its training subjects, "
        "by validation loss",
    )
    show_run(answer, titles)


def show_evaluation(answer: Answer, titles: Titles = NO_TITLES) -> None:
    """The metrics of a run."""
    _metrics(answer, titles)
    _availability(answer.get("availability", ()), titles)
    line(f"Run {answer['run']}")
    line(RESEARCH)


def show_ingest(answer: Answer, titles: Titles = NO_TITLES) -> None:
    """What was received, and what was refused."""
    _counts(answer, titles)


def show_score(answer: Answer, titles: Titles = NO_TITLES) -> None:
    """What was scored, and where the predictions are."""
    _counts(answer, titles)
    _unlike(answer, titles)
    line(
        f"{answer['scored']} cases scored by {answer['bundle']['id']}, "
        f"{answer['already_scored']} were scored before. Predictions in {answer['predictions']}"
    )
    if answer["left_out"]:
        line(f"Left out: {_left_out(answer['left_out'])}; --all scores them, too.")
    if not answer["training_known"]:
        line(
            "Whether a case was in this model's training cannot be told here, every row says new: "
            "the key of its workspace is missing (MMDIAG_KEY_FILE)."
        )
    line(RESEARCH)


def _left_out(cases: Mapping[str, int]) -> str:
    why = {
        "labelled": "with a label",
        "reviewed": "with a review",
        "train": "of subjects that it learned from",
    }
    return ", ".join(f"{number} {why[name]}" for name, number in cases.items())


def show_validation(answer: Answer, titles: Titles = NO_TITLES) -> None:
    """How a bundle fares on cases that it has not seen."""
    _counts(answer, titles)
    names = {"fused": f"Bundle {answer['bundle']['id']}"}
    _metric_table("model", names, answer["metrics"], "Metrics with 95 % intervals (validation)")
    _availability([row | {"split": "validation"} for row in answer["by_availability"]], titles)
    named = [f"{row['column']}: {row['subgroup']}" for row in answer["by_subgroup"]]
    if named:
        groups = [r | {"group": n} for r, n in zip(answer["by_subgroup"], named, strict=True)]
        _metric_table("group", dict(zip(named, named, strict=True)), groups, "By site and group")
    if answer["calibration"]:
        _calibration(answer["calibration"])
    _unlike(answer, titles)
    if answer["seen"] is None:
        line(
            "Whether a case was in this model's training cannot be told here, all are judged on: "
            "the key of its workspace is missing (MMDIAG_KEY_FILE)."
        )
    elif answer["seen"]:
        line(f"{answer['seen']} cases of subjects that it learned from are left out.")
    line(answer["sentence"])
    line(RESEARCH)


def _unlike(answer: Answer, titles: Titles) -> None:
    """In what the cases are unlike those of the training, and which columns of tables are not
    theirs.
    """
    for sentence in unlike_training(answer, titles):
        line(sentence)
    for name, columns in answer.get("columns", {}).items():
        for sentence in columns["said"]:
            line(f"{titles.get(name, name)}: {sentence}.")


def _calibration(found: Mapping[str, Any]) -> None:
    slope, middle = (number(found[name]) or "none" for name in ("slope", "intercept"))
    line(
        f"Calibration: slope {slope}, intercept {middle}; Brier "
        f"score {found['brier']:.3f}, of the prevalence alone {found['brier_prevalence']:.3f}; "
        f"error {found['ece']:.3f} ({found['ece_low']:.3f} to {found['ece_high']:.3f})."
    )


def show_phantom(answer: Answer) -> None:
    """Where the phantom is, and the command that runs it."""
    line(
        f"{answer['cases']} cases in {answer['out']}, their truth in truth/. Next: mmdiag run "
        f"--cohort {answer['cohort']}"
    )


def show_init(answer: Answer) -> None:
    """Where the description is, and what to do with it."""
    line(
        f"Wrote {answer['cohort']}: read and edit it, then mmdiag ingest --cohort "
        f"{answer['cohort']}"
    )


def show_verdict(verdict: Mapping[str, Any]) -> None:
    """One file of `inspect`, a line."""
    line(f"{verdict['verdict']:<11} {verdict['code'] or '-':<28} {verdict['path']}")


def show_lines(lines: Iterable[str]) -> None:
    """Lines as they are."""
    for text in lines:
        line(text)


def show_quarantine(rows: Sequence[Mapping[str, Any]]) -> None:
    """All that was refused, a row a case and modality."""
    if not rows:
        line("Nothing is in quarantine.")
        return
    table_of(
        ("case_id", "modality", "code", "last_seen", "cure"),
        [{**row, "modality": row["modality"] or "whole case"} for row in rows],
    )


def show_refusals(rows: Sequence[Mapping[str, Any]]) -> None:
    """Everything that was refused of one case."""
    for row in rows:
        line(
            f"{row['case_id']} · {row['modality'] or 'whole case'} · {row['code']} · first seen "
            f"{row['first_seen']}, last {row['last_seen']}"
        )
        line(f"  rule: {row['rule']}")
        line(f"  fact: {row.get('detail') or 'see the code'}")
        line(f"  cure: {row['cure']}")


def show_decided(answer: Answer) -> None:
    """Which cases a decision is about, and what brings it into force."""
    line(
        f"{len(answer['cases'])} cases: {', '.join(answer['cases'][:10])}. Takes effect at the "
        f"next ingestion: {answer['next']}"
    )


def show_contracts(rows: Sequence[Mapping[str, Any]]) -> None:
    """The rules that failed, the severest first, and how many were checked."""
    failing = [row for row in rows if row["failed"]]
    if failing:
        table_of(("contract", "column", "rule", "severity", "failed", "checked", "why"), failing)
    line(
        f"{len(rows)} rules checked, {len(failing)} failed for at least one row. Which cases: "
        "mmdiag quarantine list"
    )


def show_status(answer: Answer) -> None:
    """What a workspace holds."""
    if not answer["cohorts"]:
        line(
            f"{answer['workspace']} holds nothing yet. Start with mmdiag run --cohort C.toml, or "
            "mmdiag phantom --help for a synthetic cohort."
        )
        return
    rows = [{**cohort, **cohort.get("counts", {})} for cohort in answer["cohorts"]]
    table_of(("name", "accepted", "quarantined", "labelled", "ingested_at"), rows, title="Cohorts")
    table_of(("bundle_id", "cohort", "saved_at"), answer["bundles"], title="Bundles")
    table_of(("run_id", "cohort", "status", "finished"), answer["runs"], title="Runs")
    line(
        f"{answer['predictions']} predictions, {answer['quarantined']} rows in quarantine "
        "(mmdiag quarantine list)."
    )


def _metrics(answer: Answer, titles: Titles) -> None:
    metrics = answer["metrics"]
    rows = [metric for metric in metrics if metric["model"] not in DIFFERENCES]
    if not rows:
        line("No metrics.")
        return
    names = {
        row["model"]: model_name(row["model"], title=_title(titles), fusion=row["fusion"])
        for row in rows
    }
    _metric_table("model", names, rows, f"Metrics with 95 % intervals ({rows[0]['split']})")
    line(verdict(metrics, title=_title(titles), leaks=answer.get("leaks", ())))
    for sentence in answer.get("warnings") or ():
        line(sentence)
    metric = metric_name(primary_metric(metrics))
    for sentence in interplay_sentences(answer.get("interplay") or {}, metric):
        line(sentence)
    if checks := answer.get("checks"):
        line(checked_sentence(checks))


def _title(titles: Titles) -> Callable[[str], str]:
    return lambda modality: titles.get(modality, modality)


def _availability(metrics: Sequence[Mapping[str, Any]], titles: Titles) -> None:
    """The fused model by the available modalities, where cases differ in that."""
    names = {
        row["availability"]: ", ".join(map(_title(titles), row["modalities"])) or "none"
        for row in metrics
    }
    if len(names) > 1:
        split = metrics[0]["split"]
        _metric_table(
            "availability", names, metrics, f"Fused model by the available modalities ({split})"
        )


def _metric_table(
    key: str, names: Mapping[str, str], metrics: Sequence[Mapping[str, Any]], title: str
) -> None:
    """A row for each value of `key`, under its name, and a column for each metric."""
    columns = ordered_metrics([metric["metric"] for metric in metrics])
    by_cell = {(metric[key], metric["metric"]): metric for metric in metrics}
    table = Table(
        "modalities" if key == "availability" else key,
        *map(metric_name, columns),
        "n",
        title=title,
        title_justify="left",
    )
    for value, name in names.items():
        n = next(metric["n"] for metric in metrics if metric[key] == value)
        cells = (_cell(by_cell.get((value, metric)), n) for metric in columns)
        table.add_row(printable(name), *cells, str(n))
    a_console().print(table)


def _counts(answer: Answer, titles: Titles) -> None:
    cases = answer["cases"]
    new = f", {cases['new']} read now" if "new" in cases else ""
    line(
        f"{answer['cohort']['name']}: {cases['in']} cases received: {cases['accepted']} accepted, "
        f"{cases['quarantined']} quarantined; {cases['labelled']} labelled{new}."
    )
    if gone := cases.get("gone"):
        line(f"{gone} cases that it had are not in the case table any more.")
    _classes(answer)
    rows = [
        {"modality": titles.get(name, name), **counts}
        for name, counts in answer["modalities"].items()
    ]
    table_of(("modality", "kind", "present", "absent", "quarantined"), rows)
    for sentence in answer["cohort"].get("said", ()):
        line(f"Case table: {sentence}.")
    for row in rows:
        for sentence in row.get("said", ()):
            line(f"{row['modality']}: {sentence}.")
    for row in (row for row in rows if row.get("masked")):
        line(
            f"{row['masked']} identifiers were masked in {row['modality']}: no masking is "
            "complete, read a sample."
        )
    for leak in leak_sentences(answer.get("leaks", ()), title=_title(titles)):
        line(f"Leakage may flatter the figures. {leak} See mmdiag contracts.")
    if cases["quarantined"] or any(row["quarantined"] for row in rows):
        line(f"What was refused and why: mmdiag quarantine list --workspace {answer['workspace']}")


def _classes(answer: Answer) -> None:
    """How many cases each class has, and which values of the table count as it."""
    by_label: dict[str, list[str]] = {}
    for one in answer.get("classes", ()):
        values = one["values"] or ()
        spelled = (
            f" ({', '.join(map(repr, values))})" if [*values] not in ([], [one["name"]]) else ""
        )
        by_label.setdefault(one["label"], []).append(f"{one['cases']} {one['name']}{spelled}")
    cases = answer["cases"]
    for label, counts in by_label.items():
        without = (
            f", {cases['accepted'] - cases['labelled']} without label" if len(by_label) == 1 else ""
        )
        line(f"{label}: {', '.join(counts)}{without}.")


def _cell(metric: Mapping[str, Any] | None, n: int) -> str:
    """An interval, with its own n where that is another than the row's: a label of several may be
    unknown in some of the cases.
    """
    own = "" if metric is None or metric["n"] == n else f", n = {metric['n']}"
    return f"{_interval(metric)}{own}"


def _interval(metric: Mapping[str, Any] | None) -> str:
    if metric is None:
        return ""
    if metric["value"] is None:
        return "too few"
    if metric.get("low") is None:
        return number(metric["value"])
    return f"{metric['value']:.2f} ({metric['low']:.2f} to {metric['high']:.2f})"
