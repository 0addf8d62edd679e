"""`Preparation`: what is fitted on the training cases of one modality, and applied to every case
afterwards.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mmdiag.config import FINE_TUNED, FROZEN, RANDOM, TFIDF, RunConfig
from mmdiag.encoders.backbone import VOLUME
from mmdiag.prepare.extract import made
from mmdiag.prepare.pathways import PATHWAY_SCORES, pathway_components
from mmdiag.prepare.pca import Projection, fit_projection
from mmdiag.prepare.signal import Channels, fit_channels
from mmdiag.prepare.tfidf import Terms, fit_terms
from mmdiag.prepare.volume import to_volume

FITTED = {"summary": Projection, "detail": Projection, "terms": Terms, "channels": Channels}
ORIGINALS = ("image", "volume", "sentences", "signal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """Fitted state of one modality.

    Args:
        kind: `image`, `text`, `table` or `signal`.
        reads: What the encoder is given: fitted `features` (a summary and parts), a standardised
            `row`, or an original: the slices of an `image`, the stack
            as a `volume`, token ids of `sentences`, the samples of a `signal`.
        shape: Of one case's original; -1 = differs between cases.
        summary: Projection of the summary features of a case; of a `row`, its standardisation
            alone.
        detail: Projection of the features of a part (a slice, a sentence), or of a row to all its
            pathway scores.
        terms: Weighted words, where they stand for sentences.
        channels: Standardisation of a signal.
        groups: Names of the pathway tokens of a table.
        columns: Columns of a table, in order.
        made: By what the features were made that it was fitted on, and its version.
        source: Which pretrained weights were used: source, revision, sha256, licence.
        architecture: Of a transformer that is fine-tuned.
        start: Pretrained weights that training begins with; never stored, because a bundle holds
            the trained ones.
    """

    kind: str
    reads: str = "features"
    shape: tuple[int, ...] = ()
    summary: Projection | None = None
    detail: Projection | None = None
    terms: Terms | None = None
    channels: Channels | None = None
    groups: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    made: str = ""
    source: Mapping[str, str] = field(default_factory=dict)
    architecture: Mapping[str, Any] = field(default_factory=dict)
    start: Path | None = None

    @property
    def reads_originals(self) -> bool:
        """Whether the encoder is a network on originals, which are too large to be held for all
        cases at once.
        """
        return self.reads in ORIGINALS

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each array of one case; -1 = differs between cases."""
        if self.reads in ORIGINALS:
            return {self.reads: self.shape}
        assert self.summary is not None
        if self.detail is None:
            return {"row": self.summary.center.shape}
        parts = (
            (len(self.groups), PATHWAY_SCORES)
            if self.kind == "table"
            else (-1, self.detail.components.shape[1])
        )
        return {"summary": (self.summary.components.shape[1],), "detail": parts}

    def apply(self, raw: np.ndarray) -> dict[str, np.ndarray]:
        """Arrays of one case from its raw features."""
        if self.reads in ORIGINALS:
            call: Callable[[np.ndarray], np.ndarray] | None = (
                to_volume if self.reads == "volume" else self.channels
            )
            return {self.reads: call(raw) if call else raw}
        assert self.summary is not None
        if self.detail is None:
            return {"row": self.summary.standardise(raw[None])[0]}
        features = self.terms(raw.tolist()) if self.terms else raw
        summary = self.summary(self._summarise(features)[None])[0]
        if self.kind == "table":
            return {
                "summary": summary,
                "detail": self.detail(raw[None])[0].reshape(len(self.groups), PATHWAY_SCORES),
            }
        return {"summary": summary, "detail": self.detail(self._parts(features))}

    def config(self) -> dict[str, Any]:
        """The part that goes into preparation.json."""
        plain = ("kind", "reads", "shape", "groups", "columns", "made", "source", "architecture")
        return {
            name: list(value) if isinstance(value := getattr(self, name), tuple) else value
            for name in plain
        }

    def state(self) -> dict[str, np.ndarray]:
        """The part that goes into preparation.safetensors."""
        return {
            f"{name}.{item.name}": np.ascontiguousarray(getattr(fitted, item.name))
            for name, kind in FITTED.items()
            if (fitted := getattr(self, name)) is not None
            for item in dataclasses.fields(kind)
        }

    def _summarise(self, features: np.ndarray) -> np.ndarray:
        return summarise("terms" if self.terms else self.kind, features)

    def _parts(self, features: np.ndarray) -> np.ndarray:
        return parts_of("terms" if self.terms else self.kind, features)


