"""Fusion families behind one interface, by the names that users type, and chains of them."""

from mmdiag.fusion.base import Fusion
from mmdiag.fusion.chain import FUSIONS, chain

__all__ = ["FUSIONS", "Fusion", "chain"]
