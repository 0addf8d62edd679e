"""What the card of a published model says, as facts: card.json. Nothing of it depends on when or
where it was written.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mmdiag.cohort.labels import label_values
from mmdiag.evaluation.calibration import calibration
from mmdiag.evaluation.judged import Judged
from mmdiag.evaluation.subgroups import by_subgroup
from mmdiag.evaluation.verdict import FUSED, verdict
from mmdiag.experiment.card.made_of import made_of
from mmdiag.experiment.fit_id import ALL
from mmdiag.experiment.run import Run, RunData
from mmdiag.inference.bundle import Bundle, versions
from mmdiag.model.ensemble import EnsembleModel, Members, network_config
from mmdiag.spelling import may_be_printed
from mmdiag.storage.counts import read_counts
from mmdiag.storage.store import Store
from mmdiag.task import Task

DIGITS = 4  # of a figure: the last ones are of the machine, and the id of a bundle holds them
Rows = Sequence[Mapping[str, Any]]


def card_facts(
    run: Run,
    data: RunData,
    bundle: Bundle,
    judged: Judged,
    held_out: pd.DataFrame,
    metrics: Rows,
    availability: Rows,
) -> dict[str, Any]:
    """All that the card says; nothing that is not known or would be empty.

    Args:
        judged: What the fused models said of the held-out cases of `held_out`.
        metrics, availability: As `mmdiag.experiment.evaluate` found them.
    """
    fitted = run.fitted(run.final)
    cases = fitted["train"] + fitted["valid"]
    resamples = run.config.evaluation.resamples
    found = {
        "task": _task(data, bundle.task),
        "cohort": {"name": run.manifest.cohort, "hash": run.manifest.cohort_hash},
        "learned_from": {"cases": cases, "subjects": fitted["subjects"]}
        | _by_review(data)
        | _sites(data),
        **_counts(run, data, bundle),
        "judged": _judged(run, judged),
        "metrics": [_rounded(row) for row in metrics if _told_here(row, judged.task)],
        "verdict": verdict(metrics, title=data.store.title, leaks=data.store.leaks),
        "warnings": run.warnings,
        "calibration": _calibration(judged, resamples),
        "by_availability": _where_several(availability, "availability"),
        "by_subgroup": _where_several(
            by_subgroup(judged, _groups(data, held_out), resamples), "subgroup"
        ),
        "model": _model(bundle),
        "made_of": made_of(bundle.config, bundle.preparations),
        "versions": versions(),
        "run": {"id": run.manifest.run_id, "fit": str(run.final)},
    }
    return {name: value for name, value in found.items() if value}


def _by_review(data: RunData) -> dict[str, int]:
    """How many of the cases that it learned from have a person's review for a label."""
    return {"labels_by_review": len(data.by_review)} if data.by_review else {}


def _sites(data: RunData) -> dict[str, list[str]]:
    """The sites whose labelled cases it learned from, where the cohort tells sites and their names
    may be printed.
    """
    known = sorted(set(data.cases["site"].iloc[data.taught].dropna().astype(str)))
    return {"sites": known} if known and may_be_printed(known) else {}


def _task(data: RunData, task: Task) -> dict[str, Any]:
    facts: dict[str, Any] = {"kind": task.kind, "title": task.title, "outcome": task.outcome}
    if task.kind in ("multiclass", "multilabel"):
        del facts["outcome"]
    facts["classes"] = _classes(data, task)
    return {name: value for name, value in facts.items() if value}


def _classes(data: RunData, task: Task) -> list[dict[str, Any]]:
    """Each class or label as people read it, and how many labelled cases have it; none where the
    values of the label may not be printed.
    """
    part = data.cases.iloc[data.labelled]
    if task.survival:
        return [{"name": "event", "cases": int(part["event"].sum())}]
    values, names = label_values(part, task), task.labels or task.classes
    if not may_be_printed(names):
        return []
    counted = (
        [(values[:, number] == 1).sum() for number in range(len(names))]
        if task.multilabel
        else [(values == number).sum() for number in range(len(names))]
    )
    return [
        {"value": value, "name": task.name_of(value), "cases": int(count)}
        for value, count in zip(names, counted, strict=True)
    ]


