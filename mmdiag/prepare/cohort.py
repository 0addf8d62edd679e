"""`Preparation`: what is fitted on the training cases of one modality, and applied to every case afterwards."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mmdiag.config import RunConfig
from mmdiag.prepare.pathways import PATHWAY_SCORES, pathway_components
from mmdiag.prepare.projection import Projection, fit_projection


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """Fitted state of one modality.

    Args:
        kind: `image`, `text` or `table`.
        raw_image: Whether the network reads the slices themselves.
        summary: Projection of the summary features of a case; None for raw images.
        detail: Projection of the features of a part (a slice, a sentence), or of a row to all its pathway scores.
        groups: Names of the pathway tokens of a table.
        columns: Columns of a table, in order.
    """

    kind: str
    raw_image: bool = False
    summary: Projection | None = None
    detail: Projection | None = None
    groups: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    image_shape: tuple[int, int] | None = field(default=None)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each array of one case; -1 = differs between cases."""
        if self.raw_image:
            assert self.image_shape is not None
            return {"image": (-1, *self.image_shape)}
        assert self.summary is not None and self.detail is not None
        parts = (len(self.groups), PATHWAY_SCORES) if self.kind == "table" else (-1, self.detail.components.shape[1])
        return {"summary": (self.summary.components.shape[1],), "detail": parts}

    def apply(self, raw: np.ndarray) -> dict[str, np.ndarray]:
        """Arrays of one case from its raw features."""
        if self.raw_image:
            return {"image": raw}
        assert self.summary is not None and self.detail is not None
        summary = self.summary(summarise(self.kind, raw)[None])[0]
        if self.kind == "table":
            return {"summary": summary, "detail": self.detail(raw[None])[0].reshape(len(self.groups), PATHWAY_SCORES)}
        return {"summary": summary, "detail": self.detail(parts_of(self.kind, raw))}

    def config(self) -> dict[str, Any]:
        """The part that goes into preparation.json."""
        return {
            "kind": self.kind,
            "raw_image": self.raw_image,
            "groups": list(self.groups),
            "columns": list(self.columns),
            "image_shape": list(self.image_shape) if self.image_shape else None,
        }

    def state(self) -> dict[str, np.ndarray]:
        """The part that goes into preparation.safetensors."""
        named = {"summary": self.summary, "detail": self.detail}
        return {
            f"{name}.{item.name}": np.ascontiguousarray(getattr(projection, item.name))
            for name, projection in named.items()
            if projection is not None
            for item in dataclasses.fields(Projection)
        }


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
    """
    if kind == "image" and config.image.encoder != "statistics":
        return Preparation(kind=kind, raw_image=True, image_shape=(raws[0].shape[1], raws[0].shape[2]))
    components = {"image": config.image.components, "text": config.text.components, "table": config.table.components}[kind]
    summary = fit_projection(np.stack([summarise(kind, raw) for raw in raws]), components)
    if kind != "table":
        return Preparation(
            kind=kind, summary=summary, detail=fit_projection(np.concatenate([parts_of(kind, raw) for raw in raws]), components)
        )
    groups, matrix = pathway_components(summary.standardise(np.stack(raws)), list(columns), gene_sets, config.table.modules)
    detail = Projection(summary.center, summary.scale, matrix)
    return Preparation(kind=kind, summary=summary, detail=detail, groups=groups, columns=tuple(columns))


def restore_preparation(config: Mapping[str, Any], state: Mapping[str, np.ndarray]) -> Preparation:
    """What `config()` and `state()` gave, as a preparation again."""
    named = {}
    for name in ("summary", "detail"):
        if f"{name}.center" in state:
            named[name] = Projection(**{item.name: state[f"{name}.{item.name}"] for item in dataclasses.fields(Projection)})
    shape = config["image_shape"]
    return Preparation(
        kind=config["kind"],
        raw_image=config["raw_image"],
        groups=tuple(config["groups"]),
        columns=tuple(config["columns"]),
        image_shape=(shape[0], shape[1]) if shape else None,
        **named,
    )


def summarise(kind: str, raw: np.ndarray) -> np.ndarray:
    """Features of a whole case: extremes, mean and spread over slices; mean over sentences, plain and with the sign of negation; a row as it is."""
    if kind == "table":
        return raw
    parts = parts_of(kind, raw)
    return np.concatenate([parts.max(axis=0), parts.mean(axis=0), parts.std(axis=0)]) if kind == "image" else parts.mean(axis=0)


def parts_of(kind: str, raw: np.ndarray) -> np.ndarray:
    """Features of the parts of a case: its slices; its sentences, embedded plain and with the sign of negation."""
    if kind == "image":
        return raw
    embedding, sign = raw[:, :-1], raw[:, -1:]
    return np.concatenate([embedding, embedding * sign], axis=1)
