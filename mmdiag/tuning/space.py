"""What a search varies: fields of a configuration, each with the values that it may take, as
Optuna's distributions.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
    json_to_distribution,
)

from mmdiag.config import FROZEN, RunConfig, varied
from mmdiag.errors import UsageError
from mmdiag.kinds import KINDS, kind_named

# dotted field, such as `training.learning_rate` -> what it may be
Space = Mapping[str, BaseDistribution]
# searched where the user names none
FAMILIES = (
    "concat",
    "gated",
    "low_rank",
    "modality_attention",
    "cross_modal",
)

LOSS = "it changes the validation loss, by which trials are compared"
FEATURES = "it changes the features that are stored for the whole cohort"
RUN = "it is the same for a whole run"
NOT_SEARCHED = {
    **dict.fromkeys(
        ("training.class_weights", "training.focal_gamma", "training.label_smoothing"), LOSS
    ),
    **dict.fromkeys(
        (
            "image.encoder",
            "image.training",
            "image.weights",
            "text.encoder",
            "text.training",
            "text.max_sentences",
            "text.unit",
            "training.averaged",
        ),
        FEATURES,
    ),
    **dict.fromkeys(("recipe", "seed", "pretrained"), RUN),
}


def default_space(config: RunConfig, kinds: Iterable[str], *, fusion: bool = False) -> Space:
    """The space of a recipe: rates and sizes that matter for every model, and how much is kept of
    each kind of modality that the cohort has.

    Args:
        kinds: Kinds of the cohort's modalities.
        fusion: Whether the family of the fusion is searched, too.
    """
    space: dict[str, BaseDistribution] = {
        "training.learning_rate": FloatDistribution(3e-4, 1e-2, log=True),
        "training.weight_decay": FloatDistribution(1e-3, 0.5, log=True),
        "model.width": CategoricalDistribution((16, 32, 64)),
        "model.dropout": FloatDistribution(0.0, 0.5),
    }
    named = {kind_named(name).name for name in kinds}
    for kind in (kind for name, kind in KINDS.items() if name in named):
        if kind.search_space is not None:
            space |= kind.search_space(config)
    return space | ({"fusion": CategoricalDistribution(FAMILIES)} if fusion else {})


def image_space(config: RunConfig) -> Space:
    """How much is kept of slices, where their features are stored."""
    frozen = config.image.training == FROZEN
    return {"image.components": IntDistribution(2, 16, log=True)} if frozen else {}


def text_space(config: RunConfig) -> Space:
    """How much is kept of sentences, where their features are stored."""
    frozen = config.text.training == FROZEN
    return {"text.components": IntDistribution(2, 32, log=True)} if frozen else {}


def table_space(config: RunConfig) -> Space:
    """How much is kept of a row, where a linear branch reads it."""
    linear = config.table.encoder == "pathways"
    return {"table.components": IntDistribution(2, 16, log=True)} if linear else {}


def check_space(space: Mapping[str, object], config: RunConfig) -> None:
    """Check that a configuration can take the values at the edges of a space.

    Raises:
        UsageError: The space is empty, or a field is not searched, or may not have a value.
        UnknownNameError: No configuration has such a field.
    """
    if not space:
        raise UsageError(
            "A search varies at least one field, the space names none: leave it out for the "
            "default one."
        )
    for name, distribution in space.items():
        reason = RUN if name.startswith("evaluation.") else NOT_SEARCHED.get(name)
        if reason:
            raise UsageError(
                f"A search varies what may differ between trials, {name} may not because "
                f"{reason}: set it in the recipe."
            )
        for value in edges(name, distribution):
            varied(config, {name: value})


def edges(name: str, distribution: object) -> tuple[Any, ...]:
    """The choices, or the lowest and the highest value.

    Raises:
        UsageError: It is none of Optuna's distributions.
    """
    if isinstance(distribution, CategoricalDistribution):
        return tuple(distribution.choices)
    if isinstance(distribution, FloatDistribution | IntDistribution):
        return distribution.low, distribution.high
    raise UsageError(
        f"The values of {name} must be an optuna.distributions.FloatDistribution, "
        "IntDistribution or CategoricalDistribution, "
        f"found {type(distribution).__name__}: write FloatDistribution(low, high)."
    )


def own_values(space: Space, config: RunConfig) -> dict[str, Any]:
    """What a configuration has already, for the fields of a space that allow it: the trial that all
    others must beat.
    """
    found = {}
    for name, distribution in space.items():
        part, _, field = name.rpartition(".")
        value, ends = (
            getattr(getattr(config, part) if part else config, field),
            edges(name, distribution),
        )
        if (
            value in ends
            if isinstance(distribution, CategoricalDistribution)
            else isinstance(value, int | float) and ends[0] <= value <= ends[1]
        ):
            found[name] = value
    return found


def to_plain(space: Space) -> dict[str, str]:
    """A space for run.json."""
    return {
        name: distribution_to_json(distribution) for name, distribution in sorted(space.items())
    }


def from_plain(plain: Mapping[str, str]) -> Space:
    """Read what `to_plain` wrote."""
    return {name: json_to_distribution(text) for name, text in plain.items()}
