"""Faults that are planted in a phantom, one a case: each must end in quarantine under its own
reason code.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
from jaxtyping import Bool
from numpy import ndarray

FAULTS: tuple[tuple[str, str], ...] = (  # code, and the modality that is damaged
    ("no_modality", ""),
    ("truncated", "flair"),
    ("not_text", "report"),
    ("patient_mismatch", "flair"),
    ("table_value", "expression"),
    ("undecodable_pixels", "flair"),
    ("duplicate_slice", "flair"),
    ("not_dicom", "flair"),
)


def choose(
    number: int, present: Bool[ndarray, "case modality"], generator: np.random.Generator
) -> list[tuple[int, str]]:
    """Which case gets which fault: the damaged modality is one that the case has, and never its
    only one.
    """
    free = [int(i) for i in generator.permutation(len(present))]
    chosen = []
    for planted in range(number):
        code, modality = FAULTS[planted % len(FAULTS)]
        column = ("flair", "report", "expression").index(modality) if modality else None
        case = next(
            i for i in free if column is None or (present[i, column] and present[i].sum() > 1)
        )
        free.remove(case)
        chosen.append((case, code))
    return chosen


def plant(
    out: Path, case_id: str, code: str, table: pd.DataFrame, generator: np.random.Generator
) -> pd.DataFrame:
    """Damage one case; gives the expression table as it is to be written."""
    note = out / "notes" / f"{case_id}.txt"
    if code == "no_modality":
        for file in [*_files(out, case_id), note]:
            file.unlink(missing_ok=True)
        return table[table["case_id"] != case_id]
    elif code == "not_text":
        note.write_bytes(b"\x00\x01" + generator.bytes(400) + b"\x00")
    elif code == "table_value":
        column = table.columns[1 + int(generator.integers(len(table.columns) - 1))]
        return table.assign(**{column: table[column].where(table["case_id"] != case_id, "error")})
    else:
        IMAGE_FAULTS[code](_flair(out, case_id), generator)
    return table


def _files(out: Path, case_id: str) -> list[Path]:
    return sorted((out / "dicom" / case_id).glob("*"))


def _flair(out: Path, case_id: str) -> Path:
    return next(
        file
        for file in _files(out, case_id)
        if pydicom.dcmread(file, stop_before_pixels=True).SeriesDescription == "FLAIR"
    )


def _truncate(file: Path, generator: np.random.Generator) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: len(content) - int(generator.integers(200, 700))])


def _foreign_patient(file: Path, generator: np.random.Generator) -> None:
    del generator
    dataset = pydicom.dcmread(file)
    dataset.PatientID = "FOREIGN"
    dataset.save_as(file)


def _damage_codestream(file: Path, generator: np.random.Generator) -> None:
    """Pixel data that says JPEG 2000 and holds noise."""
    dataset = pydicom.dcmread(file)
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.JPEG2000Lossless
    dataset.PixelData = pydicom.encaps.encapsulate([b"\xff\x4f\xff\x51" + generator.bytes(600)])
    dataset["PixelData"].is_undefined_length = True
    dataset["PixelData"].VR = "OB"
    dataset.save_as(file)


def _copy_slice(file: Path, generator: np.random.Generator) -> None:
    """The same position twice under another instance UID."""
    del generator
    dataset = pydicom.dcmread(file)
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.UID(
        f"{dataset.SOPInstanceUID[:60]}.1"
    )
    dataset.save_as(file.with_name("IM9000.dcm"))


def _garbage(file: Path, generator: np.random.Generator) -> None:
    file.with_name("IM9001.dcm").write_bytes(b"<html>not an image</html>" + generator.bytes(300))


IMAGE_FAULTS: dict[str, Callable[[Path, np.random.Generator], None]] = {
    "truncated": _truncate,
    "patient_mismatch": _foreign_patient,
    "undecodable_pixels": _damage_codestream,
    "duplicate_slice": _copy_slice,
    "not_dicom": _garbage,
}
