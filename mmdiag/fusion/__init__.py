"""Fusion families behind one contract, by the names that users type, and chains of them."""

from mmdiag.fusion.base import Fusion, FusionConfig
from mmdiag.fusion.chain import chain
from mmdiag.fusion.families import FUSIONS

__all__ = ["FUSIONS", "Fusion", "FusionConfig", "chain"]
