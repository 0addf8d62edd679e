"""The product on one page: from files to a published comparison, each step a task that may be
killed and run again.
"""

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.artifacts import create_table_artifact

from flows.ingest import ingest_shards
from flows.settings import prepare
from flows.steps import bounded, threads, told_of
from flows.train import AT_ONCE, alone_at, checked, evaluate, explain_all, fit_all, publish, start
from mmdiag.explain.choice import MODALITIES, require_choice


@flow(name="mmdiag-full", task_runner=threads(AT_ONCE), persist_result=False)
@told_of
@bounded
def full(
    cohort: Path,
    workspace: Path,
    recipe: str = "default",
    fusion: str = "",
    seed: int = 0,
    settings: dict[str, Any] | None = None,
    explain: str = MODALITIES,
    full_for: int | None = None,
) -> dict[str, Any]:
    """Take a cohort all the way; returns what `mmdiag run --json` shows.

    Args:
        cohort: Path of a cohort.toml.
        workspace: Folder for everything that is kept.
        recipe: A name of `mmdiag.recipes.RECIPES`.
        fusion: A name of `mmdiag.config.FUSION_NAMES`, or a chain; empty = the recipe's own.
        seed: Random seed.
        settings: Fields of the recipe to change, such as `training.learning_rate` -> 0.003.
        explain: `full` = regions, words and genes of every held-out case in advance; else of a
            case once it is asked for.
        full_for: Of so many, the abstained and most uncertain; None = of all.
    """
    prepare(workspace)
    require_choice(explain, full_for)
    # files -> checked, decoded shards; what is refused goes to quarantine with a reason
    ingested = ingest_shards(cohort, workspace)
    # split by subject, written once; the list of fits
    run = start(cohort, workspace, recipe, fusion, seed, settings)
    with alone_at(run):  # a second flow that is asked the same waits, and finds it done
        fit_all(run)  # the fused model and each modality alone, everything fitted inside the fold
        evaluate(run)  # every metric with its interval and n, beside the baselines
        explain_all(run, explain, full_for)  # regions, words, genes of the cases asked for
        answer = publish(run, workspace)  # the bundle, the predictions, the ledger
        answer |= checked(run, explain)  # whether its explanations hold
    create_table_artifact(
        [ingested["cases"]], key="mmdiag-cases", description=ingested["cohort"]["name"]
    )
    return ingested | answer
