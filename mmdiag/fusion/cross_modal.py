"""Cross-modal encoder: the tokens of each modality attend to the tokens of all others, in both directions."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mmdiag.fusion.base import Frame, Fusion, check_width
from mmdiag.tokens import Fused, Tokens


class CrossModal(Fusion):
    """Layers of bidirectional cross-attention over slices, sentences and pathways, then attention pooling over the modalities.

    A learned null key is always there, so that a modality may look nowhere: it is what a case with one modality attends to. In the K x K matrix,
    row k is where the summary of modality k looked in the last layer; the null key counts as looking at itself.

    Reference:
        Chen 2021, Multimodal co-attention transformer (MCAT); Tsai 2019, Multimodal transformer.
    """

    LAYERS = 2

    def __init__(self, modalities: Sequence[str], width: int, *, heads: int = 4, dropout: float = 0.0) -> None:
        super().__init__(modalities, width)
        self.frame = Frame(modalities, width)
        self.identity = nn.Parameter(0.02 * torch.randn(len(self.modalities), width))
        self.layers = nn.ModuleList(CrossLayer(width, heads, dropout) for _ in range(self.LAYERS))
        self.pool = nn.ModuleList(nn.Linear(width, 1) for _ in modalities)
        self.out = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in modalities)
        self.mask = nn.Linear(len(self.modalities), width)

    def forward(self, tokens: Mapping[str, Tokens]) -> Fused:
        """Fuse a batch."""
        z_BMD, present_BM = self.frame(tokens)
        streams, masks = [], []
        for k, name in enumerate(self.modalities):
            check_width(name, tokens[name], self.width)
            parts = torch.where(tokens[name].mask[:, 1:, None], tokens[name].values[:, 1:], 0.0) + self.identity[k]
            streams.append(torch.cat([z_BMD[:, k : k + 1], parts], dim=1))
            masks.append(tokens[name].mask & present_BM[:, k : k + 1])
        looks: list[Tensor] = []
        for layer in self.layers:
            streams, looks = layer(streams, masks)
        summary_BMD = torch.stack([stream[:, 0] for stream in streams], dim=1)
        scores_BM = torch.cat([layer(summary_BMD[:, k]) for k, layer in enumerate(self.pool)], dim=1)
        weights_BM = torch.where(present_BM, scores_BM, -1e9).softmax(dim=1) * present_BM
        terms_BMD = torch.stack([layer(summary_BMD[:, k]) for k, layer in enumerate(self.out)], dim=1)
        fused_BD = (weights_BM[..., None] * terms_BMD).sum(1) * len(self.modalities) + self.mask(present_BM.to(z_BMD.dtype))
        attention_BMM = torch.stack(looks, dim=1) * (present_BM[:, :, None] & present_BM[:, None, :])
        return Fused(fused_BD, weights_BM, attention_BMM)


class CrossLayer(nn.Module):
    """One exchange: every modality reads all others, from the state before the exchange."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.read = nn.MultiheadAttention(width, heads, dropout=dropout, batch_first=True)
        self.before = nn.LayerNorm(width)
        self.null = nn.Parameter(0.02 * torch.randn(width))
        self.gate = nn.Parameter(torch.zeros(2))  # an exchange starts as nothing and is learned (Alayrac 2022, Flamingo)
        self.feed = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(2 * width, width)
        )

    def forward(self, streams: list[Tensor], masks: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """New streams (B T D), and for each modality where its summary looked (B M)."""
        batch, width = streams[0].shape[0], streams[0].shape[2]
        null = self.null.expand(batch, 1, width)
        normed = [self.before(stream) for stream in streams]
        fresh, looks = [], []
        for k, stream in enumerate(streams):
            others = [i for i in range(len(streams)) if i != k]
            keys = torch.cat([null, *[normed[i] for i in others]], dim=1)
            hidden = torch.cat([torch.zeros(batch, 1, dtype=torch.bool, device=keys.device), *[~masks[i] for i in others]], dim=1)
            read, weights = self.read(normed[k], keys, keys, key_padding_mask=hidden, need_weights=True)
            stream = stream + self.gate[0] * read
            fresh.append(stream + self.gate[1] * self.feed(stream))
            looks.append(self._by_modality(weights[:, 0], k, others, masks))
        return fresh, looks

    @staticmethod
    def _by_modality(weights: Tensor, k: int, others: list[int], masks: list[Tensor]) -> Tensor:
        lengths = [1, *[masks[i].shape[1] for i in others]]
        parts = dict(zip([k, *others], [part.sum(1) for part in torch.split(weights, lengths, dim=1)], strict=True))
        return torch.stack([parts[i] for i in range(len(masks))], dim=1)
