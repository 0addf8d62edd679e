"""A frozen pretrained transformer for sentences: safetensors only, never code that comes with a
model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from numpy import ndarray

from mmdiag.encoders.weights import TEXT_PACKAGES, Weights, find_weights
from mmdiag.errors import UsageError

MAX_TOKENS = 128
TOKEN_BUDGET = 4096  # of a batch: sentences are sorted by length, so that little of it is padding
WHAT = "text encoder"


@dataclass(frozen=True, slots=True)
class SentenceEncoder:
    """A frozen transformer with mean pooling.

    Args:
        identity: Name and SHA-256 of the weights: the key of stored features.
        width: Length of an embedding.
        most: Tokens that the transformer reads at once; of a longer text, its pieces are averaged.
    """

    identity: str
    width: int
    tokenizer: Any
    network: Any
    most: int = MAX_TOKENS

    def embed(self, sentences: Sequence[str]) -> Float32[ndarray, "sentence width"]:
        """Unit vectors, in the order given; a vector does not depend on its batch mates beyond
        rounding.
        """
        ids, owner = pieces(self.tokenizer, sentences, self.most)
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        out = np.zeros((len(ids), self.width), dtype=np.float32)
        start = 0
        while start < len(order):
            stop = start + 1
            while stop < len(order) and (stop + 1 - start) * len(ids[order[stop]]) <= TOKEN_BUDGET:
                stop += 1
            rows = order[start:stop]
            out[rows] = self._forward([ids[i] for i in rows])
            start = stop
        return out if len(ids) == len(sentences) else _averaged(out, ids, owner, len(sentences))

    @torch.inference_mode()
    def _forward(self, ids: list[list[int]]) -> Float32[ndarray, "piece width"]:
        longest = max(len(row) for row in ids)
        tokens = torch.zeros((len(ids), longest), dtype=torch.long)
        mask = torch.zeros((len(ids), longest), dtype=torch.long)
        for row, values in enumerate(ids):
            tokens[row, : len(values)] = torch.tensor(values)
            mask[row, : len(values)] = 1
        device = next(self.network.parameters()).device
        hidden = (
            self.network(input_ids=tokens.to(device), attention_mask=mask.to(device))
            .last_hidden_state.float()
            .cpu()
        )
        pooled = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        vectors: ndarray = torch.nn.functional.normalize(pooled, dim=-1).numpy()
        return vectors


def pieces(
    tokenizer: Any, sentences: Sequence[str], most: int
) -> tuple[list[list[int]], list[int]]:
    """Token ids of each sentence, a long one in pieces of `most` tokens, and which sentence a piece
    belongs to.
    """
    found = tokenizer(
        list(sentences),
        truncation=True,
        max_length=most,
        return_overflowing_tokens=bool(tokenizer.is_fast),
    )
    ids: list[list[int]] = found["input_ids"]
    return ids, list(found.get("overflow_to_sample_mapping", range(len(ids))))


def _averaged(
    vectors: Float32[ndarray, "piece width"],
    ids: Sequence[Sequence[int]],
    owner: Sequence[int],
    sentences: int,
) -> Float32[ndarray, "sentence width"]:
    """One unit vector a sentence: its pieces, weighted by their length."""
    total = np.zeros((sentences, vectors.shape[1]), dtype=np.float32)
    np.add.at(
        total,
        np.asarray(owner),
        vectors * np.asarray([[len(row)] for row in ids], dtype=np.float32),
    )
    averaged: ndarray = total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)
    return averaged


@lru_cache(maxsize=2)
def sentence_encoder(name: str, most: int | None = MAX_TOKENS) -> SentenceEncoder:
    """Load an encoder once a process.

    Args:
        name: `minilm-l6`, a folder, or `owner/name@<40 hex digits>` of a hub.
        most: Tokens that it is to read at once at most; None = as many as it was made for.

    Raises:
        UsageError: The encoder is not there, is not stored as safetensors, or a hub name has no
            fixed revision.
    """
    weights = text_weights(name)
    tokenizer, network = load_transformer(weights)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    identity = f"{name}:{weights.sha256}"
    return SentenceEncoder(
        identity,
        int(network.config.hidden_size),
        tokenizer,
        network.eval().to(device),
        longest_input(tokenizer, network.config, most),
    )


def text_weights(name: str) -> Weights:
    """The weights of a text encoder; see `find_weights`."""
    return find_weights(name, WHAT, packaged=TEXT_PACKAGES)


def load_transformer(weights: Weights) -> tuple[Any, Any]:
    """Tokenizer and network of a folder.

    Raises:
        UsageError: The folder is no whole transformers model.
    """
    from transformers import AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    tokenizer = load_tokenizer(weights)
    try:
        return tokenizer, AutoModel.from_pretrained(
            weights.folder, local_files_only=True, trust_remote_code=False, use_safetensors=True
        )
    except (OSError, ValueError, KeyError) as error:
        raise _no_model(weights, error) from None


def load_tokenizer(weights: Weights) -> Any:
    """The tokenizer of a folder alone.

    Raises:
        UsageError: The folder holds none that can be read without running code of its own.
    """
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(
            weights.folder, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError) as error:
        raise _no_model(weights, error) from None


def _no_model(weights: Weights, error: Exception) -> UsageError:
    return UsageError(
        "A text encoder is a transformers model with its tokenizer that runs no code of its "
        f"own, {weights.folder.name} is not ({type(error).__name__}): "
        "save it again with save_pretrained."
    )


def longest_input(tokenizer: Any, config: Any, most: int | None = MAX_TOKENS) -> int:
    """Tokens of one input: what tokenizer and network both take, and at most `most`. A tokenizer
    that states none says a huge number.
    """
    positions = int(getattr(config, "max_position_embeddings", MAX_TOKENS) or MAX_TOKENS)
    # their positions begin after padding
    offset = (
        2
        if str(getattr(config, "model_type", "")) in ("roberta", "xlm-roberta", "camembert")
        else 0
    )
    own = min(int(tokenizer.model_max_length), positions - offset)
    return max(own if most is None else min(most, own), 8)
