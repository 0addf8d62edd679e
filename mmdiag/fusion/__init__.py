"""Fusion families, by the names that users type."""

from collections.abc import Callable

from mmdiag.fusion.base import Fusion
from mmdiag.fusion.concat import Concat
from mmdiag.fusion.cross_modal import CrossModal
from mmdiag.fusion.modality_attention import ModalityAttention

FUSIONS: dict[str, Callable[..., Fusion]] = {"concat": Concat, "modality_attention": ModalityAttention, "cross_modal": CrossModal}

__all__ = ["FUSIONS", "Concat", "CrossModal", "Fusion", "ModalityAttention"]
