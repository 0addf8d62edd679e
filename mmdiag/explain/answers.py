"""Everything that is known of one case: what a model answered, what each modality contributed, and
what inside of it. Nothing is loaded that is not needed: what was explained before is only read.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mmdiag.errors import UsageError
from mmdiag.evaluation.verdict import answer_of, scale_of
from mmdiag.explain.drawn import placed
from mmdiag.explain.kept import (
    explanation_path,
    is_whole,
    kept_checks,
    kept_facts,
    still_similar,
)
from mmdiag.inference.manifest import read_json_object
from mmdiag.inference.prediction_table import interaction_of, named_modalities
from mmdiag.record.model_task import task_of
from mmdiag.storage.ledger import Ledger
from mmdiag.storage.store import Store
from mmdiag.task import Task
from mmdiag.workspace import Workspace

if TYPE_CHECKING:
    from mmdiag.explain.what_if import Change
    from mmdiag.inference.bundle import Bundle

Facts = dict[str, Any]
CONTRIBUTION = "contribution_"
RECORDED = ("predicted", "logit", "base", "abstained")  # that is told beside a changed case


def explain_case(
    workspace: Workspace,
    ledger: Ledger,
    cohort: str,
    case_id: str,
    bundle: tuple[str, Path] | None = None,
) -> Facts:
    """What docs/interface.md says of `explain --json`; what is missing of it is made.

    Args:
        bundle: Id and folder of the model; None = that of the case's newest answer.

    Raises:
        UsageError: No model has answered for the case as it is now, or the model is not at hand.
    """
    store = Store.open(workspace, cohort)
    row = int(np.flatnonzero((store.cases["case_id"] == case_id).to_numpy())[0])
    facts = _recorded(workspace, ledger, store, row, bundle)
    folder = bundle[1] if bundle else None
    if facts.get("base") is None:
        facts = _completed(workspace, store, row, facts, folder)
    path = _whole(workspace, store, row, facts, folder)
    kept = kept_facts(path) if path else {"parts": {}, "groups": {}, "interaction": None}
    task = _task(workspace, store, facts, folder)
    return {
        "cohort": cohort,
        "answer": answer_of(task, facts, store.title),
        "outcome": task.explained(facts),
        "scale": scale_of(task, facts),
        **facts,
        **_added_up(store, facts, kept),
        "similar": _with_labels(store, row, kept.get("similar", ())),
        "checks": _reliability(workspace, str(facts["bundle_id"])),
        "quarantined": _refused(ledger, cohort, facts),
    }


def changed_case(
    workspace: Workspace,
    ledger: Ledger,
    cohort: str,
    case_id: str,
    change: "Change",
    bundle: tuple[str, Path] | None = None,
) -> Facts:
    """The answer for a case were it another, in the form of `explain_case`; nothing is written.

    Args:
        bundle: Id and folder of the model; None = that of the case's newest answer.

    Raises:
        UsageError: As `explain_case`, and what is changed is not there.
    """
    from mmdiag.explain.what_if import what_if
    from mmdiag.privacy.subject_keys import workspace_key

    store = Store.open(workspace, cohort)
    row = int(np.flatnonzero((store.cases["case_id"] == case_id).to_numpy())[0])
    recorded = _recorded(workspace, ledger, store, row, bundle)
    model = _loaded(workspace, recorded, bundle[1] if bundle else None)
    table, within = what_if(model, store, row, change, workspace_key(workspace.path))
    facts = _plain(table)
    kept = {"parts": within.parts, "groups": within.groups, "interaction": within.interaction}
    task = model.task.in_words_of(store.task)
    return {
        "cohort": cohort,
        "answer": answer_of(task, facts, store.title),
        "outcome": task.explained(facts),
        "scale": scale_of(task, facts),
        **facts,
        **_added_up(store, facts, kept),
        "similar": [],
        "checks": _reliability(workspace, model.id),
        "quarantined": _refused(ledger, cohort, facts),
        "changed": change.facts(),
        "recorded": {n: v for n, v in recorded.items() if n in RECORDED}
        | {"outcome": task.explained(recorded)},
    }


def _task(workspace: Workspace, store: Store, facts: Facts, folder: Path | None) -> Task:
    """What the model that answered was asked; one outside of the workspace says so itself."""
    if folder is None or workspace.bundle(str(facts["bundle_id"])) is not None:
        return task_of(workspace, str(facts["bundle_id"]), store.task)
    described = read_json_object(folder, "config.json")
    return Task.from_facts(described["task"]).in_words_of(store.task)


def _with_labels(store: Store, row: int, similar: Sequence[Mapping[str, Any]]) -> list[Facts]:
    """Cases that are like it with what came out of them, by name."""
    cases, task = store.cases.set_index("case_id"), store.task
    found = []
    for one in still_similar(store.cases, row, similar):
        label: Any = cases.loc[one["case_id"], "label"] if "label" in cases else None
        known = bool(task.classes) and label is not None and not pd.isna(label)
        found.append({**one, "label": task.classes[int(label)] if known else None})
    return found


def _refused(ledger: Ledger, cohort: str, facts: Facts) -> dict[str, dict[str, str]]:
    """Modality -> code, rule, fact and cure of what was refused of a case."""
    table = ledger.quarantine(cohort)
    own = table[(table["case_id"] == facts["case_id"]) & (table["modality"] != "")]
    return {
        str(row["modality"]): {key: row[key] for key in ("code", "rule", "detail", "cure")}
        for row in own.to_dict("records")
        if row["modality"] not in facts["modalities"]
    }


def _reliability(workspace: Workspace, bundle_id: str) -> Facts:
    """Whether the model's explanations were found reliable; null where nobody has checked."""
    found = kept_checks(workspace, bundle_id)
    if found is None:
        return {"reliable": None, "reasons": ["not checked"]}
    return {"reliable": found["reliable"], "reasons": found["reasons"]}


