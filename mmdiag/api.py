"""mmdiag in Python: the path of a cohort as plain calls. `flows/full.py` is the same path with retries and a schedule; both give the same files."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmdiag.case_table import read_cases
from mmdiag.config import RunConfig
from mmdiag.description import Description, read_description
from mmdiag.errors import UsageError
from mmdiag.ledger import Ledger
from mmdiag.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

Report = Callable[..., None]  # report(stage, done, total, detail="")
Detail = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Cohort:
    """A described cohort and the workspace that keeps what is made of it."""

    description: Description
    workspace: Workspace

    @staticmethod
    def open(cohort: Path | str, *, workspace: Path | str = "workspace") -> "Cohort":
        """Read and check a cohort.toml; nothing is written.

        Raises:
            DescriptionError: What is wrong with it, and how to mend it.
        """
        description = read_description(Path(cohort))
        read_cases(description)
        return Cohort(description, Workspace(Path(workspace).resolve()))

    def ledger(self) -> Ledger:
        """The record of this workspace."""
        self.workspace.path.mkdir(parents=True, exist_ok=True)
        return Ledger(self.workspace.ledger_url)

    def ingest(self, *, progress: Report | None = None) -> dict[str, Any]:
        """Read what is new; returns `cohort`, `cases` and `modalities` with their counts."""
        return ingest(self.description, self.workspace, self.ledger(), progress=progress)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A trained model in its folder."""

    id: str
    path: Path

    @staticmethod
    def load(path: Path | str) -> "Bundle":
        """Open a bundle, after checking every file against its manifest.

        Raises:
            BundleError: A file is missing or was changed.
        """
        return Bundle(verify(Path(path)), Path(path).resolve())

    def score(self, cohort: Cohort, *, out: Path | str | None = None, progress: Report | None = None) -> "pd.DataFrame":
        """Predictions for every accepted case of a cohort, in the columns of predictions.parquet; cases scored earlier are not scored again.

        Args:
            out: Where they are written too; by default beside the cohort in the workspace.
        """
        import pandas as pd

        target = Path(out) if out else predictions_path(cohort.workspace, cohort.description.name, self.id)
        score(self.path, cohort.description, cohort.workspace, cohort.ledger(), target, progress=progress)
        return pd.read_parquet(target)


def train(cohort: Cohort, config: RunConfig, *, progress: Report | None = None) -> Bundle:
    """Ingest what is new, then train and compare; returns the bundle of the fused model."""
    answer = compare(cohort.description, cohort.workspace, cohort.ledger(), config, progress=progress)
    return Bundle(answer["bundle"]["id"], Path(answer["bundle"]["path"]))


def ingest(description: Description, workspace: Workspace, ledger: Ledger, *, progress: Report | None = None) -> dict[str, Any]:
    """Read what is new in a cohort; returns `cohort`, `cases` and `modalities`."""
    from mmdiag import ingestion
    from mmdiag.commit import commit

    plans = ingestion.plan(description, workspace)
    for number, shard in enumerate(plans, 1):
        ingestion.ingest_shard(shard)
        _tell(progress, "ingest", number, len(plans))
    return dataclasses.asdict(commit(description, workspace, ledger))


def compare(
    description: Description, workspace: Workspace, ledger: Ledger, config: RunConfig, *, processes: int = 1, progress: Report | None = None
) -> dict[str, Any]:
    """Ingest, train, evaluate, explain and publish; returns what `mmdiag run --json` shows.

    Args:
        processes: Processes of each fit, on GPUs one each; 1 = this process alone.
    """
    from mmdiag import comparison, results
    from mmdiag.explain.run import chunks, explain

    found = ingest(description, workspace, ledger, progress=progress)
    run = comparison.start(description, workspace, config)
    fits = comparison.fits(run)
    for number, name in enumerate(fits):
        _tell(progress, "train", number, len(fits), name)
        told = _detail(progress, "train", number, len(fits), name)
        if processes > 1:
            from mmdiag import distributed

            distributed.fit(run, name, processes, told)
        else:
            comparison.fit(run, name, progress=told)
    _tell(progress, "train", len(fits), len(fits))
    results.evaluate(run)
    parts = chunks(run)
    for number, part in enumerate(parts, 1):
        explain(run, part)
        _tell(progress, "explain", number, len(parts))
    return found | results.finish(run, ledger)


def score(
    bundle: Path, description: Description, workspace: Workspace, ledger: Ledger, out: Path, *, progress: Report | None = None
) -> dict[str, Any]:
    """Ingest what is new, then score what this bundle has not scored; returns what `mmdiag score --json` shows."""
    from mmdiag import inference

    found = ingest(description, workspace, ledger, progress=progress)
    return found | inference.score(bundle, description, workspace, ledger, out, progress=_detail(progress, "score"))


def latest_run(description: Description, workspace: Workspace) -> Path:
    """Folder of the cohort's latest finished run.

    Raises:
        UsageError: The cohort has none in this workspace.
    """
    from mmdiag import comparison

    folder = comparison.latest(workspace, description.name)
    if folder is None:
        raise UsageError(
            f"Metrics need a finished run, and cohort {description.name!r} has none in {workspace.path}: start `mmdiag run --cohort {description.file}`."
        )
    return folder


def explain_case(workspace: Workspace, case_id: str) -> dict[str, Any]:
    """Everything that is known of one case, from the latest run of its cohort.

    Raises:
        UsageError: No cohort of the workspace has this case, or its cohort has no run yet.
    """
    from mmdiag.store import Store

    names = [folder.parent.name for folder in workspace.path.glob("cohorts/*/cases.parquet")]
    having = [name for name in names if case_id in set(Store.open(workspace, name).cases["case_id"])]
    if not having:
        raise UsageError(
            f"A case to explain must be an accepted case of the workspace, {case_id!r} is not in {workspace.path}: `mmdiag status` lists the cohorts."
        )
    from mmdiag import comparison
    from mmdiag.explain.run import explain_case as explain_from

    runs = [run for run in (comparison.latest(workspace, name) for name in having) if run is not None]
    if not runs:
        raise UsageError(
            f"Explaining a case needs a finished run, and cohort {having[0]!r} has none in {workspace.path}: start `mmdiag run` on it."
        )
    return explain_from(workspace, runs[0], case_id)


def metrics(run: Path) -> list[dict[str, Any]]:
    """The metrics of a run, computed again from its predictions."""
    from mmdiag import results

    return results.evaluate(run)


def verify(bundle: Path) -> str:
    """Check a bundle's files against its manifest; returns its id.

    Raises:
        BundleError: A file is missing or was changed.
    """
    from mmdiag.bundle import verify as verify_files

    return str(verify_files(bundle)["id"])


def predictions_path(workspace: Workspace, cohort: str, bundle_id: str) -> Path:
    """Where predictions go that nobody gave a place: beside the cohort, one file a bundle."""
    return workspace.cohort(cohort) / f"predictions-{bundle_id}.parquet"


def _tell(progress: Report | None, stage: str, done: int, total: int, detail: str = "") -> None:
    if progress:
        progress(stage, done, total, detail)


def _detail(progress: Report | None, stage: str, number: int = 0, total: int = 0, name: str = "") -> Detail | None:
    """What a single unit of work is given to report to: its text goes beside the stage's bar, or its numbers are the bar where the stage is one unit."""
    if progress is None:
        return None

    def report(done: int, of: int, text: str) -> None:
        if total:
            progress(stage, number, total, f"{name} {done}/{of}: {text}")
        else:
            progress(stage, done, of, text)

    return report
