"""Every knob of a run as frozen dataclasses, with `to_json` and `from_json`.

A recipe (`mmdiag.recipes`) returns a complete `RunConfig`; a variant is
`dataclasses.replace(config, ...)`. Facts of a machine (paths, device, workers, credentials) are
never in it, so that a configuration means the same everywhere.
"""

from mmdiag.config.encoders import (
    FINE_TUNED,
    FROZEN,
    IMAGE_NETWORKS,
    IMAGE_STATISTICS,
    NOTE,
    PACKAGED,
    RANDOM,
    SCRATCH,
    STATISTICS,
    TABLE_ENCODERS,
    TFIDF,
    TRAININGS,
    TRANSFORMERS,
    ImageConfig,
    SignalConfig,
    TableConfig,
    TextConfig,
)
from mmdiag.config.ensemble import EnsembleConfig
from mmdiag.config.fusion import (
    ENSEMBLE,
    FUSION_FAMILIES,
    FUSION_NAMES,
    FusionRole,
    check_fusion,
    fusions_that,
)
from mmdiag.config.json import digest, from_json, to_json
from mmdiag.config.run import RunConfig
from mmdiag.config.settings import settings_of, varied
from mmdiag.config.training import (
    CLASS_WEIGHTS,
    OBSERVED,
    WATCHED,
    EvaluationConfig,
    ModelConfig,
    TrainingConfig,
)

__all__ = [
    "CLASS_WEIGHTS",
    "ENSEMBLE",
    "FINE_TUNED",
    "FROZEN",
    "FUSION_FAMILIES",
    "FUSION_NAMES",
    "IMAGE_NETWORKS",
    "IMAGE_STATISTICS",
    "NOTE",
    "OBSERVED",
    "PACKAGED",
    "RANDOM",
    "SCRATCH",
    "STATISTICS",
    "TABLE_ENCODERS",
    "TFIDF",
    "TRAININGS",
    "TRANSFORMERS",
    "WATCHED",
    "EnsembleConfig",
    "EvaluationConfig",
    "FusionRole",
    "ImageConfig",
    "ModelConfig",
    "RunConfig",
    "SignalConfig",
    "TableConfig",
    "TextConfig",
    "TrainingConfig",
    "check_fusion",
    "digest",
    "from_json",
    "fusions_that",
    "settings_of",
    "to_json",
    "varied",
]
