"""Small DICOM files made to measure: one slice each, whose pixels say which."""

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedCTImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

SERIES = generate_uid(entropy_srcs=["series"])


def make_slice(
    number: int, *, value: int | None = None, syntax: str = ExplicitVRLittleEndian, **changes
) -> Dataset:
    """One 8 x 10 slice at z = 3 * number, whose pixels are all `value`."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SOPClassUID, dataset.SOPInstanceUID = (
        MRImageStorage,
        generate_uid(entropy_srcs=[str(number)]),
    )
    dataset.SeriesInstanceUID, dataset.SeriesDescription, dataset.Modality, dataset.PatientID = (
        SERIES,
        "FLAIR",
        "MR",
        "p1",
    )
    dataset.ImageOrientationPatient, dataset.ImagePositionPatient = (
        [1, 0, 0, 0, 1, 0],
        [0, 0, 3 * number],
    )
    dataset.PixelSpacing, dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = (
        [0.5, 0.7],
        8,
        10,
        1,
    )
    dataset.PhotometricInterpretation, dataset.BitsAllocated, dataset.BitsStored = (
        "MONOCHROME2",
        16,
        12,
    )
    dataset.HighBit, dataset.PixelRepresentation = 11, 0
    dataset.PixelData = np.full(
        (8, 10), number * 10 if value is None else value, np.uint16
    ).tobytes()
    dataset["PixelData"].VR = "OW"
    for keyword, change in changes.items():
        setattr(dataset, keyword, change)
    return dataset


def make_enhanced(
    positions: list[float], *, shared_slope: float = 2.0, slopes: list[float] | None = None
) -> Dataset:
    """One enhanced CT file whose frame n has the value n and lies at z = positions[n]; rescale in
    the shared groups, or of each frame.
    """
    dataset = make_slice(0, Modality="CT", SOPClassUID=EnhancedCTImageStorage)
    del dataset.ImagePositionPatient, dataset.ImageOrientationPatient, dataset.PixelSpacing
    dataset.NumberOfFrames = len(positions)
    dataset.PixelData = b"".join(
        np.full((8, 10), n, np.uint16).tobytes() for n in range(len(positions))
    )
    shared = Dataset()
    shared.PlaneOrientationSequence = Sequence([_item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])])
    shared.PixelMeasuresSequence = Sequence([_item(PixelSpacing=[0.5, 0.7], SliceThickness=3)])
    if slopes is None:
        shared.PixelValueTransformationSequence = Sequence([_rescale(shared_slope)])
    dataset.SharedFunctionalGroupsSequence = Sequence([shared])
    frames = []
    for n, z in enumerate(positions):
        frame = Dataset()
        frame.PlanePositionSequence = Sequence([_item(ImagePositionPatient=[0, 0, z])])
        if slopes is not None:
            frame.PixelValueTransformationSequence = Sequence([_rescale(slopes[n])])
        frames.append(frame)
    dataset.PerFrameFunctionalGroupsSequence = Sequence(frames)
    return dataset


def make_pet(number: int, **changes) -> Dataset:
    """A PET slice of 1000 Bq/ml everywhere: 70 kg, 350 MBq of F-18 an hour before the series."""
    isotope = _item(
        RadionuclideTotalDose="3.5e8",
        RadionuclideHalfLife="6588",
        RadiopharmaceuticalStartTime="090000",
    )
    facts = {
        "Modality": "PT",
        "Units": "BQML",
        "CorrectedImage": ["ATTN", "DECY", "SCAT"],
        "DecayCorrection": "START",
        "PatientWeight": "70",
        "SeriesDate": "20240301",
        "SeriesTime": "100000",
        "RescaleSlope": "1",
        "RescaleIntercept": "0",
        "RadiopharmaceuticalInformationSequence": Sequence([isotope]),
    }
    return make_slice(number, value=1000, **(facts | changes))


def _item(**facts) -> Dataset:
    dataset = Dataset()
    for keyword, value in facts.items():
        setattr(dataset, keyword, value)
    return dataset


def _rescale(slope: float) -> Dataset:
    return _item(RescaleSlope=str(slope), RescaleIntercept="-10", RescaleType="HU")


def write(folder: Path, slices: list[Dataset]) -> list[Path]:
    """Files in no order of their slices."""
    folder.mkdir(exist_ok=True)
    for number, dataset in enumerate(slices):
        dataset.save_as(folder / f"{97 * number % 11:02d}.dcm", enforce_file_format=True)
    return sorted(folder.iterdir())
