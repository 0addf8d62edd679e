"""Commands that make and use models: run, train, evaluate, score."""

import os
from pathlib import Path

import click

from mmdiag.cli.context import Context, exit_code, read_and_check, titles, with_context
from mmdiag.cli.models.replay import replay_answer
from mmdiag.cli.options import (
    Explained,
    ModelChoice,
    cohort_option,
    explain_options,
    model_options,
)


@click.command(short_help="Ingest, train, evaluate, explain, publish.")
@cohort_option
@model_options()
@explain_options
@with_context
def run(context: Context, cohort: Path, model: ModelChoice, explained: Explained) -> int:
    """Take a cohort all the way: ingest, split, train, evaluate, explain, publish.

    Runs as a Prefect flow: on the server that PREFECT_API_URL names, else on a temporary one.
    Whatever an earlier call finished is kept;
    a second call on the same cohort finds nothing new and repeats nothing.

    \b
    Examples:
      mmdiag run --cohort cohort.toml
      mmdiag run --cohort cohort.toml --fusion modality_attention --seed 1
      mmdiag run --cohort cohort.toml --set training.class_weights=balanced --set model.width=64
      mmdiag run --cohort cohort.toml --explain full --full-for 20
      mmdiag run --cohort cohort.toml --workspace /data/mmdiag --json > answer.json
    """
    from mmdiag import api
    from mmdiag.cli.flow import run_full
    from mmdiag.cli.progress import stages
    from mmdiag.cli.show import show_run

    description = read_and_check(cohort)
    api.require_trainable(description, context.workspace, model.config())
    with stages() as progress:
        found = run_full(context, cohort.resolve(), model, explained, progress)
    answer = context.answer("run") | found
    answer |= {"seconds": context.seconds()}
    context.emit(answer, lambda done: show_run(done, titles(description)))
    return exit_code(answer)


