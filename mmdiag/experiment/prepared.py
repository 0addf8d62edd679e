"""What is fitted of each modality on the training cases of a fit, without any label."""

from collections.abc import Sequence

from jaxtyping import Int
from numpy import ndarray

from mmdiag.config import RunConfig
from mmdiag.errors import UsageError
from mmdiag.experiment.run import RunData
from mmdiag.prepare import Preparation, fit_preparation
from mmdiag.prepare.blocks.preparation import fit_blocks


def prepare_modalities(
    data: RunData, config: RunConfig, modalities: Sequence[str], rows: Int[ndarray, "_"]
) -> dict[str, Preparation]:
    """Fit on the rows that have each modality: blocks of all features where a model reads
    these, else what one network is given.

    Raises:
        UsageError: A modality is in none of them.
    """
    prepared: dict[str, Preparation] = {}
    for name in modalities:
        raws = [raw for raw in (data.raws[name][row] for row in rows) if raw is not None]
        kind = data.store.modalities[name]
        if not raws:
            raise UsageError(
                f"Every modality must be present in some training case, {name} is in none: take "
                "it out of cohort.toml or add cases that have it."
            )
        columns, categories = data.store.columns(name), data.store.categories(name)
        source, colour = data.store.source(name), data.store.in_colour(name)
        if config.reads_blocks:
            prepared[name] = fit_blocks(
                kind,
                raws,
                config,
                columns=columns,
                categories=categories,
                source=source,
                colour=colour,
            )
        else:
            prepared[name] = fit_preparation(
                kind,
                raws,
                config,
                columns=columns,
                gene_sets=data.gene_sets.get(name),
                categories=categories,
                source=source,
                colour=colour,
            )
    return prepared
