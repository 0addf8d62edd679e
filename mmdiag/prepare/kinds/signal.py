"""Signals: samples standardised channel by channel, which a network reads."""

from collections.abc import Mapping, Sequence

from jaxtyping import Int16
from numpy import ndarray
from torch import nn

from mmdiag.config import RunConfig
from mmdiag.prepare.extract import Extractor
from mmdiag.prepare.preparation import Preparation
from mmdiag.prepare.signal import fit_channels


def signal_extractor(_config: RunConfig) -> Extractor:
    """Samples as they are: nothing is stored."""
    return Extractor("", list)


def fit_signal(
    raws: Sequence[Int16[ndarray, "_ channel"]],
    _config: RunConfig,
    _columns: Sequence[str],
    _gene_sets: Mapping[str, Sequence[int]] | None,
) -> Preparation:
    """Mean and deviation of each channel."""
    return Preparation(
        kind="signal", reads="signal", shape=(-1, raws[0].shape[1]), channels=fit_channels(raws)
    )


def signal_encoder(preparation: Preparation, config: RunConfig) -> nn.Module:
    """Dilated convolutions over the samples."""
    from mmdiag.encoders.wavenet import WaveNetwork

    signal = config.signal
    return WaveNetwork(
        preparation.shape[-1],
        config.model.width,
        channels=signal.channels,
        layers=signal.layers,
        window=signal.window,
        dropout=config.model.dropout,
    )
