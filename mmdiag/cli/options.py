"""Options that several commands share: the cohort, and those that choose a model."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from mmdiag.config import FUSION_NAMES, RunConfig, settings_of
from mmdiag.recipes import named

Command = Callable[..., Any]
FUSION_HELP = (
    f"How modalities are fused: {', '.join(FUSION_NAMES)}; or a chain of them, such as "
    "cross_modal+modality_attention+late."
)
RECIPE_HELP = "A function of mmdiag.recipes: default, classical, end_to_end."

cohort_option = click.option(
    "--cohort",
    required=True,
    type=click.Path(path_type=Path),
    metavar="C.toml",
    help="Description of the cohort.",
)
cohort_name_option = click.option("--cohort", metavar="NAME", help="Only this cohort, by its name.")


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """What the options of a command say of the model.

    Args:
        fusion: None where the command searches the family, too, or where it fuses nothing.
        settings: `FIELD=VALUE` as typed.
    """

    recipe: str
    fusion: str | None
    settings: tuple[str, ...]
    seed: int

    @property
    def changed(self) -> Mapping[str, Any]:
        """Fields of the recipe, with their values."""
        return settings_of(self.settings)

    def config(self) -> RunConfig:
        """The recipe with its changes.

        Raises:
            UsageError: A name or a setting is not known, or makes no sense.
        """
        fusion = FUSION_NAMES[0] if self.fusion is None else self.fusion
        return named(self.recipe, fusion=fusion, seed=self.seed, settings=self.changed)


def model_options(
    *,
    fusion: bool = True,
    default: str | None = FUSION_NAMES[0],
    fusion_help: str = FUSION_HELP,
    recipe_help: str = RECIPE_HELP,
) -> Callable[[Command], Command]:
    """Give a command `--recipe`, `--fusion`, `--set` and `--seed` as one argument `model`, a
    `ModelChoice`.

    Args:
        fusion: Whether it takes `--fusion`.
        default: Family where `--fusion` is not given.
    """

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def wrapper(
            *args: Any,
            recipe: str,
            settings: tuple[str, ...],
            seed: int,
            fusion: str | None = None,
            **options: Any,
        ) -> Any:
            return command(*args, model=ModelChoice(recipe, fusion, settings, seed), **options)

        shown = default is not None
        of_fusion = click.option(
            "--fusion", default=default, show_default=shown, metavar="NAME", help=fusion_help
        )
        decorated: Command = _set_option(_seed_option(wrapper))
        decorated = of_fusion(decorated) if fusion else decorated
        return _recipe_option(recipe_help)(decorated)

    return decorate


def _recipe_option(help: str) -> Callable[[Command], Command]:
    return click.option("--recipe", default="default", show_default=True, metavar="NAME", help=help)


_seed_option = click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Random seed."
)
_set_option = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Change a field of the recipe, such as training.learning_rate=0.003, "
    "image.encoder=texture or evaluation.folds=10 (mmdiag/config/). Repeatable.",
)
