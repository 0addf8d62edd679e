"""Named recipes: functions that return a complete `RunConfig`."""

from collections.abc import Callable
from dataclasses import replace

from mmdiag.config import SCRATCH, TFIDF, ImageConfig, RunConfig, TextConfig, TrainingConfig


def default(*, fusion: str = "concat", seed: int = 0) -> RunConfig:
    """Frozen encoders whose features are stored once: right for cohorts of up to some thousand cases, and for machines without a GPU."""
    return RunConfig(recipe="default", fusion=fusion, seed=seed)


def end_to_end(*, fusion: str = "concat", seed: int = 0) -> RunConfig:
    """A MONAI ResNet over the slices, trained from scratch with the fusion: for large labelled cohorts, and for a GPU."""
    config = RunConfig(recipe="end_to_end", fusion=fusion, seed=seed)
    return replace(
        config,
        image=ImageConfig(encoder="resnet10", training=SCRATCH),
        training=TrainingConfig(max_epochs=40, batch_size=16, learning_rate=1e-3, patience=8),
    )


def classical(*, fusion: str = "concat", seed: int = 0) -> RunConfig:
    """Encoders that were pretrained on nothing: first-order and texture statistics, weighted words, pathways. What pretrained ones must beat."""
    return RunConfig(recipe="classical", fusion=fusion, seed=seed, image=ImageConfig(encoder="texture"), text=TextConfig(encoder=TFIDF))


RECIPES: dict[str, Callable[..., RunConfig]] = {"default": default, "end_to_end": end_to_end, "classical": classical}