def _added_up(store: Store, facts: Facts, kept: Mapping[str, Any]) -> Facts:
    """What each modality contributed, what its parts did, and what of it has no place."""
    contributions, parts = _contributions(facts), kept["parts"]
    found = {
        name: placed(store.modalities[name], parts.get(name, ()), contributions[name])
        for name in facts["modalities"]
    }
    lines = {
        name: one.facts() | {"sentence": one.sentence(store.title(name))}
        for name, one in found.items()
    }
    return {
        "contributions": contributions,
        "interaction": kept["interaction"] or facts.get("interaction"),
        "parts": parts,
        "groups": kept["groups"],
        "unplaced": {name: one.unplaced for name, one in found.items()},
        "drawn": lines,
    }


def _contributions(facts: Mapping[str, Any]) -> dict[str, float]:
    names = [name for name in facts if name.startswith(CONTRIBUTION)]
    return {name.removeprefix(CONTRIBUTION): float(facts[name]) for name in names}


def _recorded(
    workspace: Workspace,
    ledger: Ledger,
    store: Store,
    row: int,
    bundle: tuple[str, Path] | None,
) -> Facts:
    """The newest answer for a case as it is now: of the ledger, else of the cohort's latest run."""
    case = store.cases.iloc[row]
    cohort, case_id = store.folder.name, str(case["case_id"])
    found = ledger.answers_of(cohort, case_id, bundle[0] if bundle else None)
    current = [one for one in found if one["version"] == case["version"]]
    if current:
        return _plain(current[0])
    if bundle is None and not found:
        told = _of_latest_run(workspace, cohort, case_id)
        if told is not None:
            return told
    which = f" by {bundle[0]}" if bundle else ""
    fact = "only as it was before its files changed" if found else "not yet"
    raise UsageError(
        f"A case is explained once a model has answered for it as it is now, {case_id} of {cohort} "
        f"was answered for{which} {fact}: `mmdiag score --all`, or `mmdiag run`."
    )


def _of_latest_run(workspace: Workspace, cohort: str, case_id: str) -> Facts | None:
    """The answer of the latest run, where the ledger does not know it."""
    from mmdiag.experiment.plan import latest
    from mmdiag.experiment.predictions import predictions
    from mmdiag.inference.prediction_table import recorded_columns

    run = latest(workspace, cohort)
    if run is None:
        raise UsageError(
            f"Explaining a case needs a finished run or a score, and cohort {cohort!r} has none in "
            f"{workspace.path}: start `mmdiag run` on it, or `mmdiag score`."
        )
    table = recorded_columns(predictions(run))
    found = table[table["case_id"] == case_id].to_dict("records")
    return _plain({str(name): value for name, value in found[0].items()}) if found else None


