"""Every knob of a run as frozen dataclasses, with `to_json` and `from_json`.

A recipe (`mmdiag.recipes`) returns a complete `RunConfig`; a variant is
`dataclasses.replace(config, ...)`. Facts of a machine
(paths, device, workers, credentials) are never in it, so that a configuration means the same
everywhere.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args, get_type_hints

from mmdiag.errors import UnknownNameError, UsageError

FUSION_NAMES = (
    "concat",
    "gated",
    "low_rank",
    "modality_attention",
    "additive",
    "cross_modal",
    "deep",
    "late",
)
EXCHANGING = ("cross_modal", "deep")  # families whose tokens another family can take over
OBSERVED = "observed"
WATCHED = ("loss", "auroc", "auprc", "accuracy", "c_index")  # what early stopping can watch
CLASS_WEIGHTS = ("none", "balanced")
IMAGE_STATISTICS = ("statistics", "texture")
IMAGE_NETWORKS = (
    "resnet10",
    "resnet18",
    "densenet121",
    "vit",
    "swin",
    "resnet10_3d",
    "densenet121_3d",
)
TABLE_ENCODERS = ("pathways", "snn", "mlp")
FROZEN, FINE_TUNED, SCRATCH = TRAININGS = ("frozen", "fine_tuned", "scratch")
# weights that learned nothing: asked for by name, never what is left when others are missing
RANDOM = "random"
TFIDF = "tfidf"
NAMES_OF_TYPES = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """How an image becomes tokens, one a slice.

    Args:
        encoder: `statistics` (first-order statistics at several scales), `texture` (these and
            grey-level co-occurrence), or a MONAI network: `resnet10`,
            `resnet18`, `densenet121`, `vit`, `swin` on slices with attention pooling,
            `resnet10_3d`, `densenet121_3d` on the resampled stack.
        training: `frozen` (features are stored once), `fine_tuned` (from pretrained weights, with
            the fusion) or `scratch`. Statistics are always frozen.
        weights: Where a network that is not trained from scratch begins: a folder, a hub name
            `owner/name@<40 hex revision>`, or `random`.
        components: Principal components kept of what is frozen, fitted on training subjects.
    """

    encoder: str = "statistics"
    training: str = FROZEN
    weights: str = ""
    components: int = 8

    def __post_init__(self) -> None:
        if self.encoder not in (*IMAGE_STATISTICS, *IMAGE_NETWORKS):
            raise UnknownNameError(
                "The image encoder", self.encoder, (*IMAGE_STATISTICS, *IMAGE_NETWORKS)
            )
        if self.training not in TRAININGS:
            raise UnknownNameError("The training of an image encoder", self.training, TRAININGS)
        if self.encoder in IMAGE_STATISTICS and (self.training != FROZEN or self.weights):
            raise UsageError(
                f"The image encoder {self.encoder!r} has nothing to train and no weights, found "
                f"training = {self.training!r}: leave both out."
            )
        if self.encoder in IMAGE_NETWORKS and bool(self.weights) == (self.training == SCRATCH):
            raise UsageError(
                f"An image network is trained from {SCRATCH!r} or begins with weights, "
                f"{self.encoder!r} is {self.training!r} and "
                f"{'has some' if self.weights else 'has none'}: name a folder, "
                f"owner/name@revision or {RANDOM!r} as weights, or set training = {SCRATCH!r} "
                "alone."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class TextConfig:
    """How a note becomes tokens, one a sentence.

    Args:
        encoder: `minilm-l6` (carried by a package), a folder with a transformers model, a hub name
            `owner/name@<40 hex revision>`, or `tfidf`
            (weighted words on principal directions, fitted on training subjects).
        training: `frozen` (features are stored once) or `fine_tuned` (with the fusion).
        max_sentences: Tokens of a note; the sentences of a longer one are joined with their
            neighbours.
        components: Principal components kept of what is frozen, fitted on training subjects.
    """

    encoder: str = "minilm-l6"
    training: str = FROZEN
    max_sentences: int = 128
    components: int = 16

    def __post_init__(self) -> None:
        if self.training not in (FROZEN, FINE_TUNED):
            raise UnknownNameError(
                "The training of a text encoder", self.training, (FROZEN, FINE_TUNED)
            )
        if self.encoder == TFIDF and self.training != FROZEN:
            raise UsageError(
                f"The text encoder {TFIDF!r} has nothing to fine-tune, found training = "
                f"{self.training!r}: leave it out."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class TableConfig:
    """How a table row becomes tokens.

    Args:
        encoder: `pathways` (a linear branch over all columns, and one token a pathway, or a module
            found on training cases), `snn` (a self-normalising
            network over all columns) or `mlp` (a plain one).
        components: Principal components of the linear branch.
        modules: Number of modules found when the cohort names no gene sets; also the most gene sets
            kept.
        hidden: Width of the two hidden layers of `snn` and `mlp`.
    """

    encoder: str = "pathways"
    components: int = 8
    modules: int = 16
    hidden: int = 64

    def __post_init__(self) -> None:
        if self.encoder not in TABLE_ENCODERS:
            raise UnknownNameError("The table encoder", self.encoder, TABLE_ENCODERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalConfig:
    """How a signal becomes tokens, one a window of time; its encoder is trained from scratch.

    Args:
        channels: Width of the dilated convolutions.
        layers: Their number; each looks twice as far back as the one before, so that 8 see 256
            samples.
        window: Samples of a token.
    """

    channels: int = 24
    layers: int = 8
    window: int = 125

    def __post_init__(self) -> None:
        for name, most in (("channels", 1024), ("layers", 16), ("window", 100_000)):
            if not 1 <= getattr(self, name) <= most:
                raise UsageError(
                    f"{name} of a signal's encoder must be from 1 to {most}, found "
                    f"{getattr(self, name)}: change it in the recipe."
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """Sizes of the network.

    Args:
        width: Of every token and of the fused vector.
        heads: Of attention; they share the width.
    """

    width: int = 32
    heads: int = 4
    dropout: float = 0.2

    def __post_init__(self) -> None:
        if not 1 <= self.heads <= self.width or self.width % self.heads:
            raise UsageError(
                f"width must be a multiple of heads, found {self.width} and {self.heads}: change "
                "them in the recipe."
            )
        if not 0 <= self.dropout < 1:
            raise UsageError(
                f"dropout must be from 0 to below 1, found {self.dropout}: change it in the recipe."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """How the network is trained.

    Args:
        modality_dropout: Chance that a present modality is hidden from a training case, so that any
            subset can be scored; or `observed`: a case is shown what
            it has in common with another training case, so that patterns are as frequent as they
            are met. A case always keeps one of its modalities.
        auxiliary_weight: Weight of the loss of each modality's own head, against collapse onto one
            modality.
        early_stopping: What is watched on the validation cases: `loss`, or a metric that the task
            has: `auroc`, `auprc`, `accuracy` or `c_index`.
        patience: Epochs without a better value of it before training stops.
        accumulate: Batches whose gradients are added up to one step: the step of a batch of
            `accumulate * batch_size` in the memory of one.
        clip_norm: Longest gradient of a step; longer ones are shortened to it. None = as they come.
        amp: True = bfloat16 (float16 where a GPU has no bfloat16) on a GPU and float32 on a CPU;
            `bf16` = bfloat16 on either; False = float32.
        class_weights: `balanced` = cases count by one over the frequency of their class among the
            training cases; `none` = alike.
        focal_gamma: Exponent by which what is already right counts less; 0 = cross-entropy.
        label_smoothing: Share of a label that is spread over all classes, from 0 to below 1.
        probe_epochs: Epochs in which what begins pretrained is held still, so that what is new does
            not spoil it while it knows nothing; then all of it learns.
        pretrained_rate: Learning rate of the topmost layer of what begins pretrained, over that of
            what is new.
        layer_decay: Learning rate of each further layer down, over that of the one above it.
    """

    max_epochs: int = 150
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup_epochs: int = 3
    patience: int = 25
    modality_dropout: float | str = 0.15
    auxiliary_weight: float = 0.3
    early_stopping: str = "loss"
    accumulate: int = 1
    clip_norm: float | None = None
    amp: bool | str = True
    class_weights: str = "none"
    focal_gamma: float = 0.0
    label_smoothing: float = 0.0
    probe_epochs: int = 5
    pretrained_rate: float = 0.1
    layer_decay: float = 0.75

    def __post_init__(self) -> None:
        for name, known in (("early_stopping", WATCHED), ("class_weights", CLASS_WEIGHTS)):
            if getattr(self, name) not in known:
                raise UnknownNameError(f"The value of {name}", str(getattr(self, name)), known)
        if self.amp not in (True, False, "bf16"):
            raise UsageError(
                f"amp must be True, False or 'bf16', found {self.amp!r}: change it in the recipe."
            )
        for name, rule, kept in (
            ("max_epochs", "at least 1", self.max_epochs >= 1),
            ("batch_size", "at least 1", self.batch_size >= 1),
            ("learning_rate", "above 0", self.learning_rate > 0),
            ("weight_decay", "at least 0", self.weight_decay >= 0),
            ("warmup_epochs", "at least 0", self.warmup_epochs >= 0),
            ("patience", "at least 1", self.patience >= 1),
            ("auxiliary_weight", "at least 0", self.auxiliary_weight >= 0),
            ("accumulate", "at least 1", self.accumulate >= 1),
            ("clip_norm", "above 0 or None", self.clip_norm is None or self.clip_norm > 0),
            ("focal_gamma", "at least 0", self.focal_gamma >= 0),
            ("label_smoothing", "from 0 to below 1", 0 <= self.label_smoothing < 1),
            ("probe_epochs", "at least 0", self.probe_epochs >= 0),
            ("pretrained_rate", "above 0 and at most 1", 0 < self.pretrained_rate <= 1),
            ("layer_decay", "above 0 and at most 1", 0 < self.layer_decay <= 1),
        ):
            if not kept:
                raise UsageError(
                    f"{name} must be {rule}, found {getattr(self, name)!r}: change it in the "
                    "recipe."
                )
        rate = self.modality_dropout
        if rate != OBSERVED and not (isinstance(rate, int | float) and 0 <= rate < 1):
            raise UsageError(
                f"modality_dropout must be a rate from 0 to below 1 or {OBSERVED!r}, found "
                f"{rate!r}: change it in the recipe."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationConfig:
    """How a model is judged.

    Args:
        folds: Folds of the cross-validation, used below `holdout_from` labelled subjects.
        holdout_from: Labelled subjects from which a held-out test says enough.
        test_share, valid_share: Shares of the subjects in a held-out design; `valid_share` is also
            taken out of a fold's training part.
        resamples: Bootstrap resamples of every interval.
    """

    folds: int = 5
    holdout_from: int = 300
    test_share: float = 0.25
    valid_share: float = 0.15
    resamples: int = 1000

    def __post_init__(self) -> None:
        if self.folds < 2 or self.resamples < 1:
            raise UsageError(
                f"folds must be at least 2 and resamples at least 1, found {self.folds} and "
                f"{self.resamples}: change them in the recipe."
            )
        if not (0 < self.test_share < 1 and 0 < self.valid_share < 1):
            raise UsageError(
                f"Shares of the subjects lie between 0 and 1, found {self.test_share} and "
                f"{self.valid_share}: change them in the recipe."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """Everything that a run's result depends on, but the cohort.

    Args:
        pretrained: Id of a pretraining of this workspace (`mmdiag pretrain`), whose weights each
            fit begins with; empty = none.
    """

    recipe: str = "default"
    fusion: str = "concat"
    seed: int = 0
    pretrained: str = ""
    image: ImageConfig = field(default_factory=ImageConfig)
    text: TextConfig = field(default_factory=TextConfig)
    table: TableConfig = field(default_factory=TableConfig)
    signal: SignalConfig = field(default_factory=SignalConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    def __post_init__(self) -> None:
        check_fusion(self.fusion)


def check_fusion(fusion: str) -> None:
    """Check the name of a fusion, or of a chain of them written
    `cross_modal+modality_attention+late`.

    Raises:
        UnknownNameError: No family has one of these names.
        UsageError: The families do not follow each other in an order that makes sense.
    """
    names = fusion.split("+")
    for name in names:
        if name not in FUSION_NAMES:
            raise UnknownNameError("A fusion", name, FUSION_NAMES)
    pooling = [name for name in names if name not in (*EXCHANGING, "late")]
    rank = [0 if name in EXCHANGING else 1 if name in pooling else 2 for name in names]
    if len(set(names)) < len(names) or len(pooling) > 1 or rank != sorted(rank):
        raise UsageError(
            f"A chain of fusions is first any of {', '.join(EXCHANGING)}, then at most one "
            f"family that pools, then late, each once, found {fusion!r}: "
            "write it like cross_modal+modality_attention+late."
        )


def varied(config: RunConfig, values: Mapping[str, Any]) -> RunConfig:
    """A configuration with some fields changed, those of a part together: whether they fit each
    other is asked of all of them.

    Args:
        values: Dotted name of a field, such as `fusion` or `training.learning_rate` -> its value.

    Raises:
        UsageError: A value that the field may not have.
        UnknownNameError: No configuration has such a field.
    """
    changes: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        part, _, field_name = name.rpartition(".")
        owner: Any = getattr(config, part, None) if part else config
        fields = (
            [known.name for known in dataclasses.fields(owner)]
            if dataclasses.is_dataclass(owner)
            else []
        )
        if field_name not in fields or dataclasses.is_dataclass(getattr(owner, field_name)):
            known = [f"{part}.{field}" if part else field for field in fields]
            raise UnknownNameError(
                "A field of a configuration",
                name,
                known or [f.name for f in dataclasses.fields(config)],
            )
        changes.setdefault(part, {})[field_name] = _of_type(
            name, get_type_hints(type(owner))[field_name], value
        )
    own = changes.pop("", {})
    return dataclasses.replace(
        config,
        **own,
        **{
            part: dataclasses.replace(getattr(config, part), **fields)
            for part, fields in changes.items()
        },
    )


def settings_of(texts: Iterable[str]) -> dict[str, Any]:
    """Read settings such as `training.learning_rate=0.003` for `varied`: numbers, true, false and
    null as in JSON, everything else is text.

    Raises:
        UsageError: One is not of this form.
    """
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or "." not in name:
            raise UsageError(
                f"A setting is PART.FIELD=VALUE, found {text!r}: write it like "
                "training.learning_rate=0.003 or image.encoder=texture."
            )
        try:
            found[name] = json.loads(value)
        except json.JSONDecodeError:
            found[name] = value
    return found


def _of_type(name: str, hint: Any, value: Any) -> Any:
    """The value as its field holds it: a whole number may stand for a real one.

    Raises:
        UsageError: It is of another type.
    """
    kinds = get_args(hint) or (hint,)
    if (
        isinstance(value, int)
        and not isinstance(value, bool)
        and float in kinds
        and int not in kinds
    ):
        value = float(value)
    if type(value) not in kinds:
        known = " or ".join(
            "null" if kind is type(None) else NAMES_OF_TYPES.get(kind, kind.__name__)
            for kind in kinds
        )
        raise UsageError(f"The value of {name} is {known}, found {value!r}: correct it.")
    return value


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
            f"A configuration has only known keys, found {unknown} in {kind.__name__}: it was "
            "written by another version of mmdiag."
        )
    return kind(
        **{
            key: _build(hints[key], value) if dataclasses.is_dataclass(hints[key]) else value
            for key, value in values.items()
        }
    )


def digest(*parts: str) -> str:
    """SHA-256 of some texts, as 64 hexadecimal digits."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
