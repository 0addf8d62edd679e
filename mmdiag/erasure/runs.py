"""A person taken out of runs and explanations: a run that is done stays to be read, without them,
and says of how many; one that is not done would mix what it learned, and goes.
"""

import json
import shutil
from collections.abc import Callable, Collection

from mmdiag.erasure.cohorts import remove_unfinished
from mmdiag.erasure.contents import drop_rows
from mmdiag.erasure.whose import cohort_of_run
from mmdiag.experiment.run import COHORT, LABELS_BY_REVIEW, Run
from mmdiag.record.audit import Case
from mmdiag.storage.turns import alone
from mmdiag.workspace import Workspace, write_text


def take_out_of_runs(
    workspace: Workspace, cases: Collection[Case], waiting: Callable[[], object]
) -> tuple[dict[str, int], list[str]]:
    """Take a person's cases out of the runs that hold them.

    Returns:
        Run -> how many of its cases were erased now, and the runs that were not done and went.
    """
    kept, gone = dict[str, int](), list[str]()
    for folder in sorted(workspace.runs.glob("r-*")):
        cohort = cohort_of_run(folder)
        own = {case for of, case in cases if of == cohort}
        if not own:
            continue
        with alone(folder, waiting):
            run = Run.open(folder)
            if run.manifest.status != "done":
                shutil.rmtree(folder)
                gone.append(folder.name)
                continue
            remove_unfinished(folder)
            if erased := _take_out_of_run(run, own):
                kept[folder.name] = erased
    return kept, gone


def _take_out_of_run(run: Run, cases: Collection[str]) -> int:
    """How many of its cases were taken out now."""
    predicted = run.folder / "predictions.parquet"
    files = sorted(set(run.folder.rglob("*.parquet")) - {predicted})
    erased = 0
    if predicted.is_file():
        erased = drop_rows(predicted, cases)
        if erased:
            run.update(erased=run.manifest.erased + erased)
    kept = run.folder / COHORT / "cases.parquet"
    for file in files:
        count = drop_rows(file, cases)
        erased = max(erased, count) if file == kept else erased
    reviewed = run.folder / LABELS_BY_REVIEW
    if reviewed.is_file():
        given = {case: label for case, label in run.labels_by_review.items() if case not in cases}
        write_text(reviewed, json.dumps(given, sort_keys=True))
    return erased


def take_out_of_explanations(workspace: Workspace, cases: Collection[Case]) -> None:
    """Remove explanations of a person's cases, name them as alike to nobody, and have the features
    by which that is found made anew. What is removed beyond that is made again once it is asked
    for: an explanation does not say of which cohort its case is.
    """
    keys = {case for _, case in cases}
    for cohort in {cohort for cohort, _ in cases}:
        for file in workspace.path.glob(f"explanations/*/similar-{cohort}.npz"):
            file.unlink()
    for file in sorted(workspace.path.glob("explanations/*/*.json")):
        try:
            facts = json.loads(file.read_text())
        except ValueError:  # damaged: it is made anew
            facts = {}
        if facts.get("case_id") in keys or not facts:
            file.unlink()
            continue
        similar = facts.get("similar") or []
        others = [one for one in similar if one["case_id"] not in keys]
        if len(others) < len(similar):
            write_text(file, json.dumps({**facts, "similar": others}))
