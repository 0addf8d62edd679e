"""Score the cases of a cohort that a bundle has not scored yet; a schedule runs it every night."""

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.artifacts import create_table_artifact

from flows.ingest import ingest_shards, turn_of
from flows.settings import prepare, report
from flows.steps import bounded, step, threads, told_of
from mmdiag import api
from mmdiag.description import read_description
from mmdiag.inference import score as inference
from mmdiag.storage.ledger import Ledger
from mmdiag.workspace import Workspace


@flow(name="mmdiag-score", task_runner=threads(2), persist_result=False)
@told_of
@bounded
def score(
    cohort: Path, workspace: Path, bundle: Path | None = None, out: Path | None = None
) -> dict[str, Any]:
    """Ingest what is new, then score it.

    Args:
        bundle: Folder of the model; by default the champion of the cohort, and then only cases
            of subjects that are new to it and that have neither a label nor a review.
        out: Where this call's predictions go; by default beside the cohort in the workspace.
    """
    prepare(workspace)
    only_open = bundle is None
    bundle = bundle or champion(cohort, workspace)
    answer = unchanged(bundle, cohort, workspace, out, only_open=only_open)
    if answer is None:
        ingested = ingest_shards(cohort, workspace, check_bundle(bundle, cohort, workspace))
        with turn_of(cohort, workspace, "score"):
            answer = ingested | score_cohort(bundle, cohort, workspace, out, only_open=only_open)
    counts = {
        "scored": answer["scored"],
        "already scored": answer["already_scored"],
        "in quarantine": answer["cases"]["quarantined"],
    }
    create_table_artifact([counts], key="mmdiag-scores")
    return answer


@step
def champion(cohort: Path, workspace: Path) -> Path:
    """Folder of the model in use of a cohort: its champion, and never a guess."""
    working = Workspace(workspace)
    name = read_description(cohort).name
    return api.model_in_use(working, Ledger.of(working), name)


@step
def check_bundle(bundle: Path, cohort: Path, workspace: Path) -> dict[str, list[str]]:
    """See whether a bundle can score a cohort before anything of the cohort is read; returns the
    columns that it reads.
    """
    ledger = Ledger.of(Workspace(workspace))
    return inference.wanted_columns(api.open_bundle(bundle, read_description(cohort), ledger))


@step
def unchanged(
    bundle: Path, cohort: Path, workspace: Path, out: Path | None, *, only_open: bool
) -> dict[str, Any] | None:
    """The answer where nothing has changed since this bundle scored, without loading it."""
    working, description = Workspace(workspace), read_description(cohort)
    target = out or api.predictions_path(working, description.name, bundle.name)
    ledger = Ledger.of(working)
    return api.score_unchanged(bundle, description, working, ledger, target, only_open=only_open)


@step
def score_cohort(
    bundle: Path, cohort: Path, workspace: Path, out: Path | None, *, only_open: bool
) -> dict[str, Any]:
    """Score with one bundle, and say what each modality contributed."""
    working, description = Workspace(workspace), read_description(cohort)
    ledger = Ledger.of(working)
    opened = api.open_bundle(bundle, description, ledger)
    return api.score_ingested(
        opened,
        description,
        working,
        ledger,
        out or api.predictions_path(working, description.name, opened.id),
        only_open=only_open,
        progress=lambda done, of, text: report("score", done, of, text),
    )
