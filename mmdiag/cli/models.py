"""Commands that make and use models: run, train, evaluate, explain, score."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from mmdiag.cli.context import Place, cohort_option, exit_code, placed, read_and_check
from mmdiag.config import FUSION_NAMES, settings_of
from mmdiag.recipes import named

FUSION_HELP = (
    f"How modalities are fused: {', '.join(FUSION_NAMES)}; or a chain of them, such as "
    "cross_modal+modality_attention+late."
)


set_option = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Change a field of the recipe, such as training.learning_rate=0.003, "
    "image.encoder=texture or evaluation.folds=10 (mmdiag/config/). Repeatable.",
)


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that choose a model: `--recipe`, `--fusion`, `--set`, `--seed`."""
    for option in (
        click.option(
            "--seed",
            type=click.IntRange(min=0),
            default=0,
            show_default=True,
            help="Where all randomness comes from.",
        ),
        set_option,
        click.option(
            "--fusion", default=FUSION_NAMES[0], show_default=True, metavar="NAME", help=FUSION_HELP
        ),
        click.option(
            "--recipe",
            default="default",
            show_default=True,
            metavar="NAME",
            help="A function of mmdiag.recipes: default, classical, end_to_end.",
        ),
    ):
        command = option(command)
    return command


@click.command(short_help="Ingest, train, evaluate, explain, publish.")
@cohort_option
@model_options
@placed
def run(
    place: Place, cohort: Path, recipe: str, fusion: str, settings: tuple[str, ...], seed: int
) -> int:
    """Take a cohort all the way: ingest, split, train, evaluate, explain, publish.

    Runs as a Prefect flow: on the server that PREFECT_API_URL names, else on a temporary one.
    Whatever an earlier call finished is kept;
    a second call on the same cohort finds nothing new and repeats nothing.

    \b
    Examples:
      mmdiag run --cohort cohort.toml
      mmdiag run --cohort cohort.toml --fusion modality_attention --seed 1
      mmdiag run --cohort cohort.toml --set training.class_weights=balanced --set model.width=64
      mmdiag run --cohort cohort.toml --workspace /data/mmdiag --json > answer.json
    """
    from mmdiag.cli.flow import run_full
    from mmdiag.cli.progress import stages
    from mmdiag.cli.show import show_run

    read_and_check(cohort)
    changed = settings_of(settings)
    named(recipe, fusion=fusion, seed=seed, settings=changed)
    with stages() as progress:
        answer = place.answer("run") | run_full(
            place, cohort.resolve(), recipe, fusion, seed, changed, progress
        )
    answer |= {"seconds": place.seconds()}
    place.give(answer, show_run)
    return exit_code(answer)


@click.command(short_help="Train and compare models.")
@cohort_option
@model_options
@click.option(
    "--mlflow",
    is_flag=True,
    help="Mirror the run to the MLflow that MLFLOW_TRACKING_URI names; needs mmdiag[mlflow]. "
    "[env: MMDIAG_MLFLOW]",
)
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Processes of each fit; on GPUs one each.",
)
@click.option(
    "--pretrained",
    default="",
    metavar="ID",
    help="Begin with the weights of this pretraining: the id that `mmdiag pretrain` answered.",
)
@placed
def train(
    place: Place,
    cohort: Path,
    recipe: str,
    fusion: str,
    settings: tuple[str, ...],
    seed: int,
    processes: int,
    pretrained: str,
    mlflow: bool,
) -> int:
    """Train and compare models on a cohort; what is new in the cohort is ingested first.

    The same path as `mmdiag run`, without Prefect: faster to start, no retries.

    \b
    Examples:
      mmdiag train --cohort cohort.toml
      mmdiag train --cohort cohort.toml --fusion cross_modal --seed 1
      mmdiag train --cohort cohort.toml --fusion cross_modal+modality_attention+late
      mmdiag train --cohort cohort.toml --recipe end_to_end --json
      mmdiag train --cohort cohort.toml --set image.encoder=resnet18 --set image.training=fine_tuned
      --set image.weights=/models/radimagenet
      mmdiag train --cohort cohort.toml --processes 2
      MLFLOW_TRACKING_URI=https://mlflow.example.org mmdiag train --cohort cohort.toml --mlflow
      mmdiag train --cohort cohort.toml --pretrained p-3f9c1d20a1b2
    """
    from mmdiag import api
    from mmdiag.cli.progress import stages
    from mmdiag.cli.show import show_run

    description = read_and_check(cohort)
    if mlflow:
        os.environ["MMDIAG_MLFLOW"] = "1"  # the processes of a fit read it, too
    config = api.begin_with(
        place.workspace,
        named(recipe, fusion=fusion, seed=seed, settings=settings_of(settings)),
        pretrained,
    )
    with stages() as progress:
        found = api.compare(
            description,
            place.workspace,
            place.ledger(),
            config,
            processes=processes,
            progress=progress,
        )
    answer = place.answer("train", **found)
    place.give(answer, show_run)
    return exit_code(answer)


@click.command(short_help="Compute the latest run's metrics again.")
@cohort_option
@placed
def evaluate(place: Place, cohort: Path) -> int:
    """Compute the metrics of the cohort's latest run again, from its stored predictions: of every
    model, and by the modalities at hand.

    \b
    Examples:
      mmdiag evaluate --cohort cohort.toml
      mmdiag evaluate --cohort cohort.toml --json
    """
    from mmdiag import api
    from mmdiag.cli.show import show_evaluation

    description = read_and_check(cohort)
    folder = api.latest_run(description, place.workspace)
    metrics = api.metrics(folder)
    answer = place.answer(
        "evaluate",
        cohort={"name": description.name},
        run=str(folder),
        metrics=metrics,
        availability=api.availability(folder),
    )
    place.give(answer, show_evaluation)
    return 0


@click.command(short_help="Explain one case.")
@click.argument("case_id")
@placed
def explain(place: Place, case_id: str) -> int:
    """Explain one case: what each modality contributed, and which image regions, words and genes
    spoke.

    \b
    Examples:
      mmdiag explain c0182
      mmdiag explain c0182 --workspace /data/mmdiag --json
    """
    from mmdiag import api
    from mmdiag.cli.show import show_explanation

    answer = place.answer("explain", **api.explain_case(place.workspace, case_id))
    place.give(answer, show_explanation)
    return 0


@click.command(short_help="Score new cases with a bundle.")
@click.option(
    "--bundle",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder of a trained bundle.",
)
@cohort_option
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where the predictions go, as Parquet.",
)
@placed
def score(place: Place, bundle: Path, cohort: Path, out: Path) -> int:
    """Score the cases of a cohort that this bundle has not scored yet; what is new in the cohort is
    ingested first.

    \b
    Examples:
      mmdiag score --bundle workspace/bundles/b-3f9c1d20 --cohort new.toml --out predictions.parquet
      mmdiag score --bundle workspace/bundles/b-3f9c1d20 --cohort new.toml --out predictions.parquet
      --json
    """
    from mmdiag import api
    from mmdiag.cli.progress import stages
    from mmdiag.cli.show import show_score

    description = read_and_check(cohort)
    api.verify(bundle)
    with stages() as progress:
        found = api.score(
            bundle.resolve(),
            description,
            place.workspace,
            place.ledger(),
            out.resolve(),
            progress=progress,
        )
    answer = place.answer("score", **found)
    place.give(answer, show_score)
    return exit_code(answer)
