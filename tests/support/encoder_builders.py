"""Every encoder with a small batch for it, and tiny pretrained models in the layouts of a folder
and of a hub.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from mmdiag.config import IMAGE_NETWORKS

WIDTH = 16
REVISION = "0123456789abcdef0123456789abcdef01234567"
WORDS = [
    "no",
    "marked",
    "oedema",
    "is",
    "seen",
    "in",
    "the",
    "left",
    "frontal",
    "lobe",
    "there",
    "mass",
    "effect",
    "midline",
    "shift",
    "and",
    "clear",
]
CARD = "---\nlicense: mit\n---\n# A tiny model\n"


class Example(NamedTuple):
    """An encoder in evaluation, and a batch of which row 1 is absent and row 2 is shorter than row
    0.
    """

    encoder: Any
    arrays: dict[str, torch.Tensor]
    present: torch.Tensor


def stored(identities: int = 0) -> Example:
    from mmdiag.encoders.stored import StoredFeatureEncoder

    arrays = {"summary": torch.randn(3, 5), "detail": torch.randn(3, 4, 3)}
    if not identities:
        arrays["detail_mask"] = lengths([4, 0, 2])
    return Example(
        StoredFeatureEncoder(5, 3, WIDTH, identities=identities),
        arrays,
        torch.tensor([True, False, True]),
    )


def slices(name: str, channels: int = 1) -> Example:
    from mmdiag.encoders.image_network import SliceNetwork

    colour = (3,) if channels == 3 else ()
    arrays = {
        "image": torch.randint(0, 256, (3, 3, 40, 48, *colour), dtype=torch.uint8),
        "image_mask": lengths([3, 0, 2]),
    }
    network = SliceNetwork(WIDTH, name=name, channels=channels)
    return Example(network, arrays, torch.tensor([True, False, True]))


def volumes(name: str) -> Example:
    from mmdiag.encoders.backbone import VOLUME
    from mmdiag.encoders.image_network import VolumeNetwork

    return Example(
        VolumeNetwork(WIDTH, name=name),
        {"volume": torch.rand(3, *VOLUME) * 255},
        torch.tensor([True, False, True]),
    )


def rows(normalising: bool) -> Example:
    from mmdiag.encoders.row_network import RowNetwork

    return Example(
        RowNetwork(30, WIDTH, hidden=20, normalising=normalising),
        {"row": torch.randn(3, 30)},
        torch.tensor([True, False, True]),
    )


def signals() -> Example:
    from mmdiag.encoders.wavenet import WaveNetwork

    arrays = {"signal": torch.randn(3, 95, 2), "signal_mask": lengths([95, 0, 41])}
    return Example(
        WaveNetwork(2, WIDTH, channels=8, layers=5, window=20),
        arrays,
        torch.tensor([True, False, True]),
    )


def sentences() -> Example:
    from mmdiag.encoders.sentence_network import COLUMNS, NOTHING, SentenceNetwork

    ids = torch.full((3, 4, COLUMNS), NOTHING, dtype=torch.int32)
    for place, length in {(0, 0): 5, (0, 1): 3, (0, 2): 9, (0, 3): 4, (2, 0): 7, (2, 1): 2}.items():
        ids[(*place, slice(0, 1 + length))] = torch.randint(5, 20, (1 + length,), dtype=torch.int32)
        ids[(*place, 0)] = 1
    arrays = {"sentences": ids, "sentences_mask": lengths([4, 0, 2])}
    return Example(
        SentenceNetwork(WIDTH, tiny_architecture(), start=None),
        arrays,
        torch.tensor([True, False, True]),
    )


ENCODERS: dict[str, Callable[[], Example]] = {
    "stored": stored,
    "pathways": lambda: stored(4),
    **{name: partial(volumes if name.endswith("_3d") else slices, name) for name in IMAGE_NETWORKS},
    "resnet10 in colour": lambda: slices("resnet10", 3),
    "snn": lambda: rows(True),
    "mlp": lambda: rows(False),
    "wavenet": signals,
    "sentences": sentences,
}


def make_example(name: str) -> Example:
    torch.manual_seed(0)
    example = ENCODERS[name]()
    return example._replace(encoder=example.encoder.eval())


def lengths(counts: list[int]) -> torch.Tensor:
    return torch.arange(max(counts)) < torch.tensor(counts)[:, None]


def tiny_architecture() -> dict[str, Any]:
    return {
        "model_type": "bert",
        "vocab_size": 5 + len(WORDS),
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 24,
    }


def write_tiny_text_model(folder: Path, *, seed: int = 0, **architecture: object) -> Path:
    """A BERT of 16 dimensions with its tokenizer, as `save_pretrained` leaves them; the tokenizer
    states no longest input.

    Args:
        architecture: What is not as in a BERT of 24 positions, such as `model_type`.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

    vocabulary = {
        word: number
        for number, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS])
    }
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    special = {
        "unk_token": "[UNK]",
        "pad_token": "[PAD]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
    }
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = AutoModel.from_config(AutoConfig.for_model(**tiny_architecture() | architecture))
    network.save_pretrained(folder)
    (folder / "README.md").write_text(CARD)
    return folder


def write_image_weights(
    folder: Path, name: str = "resnet10", *, seed: int = 0, colours: int = 1, prefix: str = ""
) -> Path:
    """Weights of one of MONAI's networks as a folder with model.safetensors."""
    from safetensors.torch import save_file

    from mmdiag.encoders.backbone import make_network

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        state = make_network(name).state_dict()
    first = next(key for key, value in state.items() if value.ndim > 3 and value.shape[1] == 1)
    if colours == 3:
        state[first] = torch.randn(state[first].shape[0], 3, *state[first].shape[2:])
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {prefix + key: value.contiguous() for key, value in state.items()},
        folder / "model.safetensors",
    )
    (folder / "README.md").write_text(CARD)
    return folder


def as_hub(cache: Path, folder: Path, name: str, revision: str = REVISION) -> str:
    """Put a folder where a hub's client keeps what it fetched; returns the name to ask for."""
    repository = cache / f"models--{name.replace('/', '--')}"
    (repository / "snapshots").mkdir(parents=True)
    folder.rename(repository / "snapshots" / revision)
    return f"{name}@{revision}"


def make_stack(rng: np.random.Generator, slices: int = 3, side: int = 40) -> np.ndarray:
    return rng.integers(0, 256, (slices, side, side), dtype=np.uint8)
