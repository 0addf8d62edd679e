"""Reads and masks one note in the sandbox, for a folder that is de-identified."""

from pathlib import Path
from typing import Any

from numpy import ndarray

from mmdiag.privacy.mask import mask_note
from mmdiag.readers.text.notes import read_note

SECONDS = 60.0  # a worker reads the name lists with its first note


def request(file: str, own: list[str]) -> tuple[dict[str, Any] | None, dict[str, ndarray]]:
    """`text`, `counts` by kind, `words` and `words_masked` of a masked note; None where it is
    blank.

    Args:
        file: Path of the note.
        own: As `identifiers.mask_note`.

    Raises:
        ReadError: As `notes.read_note`.
    """
    note = read_note(Path(file))
    if note is None:
        return None, {}
    masked = mask_note(note.text, own)
    touched = sum(
        len(note.text[span.start_in_original : span.end_in_original].split())
        for span in masked.spans
    )
    return {
        "text": masked.text,
        "counts": masked.counts,
        "words": len(note.text.split()),
        "words_masked": touched,
    }, {}
