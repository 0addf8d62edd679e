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
    f"How modalities are fused: {', '.join(FUSION_NAMES)}; or a chain of families, such as "
    "cross_modal+modality_attention+late."
)
OWN_FUSION = "Default: the recipe's own, an ensemble; of end_to_end concat."
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
        fusion: None = the recipe's own, or where the command searches the family, too.
        settings: `FIELD=VALUE` as typed.
        else_fusion: The family where none is named; empty = the recipe's own.
    """

    recipe: str
    fusion: str | None
    settings: tuple[str, ...]
    seed: int
    else_fusion: str = ""

    @property
    def changed(self) -> Mapping[str, Any]:
        """Fields of the recipe, with their values."""
        return settings_of(self.settings)

    def config(self) -> RunConfig:
        """The recipe with its changes.

        Raises:
            UsageError: A name or a setting is not known, or makes no sense.
        """
        return named(
            self.recipe,
            fusion=self.fusion or self.else_fusion,
            seed=self.seed,
            settings=self.changed,
        )


def model_options(
    *,
    fusion: bool = True,
    default: str = "",
    fusion_help: str = f"{FUSION_HELP} {OWN_FUSION}",
    recipe_help: str = RECIPE_HELP,
) -> Callable[[Command], Command]:
    """Give a command `--recipe`, `--fusion`, `--set` and `--seed` as one argument `model`, a
    `ModelChoice`.

    Args:
        fusion: Whether it takes `--fusion`.
        default: Family where `--fusion` is not given; empty = the recipe's own.
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
            model = ModelChoice(recipe, fusion, settings, seed, default)
            return command(*args, model=model, **options)

        of_fusion = click.option("--fusion", metavar="NAME", help=fusion_help)
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
