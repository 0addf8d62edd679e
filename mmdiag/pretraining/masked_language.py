"""Masked notes: a transformer that is there goes on learning the language of a cohort's notes, by
words that are hidden from it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy import ndarray
from torch import Tensor

from mmdiag.config import RunConfig
from mmdiag.encoders.sentence import WHAT, load_tokenizer, longest_input, pieces, text_weights
from mmdiag.errors import UsageError
from mmdiag.pretraining.loop import PretextTask
from mmdiag.storage.store import Store

EPOCHS, BATCH, RATE = 5, 32, 5e-5
HEAD_RATE = 1e-3  # of the map from vectors to words, which is new where an encoder comes without it
HIDDEN = 0.15  # share of the tokens
UNASKED = -100  # label of a token that was not hidden


def masked_notes(
    store: Store,
    train_rows: Int64[ndarray, "train"],
    held_rows: Int64[ndarray, "held"],
    config: RunConfig,
    epochs: int | None,
) -> PretextTask:
    """The pretext task over every note of every text modality, a long one in pieces.

    Args:
        train_rows, held_rows: Rows of `store.cases`.
        config: Names the encoder that it goes on from.

    Raises:
        UsageError: The encoder cannot fill in words that are hidden.

    Reference:
        Devlin 2019, BERT; Gururangan 2020, Don't stop pretraining.
    """
    tokenizer, network = _network(config.text.encoder, config.seed)
    rows, most = np.concatenate([train_rows, held_rows]), longest_input(tokenizer, network.config)
    ids, owner = _pieces(store, rows, tokenizer, most)
    heads = [part for part in network.children() if part is not network.base_model]

    def save(folder: Path) -> None:
        network.base_model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)

    return PretextTask(
        network=network,
        loss=_masked_loss(tokenizer, network, heads, ids),
        save=save,
        epochs=epochs or EPOCHS,
        batch_size=BATCH,
        learning_rate=RATE,
        weight_decay=0.01,
        new=(heads, HEAD_RATE),
        train=np.flatnonzero(np.isin(owner, train_rows)),
        held=np.flatnonzero(np.isin(owner, held_rows)),
    )


def _masked_loss(
    tokenizer: Any, network: Any, heads: Sequence[Any], ids: Sequence[list[int]]
) -> Callable[[Int64[ndarray, "item"]], Float[Tensor, ""]]:
    """Cross-entropy of the words that are hidden from some pieces, drawn anew at each call.

    Args:
        heads: What lies on the encoder; where it is one map, only hidden words go through it.
        ids: Token ids of every piece.
    """
    from transformers import DataCollatorForLanguageModeling

    hide = DataCollatorForLanguageModeling(tokenizer, mlm_probability=HIDDEN)

    def loss(items: Int64[ndarray, "item"]) -> Float[Tensor, ""]:
        batch = hide([{"input_ids": ids[item]} for item in items.tolist()]).to(network.device)
        labels = batch.pop("labels")
        hidden = labels != UNASKED
        words = (
            heads[0](network.base_model(**batch).last_hidden_state[hidden])
            if len(heads) == 1
            else network(**batch).logits[hidden]
        )
        total = torch.nn.functional.cross_entropy(words.float(), labels[hidden], reduction="sum")
        mean: Tensor = total / hidden.sum().clamp(min=1)
        return mean

    return loss


def licence_of(encoder: str) -> str:
    """The licence of the weights that a pretraining on notes goes on from: it holds for what comes
    out, too.
    """
    return text_weights(encoder).licence


def _pieces(
    store: Store, rows: Int64[ndarray, "row"], tokenizer: Any, most: int
) -> tuple[list[list[int]], Int64[ndarray, "piece"]]:
    """Token ids of the pieces of all notes, and the row of the case that each belongs to."""
    ids: list[list[int]] = []
    owner: list[int] = []
    for name in (name for name, kind in store.modalities.items() if kind == "text"):
        there = [int(row) for row in rows if store.present(name)[row]]
        found, note = (
            pieces(tokenizer, [store.text(name, row) for row in there], most) if there else ([], [])
        )
        ids += found
        owner += [there[number] for number in note]
    return ids, np.asarray(owner, dtype=int)


def _network(encoder: str, seed: int) -> tuple[Any, Any]:
    """Tokenizer and network of an encoder, with a head that fills in words."""
    from transformers import AutoModelForMaskedLM

    weights = text_weights(encoder)
    tokenizer, folder = load_tokenizer(weights), weights.folder
    if tokenizer.mask_token is None:
        raise UsageError(
            "A text encoder that is pretrained on notes needs a mask token, the tokenizer of "
            f"{weights.source} has none: name another encoder."
        )
    with torch.random.fork_rng(), _quiet():
        # the map from vectors to words is new where the folder holds an encoder alone
        torch.manual_seed(seed)
        try:
            return tokenizer, AutoModelForMaskedLM.from_pretrained(
                folder,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                dtype=torch.float32,
            )
        except (OSError, ValueError, KeyError) as error:
            raise UsageError(
                f"A {WHAT} that is pretrained on notes must be one that fills in hidden words, "
                f"{folder.name} is not ({type(error).__name__}): name another."
            ) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the report on weights that the folder does not hold."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(before)
