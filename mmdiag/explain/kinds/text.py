"""Which sentences and words of a note moved the answer, by occlusion."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Float32
from numpy import ndarray

from mmdiag.explain.drawn import content_spans
from mmdiag.explain.occlusion import word_weights
from mmdiag.explain.probe import Explanation, OcclusionProbe
from mmdiag.prepare.kinds.text import features_of_sentences, note_parts
from mmdiag.storage.store import Store


def explain_text(probe: OcclusionProbe, store: Store, name: str, row: int) -> Explanation:
    """Spans (start, end, weight) in the stored note; headings and separators are in none."""
    note = store.text(name, row)
    parts = note_parts(note, probe.bundle.config.text.max_sentences)
    spans = content_spans(note, word_weights(note, parts, _logit(probe, name)))
    return Explanation({"spans": [[int(a), int(b), round(float(w), 5)] for a, b, w in spans]})


def _logit(
    probe: OcclusionProbe, name: str
) -> Callable[[Sequence[Sequence[str]]], Float[ndarray, "variant"]]:
    """Ask about notes made of other sentences; a note without any counts as absent."""
    extract = features_of_sentences(probe.bundle.config, CachedEmbedder)
    preparation = probe.bundle.preparations[name]
    return lambda notes: probe.log_odds(
        name, [preparation.apply(raw) if len(raw) else None for raw in extract(notes)]
    )


class CachedEmbedder:
    """An embedding that embeds every sentence once: the variants of a note share nearly all of
    theirs.
    """

    def __init__(self, embed: Callable[[Sequence[str]], ndarray]) -> None:
        self.embed, self.known = embed, dict[str, ndarray]()

    def __call__(self, sentences: Sequence[str]) -> Float32[ndarray, "sentence feature"]:
        """Embeddings in the order given."""
        fresh = [sentence for sentence in dict.fromkeys(sentences) if sentence not in self.known]
        if fresh:
            self.known.update(zip(fresh, self.embed(fresh), strict=True))
        return np.stack([self.known[sentence] for sentence in sentences])
