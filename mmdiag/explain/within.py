"""What inside a modality moved the answer for one case: regions of an image, words of a note, columns of a table.

Regions and words by occlusion, which asks the whole model again without them; columns by gradient times input through the fitted projections.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from mmdiag.bundle import Bundle
from mmdiag.diagnose import batch_of
from mmdiag.encoders.sentence import sentence_encoder
from mmdiag.explain.occlusion import heat_map, word_weights
from mmdiag.features import original
from mmdiag.prepare.extract import embed_sentences, plane_statistics
from mmdiag.samples import Sample
from mmdiag.sentences import split_sentences
from mmdiag.store import Store
from mmdiag.threads import one_thread

TOP_GENES = 20
OTHER_PATIENTS = 3  # whose images stand in for a patch that is taken away


@dataclass(frozen=True, slots=True)
class Explained:
    """What is kept of one case.

    Args:
        heat: For each image modality a signed map (slice, row, column) on a coarse grid.
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
            found.heat[name] = heat_map(value, ask.of_stacks(name), _other_patients(store, name, row)).astype(np.float16)
        elif bundle.kinds[name] == "text":
            most = bundle.config.text.max_sentences
            spans = word_weights(value, split_sentences(value)[:most], ask.of_sentences(name))
            found.text[name] = {"spans": [[int(a), int(b), round(float(w), 5)] for a, b, w in spans]}
        else:
            found.table[name] = _columns(bundle, store, name, value, sample)
    return found


def _other_patients(store: Store, name: str, row: int) -> list[np.ndarray]:
    """Images of a few other subjects of the cohort, the same ones for every case but their own."""
    subjects = store.cases["subject_id"].to_numpy()
    others = np.flatnonzero(store.present(name) & (subjects != subjects[row]))
    chosen = others[np.unique(np.linspace(0, len(others) - 1, OTHER_PATIENTS).round().astype(int))] if len(others) else others
    return [store.images(name, int(other)) for other in chosen]


class Question:
    """The model's log-odds for a case of which one modality is replaced."""

    def __init__(self, bundle: Bundle, sample: Sample) -> None:
        self.bundle, self.sample = bundle, sample
        with torch.inference_mode():
            output = bundle.model(batch_of(bundle.preparations, [sample]))
            self.chosen = bundle.model.head.probability(output.logits).argmax(dim=1)
        self._planes: dict[bytes, list[float]] = {}

    def log_odds(self, samples: Sequence[Sample]) -> np.ndarray:
        """Log-odds of the class that the whole case was given."""
        with torch.inference_mode(), one_thread(when=not any(preparation.raw_image for preparation in self.bundle.preparations.values())):
            logits = self.bundle.model(batch_of(self.bundle.preparations, samples)).logits
            answer: np.ndarray = self.bundle.model.head.log_odds(logits, self.chosen.expand(len(samples))).numpy().astype(np.float64)
        return answer

    def of_stacks(self, name: str) -> Callable[[np.ndarray], np.ndarray]:
        """Ask about other images; statistics of slices that stay the same are made once."""
        preparation = self.bundle.preparations[name]

        def logit(stacks: np.ndarray) -> np.ndarray:
            raws = [stack if preparation.raw_image else np.asarray([self._plane(plane) for plane in stack], np.float32) for stack in stacks]
            return self.log_odds([{**self.sample, name: preparation.apply(raw)} for raw in raws])

        return logit

    def _plane(self, plane: np.ndarray) -> list[float]:
        key = plane.tobytes()
        if key not in self._planes:
            self._planes[key] = plane_statistics(plane)
        return self._planes[key]

    def of_sentences(self, name: str) -> Callable[[Sequence[Sequence[str]]], np.ndarray]:
        """Ask about notes made of other sentences; a note without any counts as absent."""
        embed = Remembered(sentence_encoder(self.bundle.config.text.encoder).embed)
        preparation = self.bundle.preparations[name]
        without = {key: value for key, value in self.sample.items() if key != name}

        def logit(variants: Sequence[Sequence[str]]) -> np.ndarray:
            raws = embed_sentences(variants, embed)
            return self.log_odds([{**without, name: preparation.apply(raw)} if len(raw) else without for raw in raws])

        return logit


class Remembered:
    """An embedding that embeds every sentence once: the variants of a note share nearly all of theirs."""

    def __init__(self, embed: Callable[[Sequence[str]], np.ndarray]) -> None:
        self.embed, self.known = embed, dict[str, np.ndarray]()

    def __call__(self, sentences: Sequence[str]) -> np.ndarray:
        """Embeddings in the order given."""
        fresh = [sentence for sentence in dict.fromkeys(sentences) if sentence not in self.known]
        if fresh:
            self.known.update(zip(fresh, self.embed(fresh), strict=True))
        return np.stack([self.known[sentence] for sentence in sentences])


def _columns(bundle: Bundle, store: Store, name: str, row: np.ndarray, sample: Sample) -> dict[str, Any]:
    preparation = bundle.preparations[name]
    assert preparation.summary is not None and preparation.detail is not None
    summary, detail = _gradients(bundle, name, sample)
    z = preparation.summary.standardise(row[None])[0]
    weight = z * (preparation.summary.components @ summary + preparation.detail.components @ detail.ravel())
    members = np.abs(preparation.detail.components.reshape(len(weight), len(preparation.groups), -1)).sum(axis=2) > 0
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
    return {"genes": genes, "groups": [{"name": preparation.groups[i], "weight": round(float(groups[i]), 5)} for i in order]}


def _gradients(bundle: Bundle, name: str, sample: Sample) -> tuple[np.ndarray, np.ndarray]:
    """Gradient of the log-odds by the summary (score) and by the parts (part, score) of one modality."""
    batch = batch_of(bundle.preparations, [sample])
    arrays: Mapping[str, torch.Tensor] = batch.values[name]
    summary, detail = arrays["summary"].requires_grad_(), arrays["detail"].requires_grad_()
    logits = bundle.model(batch).logits
    chosen = bundle.model.head.probability(logits).argmax(dim=1)
    bundle.model.head.log_odds(logits, chosen).sum().backward()  # type: ignore[no-untyped-call]
    bundle.model.zero_grad(set_to_none=True)
    assert summary.grad is not None
    return summary.grad[0].numpy(), (detail.grad[0] if detail.grad is not None else torch.zeros_like(detail[0])).numpy()