@click.command(short_help="Train and compare models.")
@cohort_option
@model_options()
@explain_options
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
    help="Start from the weights of this pretraining: the id that `mmdiag pretrain` printed.",
)
@with_context
def train(
    context: Context,
    cohort: Path,
    model: ModelChoice,
    explained: Explained,
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
      mmdiag train --cohort cohort.toml --set image.encoder=texture --set training.max_epochs=60
      mmdiag train --cohort cohort.toml --processes 2
      mmdiag train --cohort cohort.toml --explain full
      MLFLOW_TRACKING_URI=https://mlflow.example.org mmdiag train --cohort cohort.toml --mlflow
      mmdiag train --cohort cohort.toml --pretrained p-3f9c1d20a1b2
    """
    from mmdiag import api
    from mmdiag.cli.progress import stages
    from mmdiag.cli.show import show_run

    description = read_and_check(cohort)
    if mlflow:
        os.environ["MMDIAG_MLFLOW"] = "1"  # the processes of a fit read it, too
    config = api.begin_with(context.workspace, model.config(), pretrained)
    with stages() as progress:
        result = api.compare(
            description,
            context.workspace,
            context.ledger(),
            config,
            processes=processes,
            explain=explained.explain,
            full_for=explained.full_for,
            progress=progress,
        )
    answer = context.answer("train", **result)
    context.emit(answer, lambda done: show_run(done, titles(description)))
    return exit_code(answer)


@click.command(short_help="Compute the latest run's metrics again.")
@cohort_option
@with_context
def evaluate(context: Context, cohort: Path) -> int:
    """Compute the metrics of the cohort's latest run again, from its stored predictions: of every
    model, and by the available modalities.

    \b
    Examples:
      mmdiag evaluate --cohort cohort.toml
      mmdiag evaluate --cohort cohort.toml --json
    """
    from mmdiag import api
    from mmdiag.cli.show import show_evaluation

    description = read_and_check(cohort)
    run = api.latest_run(description, context.workspace)
    metrics = api.metrics(run)
    answer = context.answer(
        "evaluate",
        cohort={"name": description.name},
        run=str(run.folder),
        metrics=metrics,
        availability=api.availability(run),
        interplay=api.interplay(run),
        warnings=api.warnings(run),
        leaks=api.leaks(run),
    )
    context.emit(answer, lambda done: show_evaluation(done, titles(description)))
    return 0


@click.command(short_help="Score new cases with a bundle.")
@click.option(
    "--bundle",
    metavar="BUNDLE",
    help="A trained bundle: its id in the workspace, or its folder. Default: the champion of the "
    "cohort (`mmdiag models`).",
)
@click.option(
    "--champion-of",
    metavar="COHORT",
    help="The champion of this cohort, by its name, instead.",
)
@click.option(
    "--cohort",
    type=click.Path(path_type=Path),
    metavar="C.toml",
    help="Description of the cohort.  [required, but by --replay]",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where the predictions go, as Parquet.  [required, but by --replay]",
)
@click.option(
    "--trust",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="PUBLIC",
    help="Refuse a bundle that the pair of this public key has not signed (`mmdiag bundle`).",
)
@click.option(
    "--all",
    "every_case",
    is_flag=True,
    help="Without --bundle: every case, and not only those that are new to the model and have "
    "neither a label nor a review.",
)
@click.option(
    "--replay",
    metavar="CASE_ID",
    help="Give the recorded answer of this case once more, and score nothing; exit 1 where it "
    "differs by more than 1e-6. Needs --bundle, no --out, and --cohort only where several have the "
    "case.",
)
@explain_options
@with_context
def score(
    context: Context,
    bundle: str | None,
    champion_of: str | None,
    cohort: Path | None,
    out: Path | None,
    trust: Path | None,
    every_case: bool,
    replay: str | None,
    explained: Explained,
) -> int:
    """Score the cases of a cohort that this bundle has not scored yet, and explain them; what is
    new in the cohort is ingested first.

    \b
    Examples:
      mmdiag score --cohort cohort.toml --out scored.parquet
      mmdiag score --champion-of lgg-progression --cohort new.toml --out scored.parquet
      mmdiag score --bundle b-3f9c1d20a1b2 --cohort new.toml --out scored.parquet
      mmdiag score --bundle bundles/b-3f9c1d20 --cohort new.toml --out scored.parquet --json
      mmdiag score --bundle b-3f9c1d20a1b2 --cohort new.toml --out scored.parquet \\
        --explain full --full-for 20
      mmdiag score --replay c0182 --bundle b-3f9c1d20a1b2
    """
    from mmdiag import api
    from mmdiag.cli.progress import stages
    from mmdiag.cli.show import show_score
    from mmdiag.description import read_description

    if bundle and champion_of:
        raise click.UsageError("A model is named once, by --bundle or by --champion-of.")
    if replay is not None:
        return replay_answer(context, replay, bundle, cohort)
    if cohort is None or out is None:
        raise click.UsageError(f"Missing option '{'--cohort' if cohort is None else '--out'}'.")
    if bundle:
        api.bundle_folder(context.workspace, bundle)  # said before a cohort is looked at
    description = read_description(cohort)  # its case table is read where something is new
    folder = api.model_in_use(
        context.workspace, context.existing_ledger(), champion_of or description.name, bundle
    )
    with stages() as progress:
        place = (description, context.workspace, context.ledger(), out.resolve())
        result = api.score(
            folder,
            *place,
            explain=explained.explain,
            full_for=explained.full_for,
            only_open=not bundle and not every_case,
            trust=trust,
            progress=progress,
        )
    answer = context.answer("score", **result)
    _tell_labels(answer["labelled"])
    context.emit(answer, lambda done: show_score(done, titles(description)))
    return exit_code(answer)


def _tell_labels(cases: int) -> None:
    """That what was scored could be judged."""
    if cases:
        click.echo(
            f"{cases} of these cases have a label: `mmdiag validate` judges the bundle on those "
            "that it has not seen.",
            err=True,
        )
