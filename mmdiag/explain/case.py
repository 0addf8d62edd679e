"""What inside a modality moved the answer for one case: regions of an image, words of a note,
windows of a signal, columns of a table.

Regions, words and windows by occlusion, which asks the whole model again without them; columns by
gradient times input through what is fitted of them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from mmdiag.explain.occlusion import heat_map, word_weights
from mmdiag.inference.bundle import Bundle
from mmdiag.prepare import extractor
from mmdiag.prepare.batches import batch_of
from mmdiag.prepare.extract import from_sentences, note_parts
from mmdiag.prepare.feature_cache import original
from mmdiag.samples import Sample
from mmdiag.storage.store import Store
from mmdiag.tokens import Tokens
from mmdiag.training.threads import one_thread

TOP_GENES = 20
WINDOWS = 20  # of a signal
COARSE = 4  # patches a side, on two slices, where every question is a whole volume
ASKED = 16  # variants that a network on originals answers together
OTHER_PATIENTS = 3  # whose images stand in for a patch that is taken away


@dataclass(frozen=True, slots=True)
class Explained:
    """What is kept of one case.

    Args:
        heat: For each image modality a signed map (slice, row, column) on a coarse grid; for each
            signal a signed row, one value a window of equal length.
        text: For each note the spans (start, end, weight) in the original text.
        table: For each table the columns and groups that moved the answer most.
    """

    heat: dict[str, np.ndarray] = field(default_factory=dict)
    text: dict[str, Any] = field(default_factory=dict)
    table: dict[str, Any] = field(default_factory=dict)


def explain_within(bundle: Bundle, store: Store, row: int, sample: Sample) -> Explained:
    """Explain one case.

    Args:
        row: Its row in `store.cases`.
        sample: Its prepared arrays.
    """
    found = Explained()
    ask = Question(bundle, sample)
    for name in sample:
        value = original(store, name, row)
        if bundle.kinds[name] == "image":
            fewer = (
                {"grid": COARSE, "slices": 2} if bundle.config.image.encoder.endswith("_3d") else {}
            )
            found.heat[name] = heat_map(
                value, ask.of_stacks(name), _other_patients(store, name, row), **fewer
            ).astype(np.float16)
        elif bundle.kinds[name] == "text":
            spans = word_weights(
                value, note_parts(value, bundle.config.text.max_sentences), ask.of_sentences(name)
            )
            found.text[name] = {
                "spans": [[int(a), int(b), round(float(w), 5)] for a, b, w in spans]
            }
        elif bundle.kinds[name] == "signal":
            found.heat[name] = window_weights(value, ask.of_signals(name)).astype(np.float16)
        else:
            found.table[name] = _columns(bundle, store, name, value, sample)
    return found


def _other_patients(store: Store, name: str, row: int) -> list[np.ndarray]:
    """Images of a few other subjects of the cohort, the same ones for every case but their own."""
    subjects = store.cases["subject_id"].to_numpy()
    others = np.flatnonzero(store.present(name) & (subjects != subjects[row]))
    chosen = (
        others[np.unique(np.linspace(0, len(others) - 1, OTHER_PATIENTS).round().astype(int))]
        if len(others)
        else others
    )
    return [store.images(name, int(other)) for other in chosen]


class Question:
    """The model's log-odds for a case of which one modality is replaced."""

    def __init__(self, bundle: Bundle, sample: Sample) -> None:
        self.bundle, self.model = bundle, bundle.model
        with torch.inference_mode():
            batch = batch_of(bundle.preparations, [sample])
            self.tokens = self.model.encode(batch, batch.present)
            self.chosen = self.model.head.probability(
                self.model.diagnose(self.tokens).logits
            ).argmax(dim=1)
        self._planes: dict[bytes, np.ndarray] = {}

    def log_odds(
        self, name: str, variants: Sequence[Mapping[str, np.ndarray] | None]
    ) -> np.ndarray:
        """Log-odds of the class that the whole case was given; None = the modality is absent. The
        others are not encoded again.
        """
        originals = self.bundle.preparations[name].reads_originals
        size = ASKED if originals else max(len(variants), 1)
        with torch.inference_mode(), one_thread(when=not originals):
            parts = [
                self._ask(name, variants[start : start + size])
                for start in range(0, len(variants), size)
            ]
        return np.concatenate([np.zeros(0), *parts])

    def _ask(self, name: str, variants: Sequence[Mapping[str, np.ndarray] | None]) -> np.ndarray:
        number = len(variants)
        batch = batch_of(
            {name: self.bundle.preparations[name]},
            [{name: arrays} if arrays is not None else {} for arrays in variants],
        )
        tokens = {
            other: Tokens(t.values.expand(number, -1, -1), t.mask.expand(number, -1))
            for other, t in self.tokens.items()
        }
        tokens[name] = self.model.encoders[f"{name}_"](batch.values[name], batch.present[name])
        logits = self.model.diagnose(tokens).logits
        answer: np.ndarray = (
            self.model.head.log_odds(logits, self.chosen.expand(number)).numpy().astype(np.float64)
        )
        return answer

    def of_stacks(self, name: str) -> Callable[[np.ndarray], np.ndarray]:
        """Ask about other images; features of slices that stay the same are made once."""
        preparation, image = self.bundle.preparations[name], self.bundle.config.image
        extract = extractor("image", self.bundle.config)
        by_slice = not preparation.reads_originals and not image.encoder.endswith("_3d")

        def logit(stacks: np.ndarray) -> np.ndarray:
            raws = self._by_slice(stacks, extract) if by_slice else extract(list(stacks))
            return self.log_odds(name, [preparation.apply(raw) for raw in raws])

        return logit

    def of_signals(self, name: str) -> Callable[[Sequence[np.ndarray]], np.ndarray]:
        """Ask about other signals."""
        preparation = self.bundle.preparations[name]
        return lambda signals: self.log_odds(
            name, [preparation.apply(signal) for signal in signals]
        )

    def _by_slice(
        self, stacks: np.ndarray, extract: Callable[[Sequence[np.ndarray]], list[np.ndarray]]
    ) -> list[np.ndarray]:
        keys = [[plane.tobytes() for plane in stack] for stack in stacks]
        fresh = {
            key: plane
            for row, stack in zip(keys, stacks, strict=True)
            for key, plane in zip(row, stack, strict=True)
            if key not in self._planes
        }
        if fresh:
            self._planes.update(
                zip(fresh, extract([np.stack(list(fresh.values()))])[0], strict=True)
            )
        return [np.stack([self._planes[key] for key in row]) for row in keys]

    def of_sentences(self, name: str) -> Callable[[Sequence[Sequence[str]]], np.ndarray]:
        """Ask about notes made of other sentences; a note without any counts as absent."""
        _, extract = from_sentences(self.bundle.config, Remembered)
        preparation = self.bundle.preparations[name]

        def logit(variants: Sequence[Sequence[str]]) -> np.ndarray:
            return self.log_odds(
                name, [preparation.apply(raw) if len(raw) else None for raw in extract(variants)]
            )

        return logit


