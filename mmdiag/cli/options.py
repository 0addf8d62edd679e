"""Options that several commands share: the cohort, and those that choose a model."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from mmdiag.config import FUSION_NAMES, RunConfig, settings_of
from mmdiag.explain.choice import CHOICES, MODALITIES, require_choice
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


@dataclass(frozen=True, slots=True)
class Explained:
    """What the options of a command say of explanations made in advance.

    Args:
        explain: Of `mmdiag.explain.choice.CHOICES`.
        full_for: So many cases in full; None = all of them.
    """

    explain: str
    full_for: int | None


def explain_options(command: Command) -> Command:
    """Give a command `--explain` and `--full-for` as one argument `explained`, an `Explained`."""

    @functools.wraps(command)
    def wrapper(*args: Any, explain: str, full_for: int | None, **options: Any) -> Any:
        require_choice(explain, full_for)
        return command(*args, explained=Explained(explain, full_for), **options)

    decorated: Command = _full_for_option(wrapper)
    return _explain_option(decorated)


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
_explain_option = click.option(
    "--explain",
    type=click.Choice(CHOICES),
    default=MODALITIES,
    show_default=True,
    help="What is explained in advance: the contribution of each modality, or in full their "
    "regions, words and genes as well, some seconds a case; what is missing is made once "
    "`mmdiag explain CASE_ID` asks for it.",
)
_full_for_option = click.option(
    "--full-for",
    type=click.IntRange(min=1),
    metavar="N",
    help="With `--explain full`: only N cases, the abstained and then the most uncertain.",
)
_set_option = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Change a field of the recipe, such as training.learning_rate=0.003, "
    "image.encoder=texture or evaluation.folds=10 (mmdiag/config/). Repeatable.",
)
