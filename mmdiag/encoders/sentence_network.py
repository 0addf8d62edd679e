"""A pretrained transformer that is fine-tuned with the fusion: token ids of sentences ->
`Tokens`.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int32
from numpy import ndarray
from torch import Tensor, nn

from mmdiag.encoders.attention_pool import attention_pool, attention_score
from mmdiag.encoders.layers import keep_pretrained_state
from mmdiag.encoders.sentence import MAX_TOKENS, load_tokenizer, longest_input, pieces, text_weights
from mmdiag.readers.text.sentences import is_negated
from mmdiag.tokens import Tokens

NOTHING = -1  # behind the last token of a row
ROWS = 256  # sentences that are computed together where no gradient is kept
COLUMNS = 1 + MAX_TOKENS  # the sign of negation, then token ids


class SentenceNetwork(nn.Module):
    """A transformer with mean pooling on each sentence, one token a sentence, and a summary by
    gated attention.

    Args:
        architecture: The transformer's configuration, as its config.json says it.
        start: Folder of the pretrained model; None where a bundle brings the weights.

    Reference:
        Reimers 2019, Sentence-BERT (mean pooling); Ilse 2018 (the attention).
    """

    def __init__(
        self,
        width: int,
        architecture: Mapping[str, Any],
        *,
        start: Path | None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.pretrained = True
        self.network = _pretrained(start) if start is not None else _untrained(architecture)
        self.project = nn.Linear(2 * int(self.network.config.hidden_size), width)
        self.score = attention_score(width)
        self.dropout = nn.Dropout(dropout)

    def train(self, mode: bool = True) -> "SentenceNetwork":
        """Switch to training; a frozen transformer stays in evaluation."""
        super().train(mode)
        keep_pretrained_state(self.network)
        return self

    def forward(self, arrays: dict[str, Tensor], present: Bool[Tensor, "batch"]) -> Tokens:
        """Encode rows of a sign and token ids (batch, sentence, COLUMNS); only sentences that are
        there are computed.
        """
        mask = arrays["sentences_mask"] & present[:, None]
        values = torch.zeros((*mask.shape, self.project.out_features), device=mask.device)
        if mask.any():
            values = values.masked_scatter(
                mask[..., None], self._sentences(arrays["sentences"][mask])
            )
        return attention_pool(values, mask, present, self.score, self.dropout)

    def _sentences(self, rows: Int32[Tensor, "row column"]) -> Float[Tensor, "row width"]:
        """Vectors of the common width; where nothing is learned, some rows at a time."""
        return torch.cat(
            [
                self._some(part)
                for part in ((rows,) if torch.is_grad_enabled() else torch.split(rows, ROWS))
            ]
        )

    def _some(self, rows: Int32[Tensor, "row column"]) -> Float[Tensor, "row width"]:
        sign, ids = rows[:, :1].float(), rows[:, 1:].long()
        ids = ids[:, : int((ids != NOTHING).sum(1).max())]
        there = ids != NOTHING
        hidden = self.network(
            input_ids=ids.clamp(min=0), attention_mask=there.long()
        ).last_hidden_state.float()
        pooled = torch.where(there[..., None], hidden, 0.0).sum(1) / there.sum(1, keepdim=True)
        pooled = nn.functional.normalize(pooled, dim=-1)
        projected: Tensor = self.project(torch.cat([pooled, pooled * sign], dim=1))
        return projected


def token_rows(
    name: str,
) -> Callable[[Sequence[Sequence[str]]], list[Int32[ndarray, "_ column"]]]:
    """How notes that are cut into sentences become rows: the sign of negation, then token ids; a
    long sentence gives several rows.

    Args:
        name: As `sentence_encoder`.
    """
    tokenizer, most = _tokenizer(name)

    def rows(notes: Sequence[Sequence[str]]) -> list[Int32[ndarray, "_ column"]]:
        return [_rows_of(tokenizer, most, note) for note in notes]

    return rows


def architecture_of(name: str) -> dict[str, Any]:
    """The configuration of a transformer, as a bundle keeps it."""
    from transformers import AutoConfig

    found: dict[str, Any] = AutoConfig.from_pretrained(
        text_weights(name).folder, local_files_only=True, trust_remote_code=False
    ).to_dict()
    return found


def _rows_of(tokenizer: Any, most: int, note: Sequence[str]) -> Int32[ndarray, "row column"]:
    if not note:
        return np.zeros((0, COLUMNS), dtype=np.int32)
    ids, owner = pieces(tokenizer, note, most)
    rows = np.full((len(ids), COLUMNS), NOTHING, dtype=np.int32)
    for row, (values, sentence) in enumerate(zip(ids, owner, strict=True)):
        rows[row, 0] = -1 if is_negated(note[sentence]) else 1
        rows[row, 1 : 1 + len(values)] = values
    return rows


@lru_cache(maxsize=2)
def _tokenizer(name: str) -> tuple[Any, int]:
    from transformers import AutoConfig

    weights = text_weights(name)
    tokenizer = load_tokenizer(weights)
    return tokenizer, longest_input(
        tokenizer,
        AutoConfig.from_pretrained(weights.folder, local_files_only=True, trust_remote_code=False),
    )


def _pretrained(folder: Path) -> Any:
    from transformers import AutoModel

    return AutoModel.from_pretrained(
        folder,
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
        dtype=torch.float32,
    )


def _untrained(architecture: Mapping[str, Any]) -> Any:
    from transformers import AutoConfig, AutoModel

    return AutoModel.from_config(AutoConfig.for_model(**architecture), trust_remote_code=False)  # type: ignore[no-untyped-call]
