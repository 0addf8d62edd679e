"""The command that learns weights without labels: pretrain."""

from pathlib import Path

import click

from mmdiag.cli.context import Answer, Place, cohort_option, exit_code, placed, read_and_check
from mmdiag.cli.models import set_option
from mmdiag.config import settings_of
from mmdiag.kinds import KINDS
from mmdiag.recipes import named

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
@click.option(
    "--recipe",
    default="default",
    show_default=True,
    metavar="NAME",
    help="The recipe that it will be trained with: a function of mmdiag.recipes.",
)
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Epochs of each. Default: 60 for images, 5 for notes, 100 for contrast.",
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
def pretrain(
    place: Place,
    cohort: Path,
    what: tuple[str, ...],
    recipe: str,
    epochs: int | None,
    settings: tuple[str, ...],
    seed: int,
) -> int:
    """Learn weights from a cohort's cases without their labels; what is new in the cohort is
    ingested first.

    Worth it where many cases have no label. Nobody is judged by weights that learned from them:
    each part of the cohort's split gets weights of its own,
    which saw none of its subjects, and training refuses weights that did. A killed pretraining goes
    on where it stopped.

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
    config = named(recipe, seed=seed, settings=settings_of(settings))
    with stages() as progress:
        found = api.pretrain(
            description,
            place.workspace,
            place.ledger(),
            config,
            what,
            epochs=epochs,
            progress=progress,
        )
    answer = place.answer("pretrain", **found)
    place.give(answer, lambda known: _show(known, cohort, recipe, settings))
    return exit_code(answer)


def _show(answer: Answer, cohort: Path, recipe: str, settings: tuple[str, ...]) -> None:
    from mmdiag.cli.show import show_lines

    rows = answer["weights"]
    lines = [
        f"{row['what']}, {row['part']}: {row['cases']} cases, {row['epochs']} epochs; loss of "
        f"{row['held_back']} cases held back "
        f"{row['loss_first']:.3f} -> {row['loss_best']:.3f} (epoch {row['best_epoch']})"
        for row in rows
    ]
    other = ("" if recipe == "default" else f" --recipe {recipe}") + "".join(
        f" --set {setting}" for setting in settings
    )
    lines += [
        f"Weights {answer['pretrained']['id']} in {answer['pretrained']['path']}",
        f"Next: mmdiag train --cohort {cohort}{other} --pretrained {answer['pretrained']['id']}",
    ]
    show_lines(lines)