def _counts(run: Run, data: RunData, bundle: Bundle) -> dict[str, Any]:
    """Cases and modalities that were received, as long as the cohort is the one of the run."""
    store = data.store
    now = Store.described(store.folder, pd.DataFrame({"case_id": []})).hash
    known = read_counts(store.folder) if now == run.manifest.cohort_hash else {}
    of_modalities = known.get("modalities", {})
    modalities = [
        {
            "name": name,
            "title": store.title(name),
            "kind": kind,
            **of_modalities.get(name, {"present": int(store.present(name).sum())}),
        }
        for name, kind in bundle.kinds.items()
    ]
    return {"cases": known.get("cases", {}), "modalities": modalities}


def _judged(run: Run, judged: Judged) -> dict[str, Any]:
    split = {name: count for name, count in run.manifest.split.items() if count}
    return {
        "how": "cross-validation" if run.manifest.cross_validated else "held-out test",
        "split": split,
        "cases": len(judged.probability),
        "subjects": len(np.unique(judged.subject)),
        "refitted_on_all": run.final.fold == ALL,
    }


def _told_here(row: Mapping[str, Any], task: Task) -> bool:
    """A binary task's calibration error stands under calibration, less its bias."""
    return task.kind != "binary" or row["metric"] != "ece"


def _calibration(judged: Judged, resamples: int) -> dict[str, Any]:
    """Of a binary task; of others it is not told in these terms."""
    if judged.task.kind != "binary":
        return {}
    found = calibration(
        judged.label, judged.probability, subject=judged.subject, resamples=resamples
    )
    return {name: value for name, value in _rounded(found).items() if value is not None}


def _where_several(rows: Rows, key: str) -> list[dict[str, Any]]:
    """The rows, without a value where a part has too few cases; none where all cases are of one
    kind.
    """
    if len({(row.get("column"), row[key]) for row in rows}) < 2:
        return []
    return list(map(_rounded, rows))


def _groups(data: RunData, held_out: pd.DataFrame) -> dict[str, np.ndarray]:
    """Site and group columns of the held-out cases."""
    by_case = data.cases.set_index("case_id")
    names = ["site", *(name for name in map(str, data.cases) if name.startswith("group_"))]
    case_ids = held_out.loc[held_out["model"] == FUSED, "case_id"]
    return {
        name.removeprefix("group_"): by_case[name].reindex(case_ids).fillna("").to_numpy(str)
        for name in names
    }


def _model(bundle: Bundle) -> dict[str, Any]:
    config = bundle.config
    facts = {"fusion": config.fusion, "recipe": config.recipe, "seed": config.seed}
    if not isinstance(bundle.model, EnsembleModel):
        return facts
    weights = [_round(float(value)) for value in bundle.model.weight]
    members: list[dict[str, Any]] = []
    named = bundle.model.modalities if config.ensembles else ()
    for name, weight in zip(named, weights, strict=False):
        own = bundle.model.encoders[f"{name}_"]
        assert isinstance(own, Members)
        parts = zip(own.forms, own.weight, strict=True)
        of = {form.name: _round(float(value)) for form, value in parts}
        members.append({"modality": name, "weight": weight, "of": of})
    trained = int(bundle.model.trained.sum())
    if trained:
        network = {
            "networks": trained,
            "family": network_config(config).fusion,
            "weight": weights[-1],
        }
        members.append(network)
    return {**facts, "members": members}


def _rounded(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _round(value) if isinstance(value, float) else value for name, value in row.items()
    }


def _round(value: float) -> float | None:
    return round(value, DIGITS) + 0.0 if np.isfinite(value) else None