def _plain(answer: Mapping[str, Any]) -> Facts:
    """An answer as it is given: dates as text, nothing of its record."""
    facts = {name: value for name, value in answer.items() if name not in ("version", "cohort")}
    known = facts.get("as_of") is not None and not pd.isna(facts["as_of"])
    stamp = pd.Timestamp(facts["as_of"]).isoformat(timespec="milliseconds") if known else None
    return facts | {"as_of": stamp}


def _completed(
    workspace: Workspace, store: Store, row: int, facts: Facts, folder: Path | None
) -> Facts:
    """An answer that was recorded without what each modality contributed, with it; the answer
    itself stays.
    """
    published = _published(workspace, facts)
    if published is not None:
        return facts | published
    from mmdiag.inference.score import answer_rows
    from mmdiag.privacy.subject_keys import workspace_key

    bundle = _loaded(workspace, facts, folder)
    table = answer_rows(bundle, store, [row], workspace_key(workspace.path))
    fresh = {str(name): value for name, value in table.iloc[0].items()}
    added = ("base", "logit", "attention", "interaction")
    parts = (CONTRIBUTION, "weight_")
    more = {n: v for n, v in fresh.items() if n in added or n.startswith(parts)}
    return facts | {n: v if isinstance(v, dict) or v is None else float(v) for n, v in more.items()}


def _published(workspace: Workspace, facts: Mapping[str, Any]) -> Facts | None:
    """What a run of an earlier version published of an answer beside the ledger: base, weights and
    matrix; of models of folds, too, which need not be kept.
    """
    run = _run_of(workspace, facts)
    file = None if run is None else run / "explanations" / "modality.parquet"
    if file is None or not file.is_file():
        return None
    table = pd.read_parquet(file)
    rows = table[table["case_id"] == facts["case_id"]].to_dict("records")
    parts = [name for name in table if str(name).startswith(CONTRIBUTION)]
    if not rows or "base" not in table:
        return None
    found = {str(name): value for name, value in rows[0].items() if name != "case_id"}
    total = found["base"] + sum(found[str(name)] for name in parts)
    together = interaction_of(
        found.get("interaction"), named_modalities(table), facts["modalities"]
    )
    return found | {"logit": float(total), "interaction": together}


def _run_of(workspace: Workspace, facts: Mapping[str, Any]) -> Path | None:
    """The run whose published table has this answer."""
    for run in sorted(workspace.runs.glob("*")):
        if (run / "predictions.parquet").is_file():
            table = pd.read_parquet(run / "predictions.parquet", columns=["case_id", "bundle_id"])
            answered = table.loc[table["case_id"] == str(facts["case_id"]), "bundle_id"]
            if facts["bundle_id"] in set(answered):
                return run
    return None


def _whole(
    workspace: Workspace, store: Store, row: int, facts: Facts, folder: Path | None
) -> Path | None:
    """The file of a case's explanation, made where it is missing or damaged; None where the model
    that answered is not at hand, as that of a fold whose run was moved: then parts are not known.
    """
    case_id, version = str(facts["case_id"]), str(store.cases["version"].iloc[row])
    path = explanation_path(workspace, str(facts["bundle_id"]), case_id, version)
    if not is_whole(path):
        if folder is None and workspace.bundle(str(facts["bundle_id"])) is None:
            return None
        from mmdiag.explain.scored import explain_rows

        explain_rows(_loaded(workspace, facts, folder), store, workspace, [row])
    return path


def _loaded(workspace: Workspace, facts: Mapping[str, Any], folder: Path | None) -> "Bundle":
    """The model that answered."""
    from mmdiag.inference.bundle import Bundle
    from mmdiag.prepare import require_same_features

    where = folder or workspace.bundle(str(facts["bundle_id"]))
    if where is None:
        raise UsageError(
            f"A case is explained by the model that answered, {facts['bundle_id']} is not in "
            f"{workspace.path}: name its folder by --bundle."
        )
    bundle = Bundle.load(where)
    require_same_features(bundle.config, bundle.preparations)
    return bundle
