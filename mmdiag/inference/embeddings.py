"""Are the embeddings of a cohort those that a bundle was fitted on? Another encoder, revision or
width gives numbers that mean something else.
"""

from collections.abc import Mapping

from mmdiag.cohort.case_table import read_cases
from mmdiag.cohort.cases import find_cases
from mmdiag.description import Description
from mmdiag.errors import UsageError
from mmdiag.inference.bundle import Bundle
from mmdiag.ingest.embeddings.read import EMBEDDING
from mmdiag.ingest.embeddings.width import usual_width
from mmdiag.storage.store import Store

LOOKED_AT = 64  # cases, before anything is read


def require_same_embeddings(bundle: Bundle, description: Description) -> None:
    """Look at what a cohort describes, and at the head of some of its files, before anything of it
    is read.

    Raises:
        UsageError: They were made otherwise.
    """
    names = [name for name, kind in bundle.kinds.items() if kind == EMBEDDING]
    if not names:
        return
    for name in names:
        _require_maker(bundle, name, description.modalities[name].options)
    cases = find_cases(description, read_cases(description))
    for name in names:
        own = [case.sources[name] for case in cases if name in case.sources][:LOOKED_AT]
        width = usual_width(description.modalities[name], own) if own else 0
        _require_width(bundle, name, width)


def require_stored_embeddings(bundle: Bundle, store: Store) -> None:
    """The same, of a cohort that was ingested.

    Raises:
        UsageError: They were made otherwise.
    """
    for name, kind in bundle.kinds.items():
        if kind == EMBEDDING:
            made = store.embeddings.get(name, {})
            _require_maker(bundle, name, made)
            _require_width(bundle, name, int(made.get("width", 0)))


def _require_maker(bundle: Bundle, name: str, made: Mapping[str, object]) -> None:
    source = bundle.preparations[name].source
    for key in ("encoder", "revision"):
        here = str(made.get(key, "not known"))
        if source.get(key) != here:
            raise UsageError(
                f"Embeddings to score are made by the encoder that the bundle was fitted on, the "
                f"{key} of {name} was {source.get(key)}, here it is {here}: make them again with "
                f"that one, or train on these."
            )


def _require_width(bundle: Bundle, name: str, width: int) -> None:
    wanted = bundle.preparations[name].vector_width
    if width and width != wanted:
        raise UsageError(
            f"Embeddings to score are as wide as those that the bundle was fitted on, those of "
            f"{name} had {wanted} numbers, here they have {width}: make them again with that "
            "encoder and revision, or train on these."
        )
