"""Occlusion: what the answer would be without a region or a word. It asks the model and knows nothing of how it is built.

Reference:
    Zeiler 2014, Visualizing and understanding convolutional networks (occlusion); Li 2016, Understanding neural networks through representation erasure.
"""

import re
from collections.abc import Callable, Sequence

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8
from numpy import ndarray

GRID = 8
SLICES = 4
BATCH = 32
SENTENCES = 3
WORDS = 24

Stacks = Callable[[ndarray], Float[ndarray, "n"]]
Notes = Callable[[Sequence[Sequence[str]]], Float[ndarray, "n"]]


def heat_map(
    stack: UInt8[ndarray, "slice row column"], logit: Stacks, *, grid: int = GRID, slices: int = SLICES
) -> Float32[ndarray, "slice grid grid"]:
    """Change of the log-odds that each patch of each slice makes: positive = the patch speaks for the class.

    A patch is replaced by the slice blurred beyond the patch's size, which keeps the brightness around it. Patches are asked on the slices that matter
    most as a whole; the others are 0.

    Args:
        logit: (variant, slice, row, column) -> log-odds of each variant.
        slices: Slices that are looked into.
    """
    blurred = np.stack([_blur(plane, grid) for plane in stack])
    whole = float(logit(stack[None])[0])
    by_slice = whole - _ask(logit, [_replaced(stack, i, blurred[i]) for i in range(len(stack))])
    heat = np.zeros((len(stack), grid, grid), dtype=np.float32)
    rows = np.linspace(0, stack.shape[1], grid + 1).astype(int)
    columns = np.linspace(0, stack.shape[2], grid + 1).astype(int)
    for i in np.argsort(-np.abs(by_slice), kind="stable")[:slices]:
        variants = []
        for r in range(grid):
            for c in range(grid):
                plane = stack[i].copy()
                here = np.s_[rows[r] : rows[r + 1], columns[c] : columns[c + 1]]
                plane[here] = blurred[i][here]
                variants.append(_replaced(stack, int(i), plane))
        heat[i] = (whole - _ask(logit, variants)).reshape(grid, grid)
    return heat


def _blur(plane: UInt8[ndarray, "row column"], grid: int) -> UInt8[ndarray, "row column"]:
    blurred: ndarray = cv2.GaussianBlur(plane, (0, 0), max(plane.shape) / grid, borderType=cv2.BORDER_REPLICATE)
    return blurred


def _replaced(stack: ndarray, number: int, plane: ndarray) -> ndarray:
    changed = stack.copy()
    changed[number] = plane
    return changed


def _ask(logit: Stacks, variants: Sequence[ndarray]) -> Float[ndarray, "n"]:
    return np.concatenate([logit(np.stack(variants[start : start + BATCH])) for start in range(0, len(variants), BATCH)])


def word_weights(
    text: str, sentences: Sequence[tuple[int, int]], logit: Notes, *, most_sentences: int = SENTENCES, most_words: int = WORDS
) -> list[tuple[int, int, float]]:
    """Change of the log-odds that each sentence makes, and each word of the sentences that make most.

    Args:
        sentences: Start and end of each in the text.
        logit: Notes as lists of sentences -> log-odds of each; a note without any counts as absent.

    Returns:
        (start, end, weight) in the text. A sentence that is looked into is given by its words, scaled so that they add up to what the whole sentence
        changes where they agree with it; any other sentence is one span.
    """
    if not sentences:
        return []
    parts = [text[a:b] for a, b in sentences]
    whole = float(logit([parts])[0])
    by_sentence = whole - logit([[p for j, p in enumerate(parts) if j != i] for i in range(len(parts))])
    inside = sorted(np.argsort(-np.abs(by_sentence), kind="stable")[:most_sentences].tolist())
    spans: list[tuple[int, int, float]] = []
    for i, (start, end) in enumerate(sentences):
        words = [(start + m.start(), start + m.end()) for m in re.finditer(r"\w[\w'-]*", text[start:end])][:most_words]
        if i not in inside or len(words) < 2:
            spans.append((start, end, float(by_sentence[i])))
            continue
        without = [[*parts[:i], (text[start:a] + text[b:end]).strip(), *parts[i + 1 :]] for a, b in words]
        change = whole - logit(without)
        total = float(change.sum())
        scale = abs(by_sentence[i]) / max(np.abs(change).sum(), 1e-9) if total * by_sentence[i] <= 0 else abs(by_sentence[i] / total)
        spans += [(a, b, float(w * min(scale, 1.0))) for (a, b), w in zip(words, change, strict=True)]
    return spans
