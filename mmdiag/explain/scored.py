"""Explain in full the cases that a bundle has answered, of whatever run, or of none."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from mmdiag.description import Description
from mmdiag.explain.choice import FULL, MODALITIES, NONE, require_choice
from mmdiag.explain.doubtful import to_explain
from mmdiag.explain.kept import explanation_path, is_whole, keep
from mmdiag.explain.similar import features_of_cohort, similar_cases
from mmdiag.explain.within.case import explain_within
from mmdiag.inference import score as inference
from mmdiag.inference.bundle import Bundle
from mmdiag.prepare.batches import prepare_samples
from mmdiag.progress import Progress
from mmdiag.storage.ledger import Ledger
from mmdiag.storage.store import Store
from mmdiag.workspace import Workspace


def score_and_explain(
    bundle: Bundle,
    description: Description,
    workspace: Workspace,
    ledger: Ledger,
    out: Path,
    progress: Progress | None = None,
    *,
    explain: str = MODALITIES,
    full_for: int | None = None,
    only_open: bool = False,
    reviewed: Collection[tuple[str, str]] = (),
) -> dict[str, Any]:
    """Score what a bundle has not scored of an ingested cohort, and explain it.

    Args:
        explain: `modalities` = what each contributed, in one transaction with the answers; `full` =
            then their regions, words and genes, too; `none` = answers alone.
        full_for: In full only so many of the cases that are meant, the abstained and most
            uncertain; None = all. Those that are explained already are left alone.
        only_open: Only cases of role `new` that have no label and no review are meant.
        reviewed: case_id and version of the cases that have a review.

    Returns:
        The answer of `mmdiag.inference.score.score_cases`.

    Raises:
        UsageError: The choice is none, or the cohort's modalities are not the bundle's.
    """
    require_choice(explain, full_for)
    scored = inference.score_cases(
        bundle,
        description,
        workspace,
        ledger,
        out,
        progress,
        contributions=explain != NONE,
        only_open=only_open,
        reviewed=reviewed,
    )
    turn = bundle.task.threshold
    chosen = set(to_explain(scored.meant, explain, full_for, turn)) if explain == FULL else set()
    if chosen:
        store = Store.open(workspace, description.name)
        keys = store.cases["case_id"]
        rows = [row for row, case in enumerate(keys) if case in chosen]
        explain_rows(bundle, store, workspace, rows, progress)
    return scored.answer


def explain_rows(
    bundle: Bundle,
    store: Store,
    workspace: Workspace,
    rows: Sequence[int],
    progress: Progress | None = None,
) -> None:
    """Explain some cases of a cohort; those that are explained already are left alone."""
    paths = {row: path_of(bundle.id, store, workspace, row) for row in rows}
    todo = [row for row in rows if not is_whole(paths[row])]
    if not todo:
        return
    aligned = inference.by_bundle_columns(bundle, store)
    features = features_of_cohort(bundle, store, workspace)
    for number, row in enumerate(todo, start=1):
        raws = inference.features_of(bundle, store, aligned, rows=[row])
        sample = prepare_samples(bundle.preparations, raws, [row])[0]
        found = explain_within(bundle, store, row, sample)
        similar = similar_cases(bundle, store, features, row)
        keep(paths[row], str(store.cases["case_id"].iloc[row]), found, similar)
        if progress:
            progress(number, len(todo), "explained")


def path_of(bundle_id: str, store: Store, workspace: Workspace, row: int) -> Path:
    """Where the explanation of a case as it is now lies."""
    case = store.cases.iloc[row]
    return explanation_path(workspace, bundle_id, str(case["case_id"]), str(case["version"]))
