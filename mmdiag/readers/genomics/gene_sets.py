"""Reads gene sets in GMT format, as indices of a table's columns."""

from collections.abc import Sequence
from pathlib import Path

from mmdiag.description import ModalityDescription
from mmdiag.errors import DescriptionError
from mmdiag.readers.genomics.gene_symbols import approve, read_hgnc
from mmdiag.readers.tables.delimited import as_description_error
from mmdiag.readers.tables.encoding import read_bytes, to_utf8
from mmdiag.readers.tables.modality import gene_of


def gene_set_columns(
    root: Path, modality: ModalityDescription, columns: Sequence[str]
) -> dict[str, list[int]]:
    """Column numbers of each gene set that has any.

    Gene names are the columns less the affixes around `*` of the modality's column glob; where the
    modality has `gene_names`, they are approved symbols,
    and the genes of the sets are brought to approved symbols too. A set is named by its description
    where every set has
    one of its own (Reactome: the identifier comes first), else by its name.

    Raises:
        DescriptionError: The file is not GMT (name, description, genes, separated by tabs).

    Reference:
        Gene Matrix Transposed format, Broad Institute.
    """
    path = root / str(modality.gene_sets)
    columns_of: dict[str, list[int]] = {}
    for number, column in enumerate(columns):
        columns_of.setdefault(gene_of(column, modality.columns)[1], []).append(number)
    with as_description_error():
        text = to_utf8(read_bytes(path), path.name).decode("utf-8")
    lines = [line.split("\t") for line in text.splitlines()]
    for number, fields in enumerate(lines, start=1):
        if len(fields) < 3:
            raise DescriptionError(
                "A line of a GMT file holds a name, a description and genes, separated by tabs; "
                f"line {number} of {path.name} does not: check the file."
            )
    described = len({fields[1] for fields in lines}) == len(lines) and not any(
        fields[1].startswith("http") for fields in lines
    )
    members = [fields[2:] for fields in lines]
    if modality.gene_names:  # the columns bear approved symbols, so the sets' genes must too
        approval = approve(
            sorted({gene for genes in members for gene in genes}),
            "symbol",
            read_hgnc(root / modality.gene_names),
        )
        members = [[approval.renamed.get(gene, gene) for gene in genes] for genes in members]
    named = zip(lines, members, strict=True)
    sets = {
        fields[1 if described else 0]: sorted(
            {column for gene in genes for column in columns_of.get(gene, ())}
        )
        for fields, genes in named
    }
    return {name: members for name, members in sets.items() if members}
