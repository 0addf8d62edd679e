"""Which words of a note moved the answer: by the terms that they are part of, and by the sentences
that they stand in.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from mmdiag.explain.headings import content_pieces, without_content
from mmdiag.explain.parts import SENTENCE
from mmdiag.explain.within.attribution import Attribution
from mmdiag.explain.within.probe import Explanation, Probe
from mmdiag.explain.within.sampled import sampled_shapley
from mmdiag.prepare.blocks.preparation import BUCKETS, BlockPreparation
from mmdiag.prepare.blocks.terms import Note, occurrences
from mmdiag.prepare.kinds.text import features_of_sentences, note_parts, summarise_sentences
from mmdiag.prepare.preparation import Preparation
from mmdiag.readers.text.sentences import negating_words
from mmdiag.storage.store import Store

ORDERS = 4
WHOLE = {"unit": SENTENCE}
UNCUT = 200  # characters of a note without a sentence that are read
Spans = Sequence[tuple[int, int]]


def explain_text(probe: Probe, store: Store, name: str, row: int) -> Explanation:
    """The value of each word, or of each sentence, which says so, where a model reads whole ones:
    `start` and `end` are characters of the stored note. Headings, separators and list marks are no
    part.
    """
    note = store.text(name, row)
    spans = note_parts(note, probe.bundle.config.text.max_sentences) or [(0, min(len(note), UNCUT))]
    features = features_of_sentences(probe.bundle.config, lambda embed: embed)
    raw = features([[note[a:b] for a, b in spans]])[0]
    preparation, found = probe.bundle.preparations[name], probe.attribution(name)
    if found is None or preparation.terms is not None:
        return _by_sentences(probe, name, note, spans, raw)
    blocks = isinstance(preparation, BlockPreparation)
    plain = raw.features if blocks else raw
    of_sentences, of_signs = _of_sentences(preparation, found, plain, len(spans))
    if not blocks:
        return _explanation(note, _spans(spans, of_sentences + of_signs), found, unit=WHOLE)
    of_terms = _of_terms(found, raw, cast(BlockPreparation, preparation))
    words = _of_words(note, spans, of_sentences, of_signs, of_terms)
    return _explanation(note, words, found)


def _of_sentences(
    preparation: Preparation, found: Attribution, features: ndarray, count: int
) -> tuple[Float[ndarray, "sentence"], Float[ndarray, "sentence"]]:
    """What each sentence adds, a mean of embeddings being each one's alike: by its embedding, and
    by that with the sign of negation.
    """
    value, of_sign = np.zeros(count), np.zeros(count)
    block = "sentences" if isinstance(preparation, BlockPreparation) else "summary"
    if block in found.slopes:
        fitted = (
            preparation.dense[block]
            if isinstance(preparation, BlockPreparation)
            else preparation.summary
        )
        assert fitted is not None
        parts = summarise_sentences(features)[1].astype(float)
        added = (parts - fitted.center) / fitted.scale * found.slopes[block] / count
        half = added.shape[1] // 2
        value, of_sign = added[:, :half].sum(axis=1), added[:, half:].sum(axis=1)
    return value if found.parts is None else value + found.parts[:count], of_sign


def _of_terms(
    found: Attribution, raw: Note, preparation: BlockPreparation
) -> dict[str, dict[int, float]]:
    """Block of terms -> bucket -> what each place of it adds."""
    each = {}
    for block in preparation.terms_of:
        counts = getattr(raw, block)
        values = found.terms[block] / np.maximum(counts[:, 1], 1)
        each[block] = dict(zip(counts[:, 0].astype(int).tolist(), values.tolist(), strict=True))
    return each


def _of_words(
    note: str,
    spans: Spans,
    of_sentences: Float[ndarray, "sentence"],
    of_signs: Float[ndarray, "sentence"],
    of_terms: Mapping[str, Mapping[int, float]],
) -> list[tuple[int, int, float]]:
    """The words that a term is made of share what it adds at each of its places, and those of a
    sentence what its embedding adds; what the sign of negation adds is of the words that negate.
    """
    words = []
    for (start, end), plain, sign in zip(
        spans, of_sentences.tolist(), of_signs.tolist(), strict=True
    ):
        sentence = note[start:end]
        places = [m.span() for m in re.finditer(r"\S+", sentence)]
        value = np.full(len(places), plain / max(len(places), 1))
        signed = negating_words(sentence) or range(len(places))
        value[list(signed)] += sign / max(len(signed), 1)
        for block in (block for block in BUCKETS if block in of_terms):
            for place in occurrences(sentence, pieces=block == "characters"):
                value[list(place.words)] += of_terms[block][place.bucket] / len(place.words)
        words += [(start + a, start + b, v) for (a, b), v in zip(places, value, strict=True)]
    return words


def _by_sentences(probe: Probe, name: str, note: str, spans: Spans, raw: Any) -> Explanation:
    """What a network on the sentences themselves would say without some of them."""
    preparation = probe.bundle.preparations[name]

    def answers(known: Bool[ndarray, "variant sentence"], _order: int) -> ndarray:
        return probe.contribution(
            name, [preparation.apply(raw[one]) if one.any() else None for one in known]
        )

    value = sampled_shapley(len(spans), answers, orders=ORDERS)
    everything = float(probe.contribution(name, [preparation.apply(raw)])[0])
    whole = Attribution({}, contribution=everything)
    return _explanation(note, _spans(spans, value), whole, unit=WHOLE)


def _spans(spans: Spans, value: Float[ndarray, "sentence"]) -> list[tuple[int, int, float]]:
    return [(a, b, v) for (a, b), v in zip(spans, value.tolist(), strict=True)]


def _explanation(
    note: str,
    values: Sequence[tuple[int, int, float]],
    found: Attribution,
    unit: Mapping[str, str] | None = None,
) -> Explanation:
    """Without what says nothing of a patient, and trimmed to letters and digits; that there is a
    note is all its parts' alike.

    Args:
        unit: What each part says of itself; None = that it is a word.
    """
    without, parts = without_content(note), []
    for start, end, value in values:
        if pieces := content_pieces(note, start, end, without):
            place: dict[str, Any] = {"start": pieces[0][0], "end": pieces[-1][1]}
            parts.append(place | {"value": float(value)} | dict(unit or {}))
    for part in parts:
        part["value"] += found.presence / len(parts)
    kept = [part for part in parts if part["value"]]
    return Explanation(kept, contribution=found.contribution, gap=found.gap)
