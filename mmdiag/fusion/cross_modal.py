"""Cross-modal encoder: the tokens of each modality attend to the tokens of all others, in both
directions.
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mmdiag.fusion.base import Fusion, FusionConfig, ModalityMLPs, ModalityProjection, softmax_over
from mmdiag.tokens import Fused, Tokens


class CrossModal(Fusion):
    """Layers of bidirectional cross-attention over slices, sentences and pathways, then attention
    pooling over the modalities.

    What a modality shows the others is its summary and a few latents that it condenses its parts
    to, so that the cost grows linearly with the number
    of parts. A learned null key is always there, so that a modality may look nowhere: it is what a
    case with one modality attends to. In the K x K
    matrix, row k is where the summary of modality k looked in the last layer; the null key counts
    as looking at itself.

    Reference:
        Chen 2021, Multimodal co-attention transformer (MCAT); Nagrani 2021, Attention bottlenecks;
        Jaegle 2021, Perceiver.
    """

    LAYERS = 2

    def __init__(self, modalities: Sequence[str], config: FusionConfig) -> None:
        super().__init__(modalities, config)
        width, dropout = config.width, config.dropout
        self.frame = ModalityProjection(modalities, width)
        self.identity = nn.Parameter(0.02 * torch.randn(len(self.modalities), width))
        self.layers = nn.ModuleList(
            CrossLayer(width, config.heads, dropout, parts=config.parts) for _ in range(self.LAYERS)
        )
        self.pool = AttentionPool(len(self.modalities), width, dropout) if config.pools else None

    def exchange(self, tokens: Mapping[str, Tokens]) -> Mapping[str, Tokens]:
        """The tokens after the last layer."""
        return self.exchange_and_look(tokens)[0]

    def exchange_and_look(
        self, tokens: Mapping[str, Tokens]
    ) -> tuple[Mapping[str, Tokens], Float[Tensor, "batch modality modality"]]:
        """The tokens after the last layer, and where the summaries looked in it."""
        streams, masks = self._streams(tokens)
        for layer in self.layers[:-1]:
            streams, _ = layer(streams, streams, masks)
        streams, looks = self.layers[-1](streams, streams, masks, looked=True)
        after = {name: Tokens(streams[k], masks[k]) for k, name in enumerate(self.modalities)}
        return after, _of_present(looks, masks)

    def forward(self, tokens: Mapping[str, Tokens]) -> Fused:
        """Fuse a batch."""
        assert self.pool is not None  # a chain builds it without a pool only to exchange
        streams, masks = self._streams(tokens)
        for layer in self.layers[:-1]:
            streams, _ = layer(streams, streams, masks)
        summaries, looks = self.layers[-1](
            [stream[:, :1] for stream in streams], streams, masks, looked=True
        )
        present_BM = torch.stack([mask[:, 0] for mask in masks], dim=1)
        values_BD, weights_BM = self.pool(torch.cat(summaries, dim=1), present_BM)
        return Fused(values_BD, weights_BM, _of_present(looks, masks))

    def _streams(self, tokens: Mapping[str, Tokens]) -> tuple[list[Tensor], list[Tensor]]:
        """For each modality its framed summary and its parts (B T D), and which of them are
        there.
        """
        z_BMD, present_BM = self.frame(tokens)
        streams, masks = [], []
        for k, name in enumerate(self.modalities):
            parts = (
                torch.where(tokens[name].mask[:, 1:, None], tokens[name].values[:, 1:], 0.0)
                + self.identity[k]
            )
            streams.append(torch.cat([z_BMD[:, k : k + 1], parts], dim=1))
            masks.append(tokens[name].mask & present_BM[:, k : k + 1])
        return streams, masks


def _of_present(
    looks: Sequence[Float[Tensor, "batch modality"]], masks: Sequence[Bool[Tensor, "batch _"]]
) -> Float[Tensor, "batch modality modality"]:
    """Where each modality looks, as a matrix; 0 in the rows and columns of absent ones."""
    present_BM = torch.stack([mask[:, 0] for mask in masks], dim=1)
    both_BMM = present_BM[:, :, None] & present_BM[:, None, :]
    return torch.where(both_BMM, torch.stack(list(looks), dim=1), 0.0)


class CrossLayer(nn.Module):
    """One exchange: every modality reads all others, from the state before the exchange.

    Args:
        parts: Whether modalities have parts beside their summary, which latents condense.
    """

    LATENTS = 4  # of a modality, beside its summary

    def __init__(self, width: int, heads: int, dropout: float, *, parts: bool = True) -> None:
        super().__init__()
        self.before = nn.LayerNorm(width)
        self.count = self.LATENTS if parts else 0
        if parts:
            self.latents = nn.Parameter(0.02 * torch.randn(self.LATENTS, width))
            self.condense = nn.MultiheadAttention(width, heads, dropout=dropout, batch_first=True)
        self.read = nn.MultiheadAttention(width, heads, dropout=dropout, batch_first=True)
        self.null = nn.Parameter(0.02 * torch.randn(width))
        # an exchange starts as nothing and is learned (Alayrac 2022, Flamingo)
        self.gate = nn.Parameter(torch.zeros(2))
        self.feed = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 2 * width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(2 * width, width),
        )

    def forward(
        self,
        readers: list[Tensor],
        streams: list[Tensor],
        masks: list[Tensor],
        *,
        looked: bool = False,
    ) -> tuple[list[Tensor], list[Tensor]]:
        """What those tokens of each modality become that are to read (B R D), and if asked where
        its summary looked (B M).
        """
        if not self.count:
            return self._of_summaries(streams, masks)
        normed = [self.before(stream) for stream in streams]
        shown = [self._shown(stream, mask) for stream, mask in zip(normed, masks, strict=True)]
        null = self.null.expand(streams[0].shape[0], 1, -1)
        fresh, looks = [], []
        for k, reader in enumerate(readers):
            others = [i for i in range(len(streams)) if i != k]
            keys = torch.cat([null, *[shown[i] for i in others]], dim=1)
            hidden = torch.cat(
                [
                    torch.zeros_like(masks[k][:, :1]),
                    *[~masks[i][:, :1].expand(-1, shown[i].shape[1]) for i in others],
                ],
                dim=1,
            )
            read, weights = self.read(
                normed[k][:, : reader.shape[1]],
                keys,
                keys,
                key_padding_mask=hidden,
                need_weights=looked,
            )
            reader = reader + self.gate[0] * read
            fresh.append(reader + self.gate[1] * self.feed(reader))
            if weights is not None:
                looks.append(self._by_modality(weights[:, 0], k, others))
        return fresh, looks

    def _of_summaries(
        self, streams: list[Tensor], masks: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """The exchange where every modality is its summary alone: all of them read in one call."""
        number = len(streams)
        own_BKD = torch.cat([stream[:, :1] for stream in streams], dim=1)
        there_BK = torch.stack([mask[:, 0] for mask in masks], dim=1)
        normed_BKD = self.before(own_BKD)
        keys = torch.cat([self.null.expand(len(own_BKD), 1, -1), normed_BKD], dim=1)
        itself = torch.eye(number, dtype=torch.bool, device=keys.device)
        hidden = torch.cat(
            [
                torch.zeros_like(there_BK[:, :, None]),
                itself | ~there_BK[:, None, :].expand(-1, number, -1),
            ],
            dim=2,
        )
        # of every head its own copy: a case's readers, each of which must not see itself
        of_heads = hidden.repeat_interleave(self.read.num_heads, dim=0)
        read, looks = self.read(normed_BKD, keys, keys, attn_mask=of_heads, need_weights=True)
        fresh = own_BKD + self.gate[0] * read
        fresh = fresh + self.gate[1] * self.feed(fresh)
        # the null key counts as looking at itself
        matrix = looks[..., 1:] + looks[..., :1] * itself
        return list(fresh.split(1, dim=1)), list(matrix.unbind(1))

    def _shown(
        self, stream: Float[Tensor, "batch token width"], mask: Bool[Tensor, "batch token"]
    ) -> Float[Tensor, "batch latent width"]:
        """The summary, and the latents that read all tokens; of an absent modality they read the
        null key alone.
        """
        keys = torch.cat([self.null.expand(len(stream), 1, -1), stream], dim=1)
        hidden = torch.cat([torch.zeros_like(mask[:, :1]), ~mask], dim=1)
        queries = self.latents.expand(len(stream), -1, -1)
        condensed, _ = self.condense(
            queries, keys, keys, key_padding_mask=hidden, need_weights=False
        )
        return torch.cat([stream[:, :1], condensed], dim=1)

    def _by_modality(
        self, weights: Float[Tensor, "batch key"], k: int, others: list[int]
    ) -> Float[Tensor, "batch modality"]:
        lengths = [1, *[1 + self.LATENTS for _ in others]]
        parts = dict(
            zip(
                [k, *others],
                [part.sum(1) for part in torch.split(weights, lengths, dim=1)],
                strict=True,
            )
        )
        return torch.stack([parts[i] for i in sorted(parts)], dim=1)


class AttentionPool(nn.Module):
    """Attention pooling of the summaries: `y = n sum_k a_k f_k(s_k) + B m` over the n modalities
    present.
    """

    def __init__(self, count: int, width: int, dropout: float) -> None:
        super().__init__()
        self.score = nn.ModuleList(nn.Linear(width, 1) for _ in range(count))
        self.branches = ModalityMLPs(count, width, dropout)
        self.mask = nn.Linear(count, width)

    def forward(
        self,
        summary_BMD: Float[Tensor, "batch modality width"],
        present_BM: Bool[Tensor, "batch modality"],
    ) -> tuple[Float[Tensor, "batch width"], Float[Tensor, "batch modality"]]:
        """The fused vector, and the weights."""
        weights_BM = softmax_over(
            torch.cat([score(summary_BMD[:, k]) for k, score in enumerate(self.score)], dim=1),
            present_BM,
        )
        gate_BM = weights_BM * present_BM.sum(1, keepdim=True)
        return (gate_BM[..., None] * self.branches(summary_BMD)).sum(1) + self.mask(
            present_BM.to(summary_BMD.dtype)
        ), weights_BM
