"""Named recipes: functions that return a complete `RunConfig`."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from mmdiag.config import (
    ENSEMBLE,
    SCRATCH,
    TFIDF,
    ImageConfig,
    RunConfig,
    TextConfig,
    TrainingConfig,
    varied,
)
from mmdiag.errors import UnknownNameError

# of networks that train together, on features that are stored
TOGETHER = TrainingConfig(
    max_epochs=100, batch_size=64, learning_rate=2e-3, patience=15, auxiliary_weight=0.2
)


def default(*, fusion: str = ENSEMBLE, seed: int = 0) -> RunConfig:
    """Frozen encoders whose features are stored once: right for cohorts of up to some thousand
    cases, and for machines without a GPU. By default an ensemble of linear models, trees and
    networks, stacked; a family is the mean of the networks of its inner folds.
    """
    config = RunConfig(recipe="default", fusion=fusion, seed=seed)
    return replace(config, training=replace(TOGETHER, averaged=not config.ensembles))


def end_to_end(*, fusion: str = "concat", seed: int = 0) -> RunConfig:
    """A MONAI ResNet over the slices, trained from scratch with the fusion: for large labelled
    cohorts, and for a GPU.
    """
    config = RunConfig(recipe="end_to_end", fusion=fusion, seed=seed)
    return replace(
        config,
        image=ImageConfig(encoder="resnet10", training=SCRATCH),
        training=TrainingConfig(max_epochs=40, batch_size=16, learning_rate=1e-3, patience=8),
    )


def classical(*, fusion: str = ENSEMBLE, seed: int = 0) -> RunConfig:
    """Encoders that were pretrained on nothing: first-order and texture statistics, weighted words,
    pathways. What pretrained ones must beat.
    """
    return RunConfig(
        recipe="classical",
        fusion=fusion,
        seed=seed,
        image=ImageConfig(encoder="texture"),
        text=TextConfig(encoder=TFIDF),
        training=replace(TOGETHER, averaged=fusion != ENSEMBLE),
    )


RECIPES: dict[str, Callable[..., RunConfig]] = {
    "default": default,
    "end_to_end": end_to_end,
    "classical": classical,
}


def named(
    recipe: str, *, fusion: str = "", seed: int = 0, settings: Mapping[str, Any] | None = None
) -> RunConfig:
    """The configuration that a recipe's name, a fusion's name, a seed and some changed fields stand
    for.

    Args:
        fusion: Empty = the recipe's own.
        settings: Dotted name of a field, such as `training.learning_rate` -> its value.

    Raises:
        UnknownNameError: No recipe, fusion or field has this name.
        UsageError: A value that its field may not have.
    """
    if recipe not in RECIPES:
        raise UnknownNameError("A recipe", recipe, RECIPES)
    named_fusion = {"fusion": fusion} if fusion else {}
    config = RECIPES[recipe](**named_fusion, seed=seed)
    found = varied(config, settings or {})
    if config.averages and not found.averages:  # one network, by the settings of one
        return varied(replace(config, training=TrainingConfig()), settings or {}).as_one_network()
    return found
