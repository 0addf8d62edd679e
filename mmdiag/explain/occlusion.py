"""Occlusion: what the answer would be without a region or a word. It asks the model and knows
nothing of how it is built.

Reference:
    Zeiler 2014, Visualizing and understanding convolutional networks (occlusion); Li 2016,
    Understanding neural networks through representation erasure.
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np
from jaxtyping import Float, Float32, Integer, Shaped, UInt8
from numpy import ndarray

GRID = 8
REACH = 2.0  # patches that one replacement covers
SLICES = 4
# of the change that the slice (the sentence) that matters most makes: one that makes less is not
# looked into
SLIGHT = 0.2
BATCH = 64
SENTENCES = 3
WORDS = 24
WINDOWS = 20  # of a signal
ALONE = (
    0.1  # of a sentence's effect: what its words must reach one by one for it to be shown by words
)

Stacks = Callable[[ndarray], Float[ndarray, "n"]]
Signals = Callable[[Sequence[ndarray]], Float[ndarray, "n"]]
Notes = Callable[[Sequence[Sequence[str]]], Float[ndarray, "n"]]


def heat_map(
    stack: UInt8[ndarray, "slice row column *colour"],
    logit: Stacks,
    references: Sequence[UInt8[ndarray, "_ row column *colour"]],
    *,
    grid: int = GRID,
    slices: int = SLICES,
) -> Float32[ndarray, "slice grid grid"]:
    """Change of the log-odds that each patch of each slice makes: positive = the patch supports
    the class.

    A patch is replaced by the same place in other patients' images, with soft edges, and the
    changes are averaged. What replaces it is an image that could
    be: black, grey or blurred patches make edges that no image has, and a model answers to those
    edges. Patches are asked on the slices that matter most
    as a whole, and change the answer by a fifth of what the first of them does; the others are 0.

    Args:
        logit: (variant, slice, row, column), in colour with three channels behind -> log-odds of
            each variant.
        references: Stacks of other patients, of the same height and width.
        slices: Slices that are looked into.

    Reference:
        Agarwal 2020, Explaining image classifiers by removing input features using generative
        models (why the replacement must be plausible).
    """
    whole = float(logit(stack[None])[0])
    heat = np.zeros((len(stack), grid, grid), dtype=np.float32)
    others = [_aligned(reference, len(stack)) for reference in references]
    if not others:
        return heat
    by_slice = np.mean(
        [
            whole - _ask(logit, [_replaced(stack, i, other[i]) for i in range(len(stack))])
            for other in others
        ],
        axis=0,
    )
    masks = _soft_patches(stack.shape[1], stack.shape[2], grid)
    masks = masks[..., None] if stack.ndim == 4 else masks
    most = np.argsort(-np.abs(by_slice), kind="stable")[:slices]
    for i in most[np.abs(by_slice[most]) >= SLIGHT * np.abs(by_slice[most[0]])]:
        for other in others:
            planes = np.rint(stack[i] + masks * (other[i].astype(np.float32) - stack[i])).astype(
                np.uint8
            )
            heat[i] += (
                whole - _ask(logit, [_replaced(stack, int(i), plane) for plane in planes])
            ).reshape(grid, grid) / len(others)
    return heat


def _aligned(reference: ndarray, slices: int) -> ndarray:
    """The slices of another stack at the same share of the way."""
    aligned: ndarray = reference[np.linspace(0, len(reference) - 1, slices).round().astype(int)]
    return aligned


@lru_cache(maxsize=8)
def _soft_patches(height: int, width: int, grid: int) -> Float32[ndarray, "patch row column"]:
    """A mask a patch, twice as wide as the patch, with soft edges: a structure is taken away whole,
    not in halves.
    """
    masks = []
    for r in range(grid):
        for c in range(grid):
            mask = np.zeros((height, width), dtype=np.float32)
            rows = [
                int(np.clip((r + 0.5 + side * REACH / 2) * height / grid, 0, height))
                for side in (-1, 1)
            ]
            columns = [
                int(np.clip((c + 0.5 + side * REACH / 2) * width / grid, 0, width))
                for side in (-1, 1)
            ]
            mask[rows[0] : rows[1], columns[0] : columns[1]] = 1
            masks.append(cv2.GaussianBlur(mask, (0, 0), max(height, width) / grid / 4))
    return np.stack(masks)


def _replaced(stack: ndarray, number: int, plane: ndarray) -> ndarray:
    changed = stack.copy()
    changed[number] = plane
    return changed


def _ask(logit: Stacks, variants: Sequence[ndarray]) -> Float[ndarray, "n"]:
    return np.concatenate(
        [
            logit(np.stack(variants[start : start + BATCH]))
            for start in range(0, len(variants), BATCH)
        ]
    )


def window_edges(samples: int, windows: int) -> Integer[ndarray, "edge"]:
    """Where windows of equal length begin and end; a shorter signal has one a sample."""
    return np.linspace(0, samples, min(windows, samples) + 1).round().astype(int)


def window_weights(
    signal: Shaped[ndarray, "time channel"],
    logit: Signals,
    *,
    windows: int = WINDOWS,
) -> Float32[ndarray, "window"]:
    """Change of the log-odds that each window of time makes: what the answer would be if its
    samples had stayed at their channels' mean.

    Args:
        logit: Signals -> log-odds of each.
        windows: Their number; a shorter signal has one a sample.
    """
    still = signal.mean(axis=0)
    if np.issubdtype(signal.dtype, np.integer):
        still = np.rint(still)
    variants = [signal]
    for start, stop in pairwise(window_edges(len(signal), windows).tolist()):
        changed = signal.copy()
        changed[start:stop] = still.astype(signal.dtype)
        variants.append(changed)
    answers = logit(variants)
    weights: ndarray = (answers[0] - answers[1:]).astype(np.float32)
    return weights


def word_weights(
    text: str,
    sentences: Sequence[tuple[int, int]],
    logit: Notes,
    *,
    most_sentences: int = SENTENCES,
    most_words: int = WORDS,
) -> list[tuple[int, int, float]]:
    """Change of the log-odds that each sentence makes, and each word of the sentences that make
    most.

    Args:
        sentences: Start and end of each in the text.
        logit: Notes as lists of sentences -> log-odds of each; a note without any counts as absent.

    Returns:
        (start, end, weight) in the text. A sentence that is looked into is given by its words,
        scaled so that they add up to what the whole sentence
        changes where they agree with it; any other sentence is one span. So is one whose words
        change next to nothing alone: two words that say the same
        stand in for each other, and by words the sentence would look as if it did not matter.
    """
    if not sentences:
        return []
    parts = [text[a:b] for a, b in sentences]
    whole = float(logit([parts])[0])
    by_sentence = whole - logit(
        [[p for j, p in enumerate(parts) if j != i] for i in range(len(parts))]
    )
    most = np.argsort(-np.abs(by_sentence), kind="stable")[:most_sentences]
    inside = set(most[np.abs(by_sentence[most]) >= SLIGHT * np.abs(by_sentence[most[0]])].tolist())
    spans: list[tuple[int, int, float]] = []
    for i, sentence in enumerate(sentences):
        words = _words(text, sentence)[:most_words]
        spans += (
            _by_words(text, parts, i, sentence, words, whole, float(by_sentence[i]), logit)
            if i in inside and len(words) > 1
            else [(*sentence, float(by_sentence[i]))]
        )
    return spans


def _words(text: str, sentence: tuple[int, int]) -> list[tuple[int, int]]:
    start, end = sentence
    found = re.finditer(r"\w[\w'-]*", text[start:end])
    return [(start + match.start(), start + match.end()) for match in found]


def _by_words(
    text: str,
    parts: Sequence[str],
    number: int,
    sentence: tuple[int, int],
    words: Sequence[tuple[int, int]],
    whole: float,
    effect: float,
    logit: Notes,
) -> list[tuple[int, int, float]]:
    """A sentence by its words, scaled to what the whole sentence changes; as one span where its
    words change next to nothing alone.
    """
    start, end = sentence
    without = [
        [*parts[:number], (text[start:a] + text[b:end]).strip(), *parts[number + 1 :]]
        for a, b in words
    ]
    change = whole - logit(without)
    if np.abs(change).sum() < ALONE * abs(effect):
        return [(start, end, effect)]
    total = float(change.sum())
    scale = (
        abs(effect) / max(np.abs(change).sum(), 1e-9)
        if total * effect <= 0
        else abs(effect / total)
    )
    return [(a, b, float(w * min(scale, 1.0))) for (a, b), w in zip(words, change, strict=True)]
