"""Expression of a phantom: genes in pathways, two of which move with the latent."""

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy import ndarray

PATHWAYS = 10
GENES = 20  # in each pathway
INFORMATIVE = (2, 7)
NOISE = 0.7
# seed of the genes' levels and loadings: the same in every phantom, so that a model of one can
# score another
BIOLOGY = 1953


def gene_names() -> list[str]:
    """Names of all genes, pathway after pathway."""
    return [f"PH{pathway:02d}G{gene:02d}" for pathway in range(PATHWAYS) for gene in range(GENES)]


def pathway_name(pathway: int) -> str:
    """Name of a pathway in the GMT file."""
    return f"PHANTOM_PATHWAY_{pathway:02d}"


def expression(
    u: Float[ndarray, "case"], generator: np.random.Generator
) -> Float[ndarray, "case gene"]:
    """Log expression of all cases, with each gene's own level and loading."""
    factors = generator.normal(size=(len(u), PATHWAYS))
    factors[:, list(INFORMATIVE)] = u[:, None]
    biology = np.random.default_rng(BIOLOGY)
    loading = biology.uniform(0.7, 1.3, size=PATHWAYS * GENES) * np.where(
        biology.random(PATHWAYS * GENES) < 0.15, -1, 1
    )
    level = biology.uniform(2, 9, size=PATHWAYS * GENES)
    return (
        level
        + loading * np.repeat(factors, GENES, axis=1)
        + NOISE * generator.normal(size=(len(u), PATHWAYS * GENES))
    )


def expression_table(case_ids: list[str], values: Float[ndarray, "case gene"]) -> pd.DataFrame:
    """One row a case, one text column a gene, four decimals."""
    columns = {
        f"{name}_rna": [f"{value:.4f}" for value in values[:, i]]
        for i, name in enumerate(gene_names())
    }
    return pd.DataFrame({"case_id": case_ids, **columns})


def gmt() -> str:
    """The pathways in GMT form."""
    names = gene_names()
    return "".join(
        "\t".join([pathway_name(p), "phantom pathway", *names[p * GENES : (p + 1) * GENES]]) + "\n"
        for p in range(PATHWAYS)
    )
