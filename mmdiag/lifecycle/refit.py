"""Refit: a challenger with the champion's recipe on the grown cohort, held against the champion on
cases that neither has learned from; the plan decides.

Killed at any point it is picked up: training goes on where it stopped, and the decision is one
transaction.
"""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from jaxtyping import Shaped
from numpy import ndarray
from sqlalchemy import select

from mmdiag import api
from mmdiag.cohort.case_table import read_cases
from mmdiag.cohort.label_cells import described_task
from mmdiag.config import RunConfig, from_json
from mmdiag.description import Description
from mmdiag.evaluation.verdict import FUSED
from mmdiag.experiment.run import Run
from mmdiag.lifecycle.compare import Pair, compare, size_of
from mmdiag.lifecycle.gate import HELD, Decision, Facts, Reason, decide
from mmdiag.lifecycle.plan import MODALITIES, PROTOCOL, ChangePlan, read_plan
from mmdiag.lifecycle.record import record_decision
from mmdiag.record.model_task import require_same_question
from mmdiag.record.models import champion_folder
from mmdiag.record.notify import HELD as TOLD_HELD
from mmdiag.record.notify import notify
from mmdiag.record.outcomes import judged, known_predictions
from mmdiag.record.reviews import labels_by_review
from mmdiag.roles import require_operator
from mmdiag.storage.ledger import Ledger
from mmdiag.storage.ledger_tables import BUNDLES
from mmdiag.storage.store import Store
from mmdiag.task import Task
from mmdiag.workspace import Workspace

Report = Callable[..., None]


def refit(
    description: Description,
    workspace: Workspace,
    ledger: Ledger,
    *,
    by: str = "",
    progress: Report | None = None,
) -> dict[str, Any]:
    """Ingest what is new, train a challenger, and decide by the plan beside cohort.toml.

    Args:
        by: In whose name; default: the user of the system.

    Returns:
        What docs/interface.md 8 says of `refit --json`.

    Raises:
        UsageError: The cohort has no champion, or asks for something else now than that answers, or
            the plan is none, or the user's role only looks or reviews; nothing was written.
    """
    require_operator(workspace.path)
    plan = read_plan(description.file)
    folder = champion_folder(workspace, ledger, description.name)
    _require_same_question(description, folder)
    config = recipe_of(workspace, ledger, folder)
    reviewed = _reviewed(description, workspace, ledger, plan, progress)
    trained = api.compare(
        description, workspace, ledger, config, labels_by_review=reviewed, progress=progress
    )
    champion, challenger = folder.name, str(trained["bundle"]["id"])
    run = Path(trained["predictions"]).parent
    store = Store.open(workspace, description.name)
    pair, known = _pair(ledger, workspace, store, champion, run)
    facts = _facts(ledger, workspace, store, champion, pair, known)
    comparison = compare(pair, plan)
    decision = decide(plan, comparison, facts)
    if challenger == champion:
        decision = _nothing_new()
    decision, now_in_use = record_decision(
        ledger, description.name, champion, challenger, decision, by
    )
    told = None
    if decision.decision == HELD and challenger != champion:
        told = notify(TOLD_HELD, description.name, {"cases": facts.cases, "challenger": challenger})
    return {
        "cohort": trained["cohort"],
        "cases": trained["cases"],
        "champion": champion,
        "challenger": challenger,
        "labels_by_review": len(reviewed),
        "decision": decision.decision,
        "reasons": list(map(dataclasses.asdict, decision.reasons)),
        "comparison": comparison,
        "champion_now": now_in_use,
        "notified": told,
    }


def recipe_of(workspace: Workspace, ledger: Ledger, bundle: Path) -> RunConfig:
    """The configuration by which a bundle of this workspace was made; of a search, that which it
    chose.
    """
    query = select(BUNDLES.c.run_id).where(BUNDLES.c.bundle_id == bundle.name)
    for row in ledger.rows(query, BUNDLES):
        folder = workspace.runs / str(row["run_id"])
        if (folder / "run.json").is_file():
            run = Run.open(folder)
            if not run.manifest.search:
                return run.config
    return from_json(json.dumps(_described(bundle)["run"]))


