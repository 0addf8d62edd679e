"""The requests of embeddings: of one case's file, and of a table that all cases share."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmdiag.readers.embedding_tables import read_vectors
from mmdiag.readers.embeddings import embedding_width as width_of
from mmdiag.readers.embeddings import read_embedding, vector_facts
from mmdiag.sandbox.cells import pack_texts
from mmdiag.sandbox.image_request import Reply


def embedding(file: str, array: str | None) -> Reply:
    """Read the vectors of one case.

    Args:
        array: Its name in a file of several.

    Returns:
        Facts for the data contract, and the array `vectors` (vector, number).

    Raises:
        ReadError: As `readers.embeddings.read_embedding`.
    """
    vectors = read_embedding(Path(file), array)
    return vector_facts(vectors), {"vectors": vectors}


def embedding_width(file: str, array: str | None) -> Reply:
    """Numbers of a vector, without reading any."""
    return {"width": width_of(Path(file), array)}, {}


def embedding_verdict(file: str) -> Reply:
    """Read one embedding to the end."""
    read_embedding(Path(file))
    return {}, {}


def embedding_table(files: Sequence[str], key: str, column: str | None) -> Reply:
    """The vectors of all cases: `case` of each, a number of the key that it has among the texts,
    its length, and all numbers.
    """
    found = read_vectors([*map(Path, files)], key, column)
    keys = list(dict.fromkeys(found.keys))
    number = {name: place for place, name in enumerate(keys)}
    cases = np.fromiter((number[name] for name in found.keys), np.int64, len(found.keys))
    arrays = {"case": cases, "lengths": found.lengths, "numbers": found.numbers}
    return {}, {**pack_texts(keys), **arrays}
