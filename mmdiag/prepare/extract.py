"""Extractors: from an original (a stack, a note, a table row) to raw features, without any label and without anything fitted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float32, UInt8
from numpy import ndarray

from mmdiag.config import RunConfig, digest
from mmdiag.sentences import is_negated, split_sentences


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


def extractor(kind: str, config: RunConfig) -> Extractor:
    """The extractor of a modality's kind.

    Raises:
        UsageError: The text encoder that the configuration names is not there.
    """
    if kind == "image":
        if config.image.encoder == "statistics":
            return Extractor(digest("statistics", "2")[:16], lambda stacks: [slice_statistics(stack) for stack in stacks])
        return Extractor("", list)
    if kind == "text":
        from mmdiag.encoders.sentence import sentence_encoder

        encoder = sentence_encoder(config.text.encoder)
        return Extractor(
            digest("sentences", "2", encoder.identity, str(config.text.max_sentences))[:16],
            lambda notes: sentence_features(notes, encoder.embed, config.text.max_sentences),
        )
    return Extractor("", lambda rows: [np.asarray(row, dtype=np.float32) for row in rows])


SCALES_PX = (1.0, 2.0, 4.0, 8.0)
BACKGROUND = 0.04  # of the grey range: air around the patient


def slice_statistics(stack: UInt8[ndarray, "slice row column"]) -> Float32[ndarray, "slice feature"]:
    """First-order statistics of every slice at several scales: location, spread, extremes and edge strength, all in units of the full grey range.

    Features made without the label read lesions where a network trained from scratch on a few hundred cases cannot.
    """
    return np.asarray([plane_statistics(plane) for plane in stack], dtype=np.float32)


def plane_statistics(plane: UInt8[ndarray, "row column"]) -> list[float]:
    """The statistics of one slice."""
    grey = plane.astype(np.float32) / 255.0
    inside = grey[grey > BACKGROUND]
    inside = inside if inside.size else grey.ravel()
    features = [inside.size / grey.size, float(inside.mean()), float(inside.std()), *np.percentile(inside, (10, 50, 90, 99)).tolist()]
    for sigma in SCALES_PX:
        smooth = cv2.GaussianBlur(grey, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
        down, across = np.gradient(smooth)
        features += [float(smooth.max()), float(smooth.std()), float(np.hypot(down, across).mean()), float(np.percentile(smooth, 98))]
    return features


def sentence_features(
    notes: Sequence[str], embed: Callable[[Sequence[str]], Float32[ndarray, "sentence width"]], most: int
) -> list[Float32[ndarray, "sentence feature"]]:
    """One row a sentence: its embedding, and in the last column -1 where a rule finds it negated, else 1.

    General-domain embeddings hold "no oedema" nearer to "oedema" than to a paraphrase, so negation is handed over by rule.
    """
    sentences = [[note[a:b] for a, b in split_sentences(note)][:most] or [note[:200]] for note in notes]
    return embed_sentences(sentences, embed)


def embed_sentences(
    notes: Sequence[Sequence[str]], embed: Callable[[Sequence[str]], np.ndarray]
) -> list[Float32[ndarray, "sentence feature"]]:
    """`sentence_features` of notes that are already cut into sentences."""
    unique = sorted({sentence for note in notes for sentence in note})
    if not unique:
        return [np.zeros((0, 1), np.float32) for _ in notes]
    place = {sentence: row for row, sentence in enumerate(unique)}
    embedded = embed(unique)
    sign = np.asarray([[-1.0 if is_negated(sentence) else 1.0] for sentence in unique], dtype=np.float32)
    table = np.concatenate([embedded, sign], axis=1)
    return [table[[place[sentence] for sentence in note]] if note else np.zeros((0, table.shape[1]), np.float32) for note in notes]
