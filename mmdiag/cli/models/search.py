"""The command that searches hyperparameters: search."""

from pathlib import Path

import click

from mmdiag.cli.context import Context, exit_code, read_and_check, titles, with_context
from mmdiag.cli.options import FUSION_HELP, ModelChoice, cohort_option, model_options


@click.command(short_help="Search hyperparameters inside the folds, then train and compare.")
@cohort_option
@click.option(
    "--trials",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    metavar="N",
    help="Trials of every model in every fold.",
)
@model_options(
    default="concat",
    fusion_help=f"{FUSION_HELP} Default: the family is searched, too.",
    recipe_help="What is not searched, and the first trial: default, classical, end_to_end.",
)
@with_context
def search(context: Context, cohort: Path, trials: int, model: ModelChoice) -> int:
    """Search hyperparameters, then train and compare with what was found; what is new in the cohort
    is ingested first.

    The search is nested: every model in every fold has its values chosen on its own training
    subjects, by validation loss in three inner folds (or on the validation subjects of a held-out
    design). The metrics are nested cross-validation estimates: no evaluated subject influenced the
    values of its model, and folds may choose differently. A single modality has as many trials as
    the fused model, so that a gain from search does not look like a gain from fusion.

    Searched are learning rate, weight decay, width, dropout, components kept of each kind, and the
    fusion's family unless --fusion names one. A space of your own: mmdiag.search(cohort,
    space={...}) in Python. Unpromising trials are pruned. A killed search goes on where it stopped,
    to the same end; the trials are in the run's search.db (Optuna) and search/trials.parquet.

    It takes about folds x models x trials x 3 trainings, as many at once as there are cores: some
    seconds each for a small cohort on stored features.

    \b
    Examples:
      mmdiag search --cohort cohort.toml
      mmdiag search --cohort cohort.toml --trials 40 --fusion low_rank --seed 1
      mmdiag search --cohort cohort.toml --recipe classical --json > answer.json
    """
    from mmdiag import api
    from mmdiag.cli.progress import stages
    from mmdiag.cli.show import show_search

    description = read_and_check(cohort)
    config = model.config()  # wrong use is said before anything is written
    with stages() as progress:
        result = api.search_and_compare(
            description,
            context.workspace,
            context.ledger(),
            config,
            trials=trials,
            fusion=model.fusion is None,
            progress=progress,
        )
    answer = context.answer("search", **result)
    context.emit(answer, lambda done: show_search(done, titles(description)))
    return exit_code(answer)
