"""Embeddings of some cases: of a file each, or of a table that all cases share."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from functools import partial

from jaxtyping import Float32
from numpy import ndarray

from mmdiag.cohort.cases import Case
from mmdiag.errors import ReadError
from mmdiag.ingest.embeddings.tables import CaseVectors, case_vectors
from mmdiag.ingest.read import Found, Reading, Wait, refusal
from mmdiag.ingest.reports import TableReport
from mmdiag.readers.embeddings import vector_facts
from mmdiag.sandbox.pool import Outcome, Sandbox

EMBEDDING = "embedding"


def read_embeddings(
    reading: Reading, pool: Sandbox, cases: Sequence[Case], name: str
) -> Mapping[str, Wait]:
    """Ask for the embeddings of a modality."""
    modality = reading.description.modalities[name]
    if modality.key:
        table = case_vectors(cases[0].sources[name].files, modality)
        return {case.case_id: partial(_of_table, reading, table, case, name) for case in cases}
    return {
        case.case_id: partial(_take, reading, case, name, _ask(reading, pool, case, name))
        for case in cases
    }


def _ask(reading: Reading, pool: Sandbox, case: Case, name: str) -> "Future[Outcome]":
    files, array = case.sources[name].files, reading.description.modalities[name].column
    if len(files) > 1:
        return refusal("embedding_array", f"{len(files)} files")
    return pool.submit(EMBEDDING, file=str(files[0]), array=array)


def _take(reading: Reading, case: Case, name: str, answer: "Future[Outcome]") -> Found:
    facts, arrays = answer.result().value()
    return _found(reading, case, name, arrays["vectors"], facts)


def _of_table(reading: Reading, table: CaseVectors, case: Case, name: str) -> Found | None:
    source = case.sources[name]
    if str(source.key) not in table.rows:
        return None  # its cells are empty: not made
    vectors = table.of(str(source.key), source.files[0].name)
    return _found(reading, case, name, vectors, vector_facts(vectors))


def _found(
    reading: Reading,
    case: Case,
    name: str,
    vectors: Float32[ndarray, "vector number"],
    facts: Mapping[str, object],
) -> Found:
    """What was read, where it is as wide as the cohort's embeddings."""
    usual = reading.reports.get(name, TableReport()).width
    if usual and vectors.shape[1] != usual:
        raise ReadError(
            "embedding_width", f"{vectors.shape[1]} numbers, those of the cohort have {usual}"
        )
    return Found(vectors, {"case_id": case.case_id, "modality": name, **facts})
