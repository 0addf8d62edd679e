"""Named recipes: functions that return a complete `RunConfig`."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from mmdiag.config import SCRATCH, TFIDF, ImageConfig, RunConfig, TextConfig, TrainingConfig, varied
from mmdiag.errors import UnknownNameError


def default(*, fusion: str = "concat", seed: int = 0) -> RunConfig:
    """Frozen encoders whose features are stored once: right for cohorts of up to some thousand
    cases, and for machines without a GPU.
    """
    return RunConfig(recipe="default", fusion=fusion, seed=seed)


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


def classical(*, fusion: str = "concat", seed: int = 0) -> RunConfig:
    """Encoders that were pretrained on nothing: first-order and texture statistics, weighted words,
    pathways. What pretrained ones must beat.
    """
    return RunConfig(
        recipe="classical",
        fusion=fusion,
        seed=seed,
        image=ImageConfig(encoder="texture"),
        text=TextConfig(encoder=TFIDF),
    )


RECIPES: dict[str, Callable[..., RunConfig]] = {
    "default": default,
    "end_to_end": end_to_end,
    "classical": classical,
}


def named(
    recipe: str, *, fusion: str = "concat", seed: int = 0, settings: Mapping[str, Any] | None = None
) -> RunConfig:
    """The configuration that a recipe's name, a fusion's name, a seed and some changed fields stand
    for.

    Args:
        settings: Dotted name of a field, such as `training.learning_rate` -> its value.

    Raises:
        UnknownNameError: No recipe, fusion or field has this name.
        UsageError: A value that its field may not have.
    """
    if recipe not in RECIPES:
        raise UnknownNameError("A recipe", recipe, RECIPES)
    return varied(RECIPES[recipe](fusion=fusion, seed=seed), settings or {})
