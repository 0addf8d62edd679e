"""`RunConfig`: everything that a run's result depends on, but the cohort."""

from dataclasses import dataclass, field, replace

from mmdiag.config.encoders import (
    FROZEN,
    PATHWAYS,
    STATISTICS,
    ImageConfig,
    SignalConfig,
    TableConfig,
    TextConfig,
)
from mmdiag.config.ensemble import EnsembleConfig
from mmdiag.config.fusion import ENSEMBLE, check_fusion
from mmdiag.config.training import LOSS, EvaluationConfig, ModelConfig, TrainingConfig


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
    ensemble: EnsembleConfig = field(default_factory=EnsembleConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    def __post_init__(self) -> None:
        check_fusion(self.fusion)

    @property
    def ensembles(self) -> bool:
        """Whether members of many kinds are stacked, instead of one network trained."""
        return self.fusion == ENSEMBLE

    @property
    def averages(self) -> bool:
        """Whether a family is the mean of the networks of its inner folds: where all that they
        read is stored, and none of them begins or stops in a way of its own.
        """
        stored = self.image.training == FROZEN and self.text.training == FROZEN
        stored = stored and self.table.encoder == PATHWAYS and not self.pretrained
        plain = self.training.averaged and self.training.early_stopping == LOSS
        return stored and plain and not self.ensembles

    @property
    def reads_blocks(self) -> bool:
        """Whether a model is given all stored features of a modality, in named blocks."""
        return self.ensembles or self.averages

    @property
    def image_beside(self) -> str:
        """The packaged network whose features stand beside statistics of slices; empty = none."""
        beside = self.reads_blocks and self.image.encoder == STATISTICS
        return self.ensemble.beside if beside else ""

    def as_one_network(self) -> "RunConfig":
        """The same, where a family is one network."""
        return replace(self, training=replace(self.training, averaged=False))
