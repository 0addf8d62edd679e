"""The network's sizes, how it is trained, and how it is evaluated."""

from dataclasses import dataclass

from mmdiag.errors import UnknownNameError, UsageError

OBSERVED = "observed"
LOSS = "loss"
WATCHED = (LOSS, "auroc", "auprc", "accuracy", "c_index")  # what early stopping can watch
CLASS_WEIGHTS = ("none", "balanced")


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
        averaged: Whether a family is the mean of networks, one an inner fold (`ensemble.folds`), on
            all stored features; else one network, which stops early on validation subjects.
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
    averaged: bool = False

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
    """How a model is evaluated.

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
