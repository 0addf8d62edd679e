"""The command that learns weights without labels: pretrain."""

from pathlib import Path

import click

from mmdiag.cli.context import Answer, Context, exit_code, read_and_check, with_context
from mmdiag.cli.options import ModelChoice, cohort_option, model_options
from mmdiag.kinds import KINDS

WHAT = (*(name for name, kind in KINDS.items() if kind.pretraining), "contrastive")
WHAT_HELP = (
    "What to learn: image (masked images, for the image encoder vit), text (masked "
    "notes), contrastive (modalities brought together). Repeatable."
)


@click.command(short_help="Learn weights without labels, to train with afterwards.")
@cohort_option
@click.option(
    "--what",
    type=click.Choice(WHAT),
    multiple=True,
    default=("contrastive",),
    show_default=True,
    help=WHAT_HELP,
)
@model_options(
    fusion=False,
    default="concat",
    recipe_help="The recipe that it will be trained with: a function of mmdiag.recipes.",
)
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Epochs of each. Default: 60 for images, 5 for notes, 100 for contrast.",
)
@with_context
def pretrain(
    context: Context,
    cohort: Path,
    what: tuple[str, ...],
    model: ModelChoice,
    epochs: int | None,
) -> int:
    """Learn weights from a cohort's cases without their labels; what is new in the cohort is
    ingested first.

    Worth it where many cases have no label. No subject is evaluated with weights that were trained
    on it: every fold gets weights of its own, which saw none of its subjects, and training refuses
    weights that did. A killed pretraining goes on where it stopped.

    \b
    Examples:
      mmdiag pretrain --cohort cohort.toml
      mmdiag train --cohort cohort.toml --pretrained p-3f9c1d20a1b2
      mmdiag pretrain --cohort cohort.toml --what image --what text --epochs 20 --seed 1
      mmdiag pretrain --cohort cohort.toml --recipe end_to_end --what image --json
    """
    from mmdiag import api
    from mmdiag.cli.progress import stages

    description = read_and_check(cohort)
    config = model.config()  # wrong use is said before anything is written
    with stages() as progress:
        result = api.pretrain(
            description,
            context.workspace,
            context.ledger(),
            config,
            what,
            epochs=epochs,
            progress=progress,
        )
    answer = context.answer("pretrain", **result)
    context.emit(answer, lambda done: _show(done, cohort, model))
    return exit_code(answer)


def _show(answer: Answer, cohort: Path, model: ModelChoice) -> None:
    from mmdiag.cli.show import show_lines

    rows = answer["weights"]
    lines = [
        f"{row['what']}, {row['part']}: {row['cases']} cases, {row['epochs']} epochs; loss of "
        f"{row['held_back']} held-out cases "
        f"{row['loss_first']:.3f} -> {row['loss_best']:.3f} (epoch {row['best_epoch']})"
        for row in rows
    ]
    other = ("" if model.recipe == "default" else f" --recipe {model.recipe}") + "".join(
        f" --set {setting}" for setting in model.settings
    )
    lines += [
        f"Weights {answer['pretrained']['id']} in {answer['pretrained']['path']}",
        f"Next: mmdiag train --cohort {cohort}{other} --pretrained {answer['pretrained']['id']}",
    ]
    show_lines(lines)
