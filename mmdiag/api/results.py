"""What is known of the runs and cases of a workspace, as plain calls; nothing is written but
metrics that are computed again.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmdiag.description import Description
from mmdiag.errors import UsageError
from mmdiag.workspace import Workspace

if TYPE_CHECKING:
    from mmdiag.experiment.run import Run


def latest_run(description: Description, workspace: Workspace) -> "Run":
    """The cohort's latest run.

    Raises:
        UsageError: The cohort has none in this workspace.
    """
    from mmdiag.experiment.plan import latest

    run = latest(workspace, description.name)
    if run is None:
        raise UsageError(
            f"Metrics need a finished run, and cohort {description.name!r} has none in "
            f"{workspace.path}: start `mmdiag run --cohort {description.file}`."
        )
    return run


def explain_case(workspace: Workspace, case_id: str, cohort: str = "") -> dict[str, Any]:
    """Everything that is known of one case, from the latest run of its cohort.

    Args:
        cohort: The cohort's name; empty = the one that has the case.

    Raises:
        UsageError: No cohort of the workspace has this case or several have, or its cohort has no
            run yet.
    """
    from mmdiag.storage.store import Store

    names = [folder.parent.name for folder in workspace.path.glob("cohorts/*/cases.parquet")]
    having = sorted(
        name
        for name in names
        if cohort in ("", name) and case_id in set(Store.open(workspace, name).cases["case_id"])
    )
    if not having:
        where = f"cohort {cohort} of {workspace.path}" if cohort else workspace.path
        raise UsageError(
            f"A case to explain must be an accepted case of the workspace, {case_id!r} is not in "
            f"{where}: `mmdiag status` lists the cohorts, "
            f"`mmdiag quarantine show {case_id}` says whether it was refused."
        )
    if len(having) > 1:
        raise UsageError(
            f"A case to explain must be named by its cohort where several have its key, "
            f"{case_id!r} is in {', '.join(having)}: give --cohort."
        )
    from mmdiag.experiment.plan import latest
    from mmdiag.explain.run import explain_case as explain_from

    run = latest(workspace, having[0])
    if run is None:
        raise UsageError(
            f"Explaining a case needs a finished run, and cohort {having[0]!r} has none in "
            f"{workspace.path}: start `mmdiag run` on it."
        )
    return explain_from(run, case_id)


def metrics(run: "Run") -> list[dict[str, Any]]:
    """The metrics of a run, computed again from its predictions."""
    from mmdiag.experiment.evaluate import evaluate

    return evaluate(run)


def availability(run: "Run") -> list[dict[str, Any]]:
    """The metrics of an evaluated run's fused model on the cases of each availability pattern;
    `value` is None where there are too few.
    """
    from mmdiag.experiment.evaluate import availability_of

    return availability_of(run)


def leaks(run: "Run") -> list[dict[str, str]]:
    """What may give the label of a run's cohort away: code, modality and fact of each leak."""
    from mmdiag.storage.store import Store

    return [dict(leak) for leak in Store.open(run.workspace, run.manifest.cohort).leaks]


def verify(bundle: Path) -> str:
    """Check a bundle's files and its id against its manifest; returns the id.

    Raises:
        BundleError: A file is missing or was changed.
    """
    from mmdiag.inference.manifest import read_manifest

    return read_manifest(bundle).id


def predictions_path(workspace: Workspace, cohort: str, bundle_id: str) -> Path:
    """Where predictions go that nobody gave a place: beside the cohort, one file a bundle."""
    return workspace.cohort(cohort) / f"predictions-{bundle_id}.parquet"