def window_weights(
    signal: np.ndarray,
    logit: Callable[[Sequence[np.ndarray]], np.ndarray],
    *,
    windows: int = WINDOWS,
) -> np.ndarray:
    """Change of the log-odds that each window of time makes (window,): what the answer would be if
    its samples had stayed at their channels' mean.

    Args:
        signal: (time, channel).
        logit: Signals -> log-odds of each.
        windows: Their number; a shorter signal has one a sample.
    """
    edges = np.linspace(0, len(signal), min(windows, len(signal)) + 1).round().astype(int)
    still = np.rint(signal.mean(axis=0)).astype(signal.dtype)
    variants = [signal]
    for start, stop in pairwise(edges.tolist()):
        changed = signal.copy()
        changed[start:stop] = still
        variants.append(changed)
    answers = logit(variants)
    weights: np.ndarray = (answers[0] - answers[1:]).astype(np.float32)
    return weights


class Remembered:
    """An embedding that embeds every sentence once: the variants of a note share nearly all of
    theirs.
    """

    def __init__(self, embed: Callable[[Sequence[str]], np.ndarray]) -> None:
        self.embed, self.known = embed, dict[str, np.ndarray]()

    def __call__(self, sentences: Sequence[str]) -> np.ndarray:
        """Embeddings in the order given."""
        fresh = [sentence for sentence in dict.fromkeys(sentences) if sentence not in self.known]
        if fresh:
            self.known.update(zip(fresh, self.embed(fresh), strict=True))
        return np.stack([self.known[sentence] for sentence in sentences])


def _columns(
    bundle: Bundle, store: Store, name: str, row: np.ndarray, sample: Sample
) -> dict[str, Any]:
    preparation = bundle.preparations[name]
    assert preparation.summary is not None
    z = preparation.summary.standardise(row[None])[0]
    gradients = _gradients(bundle, name, sample)
    groups = np.zeros(0)
    if preparation.detail is None:
        weight = z * gradients["row"]
    else:
        weight = z * (
            preparation.summary.components @ gradients["summary"]
            + preparation.detail.components @ gradients["detail"].ravel()
        )
        members = (
            np.abs(
                preparation.detail.components.reshape(len(weight), len(preparation.groups), -1)
            ).sum(axis=2)
            > 0
        )
        groups = weight @ members  # a pathway moved the answer by what its columns did
    top = np.argsort(-np.abs(weight), kind="stable")[:TOP_GENES]
    cohort = store.table(name)[:, top]
    with np.errstate(invalid="ignore"):
        below = np.nanmean(np.where(np.isfinite(cohort), cohort < row[top], np.nan), axis=0)
    genes = [
        {
            "name": preparation.columns[i],
            "z": round(float(z[i]), 3),
            "percentile": round(100 * float(share), 1) if np.isfinite(row[i]) else None,
            "weight": round(float(weight[i]), 5),
        }
        for i, share in zip(top, below, strict=True)
    ]
    order = np.argsort(-np.abs(groups), kind="stable")[:TOP_GENES]
    return {
        "genes": genes,
        "groups": [
            {"name": preparation.groups[i], "weight": round(float(groups[i]), 5)} for i in order
        ],
    }


def _gradients(bundle: Bundle, name: str, sample: Sample) -> dict[str, np.ndarray]:
    """Gradient of the log-odds by each array of one modality."""
    batch = batch_of(bundle.preparations, [sample])
    arrays: Mapping[str, torch.Tensor] = {
        key: array.requires_grad_()
        for key, array in batch.values[name].items()
        if array.is_floating_point()
    }
    logits = bundle.model(batch).logits
    chosen = bundle.model.head.probability(logits).argmax(dim=1)
    bundle.model.head.log_odds(logits, chosen).sum().backward()  # type: ignore[no-untyped-call]
    bundle.model.zero_grad(set_to_none=True)
    return {
        key: (torch.zeros_like(array) if array.grad is None else array.grad)[0].numpy()
        for key, array in arrays.items()
    }
