"""Draw answers for people: a number with its interval and its n, names and counts, never a
patient's value that was not requested.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from mmdiag.cli.context import Answer
from mmdiag.evaluation.verdict import (
    DIFFERENCES,
    ROLES,
    answer_of,
    is_abstained,
    leak_sentences,
    metric_name,
    model_name,
    ordered_metrics,
    unlike_training,
    verdict,
)

if TYPE_CHECKING:
    from mmdiag.storage.store import Store

RESEARCH = "For research use only: not a medical device."
PIPED = 4096  # columns of what goes into a file or another program
Titles = Mapping[str, str]  # modality -> how people read it
NO_TITLES: Titles = {}


def show_run(answer: Answer, titles: Titles = NO_TITLES) -> None:
    """Metrics, the verdict on fusion, the counts, and what to do next."""
    _metrics(answer, titles)
    _availability(answer.get("availability", ()), titles)
    _counts(answer, titles)
    _line(f"Bundle {answer['bundle']['id']} in {answer['bundle']['path']}")
    _line(f"Predictions in {answer['predictions']}")
    _line(
        f"Done in {answer['seconds']:.0f} s. Open the dashboard: mmdiag dashboard --workspace "
        f"{answer['workspace']}"
    )
    _line(RESEARCH)


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
    _table(
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
    _line(f"Run {answer['run']}")
    _line(RESEARCH)


def show_ingest(answer: Answer, titles: Titles = NO_TITLES) -> None:
    """What was received, and what was refused."""
    _counts(answer, titles)


def show_score(answer: Answer, titles: Titles = NO_TITLES) -> None:
    """What was scored, and where the predictions are."""
    _counts(answer, titles)
    for sentence in unlike_training(answer, titles):
        _line(sentence)
    for name, columns in answer.get("columns", {}).items():
        for sentence in columns["said"]:
            _line(f"{titles.get(name, name)}: {sentence}.")
    _line(
        f"{answer['scored']} cases scored by {answer['bundle']['id']}, "
        f"{answer['already_scored']} were scored before. Predictions in {answer['predictions']}"
    )
    if not answer["training_known"]:
        _line(
            "Whether a case was in this model's training cannot be told here, every row says new: "
            "the key of its workspace is missing (MMDIAG_KEY_FILE)."
        )
    _line(RESEARCH)


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
    for sentence in unlike_training(answer, titles):
        _line(sentence)
    if answer["seen"] is None:
        _line(
            "Whether a case was in this model's training cannot be told here, all are judged on: "
            "the key of its workspace is missing (MMDIAG_KEY_FILE)."
        )
    elif answer["seen"]:
        _line(f"{answer['seen']} cases of subjects that it learned from are left out.")
    _line(answer["sentence"])
    _line(RESEARCH)


def _calibration(found: Mapping[str, Any]) -> None:
    slope, middle = (_number(found[name]) or "none" for name in ("slope", "intercept"))
    _line(
        f"Calibration: slope {slope}, intercept {middle}; Brier "
        f"score {found['brier']:.3f}, of the prevalence alone {found['brier_prevalence']:.3f}; "
        f"error {found['ece']:.3f} ({found['ece_low']:.3f} to {found['ece_high']:.3f})."
    )


def show_explanation(answer: Answer, store: "Store") -> None:
    """One case: its answer, and the contribution of each modality."""
    _line(
        f"Case {answer['case_id']} · {answer_of(store.task, answer)} · {ROLES[answer['role']]}, "
        f"model {answer['bundle_id']}"
    )
    if is_abstained(answer):
        _line("What follows are contributions to an answer that the model does not give.")
    outcome = store.task.explained(answer["predicted"])
    _line(
        f"Contribution of each modality to the prediction of {outcome} (Shapley, log-odds): "
        "+ raises it, - lowers it."
    )
    table = Table("modality", "contribution", "weight")
    refused = answer.get("quarantined") or {}
    for key in (key for key in answer if key.startswith("contribution_")):
        name = key.removeprefix("contribution_")
        present = name in (answer.get("modalities") or ())
        without = "quarantined" if name in refused else "not acquired"
        table.add_row(
            _printable(store.title(name)),
            f"{answer[key]:+.2f}" if present else without,
            _number(answer.get(f"weight_{name}")) if present else "",
        )
    _console().print(table)
    for name, why in refused.items():
        _line(f"{store.title(name)} quarantined ({why['code']}): {why['rule']} Cure: {why['cure']}")
    for parts in (answer.get("drawn") or {}).values():
        for facts in parts.values():
            _line(facts["sentence"])
    _line(
        f"Regions, words and genes: mmdiag dashboard --workspace {answer['workspace']}, or --json."
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
        f"{len(answer['cases'])} cases: {', '.join(answer['cases'][:10])}. Takes effect at the "
        f"next ingestion: {answer['next']}"
    )


def show_contracts(rows: Sequence[Mapping[str, Any]]) -> None:
    """The rules that failed, the severest first, and how many were checked."""
    failing = [row for row in rows if row["failed"]]
    if failing:
        _table(("contract", "column", "rule", "severity", "failed", "checked", "why"), failing)
    _line(
        f"{len(rows)} rules checked, {len(failing)} failed for at least one row. Which cases: "
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
    rows = [{**cohort, **cohort.get("counts", {})} for cohort in answer["cohorts"]]
    _table(("name", "accepted", "quarantined", "labelled", "ingested_at"), rows, title="Cohorts")
    _table(("bundle_id", "cohort", "saved_at"), answer["bundles"], title="Bundles")
    _table(("run_id", "cohort", "status", "finished"), answer["runs"], title="Runs")
    _line(
        f"{answer['predictions']} predictions, {answer['quarantined']} rows in quarantine "
        "(mmdiag quarantine list)."
    )


def _metrics(answer: Answer, titles: Titles) -> None:
    metrics = answer["metrics"]
    rows = [metric for metric in metrics if metric["model"] not in DIFFERENCES]
    if not rows:
        _line("No metrics.")
        return
    names = {
        row["model"]: model_name(row["model"], title=_title(titles), fusion=row["fusion"])
        for row in rows
    }
    _metric_table("model", names, rows, f"Metrics with 95 % intervals ({rows[0]['split']})")
    _line(verdict(metrics, title=_title(titles), leaks=answer.get("leaks", ())))


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
        cells = (_interval(by_cell.get((value, metric))) for metric in columns)
        table.add_row(_printable(name), *cells, str(n))
    _console().print(table)


def _counts(answer: Answer, titles: Titles) -> None:
    cases = answer["cases"]
    new = f", {cases['new']} read now" if "new" in cases else ""
    _line(
        f"{answer['cohort']['name']}: {cases['in']} cases received: {cases['accepted']} accepted, "
        f"{cases['quarantined']} quarantined; {cases['labelled']} labelled{new}."
    )
    _classes(answer)
    rows = [
        {"modality": titles.get(name, name), **counts}
        for name, counts in answer["modalities"].items()
    ]
    _table(("modality", "kind", "present", "absent", "quarantined"), rows)
    for row in rows:
        for sentence in row.get("said", ()):
            _line(f"{row['modality']}: {sentence}.")
    for row in (row for row in rows if row.get("masked")):
        _line(
            f"{row['masked']} identifiers were masked in {row['modality']}: no masking is "
            "complete, read a sample."
        )
    for leak in leak_sentences(answer.get("leaks", ()), title=_title(titles)):
        _line(f"Leakage may flatter the figures. {leak} See mmdiag contracts.")
    if cases["quarantined"] or any(row["quarantined"] for row in rows):
        _line(f"What was refused and why: mmdiag quarantine list --workspace {answer['workspace']}")


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
        _line(f"{label}: {', '.join(counts)}{without}.")


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
    """A terminal cuts a table at its width; a pipe has none."""
    console = Console(markup=False, highlight=False, emoji=False)
    return (
        console
        if console.is_terminal
        else Console(markup=False, highlight=False, emoji=False, width=PIPED)
    )
