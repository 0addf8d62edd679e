"""Dilated causal convolutions over a signal, brought to one token a window of time."""

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mmdiag.encoders.attention_pool import attention_pool, attention_score
from mmdiag.tokens import Tokens


class DilatedLayer(nn.Module):
    """One gated layer: it sees this sample and one further back, adds to what passes through, and
    hands a part to the output.

    Reference:
        van den Oord 2016, WaveNet: a generative model for raw audio, equation 2.
    """

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.gated = nn.Conv1d(channels, 2 * channels, kernel_size=2, dilation=dilation)
        self.onward = nn.Conv1d(channels, channels, kernel_size=1)
        self.aside = nn.Conv1d(channels, channels, kernel_size=1)

    def forward(
        self, x_BCT: Float[Tensor, "batch channel time"]
    ) -> tuple[Float[Tensor, "batch channel time"], Float[Tensor, "batch channel time"]]:
        """What goes on to the next layer, and what goes to the output."""
        filtered, gate = self.gated(nn.functional.pad(x_BCT, (self.dilation, 0))).chunk(2, dim=1)
        z_BCT = filtered.tanh() * gate.sigmoid()
        return x_BCT + self.onward(z_BCT), self.aside(z_BCT)


class WaveNetwork(nn.Module):
    """Dilations of 1, 2, 4, ... samples; each window's token is the mean and the strength of the
    output in it, the summary is gated attention over windows.

    Because no sample sees a later one, what pads a short signal never reaches it.

    Args:
        inputs: Channels of the signal.
        window: Samples of a token.

    Reference:
        van den Oord 2016 (the layers); Ilse 2018 (the pooling).
    """

    def __init__(
        self,
        inputs: int,
        width: int,
        *,
        channels: int,
        layers: int,
        window: int,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.window = window
        self.enter = nn.Conv1d(inputs, channels, kernel_size=1)
        self.layers = nn.ModuleList([DilatedLayer(channels, 2**number) for number in range(layers)])
        self.project = nn.Linear(2 * channels, width)
        self.score = attention_score(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, arrays: dict[str, Tensor], present: Bool[Tensor, "batch"]) -> Tokens:
        """Encode signals given as (batch, time, channel)."""
        there_BT = arrays["signal_mask"] & present[:, None]
        x_BTC = torch.where(there_BT[..., None], arrays["signal"], 0.0)
        values, mask = self._windows(self._filtered(rearrange(x_BTC, "b t c -> b c t")), there_BT)
        return attention_pool(values, mask, present, self.score, self.dropout)

    def _filtered(
        self, x_BCT: Float[Tensor, "batch input time"]
    ) -> Float[Tensor, "batch channel time"]:
        passing = self.enter(x_BCT)
        output = torch.zeros_like(passing)
        for layer in self.layers:
            passing, aside = layer(passing)
            output = output + aside
        return output

    def _windows(
        self, x_BCT: Float[Tensor, "batch channel time"], there_BT: Bool[Tensor, "batch time"]
    ) -> tuple[Float[Tensor, "batch window width"], Bool[Tensor, "batch window"]]:
        """A token a window from the samples in it that are there, and which windows have any."""
        short = -x_BCT.shape[2] % self.window
        x_BNCW = rearrange(
            nn.functional.pad(x_BCT, (0, short)), "b c (n w) -> b n c w", w=self.window
        )
        there = rearrange(
            nn.functional.pad(there_BT, (0, short)), "b (n w) -> b n 1 w", w=self.window
        )
        x_BNCW = torch.where(there, x_BNCW, 0.0)
        count = there.sum(3).clamp(min=1)
        mean = x_BNCW.sum(3) / count
        strength = (x_BNCW.square().sum(3) / count + 1e-6).sqrt()
        mask = there.any(3).squeeze(2)
        return self.project(torch.cat([mean, strength], dim=2)), mask
