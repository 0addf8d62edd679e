"""The functions that workers of the sandbox run: read one source of one case, or check whether a
file would be read. Arguments and facts are what JSON has.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mmdiag.errors import ReadError
from mmdiag.privacy.mask import has_own_name, mask_note
from mmdiag.readers.archives import refuse_archive
from mmdiag.readers.dicom.series import check_file
from mmdiag.readers.genomics.vcf import read_vcf
from mmdiag.readers.imaging.raster_nifti import PICTURES, read_picture
from mmdiag.readers.imaging.research import read_volume
from mmdiag.readers.signals.recording import check_recording, holds_waveform
from mmdiag.readers.tables.cohort_tables import check_table
from mmdiag.readers.tables.modality import read_case_table
from mmdiag.readers.text.notes import Note, clean_note, read_note
from mmdiag.readers.text.sections import find_sections
from mmdiag.sandbox.image_request import Reply, image
from mmdiag.sandbox.signal_request import signal
from mmdiag.sandbox.table_requests import modality_from

__all__ = ["PICTURES", "image", "signal"]  # of the readers, and of the requests beside this


def warm_up() -> None:
    """Load what the first note would wait for: every worker is forked with it."""
    mask_note("Dr. Jane Doe, 3 March 2024.", ["Doe^Jane", "19510203"])


def dicom_verdict(file: str) -> Reply:
    """Read one DICOM file to the end: an image or a waveform.

    Raises:
        ReadError: Why it would be refused.
    """
    path = Path(file)
    (check_recording if holds_waveform(path) else check_file)(path)
    return {}, {}


def picture_verdict(file: str) -> Reply:
    """Read one PNG or JPEG to the end."""
    read_picture(Path(file))
    return {}, {}


def nifti_verdict(file: str) -> Reply:
    """Read one NIfTI to the end."""
    read_volume(Path(file))
    return {}, {}


def volume_verdict(file: str) -> Reply:
    """Read one NRRD, MetaImage or MGH to the end."""
    read_volume(Path(file))
    return {}, {}


def note(file: str, subject_terms: Sequence[str]) -> Reply:
    """Read one note and mask what identifies its person.

    Args:
        subject_terms: What the case's images and tables say of the person.

    Returns:
        `text`, `sections` (name, start, end), `spans` of what was masked (start, end, start and end
        in the original, kind), `encoding`, `format`, `written` (ISO date or null) and `open_dates`
        (pairs of ISO dates); None where the note is blank.

    Raises:
        ReadError: As `readers.text.notes.read_note`.
    """
    return _masked(read_note(Path(file), partial(has_own_name, subject_terms)), subject_terms)


def note_text(text: str, name: str, subject_terms: Sequence[str]) -> Reply:
    """As `note`, of text that lay in a table.

    Args:
        name: The table's name, for messages.
    """
    return _masked(clean_note(text.encode("utf-8", "surrogatepass"), name), subject_terms)


def _masked(found: Note | None, subject_terms: Sequence[str]) -> Reply:
    if found is None:
        return None, {}
    masked = mask_note(found.text, subject_terms)
    sections = [
        [section.name, section.start, section.end] for section in find_sections(masked.text)
    ]
    spans = [list(span) for span in masked.spans]
    written = found.written.isoformat() if found.written else None
    return {
        "text": masked.text,
        "sections": sections,
        "spans": spans,
        "encoding": found.encoding,
        "format": found.format,
        "written": written,
        "open_dates": [[day.isoformat() for day in pair] for pair in found.open_dates],
    }, {}


def masked_note(file: str, subject_terms: Sequence[str]) -> Reply:
    """Read and mask one note of a folder that is de-identified.

    Args:
        subject_terms: As `mask.mask_note`.

    Returns:
        `text`, `counts` by kind, `words`, and `words_masked`; None where the note is blank.

    Raises:
        ReadError: As `notes.read_note`.
    """
    read = read_note(Path(file), partial(has_own_name, subject_terms))
    if read is None:
        return None, {}
    masked = mask_note(read.text, subject_terms)
    touched = sum(
        len(read.text[span.start_in_original : span.end_in_original].split())
        for span in masked.spans
    )
    return {
        "text": masked.text,
        "counts": masked.counts,
        "words": len(read.text.split()),
        "words_masked": touched,
    }, {}


def note_verdict(file: str) -> Reply:
    """Read one note to the end; a blank one is refused, because as a file it says nothing."""
    if read_note(Path(file)) is None:
        raise ReadError("blank", f"{Path(file).name} holds only white space")
    return {}, {}


def table_verdict(file: str, key: Sequence[str] | None = None) -> Reply:
    """Check one table as a file.

    Args:
        key: Columns that make its key; None = the column that looks like one.
    """
    check_table(Path(file), list(key) if key else None)
    return {}, {}


def mutations_verdict(file: str) -> Reply:
    """Check one Mutation Annotation Format file."""
    check_table(Path(file))
    return {}, {}


def matrix_verdict(file: str) -> Reply:
    """Check one GCT or h5ad matrix."""
    check_table(Path(file))
    return {}, {}


def variants_verdict(file: str) -> Reply:
    """Read one VCF to the end; whose variants of several are meant is asked when it is read for a
    case.
    """
    read_vcf(Path(file))
    return {}, {}


def archive_verdict(file: str) -> Reply:
    """Refuse a file that holds other files."""
    refuse_archive(Path(file))
    return {}, {}


def signal_verdict(file: str) -> Reply:
    """Read one recording, whatever its channels."""
    check_recording(Path(file))
    return {}, {}


def case_table(file: str, modality: Mapping[str, Any], wanted: Sequence[str] = ()) -> Reply:
    """The numbers of one case whose file holds nothing else.

    Args:
        modality: The fields of a `ModalityDescription`.
        wanted: Columns that are numbers whatever their cells hold.
    """
    row = read_case_table(Path(file), modality_from(modality), wanted)
    return {
        "columns": [str(column) for column in row.numbers.index],
        "words": dict(row.words),
        "why": dict(row.why),
        "annotation": row.annotation,
        "remarks": list(row.remarks),
    }, {"values": row.numbers.to_numpy(dtype=np.float32)}
