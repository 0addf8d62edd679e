"""Signals: samples standardised channel by channel, which a network reads."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float32, Int16, Num
from numpy import ndarray
from torch import nn

from mmdiag.config import RunConfig
from mmdiag.prepare.extract import Extractor
from mmdiag.prepare.preparation import Preparation
from mmdiag.prepare.signal import fit_channels, signal_statistics


def signal_extractor(_config: RunConfig) -> Extractor:
    """Samples as they are: nothing is stored."""
    return Extractor("", list)


def signal_blocks(
    raw: Num[ndarray, "time channel"], _widths: Sequence[int]
) -> dict[str, Float32[ndarray, "statistic"]]:
    """Statistics of each channel."""
    return {"statistics": signal_statistics(raw).astype(np.float32).ravel()}


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
