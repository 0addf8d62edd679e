"""The trainable encoder of a modality, from what was fitted of it."""

from torch import nn

from mmdiag.config import FINE_TUNED, RunConfig
from mmdiag.encoders.image_network import SliceNetwork, VolumeNetwork
from mmdiag.encoders.row_network import RowNetwork
from mmdiag.encoders.sentence_network import SentenceNetwork
from mmdiag.encoders.stored import StoredFeatureEncoder
from mmdiag.encoders.wavenet import WaveNetwork
from mmdiag.prepare.preparation import Preparation


def make_encoder(preparation: Preparation, config: RunConfig) -> nn.Module:
    """The encoder that turns a modality's prepared arrays into `Tokens` of the common width.

    Args:
        preparation: Says what the encoder is given; where it was just fitted, also which pretrained
            weights a network begins with.
    """
    width, dropout, reads, start = (
        config.model.width,
        config.model.dropout,
        preparation.reads,
        preparation.start,
    )
    pretrained = config.image.training == FINE_TUNED
    if reads == "image":
        return SliceNetwork(
            width, name=config.image.encoder, start=start, pretrained=pretrained, dropout=dropout
        )
    if reads == "volume":
        return VolumeNetwork(
            width, name=config.image.encoder, start=start, pretrained=pretrained, dropout=dropout
        )
    if reads == "sentences":
        return SentenceNetwork(width, preparation.architecture, start=start, dropout=dropout)
    if reads == "signal":
        signal = config.signal
        return WaveNetwork(
            preparation.shape[-1],
            width,
            channels=signal.channels,
            layers=signal.layers,
            window=signal.window,
            dropout=dropout,
        )
    shapes = preparation.shapes()
    if reads == "row":
        table = config.table
        return RowNetwork(
            shapes["row"][0],
            width,
            hidden=table.hidden,
            normalising=table.encoder == "snn",
            dropout=dropout,
        )
    return StoredFeatureEncoder(
        shapes["summary"][0],
        shapes["detail"][1],
        width,
        identities=len(preparation.groups),
        dropout=dropout,
    )
