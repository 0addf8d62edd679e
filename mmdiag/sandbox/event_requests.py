"""The requests of event tables: the events of some subjects in one file, and what codes are
called.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mmdiag.readers.events.meds import read_meds
from mmdiag.readers.events.names import names_of
from mmdiag.readers.events.omop import read_omop
from mmdiag.readers.events.rows import EventRows
from mmdiag.sandbox.cells import pack_texts
from mmdiag.sandbox.image_request import Reply

READERS: Mapping[str, Callable[[Path, Sequence[int], str], EventRows]] = {
    "meds": lambda file, subjects, _: read_meds(file, subjects),
    "omop": read_omop,
}


def events(file: str, standard: str, kind: str, subjects: Sequence[int]) -> Reply:
    """The events of some subjects.

    Args:
        standard: Of `READERS`.
        kind: Which table it is.

    Raises:
        ReadError: The file is torn, or no table.
        DescriptionError: A column is missing or of another type.
    """
    found = READERS[standard](Path(file), subjects, kind)
    facts = {"left_out": dict(found.left_out), "read": found.read}
    return facts, {**pack_texts(list(found.codes)), **found.arrays()}


def event_names(file: str, key: str, name: str, codes: Sequence[str]) -> Reply:
    """What some codes are called.

    Args:
        key, name: Columns of the codes and of what they are called.
    """
    return {"names": names_of(Path(file), key, name, codes)}, {}