def _require_same_question(description: Description, champion: Path) -> None:
    own = Task.from_facts(_described(champion)["task"])
    asked = described_task(description, read_cases(description))
    require_same_question(own, asked, champion.name, description.name)


def _reviewed(
    description: Description,
    workspace: Workspace,
    ledger: Ledger,
    plan: ChangePlan,
    progress: Report | None,
) -> dict[str, int]:
    """What reviews say of the cases as they are now, where the plan takes it for labels."""
    if not plan.reviews_are_labels:
        return {}
    api.ingest(description, workspace, ledger, progress=progress)
    return labels_by_review(ledger, Store.open(workspace, description.name))


def _described(bundle: Path) -> dict[str, Any]:
    """What a bundle says of itself; its weights are not read."""
    found: dict[str, Any] = json.loads((bundle / "config.json").read_text())
    return found


def _pair(
    ledger: Ledger, workspace: Workspace, store: Store, champion: str, run: Path
) -> tuple[Pair, int]:
    """Champion and challenger on the cases that neither has learned from, and how many the champion
    had predicted before they were known.
    """
    task = store.task
    known = known_predictions(ledger, workspace, store.folder.name, champion, task)
    held_out = pd.read_parquet(run / "out_of_fold.parquet")
    columns = task.probability_columns
    own = held_out[held_out["model"] == FUSED][["case_id", "part", *columns]]
    both = known.merge(own, on="case_id", suffixes=("", "_challenger"))
    answers = both[[f"{column}_challenger" for column in columns]].to_numpy(float)
    fold = both["part"].to_numpy(str)  # ranks compare the answers of one model
    groups = _groups(store, both["case_id"])
    challenger = answers if len(columns) > 1 else answers[:, 0]
    return Pair(judged(both, task), challenger, groups, fold), len(known)


def _groups(store: Store, case_ids: "pd.Series[str]") -> dict[str, Shaped[ndarray, "case"]]:
    """Site and group columns of some cases; "" = unknown."""
    cases = store.cases.set_index("case_id").reindex(case_ids)
    names = [name for name in map(str, cases) if name == "site" or name.startswith("group_")]
    return {
        name.removeprefix("group_"): cases[name].fillna("").astype(str).to_numpy(str)
        for name in names
    }


def _facts(
    ledger: Ledger, workspace: Workspace, store: Store, champion: str, pair: Pair, known: int
) -> Facts:
    cases, of_a_kind = size_of(pair.champion)
    kinds = _described(workspace.bundles / champion)["kinds"]
    changed = (MODALITIES,) if dict(kinds) != dict(store.modalities) else ()
    shortage = ""
    if cases < known:
        shortage = f"of {known} that the champion had predicted before, the others are trained on"
    return Facts(
        cases=cases,
        of_a_kind=of_a_kind,
        changed=changed,
        new_leaks=_new_leaks(ledger, store, champion),
        shortage=shortage,
    )


def _new_leaks(ledger: Ledger, store: Store, champion: str) -> tuple[str, ...] | None:
    """Leakage warnings that the cohort did not have when the champion was made; None where that
    was not recorded and there are some.
    """
    now = {(leak["code"], leak["modality"]) for leak in store.leaks}
    query = select(BUNDLES.c.description).where(BUNDLES.c.bundle_id == champion)
    before = [row["description"] or {} for row in ledger.rows(query, BUNDLES)]
    if not before or "leaks" not in before[0]:
        return None if now else ()
    had = {(leak["code"], leak["modality"]) for leak in before[0]["leaks"]}
    return tuple(f"{code} of {where or 'the cohort'}" for code, where in sorted(now - had))


def _nothing_new() -> Decision:
    fact = "nothing was learned: cases and labels are those that the champion was made of"
    reason = Reason(PROTOCOL, "least_cases", fact)
    return Decision(HELD, (reason,))
