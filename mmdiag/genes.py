"""Gene sets in GMT form, brought to the columns of a table."""

import gzip
from collections.abc import Sequence
from pathlib import Path

from mmdiag.description import ModalityDescription
from mmdiag.errors import DescriptionError


def gene_set_columns(root: Path, modality: ModalityDescription, columns: Sequence[str]) -> dict[str, list[int]]:
    """Column numbers of each gene set that has any.

    Gene names are the columns less the affixes around `*` of the modality's column glob. A set is named by its description where every set has
    one of its own (Reactome: the identifier comes first), else by its name.

    Raises:
        DescriptionError: The file is not GMT (name, description, genes, separated by tabs).

    Reference:
        Gene Matrix Transposed format, Broad Institute.
    """
    path = root / str(modality.gene_sets)
    places: dict[str, list[int]] = {}
    for number, column in enumerate(columns):
        places.setdefault(_gene_of(column, modality.columns), []).append(number)
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8")
    lines = [line.split("\t") for line in text.splitlines()]
    for number, fields in enumerate(lines, start=1):
        if len(fields) < 3:
            raise DescriptionError(
                f"A line of a GMT file holds a name, a description and genes, separated by tabs; line {number} of {path.name} does not: check the file."
            )
    described = len({fields[1] for fields in lines}) == len(lines) and not any(fields[1].startswith("http") for fields in lines)
    sets = {fields[1 if described else 0]: sorted({place for gene in fields[2:] for place in places.get(gene, ())}) for fields in lines}
    return {name: members for name, members in sets.items() if members}


def _gene_of(column: str, patterns: str | Sequence[str] | None) -> str:
    for pattern in [patterns] if isinstance(patterns, str) else patterns or ():
        before, star, after = pattern.partition("*")
        if star and column.startswith(before) and column.endswith(after):
            return column[len(before) : len(column) - len(after)]
    return column
