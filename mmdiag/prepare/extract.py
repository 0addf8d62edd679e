"""Extractors: from an original (a stack, a note, a table row) to raw features, without any label
and without anything fitted.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8
from numpy import ndarray

from mmdiag.config import FROZEN, IMAGE_STATISTICS, TFIDF, RunConfig, digest
from mmdiag.prepare.statistics import slice_statistics
from mmdiag.prepare.texture import plane_texture
from mmdiag.prepare.volume import to_volume
from mmdiag.readers.text.sentences import is_negated, split_sentences

VERSIONS = {
    "statistics": 4,
    "texture": 3,
    "network": 1,
    "sentences": 3,
}  # raised where what is made of the same original changes
Notes = Sequence[Sequence[str]]  # each a list of sentences
Embed = Callable[[Sequence[str]], np.ndarray]  # sentences -> (sentence, width)


@dataclass(frozen=True, slots=True)
class Extractor:
    """A pure function of an original, and the key under which its results may be stored.

    Args:
        key: Changes whenever the results would; empty = cheap, never stored.
        call: Brings some originals to one array each, (part, feature).
    """

    key: str
    call: Callable[[Sequence[Any]], list[np.ndarray]]

    def __call__(self, originals: Sequence[Any]) -> list[np.ndarray]:
        return self.call(originals)


def made(kind: str, config: RunConfig) -> str:
    """By what a kind's features are made, and its version; "" where a network reads originals, or
    what is fitted says it all.
    """
    if kind == "image" and config.image.training == FROZEN:
        name = config.image.encoder if config.image.encoder in IMAGE_STATISTICS else "network"
    elif kind == "text" and config.text.training == FROZEN and config.text.encoder != TFIDF:
        name = "sentences"
    else:
        return ""
    return f"{name} {VERSIONS[name]}"


def _key(kind: str, config: RunConfig, *more: str) -> str:
    """The key of stored features, which changes with whatever they depend on."""
    return digest(*made(kind, config).split(), *more)[:16]


def extractor(kind: str, config: RunConfig) -> Extractor:
    """The extractor of a modality's kind.

    Raises:
        UsageError: The encoder that the configuration names is not there.
    """
    if kind == "image":
        return _image_extractor(config)
    if kind == "text":
        key, call = from_sentences(config)
        most = config.text.max_sentences
        return Extractor(
            key,
            lambda notes: call(
                [[note[a:b] for a, b in note_parts(note, most)] or [note[:200]] for note in notes]
            ),
        )
    if kind == "table":
        return Extractor("", lambda rows: [np.asarray(row, dtype=np.float32) for row in rows])
    return Extractor("", list)


def _image_extractor(config: RunConfig) -> Extractor:
    image = config.image
    if image.encoder == "statistics":
        return Extractor(
            _key("image", config), lambda stacks: [slice_statistics(stack) for stack in stacks]
        )
    if image.encoder == "texture":
        return Extractor(
            _key("image", config), lambda stacks: [slice_textures(stack) for stack in stacks]
        )
    if image.training != FROZEN:
        return Extractor("", list)
    from mmdiag.encoders.frozen_image import frozen_image_network

    network = frozen_image_network(image.encoder, image.weights, config.seed)
    key = _key("image", config, network.identity)
    if image.encoder.endswith("_3d"):
        return Extractor(
            key,
            lambda stacks: list(
                network.features(np.stack([to_volume(stack) for stack in stacks]))[:, None]
            ),
        )
    return Extractor(key, lambda stacks: [network.features(stack) for stack in stacks])


def from_sentences(
    config: RunConfig, remember: Callable[[Embed], Embed] = lambda embed: embed
) -> tuple[str, Callable[[Notes], list[np.ndarray]]]:
    """How notes that are cut into sentences become raw features, and the key under which these may
    be stored.

    Args:
        remember: Put around an embedding that is asked for the same sentences many times.

    Raises:
        UsageError: The text encoder is not there.
    """
    text = config.text
    if text.encoder == TFIDF:
        return "", lambda notes: [np.asarray(note, dtype=np.str_) for note in notes]
    if text.training != FROZEN:
        from mmdiag.encoders.sentence_network import token_rows

        return "", token_rows(text.encoder)
    from mmdiag.encoders.sentence import sentence_encoder

    encoder = sentence_encoder(text.encoder)
    embed = remember(encoder.embed)
    return _key(
        "text", config, encoder.identity, str(text.max_sentences)
    ), lambda notes: embed_sentences(notes, embed)


def note_parts(note: str, most: int) -> list[tuple[int, int]]:
    """Start and end of the parts of a note that become tokens: its sentences; where there are more
    than `most`, neighbours are joined, so that all is read.
    """
    sentences = split_sentences(note)
    if len(sentences) <= most:
        return sentences
    groups = np.array_split(np.arange(len(sentences)), most)
    return [(sentences[group[0]][0], sentences[group[-1]][1]) for group in groups]


def slice_textures(stack: UInt8[ndarray, "slice row column"]) -> Float32[ndarray, "slice feature"]:
    """First-order statistics and texture of every slice."""
    return np.concatenate(
        [
            slice_statistics(stack),
            np.asarray([plane_texture(plane) for plane in stack], dtype=np.float32),
        ],
        axis=1,
    )


def embed_sentences(notes: Notes, embed: Embed) -> list[Float32[ndarray, "sentence feature"]]:
    """One row a sentence: its embedding, and in the last column -1 where a rule finds it negated,
    else 1.

    General-domain embeddings hold "no oedema" nearer to "oedema" than to a paraphrase, so negation
    is handed over by rule.
    """
    unique = sorted({sentence for note in notes for sentence in note})
    if not unique:
        return [np.zeros((0, 1), np.float32) for _ in notes]
    place = {sentence: row for row, sentence in enumerate(unique)}
    embedded = embed(unique)
    sign = np.asarray(
        [[-1.0 if is_negated(sentence) else 1.0] for sentence in unique], dtype=np.float32
    )
    table = np.concatenate([embedded, sign], axis=1)
    return [
        table[[place[sentence] for sentence in note]]
        if note
        else np.zeros((0, table.shape[1]), np.float32)
        for note in notes
    ]
