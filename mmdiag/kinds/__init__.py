"""Kinds of modality: what each layer does differently for an image, a note, a table, a signal
or an embedding.

`KINDS` is the one list of them. A kind names the functions of higher layers that are its own; they
are imported when they are first called. How a kind is added: docs/guides/add-a-modality-kind.md.
"""

from mmdiag.errors import UnknownNameError
from mmdiag.kinds.embedding import EMBEDDING
from mmdiag.kinds.image import IMAGE
from mmdiag.kinds.kind import NOTE, PARTS, ROW, Function, Kind
from mmdiag.kinds.signal import SIGNAL
from mmdiag.kinds.table import TABLE
from mmdiag.kinds.text import TEXT

# In the order in which a case is read: headers of images and signals say what is to be masked in
# notes.
KINDS: dict[str, Kind] = {
    IMAGE.name: IMAGE,
    SIGNAL.name: SIGNAL,
    TEXT.name: TEXT,
    EMBEDDING.name: EMBEDDING,
    TABLE.name: TABLE,
}


def kind_named(name: str) -> Kind:
    """The kind of this name.

    Raises:
        UnknownNameError: There is none, as where another version wrote what is read.
    """
    if name not in KINDS:
        raise UnknownNameError("The kind of a modality", name, KINDS)
    return KINDS[name]


__all__ = ["KINDS", "NOTE", "PARTS", "ROW", "Function", "Kind", "kind_named"]
