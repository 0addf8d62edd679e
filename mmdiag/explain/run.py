"""Explain the held-out cases of a run in full, each once: with the model that did not learn from
them.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import pandas as pd

from mmdiag.experiment.predictions import predictions
from mmdiag.experiment.run import Run, open_data
from mmdiag.explain.choice import FULL
from mmdiag.explain.doubtful import to_explain
from mmdiag.explain.kept import explanation_path, is_whole, keep
from mmdiag.explain.similar import Features, features_of_cohort, similar_cases
from mmdiag.explain.within.case import explain_within
from mmdiag.inference.bundle import Bundle
from mmdiag.prepare import require_same_features
from mmdiag.prepare.batches import prepare_samples
from mmdiag.progress import Progress
from mmdiag.storage.store import Store

CHUNK = 16


def chunks(run: Run, explain: str = FULL, full_for: int | None = None) -> list[list[str]]:
    """The held-out cases (test, or out of fold) that are to be explained in full and are not yet,
    in parts that a task can take.

    Args:
        explain: Of `mmdiag.explain.choice.CHOICES`; what a run knows of its modalities stands in
            its predictions, so that all but `full` leave nothing to do.
        full_for: So many, the abstained and most uncertain; None = all.
    """
    if explain != FULL:
        return []
    table = _published(run)
    held_out = table[table["role"].isin(["test", "out-of-fold"])]
    store = run.store()  # of features nothing is asked yet
    paths = _paths(run, held_out, store)
    chosen = to_explain(held_out, explain, full_for, store.task.threshold)
    todo = [case for case in chosen if not is_whole(paths[case])]
    return [todo[start : start + CHUNK] for start in range(0, len(todo), CHUNK)]


def explain(run: Run, case_ids: Sequence[str], progress: Progress | None = None) -> None:
    """Explain some cases; those that are explained already are left alone."""
    table = _published(run)
    store = open_data(run).store
    paths, answers = _paths(run, table, store), table.set_index("case_id")
    row_of = {case: row for row, case in enumerate(store.cases["case_id"])}
    seen: dict[str, Features] = {}  # by the model of a fold
    fused = {run.fitted(fit)["bundle_id"]: fit for fit in run.fits if fit.fused}
    for number, case in enumerate(case_ids, start=1):
        if not is_whole(paths[case]):
            fit = fused[answers.loc[case, "bundle_id"]]
            bundle, data = _load(run.bundle_folder(fit)), open_data(run, fit.fold)
            sample = prepare_samples(bundle.preparations, data.raws, [row_of[case]])[0]
            found = explain_within(bundle, data.store, row_of[case], sample)
            if bundle.id not in seen:
                seen[bundle.id] = features_of_cohort(bundle, data.store, run.workspace)
            similar = similar_cases(bundle, data.store, seen[bundle.id], row_of[case])
            keep(paths[case], case, found, similar)
        if progress:
            progress(number, len(case_ids), "explained")


def _paths(run: Run, table: pd.DataFrame, store: Store) -> dict[str, Path]:
    """Case -> where its explanation lies."""
    version = dict(zip(store.cases["case_id"], store.cases["version"], strict=True))
    return {
        case: explanation_path(run.workspace, bundle, case, version[case])
        for case, bundle in zip(table["case_id"], table["bundle_id"], strict=True)
        if case in version
    }


def _published(run: Run) -> pd.DataFrame:
    """The predictions as published, where they were; built anew they cost every fit's predictions
    and their hashes.
    """
    published = run.folder / "predictions.parquet"
    return pd.read_parquet(published) if published.is_file() else predictions(run)


@lru_cache(maxsize=8)
def _load(folder: Path) -> Bundle:
    bundle = Bundle.load(folder)
    require_same_features(bundle.config, bundle.preparations)
    return bundle
