"""Every knob of a run as frozen dataclasses, with `to_json` and `from_json`.

A recipe (`mmdiag.recipes`) returns a complete `RunConfig`; a variant is `dataclasses.replace(config, ...)`. Facts of a machine
(paths, device, workers, credentials) are never in it, so that a configuration means the same everywhere.
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, get_type_hints

from mmdiag.errors import UnknownNameError, UsageError

FUSION_NAMES = ("concat", "modality_attention", "cross_modal")
IMAGE_ENCODERS = ("statistics", "resnet10")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """How an image becomes tokens.

    Args:
        encoder: `statistics` (frozen multi-scale statistics, features stored once) or `resnet10` (a MONAI network on slices, trained from scratch).
        components: Principal components kept of the statistics, fitted on training subjects.
    """

    encoder: str = "statistics"
    components: int = 8

    def __post_init__(self) -> None:
        if self.encoder not in IMAGE_ENCODERS:
            raise UnknownNameError("The image encoder", self.encoder, IMAGE_ENCODERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextConfig:
    """How a note becomes tokens, one a sentence.

    Args:
        encoder: `minilm-l6` (carried by a package), a folder with a transformers model, or a hub name `owner/name@<40 hex revision>`.
        max_sentences: Sentences of a note that are kept, from its beginning.
        components: Principal components kept of the sentence embeddings, fitted on training subjects.
    """

    encoder: str = "minilm-l6"
    max_sentences: int = 128
    components: int = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class TableConfig:
    """How a table row becomes tokens: a linear branch over all columns, and one token a pathway (or a module found on training cases).

    Args:
        components: Principal components of the linear branch.
        modules: Number of modules found when the cohort names no gene sets; also the most gene sets kept.
    """

    components: int = 8
    modules: int = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """Sizes of the network."""

    width: int = 32
    heads: int = 4
    dropout: float = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """How the network is trained.

    Args:
        modality_dropout: Chance that a present modality is hidden from a training case, so that any subset can be scored.
        auxiliary_weight: Weight of the loss of each modality's own head, against collapse onto one modality.
        patience: Epochs without a better validation loss before training stops.
    """

    max_epochs: int = 150
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup_epochs: int = 3
    patience: int = 15
    modality_dropout: float = 0.15
    auxiliary_weight: float = 0.3
    amp: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationConfig:
    """How a model is judged.

    Args:
        folds: Folds of the cross-validation, used below `holdout_from` labelled subjects.
        holdout_from: Labelled subjects from which a held-out test says enough.
        test_share, valid_share: Shares of the subjects in a held-out design; `valid_share` is also taken out of a fold's training part.
        resamples: Bootstrap resamples of every interval.
    """

    folds: int = 5
    holdout_from: int = 300
    test_share: float = 0.25
    valid_share: float = 0.15
    resamples: int = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """Everything that a run's result depends on, but the cohort."""

    recipe: str = "default"
    fusion: str = "concat"
    seed: int = 0
    image: ImageConfig = field(default_factory=ImageConfig)
    text: TextConfig = field(default_factory=TextConfig)
    table: TableConfig = field(default_factory=TableConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    def __post_init__(self) -> None:
        for name in self.fusion.split("+"):
            if name not in FUSION_NAMES:
                raise UnknownNameError("A fusion", name, FUSION_NAMES)


def to_json(config: RunConfig) -> str:
    """Write a configuration as JSON with sorted keys."""
    return json.dumps(dataclasses.asdict(config), sort_keys=True, indent=1)


def from_json(text: str) -> RunConfig:
    """Read what `to_json` wrote.

    Raises:
        UsageError: A key that no configuration has.
    """
    config: RunConfig = _build(RunConfig, json.loads(text))
    return config


def _build(kind: type, values: dict[str, Any]) -> Any:
    hints = get_type_hints(kind)
    unknown = sorted(set(values) - set(hints))
    if unknown:
        raise UsageError(
            f"A configuration has only known keys, found {unknown} in {kind.__name__}: it was written by another version of mmdiag."
        )
    return kind(**{key: _build(hints[key], value) if dataclasses.is_dataclass(hints[key]) else value for key, value in values.items()})


def digest(*parts: str) -> str:
    """SHA-256 of some texts, as 64 hexadecimal digits."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
