"""Notes: sentences embedded by a frozen transformer, weighted words, or token ids of sentences."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Shaped
from numpy import ndarray
from torch import nn

from mmdiag.config import FINE_TUNED, FROZEN, NOTE, TFIDF, RunConfig
from mmdiag.encoders.weights import TEXT_PACKAGES, Weights, find_weights
from mmdiag.prepare.blocks.terms import Note
from mmdiag.prepare.extract import Extractor, feature_key, version_of
from mmdiag.prepare.preparation import Preparation, fit_parts
from mmdiag.prepare.tfidf import fit_terms
from mmdiag.readers.text.sentences import is_negated, split_sentences

Notes = Sequence[Sequence[str]]  # each a list of sentences
Embed = Callable[[Sequence[str]], Float32[ndarray, "sentence feature"]]


def text_version(config: RunConfig) -> str:
    """Sentences, where their features are stored."""
    text = config.text
    return version_of("sentences") if text.training == FROZEN and text.encoder != TFIDF else ""


def text_extractor(config: RunConfig) -> Extractor:
    """From notes to one array each, (sentence, feature)."""
    key, call = from_sentences(config)
    most = config.text.max_sentences

    def cut(note: str) -> list[str]:
        return [note[a:b] for a, b in note_parts(note, most)] or [note[:200]]

    def with_terms(note: str, features: Shaped[ndarray, "_ ..."]) -> Note:
        return Note.of(features, cut(note))

    finish = with_terms if config.reads_blocks else None
    return Extractor(key, lambda notes: call([cut(note) for note in notes]), finish)


def features_of_sentences(
    config: RunConfig, remember: Callable[[Embed], Embed]
) -> Callable[[Notes], Sequence[Any]]:
    """How notes that are cut into sentences become what `Preparation.apply` is given; arguments as
    of `from_sentences`.
    """
    _, call = from_sentences(config, remember)
    if not config.reads_blocks:
        return call
    return lambda notes: [
        Note.of(features, sentences) for features, sentences in zip(call(notes), notes, strict=True)
    ]


def from_sentences(
    config: RunConfig, remember: Callable[[Embed], Embed] = lambda embed: embed
) -> tuple[str, Callable[[Notes], list[Shaped[ndarray, "_ ..."]]]]:
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

    if text.unit == NOTE:
        reader = sentence_encoder(text.encoder, None)
        whole = remember(reader.embed)
        key = feature_key(text_version(config), reader.identity, NOTE)
        return key, lambda notes: embed_notes(notes, whole)
    encoder = sentence_encoder(text.encoder)
    embed = remember(encoder.embed)
    key = feature_key(text_version(config), encoder.identity, str(text.max_sentences))
    return key, lambda notes: embed_sentences(notes, embed)


def note_parts(note: str, most: int) -> list[tuple[int, int]]:
    """Start and end of the parts of a note that become tokens: its sentences; where there are more
    than `most`, neighbours are joined, so that all is read.
    """
    sentences = split_sentences(note)
    if len(sentences) <= most:
        return sentences
    groups = np.array_split(np.arange(len(sentences)), most)
    return [(sentences[group[0]][0], sentences[group[-1]][1]) for group in groups]


def embed_sentences(notes: Notes, embed: Embed) -> list[Float32[ndarray, "_ feature"]]:
    """One row a sentence: its embedding, and in the last column -1 where a rule finds it negated,
    else 1.

    General-domain embeddings hold "no oedema" nearer to "oedema" than to a paraphrase, so negation
    is handed over by rule.
    """
    unique = sorted({sentence for note in notes for sentence in note})
    if not unique:
        return [np.zeros((0, 1), np.float32) for _ in notes]
    row_of = {sentence: row for row, sentence in enumerate(unique)}
    embedded = embed(unique)
    sign = np.asarray(
        [[-1.0 if is_negated(sentence) else 1.0] for sentence in unique], dtype=np.float32
    )
    table = np.concatenate([embedded, sign], axis=1)
    return [
        table[[row_of[sentence] for sentence in note]]
        if note
        else np.zeros((0, table.shape[1]), np.float32)
        for note in notes
    ]


def embed_notes(notes: Notes, embed: Embed) -> list[Float32[ndarray, "_ feature"]]:
    """One row a note, as `embed_sentences` gives one a sentence; the transformer reads negations in
    their place, so that the sign is always 1.
    """
    whole = [" ".join(note) for note in notes]
    unique = sorted({note for note in whole if note})
    if not unique:
        return [np.zeros((0, 1), np.float32) for _ in notes]
    table = np.concatenate([embed(unique), np.ones((len(unique), 1), np.float32)], axis=1)
    row_of = {note: row for row, note in enumerate(unique)}
    return [table[[row_of[note]] if note else []] for note in whole]


def text_weights(config: RunConfig) -> Weights | None:
    """The pretrained weights of the text encoder."""
    if config.text.encoder == TFIDF:
        return None
    return find_weights(config.text.encoder, "text encoder", packaged=TEXT_PACKAGES)


def load_pretrained_text(config: RunConfig, folder: Path) -> RunConfig:
    """Name what was pretrained on notes; the rest stays."""
    return dataclasses.replace(config, text=dataclasses.replace(config.text, encoder=str(folder)))


def summarise_sentences(
    features: Float32[ndarray, "sentence feature"],
) -> tuple[Float32[ndarray, "summary"], Float32[ndarray, "sentence part"]]:
    """Embeddings of sentences, plain and with the sign of negation; and their mean."""
    embedding, sign = features[:, :-1], features[:, -1:]
    parts = np.concatenate([embedding, embedding * sign], axis=1)
    return parts.mean(axis=0), parts


def text_blocks(raw: Note, _widths: Sequence[int]) -> dict[str, Float32[ndarray, "..."]]:
    """The mean of the embedded sentences, and the terms of the note."""
    dense = {} if raw.features.ndim < 2 else {"sentences": summarise_sentences(raw.features)[0]}
    return {**dense, "words": raw.words, "characters": raw.characters}


def fit_text(
    raws: Sequence[Shaped[ndarray, "_ ..."]],
    config: RunConfig,
    _columns: Sequence[str],
    _gene_sets: Mapping[str, Sequence[int]] | None,
) -> Preparation:
    """Weighted words, projections of embeddings, or what a transformer that is trained begins
    with.
    """
    text = config.text
    weights = text_weights(config)
    if weights is None:
        terms = fit_terms([raw.tolist() for raw in raws], text.components)
        return fit_parts("text", raws, text.components, terms=terms)
    if text.training == FINE_TUNED:
        from mmdiag.encoders.sentence_network import architecture_of

        return Preparation(
            kind="text",
            reads="sentences",
            shape=(-1, raws[0].shape[1]),
            source=weights.record(),
            architecture=architecture_of(text.encoder),
            start=weights.folder,
        )
    return fit_parts("text", raws, text.components, source=weights.record())


def text_encoder(preparation: Preparation, config: RunConfig) -> nn.Module:
    """A transformer on token ids, or a network on stored features of sentences."""
    from mmdiag.encoders.sentence_network import SentenceNetwork
    from mmdiag.prepare.build_encoder import stored_encoder

    if preparation.reads == "features":
        return stored_encoder(preparation, config)
    return SentenceNetwork(
        config.model.width,
        preparation.architecture,
        start=preparation.start,
        dropout=config.model.dropout,
    )
