"""The card of a model as people read it: card.md."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mmdiag.evaluation.verdict import (
    BASELINE,
    DIFFERENCES,
    FUSED,
    metric_name,
    model_name,
    primary_metric,
)
from mmdiag.experiment.card.made_of import lines_of

NOT_FOR = (
    "It is not a medical device. Research use only: it must not decide on a patient's care, alone "
    "or in part.",
    "It is not for cases unlike those that it learned from: other modalities, machines, languages, "
    "ages or diseases.",
    "It is not for other sites, unless it was judged on labelled cases of theirs first: `mmdiag "
    "validate --bundle BUNDLE --cohort C.toml`.",
    "Its contributions and maps say what moved its answer, not what causes the outcome.",
)
Facts = Mapping[str, Any]
Rows = Sequence[Facts]
TOO_FEW = "too few"
SHOWN = ("c_index", "auroc", "accuracy", "brier")


def short_card(cohort: Facts, model: Facts, made_of: list[dict[str, Any]], run: Facts) -> str:
    """The card of a model before its run is evaluated, which those of folds keep.

    Args:
        cohort: `name`, `hash` and `subjects`.
        model: `fusion`, `recipe` and `seed`.
        run: `id` and `fit`.
    """
    lines = (
        f"# Model card: {cohort['name']}",
        "",
        "Research use only; not a medical device.",
        "",
        f"- Fusion: {model['fusion']}; recipe: {model['recipe']}; seed: {model['seed']}.",
        f"- Fitted on {cohort['subjects']} subjects of the cohort {cohort['name']} "
        f"({cohort['hash'][:23]}).",
        *lines_of(made_of),
        f"- Run {run['id']}, fit {run['fit']}. How it was evaluated: metrics.parquet of that run.",
        "",
    )
    return "\n".join(lines)


def card_text(facts: Facts) -> str:
    """card.md of what `card_facts` found; a section of which nothing is known is left out."""
    task, titles = facts["task"], {m["name"]: m["title"] for m in facts["modalities"]}
    name = _plain(task.get("title") or task.get("outcome") or facts["cohort"]["name"])
    sections = {
        "What it must not be used for": [f"- {sentence}" for sentence in NOT_FOR],
        "Task": _task(task),
        "Cohort": _cohort(facts),
        "How it was judged": _how(facts["judged"]),
        "Figures": _figures(facts, titles),
        "By label": _by_label(facts),
        "Calibration": _calibration(facts.get("calibration")),
        "By the available modalities": _by(
            facts.get("by_availability", ()),
            "modalities",
            lambda row: ", ".join(titles.get(m, m) for m in row["modalities"]) or "none",
        ),
        "By site and group": _by(
            facts.get("by_subgroup", ()),
            "cases with",
            lambda row: f"{row['column']}: {row['subgroup']}",
        ),
        "Model": _model(facts["model"], titles),
        "Made by others": lines_of(facts.get("made_of", [])),
        "Where it comes from": [
            f"- Run {facts['run']['id']}, fit {facts['run']['fit']}.",
            f"- Made with {', '.join(' '.join(one) for one in facts['versions'].items())}.",
        ],
    }
    lines = [f"# Model card: {name}", "", "Research use only; not a medical device."]
    for title, section in sections.items():
        lines += ["", f"## {title}", "", *section] if section else []
    return "\n".join([*lines, ""])


def _task(task: Facts) -> list[str]:
    lines = [f"- Kind: {task['kind']}."]
    if task.get("outcome"):
        lines.append(f"- Its answer is of: {_plain(task['outcome'])}.")
    classes = task.get("classes", ())
    if task["kind"] == "survival":
        return [*lines, *(f"- Labelled cases with the event: {one['cases']}." for one in classes)]
    return [
        *lines,
        *(f"- Labelled cases of class {_plain(one['name'])}: {one['cases']}." for one in classes),
    ]


def _cohort(facts: Facts) -> list[str]:
    learned, cohort, cases = facts["learned_from"], facts["cohort"], facts.get("cases")
    lines = [
        f"- Cohort {_plain(cohort['name'])} ({cohort['hash']}).",
        f"- It learned from {learned['cases']} cases of {learned['subjects']} subjects.",
    ]
    if by_review := learned.get("labels_by_review"):
        lines.append(
            f"- {by_review} of these have no recorded outcome: their label is a person's review of "
            "an earlier model's answer. It is judged by none of them."
        )
    if sites := learned.get("sites"):
        of = f"{len(sites)} site{'s' * (len(sites) != 1)}"
        lines.append(f"- They are of {of}: {', '.join(map(_plain, sites))}.")
    if cases:
        lines.append(
            f"- {cases['in']} cases were received: {cases['accepted']} accepted, of which "
            f"{cases['labelled']} labelled, and {cases['quarantined']} quarantined."
        )
    header = [name for name in ("present", "absent", "quarantined") if name in _first(facts)]
    rows = [
        [m["title"], m["kind"], *(str(m[name]) for name in header)] for m in facts["modalities"]
    ]
    return [*lines, "", *_table(["modality", "kind", *header], rows)]


def _first(facts: Facts) -> Facts:
    return dict(facts["modalities"][0])


def _how(judged: Facts) -> list[str]:
    n = f"{judged['cases']} labelled cases of {judged['subjects']} subjects"
    split = judged["split"]
    if "folds" in split:
        how = (
            f"{split['folds']}-fold cross-validation of the whole procedure, by subject: each of "
            f"{n} was answered by a model that had learned from nothing of that subject."
        )
    else:
        how = (
            f"A held-out part of the subjects: {n} were answered by a model that had learned from "
            "none of them."
        )
    refitted = (
        " The model of this bundle then learned from all labelled cases in the same way, so that "
        "the figures are those of the procedure that made it."
    )
    return [how + (refitted if judged["refitted_on_all"] else "")]


def _figures(facts: Facts, titles: Mapping[str, str]) -> list[str]:
    rows = [row for row in facts["metrics"] if row["model"] not in DIFFERENCES]
    shown = [m for m in SHOWN if any(row["metric"] == m for row in rows)]
    models = sorted({row["model"]: None for row in rows}, key=_place)
    by_cell = {(row["model"], row["metric"]): row for row in rows}
    cells = [
        [
            model_name(model, title=lambda m: titles.get(m, m), fusion=facts["model"]["fusion"]),
            *(_interval(by_cell.get((model, metric))) for metric in shown),
            str(next(row["n"] for row in rows if row["model"] == model)),
        ]
        for model in models
    ]
    header = ["model", *map(metric_name, shown), "n"]
    return [
        " ".join(map(_plain, [facts["verdict"], *facts.get("warnings", ())])),
        "",
        "With 95 % intervals, all models on the same cases:",
        "",
        *_table(header, cells),
    ]


def _by_label(facts: Facts) -> list[str]:
    """A table of the fused model's figure of each label of several: a mean hides the worst."""
    names = {
        one["value"]: one["name"] for one in facts["task"].get("classes", ()) if "value" in one
    }
    rows = [
        (row["metric"].removeprefix("auroc_"), row)
        for row in facts["metrics"]
        if row["model"] == FUSED and row["metric"].startswith("auroc_")
    ]
    cells = [
        [names.get(label, label), _interval(row), str(row["n"]), str(row["n_positive"])]
        for label, row in rows
    ]
    return _table(["label", metric_name("auroc"), "n", "with it"], cells) if cells else []


