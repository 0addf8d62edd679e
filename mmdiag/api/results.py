"""What is known of the runs and cases of a workspace, as plain calls; nothing is written but
metrics that are computed again.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmdiag.description import Description
from mmdiag.errors import UsageError
from mmdiag.storage.ledger import Ledger
from mmdiag.workspace import Workspace

if TYPE_CHECKING:
    from mmdiag.experiment.run import Run
    from mmdiag.explain.what_if import Change


def latest_run(description: Description, workspace: Workspace) -> "Run":
    """The cohort's latest run.

    Raises:
        UsageError: The cohort has none in this workspace.
    """
    from mmdiag.experiment.plan import latest

    run = latest(workspace, description.name)
    if run is None:
        raise UsageError(
            f"Metrics need a run whose models are all fitted, and cohort {description.name!r} has "
            f"none in {workspace.path}: `mmdiag run --cohort {description.file}` starts one, or "
            "picks it up."
        )
    return run


def explain_case(
    workspace: Workspace,
    case_id: str,
    cohort: str = "",
    *,
    bundle: Path | None = None,
    ledger: Ledger | None = None,
    change: "Change | None" = None,
) -> dict[str, Any]:
    """Everything that is known of one case of a training or of a score; what is missing is made.

    Args:
        cohort: The cohort's name; empty = the one that has the case.
        bundle: Folder of the model; None = that of the case's newest answer.
        ledger: Where the answers are; None = the workspace's own.
        change: How the case would be another; then nothing is written. None = as it is.

    Raises:
        UsageError: No cohort of the workspace has this case or several have, or no model has
            answered for it yet.
    """
    from mmdiag.explain import answers

    named = (verify(bundle), bundle) if bundle else None
    name = cohort_of(workspace, case_id, cohort, "explain")
    known = ledger or Ledger.of(workspace)
    if change is not None:
        return answers.changed_case(workspace, known, name, case_id, change, named)
    return answers.explain_case(workspace, known, name, case_id, named)


def write_case_page(workspace: Workspace, facts: dict[str, Any], file: Path) -> None:
    """Write one self-contained page of a case, which only its owner can read.

    Args:
        facts: What `explain_case` returned, of the case as it is.
    """
    from mmdiag.explain.report.page import page
    from mmdiag.storage.store import Store
    from mmdiag.workspace import atomic_path

    store = Store.open(workspace, facts["cohort"])
    row = store.cases["case_id"].tolist().index(facts["case_id"])
    with atomic_path(file) as temporary:
        temporary.touch(mode=0o600)
        temporary.write_text(page(facts, store, row), encoding="utf-8")


def check_explanations(
    workspace: Workspace,
    bundle: Path,
    cohort: str = "",
    progress: "Callable[..., None] | None" = None,
) -> dict[str, Any]:
    """How far the explanations of a model can be relied on, asked on some cases of a cohort and
    kept; returns what `mmdiag explain --checks --json` shows.

    Args:
        cohort: Its name; empty = the one that the model was trained on.

    Raises:
        UsageError: The cohort is not in the workspace, or has other modalities.
    """
    from mmdiag.explain.checks import check_bundle

    return check_bundle(workspace, bundle, cohort, progress)


def replay(
    bundle: Path,
    workspace: Workspace,
    ledger: Ledger,
    case_id: str,
    cohort: str = "",
) -> dict[str, Any]:
    """A recorded answer once more; returns what `mmdiag score --replay --json` shows.

    Args:
        bundle: Folder of the model that answered.
        cohort: The cohort's name; empty = the one that has the case.

    Raises:
        UsageError: The case is unknown, in several cohorts, has no answer of this model, or is no
            longer stored as it was.
    """
    from mmdiag.inference.bundle import Bundle
    from mmdiag.inference.replay import replay as replayed

    name = cohort_of(workspace, case_id, cohort, "replay")
    return replayed(Bundle.load(bundle, ledger.bundle_files), workspace, ledger, name, case_id)


def cohort_of(workspace: Workspace, case_id: str, cohort: str, purpose: str) -> str:
    """The name of the cohort that has a case.

    Args:
        cohort: Its name; empty = the one that has it.
        purpose: What the case is wanted for, as a verb.

    Raises:
        UsageError: No cohort of the workspace has this case, or several have.
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
            f"A case to {purpose} must be an accepted case of the workspace, {case_id!r} is not in "
            f"{where}: `mmdiag status` lists the cohorts, "
            f"`mmdiag quarantine show {case_id}` says whether it was refused."
        )
    if len(having) > 1:
        raise UsageError(
            f"A case to {purpose} must be named by its cohort where several have its key, "
            f"{case_id!r} is in {', '.join(having)}: give --cohort."
        )
    return having[0]


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


def interplay(run: "Run") -> dict[str, Any] | None:
    """How far the answers of an evaluated run are an interplay of modalities, and whether an
    additive model would do as well; None of a run of an earlier version.
    """
    from mmdiag.experiment.evaluate import interplay_of

    return interplay_of(run)


def warnings(run: "Run") -> list[str]:
    """Sentences on the model of an evaluated run itself."""
    return run.warnings


def leaks(run: "Run") -> list[dict[str, str]]:
    """What may give the label of a run's cohort away: code, modality and fact of each leak."""
    return [dict(leak) for leak in run.store().leaks]


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
