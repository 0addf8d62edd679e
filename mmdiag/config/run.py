"""`RunConfig`: everything that a run's result depends on, but the cohort."""

from dataclasses import dataclass, field

from mmdiag.config.encoders import STATISTICS, ImageConfig, SignalConfig, TableConfig, TextConfig
from mmdiag.config.ensemble import EnsembleConfig
from mmdiag.config.fusion import ENSEMBLE, check_fusion
from mmdiag.config.training import EvaluationConfig, ModelConfig, TrainingConfig


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
    def image_beside(self) -> str:
        """The packaged network whose features stand beside statistics of slices; empty = none."""
        return self.ensemble.beside if self.ensembles and self.image.encoder == STATISTICS else ""
