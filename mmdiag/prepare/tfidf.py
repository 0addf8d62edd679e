"""Weighted words on principal directions (TF-IDF and truncated SVD), fitted on training notes.
Words are hashed: no word of a note lies in the fitted state.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from mmdiag.readers.text.sentences import is_negated, negating_words

BUCKETS = 4096
ITERATIONS = 7


@dataclass(frozen=True, slots=True)
class Terms:
    """A fitted map from sentences to scores.

    Args:
        idf: Weight of each bucket of words: rare ones count more.
        directions: Principal directions of the training notes.

    Reference:
        Deerwester 1990, Indexing by latent semantic analysis; Weinberger 2009, Feature hashing for
        large scale multitask learning.
    """

    idf: Float32[ndarray, "bucket"]
    directions: Float32[ndarray, "bucket score"]

    def __call__(self, sentences: Sequence[str]) -> Float32[ndarray, "sentence score"]:
        """Scores of each sentence."""
        scores: ndarray = np.asarray(
            _weighted(counts(sentences), self.idf) @ self.directions, dtype=np.float32
        )
        return scores


def fit_terms(notes: Sequence[Sequence[str]], components: int) -> Terms:
    """Fit on training notes, each a list of sentences."""
    from sklearn.decomposition import TruncatedSVD

    whole = _stacked([counts(note).sum(axis=0) for note in notes])
    seen = np.asarray((whole > 0).sum(axis=0)).ravel()
    idf = (np.log((1 + len(notes)) / (1 + seen)) + 1).astype(np.float32)
    kept = max(1, min(components, len(notes) // 4))
    with np.errstate(invalid="ignore"):  # notes that are all alike have no variance to share out
        fitted = TruncatedSVD(kept, n_iter=ITERATIONS, random_state=0).fit(_weighted(whole, idf))
    return Terms(idf, np.ascontiguousarray(fitted.components_.T, dtype=np.float32))


def counts(sentences: Sequence[str]) -> Any:
    """(sentence, bucket), sparse: words and pairs of words; those of a negated sentence are other
    words than the plain ones.
    """
    from sklearn.feature_extraction.text import HashingVectorizer

    words = HashingVectorizer(
        n_features=BUCKETS, alternate_sign=False, norm=None, analyzer=terms_of
    )
    return words.transform(list(sentences))


def terms_of(sentence: str) -> list[str]:
    """Words and pairs of words of a sentence; those of a negated one are other words."""
    words = [bare for bare in map(_bare, sentence.split()) if bare]
    sign = "not " if is_negated(sentence) else ""
    return [sign + term for term in (*words, *(f"{one} {other}" for one, other in pairwise(words)))]


def places_of(sentence: str) -> list[tuple[int, ...]]:
    """For each of `terms_of` the numbers of its words, as `str.split` gives them: a term of a
    negated sentence would be another without the words that negate it, so that these are its own.
    """
    words = [number for number, word in enumerate(sentence.split()) if _bare(word)]
    found = [*((one,) for one in words), *pairwise(words)]
    negating = negating_words(sentence)
    return [tuple(sorted({*one, *negating})) for one in found]


def _bare(word: str) -> str:
    return word.strip(".,;:()[]\"'!?").lower()


def _stacked(rows: Sequence[Any]) -> Any:
    from scipy.sparse import csr_matrix, vstack

    return vstack([csr_matrix(row) for row in rows])


def _weighted(found: Any, idf: np.ndarray) -> Any:
    """TF-IDF rows of unit length; the count of a word enters by its logarithm."""
    from scipy.sparse import csr_matrix
    from sklearn.preprocessing import normalize

    rows = csr_matrix(found, dtype=np.float32)
    rows.data = 1 + np.log(np.maximum(rows.data, 1))
    return normalize(rows.multiply(idf[None]).tocsr())
