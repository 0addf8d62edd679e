"""Rows of numbers: a linear branch and pathway tokens, or a network on all columns."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float32, Shaped
from numpy import ndarray
from torch import nn

from mmdiag.config import RunConfig
from mmdiag.prepare.extract import Extractor
from mmdiag.prepare.pathways import pathway_components
from mmdiag.prepare.pca import Projection, fit_projection
from mmdiag.prepare.preparation import Preparation


def table_extractor(_config: RunConfig) -> Extractor:
    """Rows as they are: nothing is stored."""
    return Extractor("", lambda rows: [np.asarray(row, dtype=np.float32) for row in rows])


def table_blocks(
    raw: Float32[ndarray, "column"], _widths: Sequence[int]
) -> dict[str, Float32[ndarray, "_"]]:
    """The row as it is."""
    return {"columns": raw}


def fit_table(
    raws: Sequence[Shaped[ndarray, "column"]],
    config: RunConfig,
    columns: Sequence[str],
    gene_sets: Mapping[str, Sequence[int]] | None,
) -> Preparation:
    """The standardisation of a row, and the directions of its linear branch and of its pathways."""
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


def table_encoder(preparation: Preparation, config: RunConfig) -> nn.Module:
    """A network on the row, or on its linear branch and pathways."""
    from mmdiag.encoders.row_network import RowNetwork
    from mmdiag.prepare.build_encoder import stored_encoder

    if preparation.reads == "features":
        return stored_encoder(preparation, config)
    return RowNetwork(
        preparation.shapes()["row"][0],
        config.model.width,
        hidden=config.table.hidden,
        normalising=config.table.encoder == "snn",
        dropout=config.model.dropout,
    )
