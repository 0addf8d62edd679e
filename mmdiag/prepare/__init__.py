"""From what the store holds to what a network is given: extract (needs no label), then fit on
training cases, then apply everywhere.
"""

from mmdiag.prepare.build_encoder import make_encoder
from mmdiag.prepare.checks import require_encoders, require_same_features
from mmdiag.prepare.extract import extractor
from mmdiag.prepare.files import read_preparations, write_preparations
from mmdiag.prepare.preparation import Preparation, fit_preparation, restore_preparation

__all__ = [
    "Preparation",
    "extractor",
    "fit_preparation",
    "make_encoder",
    "read_preparations",
    "require_encoders",
    "require_same_features",
    "restore_preparation",
    "write_preparations",
]
