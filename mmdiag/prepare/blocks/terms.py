"""Words and characters of a note as numbers: hashed, so that no word of a note lies in what is
fitted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Shaped
from numpy import ndarray

from mmdiag.prepare.tfidf import places_of, terms_of

WORDS, CHARACTERS = 2**15, 2**16  # buckets
FOLDED = 4096  # buckets of the directions that a network is given
ITERATIONS = 7


@dataclass(frozen=True, slots=True)
class Note:
    """A note as an ensemble is given it.

    Args:
        features: A row a sentence: its embedding and the sign of negation; or the sentences
            themselves, where nothing embeds them.
        words, characters: Bucket and count of each term: words and pairs of words, those of a
            negated sentence apart; pieces of words of 3 to 5 characters.
    """

    features: Shaped[ndarray, "sentence ..."]
    words: Float32[ndarray, "word 2"]
    characters: Float32[ndarray, "piece 2"]

    @staticmethod
    def of(features: Shaped[ndarray, "sentence ..."], sentences: Sequence[str]) -> "Note":
        """Count the terms of a note that is cut into sentences."""
        return Note(features, _counted(False, sentences), _counted(True, sentences))

    def __len__(self) -> int:
        return len(self.features)


def _counted(pieces: bool, sentences: Sequence[str]) -> Float32[ndarray, "term 2"]:
    every = [_of_sentence(sentence, pieces) for sentence in sentences] or [np.zeros((0, 2))]
    table = np.concatenate(every)
    buckets, place = np.unique(table[:, 0], return_inverse=True)
    counts = np.bincount(place.ravel(), weights=table[:, 1], minlength=len(buckets))
    return np.stack([buckets, counts], axis=1).astype(np.float32)


@lru_cache(maxsize=20_000)
def _of_sentence(sentence: str, pieces: bool) -> Float32[ndarray, "term 2"]:
    """Bucket and count; variants of a note share nearly all of their sentences."""
    found = _vectorizer(pieces).transform([sentence])
    return np.stack([found.indices.astype(np.float32), found.data.astype(np.float32)], axis=1)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One place at which a sentence has a term.

    Args:
        bucket: Of the term.
        words: Numbers of the words that it is made of, or lies in, as `str.split` gives them.
    """

    bucket: int
    words: tuple[int, ...]


def occurrences(sentence: str, *, pieces: bool) -> list[Occurrence]:
    """Every place of every term of a sentence: as often as it is counted."""
    if pieces:
        analyse = _vectorizer(pieces).build_analyzer()
        words = list(enumerate(sentence.split()))
        found: list[tuple[str, tuple[int, ...]]]
        found = [(term, (number,)) for number, word in words for term in analyse(word)]
    else:
        found = list(zip(terms_of(sentence), places_of(sentence), strict=True))
    if not found:
        return []
    names = [term for term, _ in found]
    buckets = _hasher(pieces).transform([[name] for name in names]).indices.tolist()
    return [Occurrence(b, where) for b, (_, where) in zip(buckets, found, strict=True)]


@lru_cache(maxsize=2)
def _hasher(pieces: bool) -> Any:
    from sklearn.feature_extraction import FeatureHasher

    size = CHARACTERS if pieces else WORDS
    return FeatureHasher(size, input_type="string", alternate_sign=False)


@lru_cache(maxsize=2)
def _vectorizer(pieces: bool) -> Any:
    from sklearn.feature_extraction.text import HashingVectorizer

    plain: dict[str, Any] = {"alternate_sign": False, "norm": None}
    if pieces:
        return HashingVectorizer(
            n_features=CHARACTERS, analyzer="char_wb", ngram_range=(3, 5), **plain
        )
    return HashingVectorizer(n_features=WORDS, analyzer=terms_of, **plain)


@dataclass(frozen=True, slots=True)
class TermWeights:
    """What is fitted of the terms of training notes.

    Args:
        idf: Weight of each bucket: rare ones count more.
        directions: Principal directions of the weighted terms, folded to fewer buckets; of width 0
            where a network is given none.
    """

    idf: Float32[ndarray, "bucket"]
    directions: Float32[ndarray, "folded score"]

    def weighted(self, counts: Float32[ndarray, "term 2"]) -> Float32[ndarray, "term 3"]:
        """Bucket, weight and count of each term of a note; the weights are of length 1 together."""
        buckets = counts[:, 0].astype(int)
        weights = (1 + np.log(np.maximum(counts[:, 1], 1))) * self.idf[buckets]
        weights = weights / max(float(np.sqrt((weights**2).sum())), 1e-12)
        return np.concatenate([counts[:, :1], weights[:, None], counts[:, 1:]], axis=1).astype(
            np.float32
        )

    def scores(self, weighted: Float32[ndarray, "term 3"]) -> Float32[ndarray, "score"]:
        """A note along the directions."""
        folded = weighted[:, 0].astype(int) % FOLDED
        found: ndarray = (weighted[:, 1:2] * self.directions[folded]).sum(axis=0)
        return found.astype(np.float32)


def idf_of(seen: Shaped[ndarray, "_"], notes: int | Shaped[ndarray, "_"]) -> Float[ndarray, "_"]:
    """Weight of terms, by how many of how many notes have each."""
    found: ndarray = np.log((1 + notes) / (1 + seen)) + 1
    return found


def fit_term_weights(
    notes: Sequence[Float32[ndarray, "_ 2"]], buckets: int, components: int
) -> TermWeights:
    """Fit on the counts of training notes; at most one direction for every four of them.

    Reference:
        Deerwester 1990, Indexing by latent semantic analysis; Weinberger 2009, Feature hashing for
        large scale multitask learning.
    """
    seen = np.zeros(buckets)
    for counts in notes:
        seen[counts[:, 0].astype(int)] += 1
    idf = idf_of(seen, len(notes)).astype(np.float32)
    plain = TermWeights(idf, np.zeros((FOLDED, 0), np.float32))
    kept = min(components, len(notes) // 4)
    if kept < 1:
        return plain
    return TermWeights(idf, _directions([plain.weighted(counts) for counts in notes], kept))


def _directions(
    notes: Sequence[Float32[ndarray, "_ 3"]], kept: int
) -> Float32[ndarray, "folded score"]:
    """Scaled as those of `mmdiag.prepare.pca`: the leading score has deviation 1, each other one
    its share of the leading variance.
    """
    from scipy.sparse import csr_matrix
    from sklearn.decomposition import TruncatedSVD

    rows = np.repeat(np.arange(len(notes)), [len(note) for note in notes])
    every = np.concatenate(notes)
    shape = (len(notes), FOLDED)
    matrix = csr_matrix((every[:, 1], (rows, every[:, 0].astype(int) % FOLDED)), shape=shape)
    with np.errstate(invalid="ignore"):  # notes that are all alike have no variance to share out
        fitted = TruncatedSVD(kept, n_iter=ITERATIONS, random_state=0).fit(matrix)
    directions = np.ascontiguousarray(fitted.components_.T)
    spread = np.asarray(matrix @ directions).std(axis=0)
    scaled: ndarray = directions * spread / max(float(spread.max(initial=0)) ** 2, 1e-6)
    return scaled.astype(np.float32)


# raw features of a case, as `mmdiag.prepare.extract` makes them and `Preparation.apply` is given
# them: an array, or a `Note`
Raw = Any