def fit_preparation(
    kind: str,
    raws: Sequence[np.ndarray],
    config: RunConfig,
    *,
    columns: Sequence[str] = (),
    gene_sets: Mapping[str, Sequence[int]] | None = None,
) -> Preparation:
    """Fit on the training cases that have this modality.

    Args:
        raws: Their raw features, as the extractor gives them.
        columns: Names of a table's columns.
        gene_sets: Named groups of column numbers; None = modules are found on these cases.

    Raises:
        UsageError: Pretrained weights that the configuration names are not there.
    """
    fitted = (
        {"image": _fit_image, "text": _fit_text, "signal": _fit_signal}[kind](raws, config)
        if kind != "table"
        else _fit_table(raws, config, columns, gene_sets)
    )
    return dataclasses.replace(fitted, made=made(kind, config))


def _fit_image(raws: Sequence[np.ndarray], config: RunConfig) -> Preparation:
    image = config.image
    source, start = _image_source(image.weights)
    if image.training == FROZEN:
        return _fit_parts("image", raws, image.components, source=source)
    if image.encoder.endswith("_3d"):
        return Preparation(kind="image", reads="volume", shape=VOLUME, source=source, start=start)
    return Preparation(
        kind="image", reads="image", shape=(-1, *raws[0].shape[1:]), source=source, start=start
    )


def _image_source(weights: str) -> tuple[dict[str, str], Path | None]:
    if weights in ("", RANDOM):
        return ({"source": RANDOM} if weights else {}), None
    from mmdiag.encoders.weights import find_weights

    found = find_weights(weights, "image encoder")
    return found.record(), found.file


def _fit_text(raws: Sequence[np.ndarray], config: RunConfig) -> Preparation:
    text = config.text
    if text.encoder == TFIDF:
        notes = [raw.tolist() for raw in raws]
        terms = fit_terms(notes, text.components)
        fitted = _fit_parts("terms", [terms(note) for note in notes], text.components)
        return dataclasses.replace(fitted, kind="text", terms=terms)
    from mmdiag.encoders.sentence import text_weights

    weights = text_weights(text.encoder)
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
    return _fit_parts("text", raws, text.components, source=weights.record())


def _fit_signal(raws: Sequence[np.ndarray], _: RunConfig) -> Preparation:
    return Preparation(
        kind="signal", reads="signal", shape=(-1, raws[0].shape[1]), channels=fit_channels(raws)
    )


def _fit_table(
    raws: Sequence[np.ndarray],
    config: RunConfig,
    columns: Sequence[str],
    gene_sets: Mapping[str, Sequence[int]] | None,
) -> Preparation:
    table = config.table
    summary = fit_projection(np.stack(raws), table.components)
    if table.encoder != "pathways":
        alone = dataclasses.replace(
            summary, components=np.zeros((len(summary.center), 0), np.float32)
        )
        return Preparation(kind="table", reads="row", summary=alone, columns=tuple(columns))
    groups, matrix = pathway_components(
        summary.standardise(np.stack(raws)), list(columns), gene_sets, table.modules
    )
    detail = Projection(summary.center, summary.scale, matrix)
    return Preparation(
        kind="table", summary=summary, detail=detail, groups=groups, columns=tuple(columns)
    )


def _fit_parts(
    form: str,
    raws: Sequence[np.ndarray],
    components: int,
    *,
    source: Mapping[str, str] | None = None,
) -> Preparation:
    """Two projections, of what is said of a case as a whole and of its parts."""
    summary = fit_projection(np.stack([summarise(form, raw) for raw in raws]), components)
    detail = fit_projection(np.concatenate([parts_of(form, raw) for raw in raws]), components)
    return Preparation(kind=form, summary=summary, detail=detail, source=source or {})


def restore_preparation(config: Mapping[str, Any], state: Mapping[str, np.ndarray]) -> Preparation:
    """What `config()` and `state()` gave, as a preparation again."""
    fitted = {
        name: kind(**{item.name: state[f"{name}.{item.name}"] for item in dataclasses.fields(kind)})
        for name, kind in FITTED.items()
        if any(key.startswith(f"{name}.") for key in state)
    }
    plain: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in config.items()
    }
    return Preparation(**plain, **fitted)


def summarise(form: str, raw: np.ndarray) -> np.ndarray:
    """Features of a whole case: extremes, mean and spread over slices; mean over sentences, plain
    and with the sign of negation; a row as it is.
    """
    if form == "table":
        return raw
    parts = parts_of(form, raw)
    return (
        np.concatenate([parts.max(axis=0), parts.mean(axis=0), parts.std(axis=0)])
        if form == "image"
        else parts.mean(axis=0)
    )


def parts_of(form: str, raw: np.ndarray) -> np.ndarray:
    """Features of the parts of a case: its slices; its sentences, embedded plain and with the sign
    of negation, or as weighted words.
    """
    if form in ("image", "terms"):
        return raw
    embedding, sign = raw[:, :-1], raw[:, -1:]
    return np.concatenate([embedding, embedding * sign], axis=1)
