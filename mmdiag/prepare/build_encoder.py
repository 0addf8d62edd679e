"""The trainable encoder of a modality, from what was fitted of it."""

from torch import nn

from mmdiag.config import RunConfig
from mmdiag.encoders.stored import StoredFeatureEncoder, SummaryEncoder
from mmdiag.kinds import kind_named
from mmdiag.prepare.preparation import BLOCKS, Preparation


def make_encoder(preparation: Preparation, config: RunConfig) -> nn.Module:
    """The encoder that turns a modality's prepared arrays into `Tokens` of the common width.

    Args:
        preparation: Says what the encoder is given; where it was just fitted, also which pretrained
            weights a network begins with.
    """
    if preparation.reads == BLOCKS:
        width = preparation.shapes()["summary"][0]
        return SummaryEncoder(width, config.model.width, dropout=config.model.dropout)
    encoder: nn.Module = kind_named(preparation.kind).encoder(preparation, config)
    return encoder


def stored_encoder(preparation: Preparation, config: RunConfig) -> nn.Module:
    """The encoder of features that are stored: a summary of the case, and its parts."""
    shapes = preparation.shapes()
    return StoredFeatureEncoder(
        shapes["summary"][0],
        shapes["detail"][1],
        config.model.width,
        identities=len(preparation.groups),
        dropout=config.model.dropout,
    )