def _place(model: str) -> int:
    """The fused model first, then its rivals, then the modalities alone."""
    return 0 if model == FUSED else 1 if model == f"{BASELINE}late_fusion" else 2


def _calibration(found: Facts | None) -> list[str]:
    if not found:
        return []
    lines = [
        f"- Brier score {found['brier']:.3f}; of the prevalence alone "
        f"{found['brier_prevalence']:.3f}.",
    ]
    if "slope" in found and "intercept" in found:
        lines.append(
            f"- Calibration slope {found['slope']:.2f} and intercept {found['intercept']:+.2f} "
            "(1 and 0 of probabilities that are right)."
        )
    lines.append(
        f"- Expected calibration error {found['ece']:.3f} ({found['ece_low']:.3f} to "
        f"{found['ece_high']:.3f}), less its bias, n = {found['n']}."
    )
    return lines


def _by(rows: Rows, header: str, name: Callable[[Facts], str]) -> list[str]:
    """A table of the primary metric and the Brier score of the fused model on parts of the
    cases.
    """
    if not rows:
        return []
    shown = list(dict.fromkeys([primary_metric(rows), "brier"]))
    shown = [metric for metric in shown if any(row["metric"] == metric for row in rows)]
    by_part: dict[str, dict[str, Facts]] = {}
    for row in rows:
        by_part.setdefault(name(row), {})[row["metric"]] = row
    cells = [
        [
            part,
            *(_interval(found.get(metric)) for metric in shown),
            str(next(iter(found.values()))["n"]),
        ]
        for part, found in by_part.items()
    ]
    return _table([header, *map(metric_name, shown), "n"], cells)


def _model(model: Facts, titles: Mapping[str, str]) -> list[str]:
    lines = [f"- Fusion: {model['fusion']}; recipe: {model['recipe']}; seed: {model['seed']}."]
    for member in model.get("members", ()):
        if "networks" in member:
            lines.append(
                f"- {member['networks']} networks over all modalities ({member['family']}): "
                f"weight {member['weight']:.2f}."
            )
            continue
        of = ", ".join(f"{name} {weight:.2f}" for name, weight in member["of"].items())
        title = _plain(titles.get(member["modality"], member["modality"]))
        lines.append(f"- {title}: weight {member['weight']:.2f}; of it {of}.")
    return lines


def _interval(row: Facts | None) -> str:
    if row is None:
        return ""
    if row["value"] is None:
        return TOO_FEW
    if row.get("low") is None or row.get("high") is None:
        return f"{row['value']:.2f}"
    return f"{row['value']:.2f} ({row['low']:.2f} to {row['high']:.2f})"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return [f"| {' | '.join(map(_plain, line))} |" for line in lines]


def _plain(text: str) -> str:
    """Words of a cohort.toml in one line, in which nothing is Markdown's own sign of a cell."""
    return " ".join(text.split()).replace("|", "\\|")
