"""What the tests of exchange share: a FHIR export that is fetched, and DICOM files to send."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from bent_archive import SERIES, STUDY
from fhir_builders import KEY, bundle


@pytest.fixture
def fetch(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Writes an export and fetches it into tmp_path/cohort."""
    from mmdiag.exchange.fhir.export import fetch_fhir
    from mmdiag.privacy.pseudonyms import pseudonym

    def run(*resources: dict[str, Any], text: str | None = None, **options: Any) -> dict[str, Any]:
        export = tmp_path / "export.json"
        export.write_text(text if text is not None else bundle(*resources))
        return fetch_fhir(export, tmp_path / "cohort", partial(pseudonym, KEY), **options)

    return run


@pytest.fixture
def make_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a small DICOM file."""
    import numpy as np
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

    def make(
        number: int = 1,
        *,
        patient: str = "P1",
        study: str = STUDY,
        side: int = 8,
        rle: bool = False,
    ) -> Path:
        image = Dataset()
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.SOPClassUID, image.SOPInstanceUID = MRImageStorage, f"{SERIES}.{number}"
        image.StudyInstanceUID, image.SeriesInstanceUID, image.PatientID, image.Modality = (
            study,
            SERIES,
            patient,
            "MR",
        )
        image.Rows = image.Columns = side
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.BitsAllocated = image.BitsStored = 16
        image.HighBit, image.PixelRepresentation = 15, 0
        image.PixelData = np.full((side, side), number, dtype="<u2").tobytes()
        image["PixelData"].VR = "OW"
        if rle:
            from pydicom.uid import RLELossless

            image.compress(RLELossless, encoding_plugin="pydicom", generate_instance_uid=False)
        path = tmp_path / "sent" / f"{number}-{patient}.dcm"
        path.parent.mkdir(exist_ok=True)
        image.save_as(path, enforce_file_format=True)
        return path

    return make
