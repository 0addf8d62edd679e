"""The command that searches hyperparameters: search."""

from pathlib import Path

import click

from mmdiag.cli.context import Place, cohort_option, exit_code, placed, read_and_check
from mmdiag.cli.models import FUSION_HELP, set_option
from mmdiag.config import settings_of
from mmdiag.recipes import named


@click.command(short_help="Search hyperparameters inside the folds, then train and compare.")
@cohort_option
@click.option(
    "--trials",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    metavar="N",
    help="Trials of each model of each part that is judged.",
)
@click.option(
    "--recipe",
    default="default",
    show_default=True,
    metavar="NAME",
    help="What is not searched, and the first trial: default, classical, end_to_end.",
)
@click.option(
    "--fusion",
    default=None,
    metavar="NAME",
    help=f"{FUSION_HELP} Default: the family is searched, too.",
)
@set_option
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Where all randomness comes from.",
)
@placed
def search(
    place: Place,
    cohort: Path,
    trials: int,
    recipe: str,
    fusion: str | None,
    settings: tuple[str, ...],
    seed: int,
) -> int:
    """Search hyperparameters, then train and compare with what was found; what is new in the cohort
    is ingested first.

    The search is nested. Each model of each fold (or of the held-out test) has its values chosen by
    trials on its own training subjects, judged by their
    validation loss: in three inner folds, or on the validation subjects of a held-out design. Then
    it is trained with them and judged as ever. So the metrics
    are those of the whole procedure, search included, and no judged subject had a say; folds may
    well choose differently. Single modalities have as many
    trials as the fused model, so that what fusion gains is not what a search gains. The bundle's
    values are chosen in the same way.

    Searched are learning rate, weight decay, width, dropout, components kept of each kind, and the
    fusion's family unless --fusion names one. A space of your own:
    mmdiag.search(cohort, space={...}) in Python. Trials without prospect are given up early. A
    killed search goes on where it stopped, to the same end; the
    trials are in the run's search.db (Optuna) and search/trials.parquet.

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
    config = named(recipe, fusion=fusion or "concat", seed=seed, settings=settings_of(settings))
    with stages() as progress:
        found = api.search_and_compare(
            description,
            place.workspace,
            place.ledger(),
            config,
            trials=trials,
            fusion=fusion is None,
            progress=progress,
        )
    answer = place.answer("search", **found)
    place.give(answer, show_search)
    return exit_code(answer)
