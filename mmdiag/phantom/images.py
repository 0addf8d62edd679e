"""DICOM MR studies of a phantom: a head with a lesion whose brightness is the image's latent,
beside series that must not be selected.

With distractors the lesion is dark, and its darkness is the latent; beside it lie bright spots that
differ as much from the tissue and carry nothing. Whatever reads grey values answers to these:
only what was learned tells the lesion from them.
"""

import dataclasses
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt16
from numpy import ndarray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, MRImageStorage, generate_uid

SIZE = 64
SKULL, TISSUE, AIR = 3000.0, 1000.0, 20.0  # stored values before the scanner's gain
GAP_MM = 5.0
APART = 3  # slices, at which two spots do not touch
TRIES = 200  # to find a distractor's place
DISTRACTOR_SIZE = 8.0


@dataclass(frozen=True, slots=True)
class Box:
    """Where a lesion or a distractor lies in the FLAIR series sorted by position: half-open ranges
    of slices, rows and columns, in stored pixels.
    """

    slices: tuple[int, int]
    rows: tuple[int, int]
    columns: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Head:
    """One head before the scanner's gain.

    Args:
        lesion, distractors: Where they lie in FLAIR.
    """

    flair: UInt16[ndarray, "slice row column"]
    t1: UInt16[ndarray, "t1_slice row column"]
    lesion: Box
    distractors: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class Spot:
    """A round structure with a soft edge, strongest in its middle slice.

    Args:
        centre: Row and column, pixels.
        size: Radius, pixels.
        level: Stored value in its middle.
    """

    centre: Float[ndarray, "2"]
    middle: int
    size: float
    level: float

    def share(self, slices: int) -> Float[ndarray, "slice row column"]:
        """How far each voxel belongs to it."""
        row, column = np.mgrid[:SIZE, :SIZE].astype(float)
        away = np.hypot(row - self.centre[0], column - self.centre[1])
        profile = np.exp(-0.5 * ((np.arange(slices) - self.middle) / 0.9) ** 2)[:, None, None]
        found: np.ndarray = profile / (1 + np.exp((away - self.size) / 0.8))
        return found

    def box(self, slices: int) -> Box:
        """Where it lies."""
        rows, columns = (
            (max(int(c - self.size), 0), min(int(c + self.size) + 2, SIZE)) for c in self.centre
        )
        return Box((max(self.middle - 1, 0), min(self.middle + 2, slices)), rows, columns)

    def is_clear_of(self, other: "Spot") -> bool:
        """Whether they lie in other slices, or in other places of the same ones."""
        apart = float(np.hypot(*(self.centre - other.centre)))
        return abs(self.middle - other.middle) >= APART or apart > self.size + other.size + 2


@dataclass(frozen=True, slots=True)
class Study:
    """What a study is made of.

    Args:
        case_id, subject_id: Opaque keys; the subject is the patient's id and name.
        gain: The scanner's own scale.
        compressed: Whether the files are JPEG 2000 lossless.
    """

    case_id: str
    subject_id: str
    when: date
    site: str
    gain: float
    compressed: bool


def head(u: float, generator: np.random.Generator, *, distractors: bool = False) -> Head:
    """One head.

    Args:
        u: The image's latent.
    """
    slices = int(generator.integers(6, 9))
    row, column = np.mgrid[:SIZE, :SIZE].astype(float)
    height, width = 27 + generator.normal(scale=0.8), 23 + generator.normal(scale=0.8)
    radius = np.hypot((row - 31.5) / height, (column - 31.5) / width)
    texture = np.kron(generator.normal(size=(slices, 8, 8)), np.ones((1, 8, 8)))
    plain = (
        np.where(radius < 0.92, TISSUE, np.where(radius < 1, SKULL, AIR))[None]
        + np.where(radius < 0.92, 45.0, 0.0) * texture
    )
    dark = Spot(*_place(slices, 11.0, generator), size=9.0 + 0.3 * u, level=TISSUE - 640 - 130 * u)
    bright = dataclasses.replace(dark, size=6.0 + 0.3 * u, level=TISSUE + 700 + 240 * u)
    lesion = dark if distractors else bright
    others = _distractors(lesion, slices, generator) if distractors else []
    flair = plain
    for spot in (lesion, *others):
        flair = flair + np.where(radius < 0.92, (spot.level - plain) * spot.share(slices), 0)
    t1 = (plain * 0.8)[: slices // 2 + 1]
    return Head(
        _noisy(flair, generator),
        _noisy(t1, generator),
        lesion.box(slices),
        tuple(spot.box(slices) for spot in others),
    )


def _place(
    slices: int, most: float, generator: np.random.Generator
) -> tuple[Float[ndarray, "2"], int]:
    """Centre and middle slice of a spot, at most so many pixels off the middle of the head."""
    angle, distance = generator.uniform(0, 2 * np.pi), generator.uniform(0, most)
    centre = np.asarray([31.5 + distance * np.sin(angle), 31.5 + distance * np.cos(angle)])
    return centre, int(generator.integers(1, slices - 1))


def _distractors(lesion: Spot, slices: int, generator: np.random.Generator) -> list[Spot]:
    """Two or three bright spots, as far from the tissue as a lesion is and clear of it and of each
    other; none where no room is found.
    """
    found: list[Spot] = []
    for _ in range(int(generator.integers(2, 4))):
        size, level = generator.normal([DISTRACTOR_SIZE, TISSUE + 700], [0.3, 80])
        for _ in range(TRIES):
            spot = Spot(*_place(slices, 13.0, generator), size=float(size), level=float(level))
            if all(spot.is_clear_of(other) for other in (lesion, *found)):
                found.append(spot)
                break
    return found


def _noisy(
    volume: Float[ndarray, "slice row column"], generator: np.random.Generator
) -> UInt16[ndarray, "slice row column"]:
    """Rician noise, as in magnitude images."""
    noise = generator.normal(scale=25.0, size=(2, *volume.shape))
    noisy: np.ndarray = np.clip(np.hypot(volume + noise[0], noise[1]), 0, 4095).astype(np.uint16)
    return noisy


def write_study(
    folder: Path,
    study: Study,
    u: float,
    generator: np.random.Generator,
    identifiers: Dataset | None = None,
    *,
    distractors: bool = False,
) -> Head:
    """Write FLAIR, T1 and a localizer into one folder, in no order."""
    made = head(u, generator, distractors=distractors)
    flair, t1 = made.flair, made.t1
    axial, sagittal = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 0.0, 0.0, -1.0]
    planned = [("FLAIR", number, plane, axial) for number, plane in enumerate(flair)]
    planned += [("T1 POST GD", number, plane, axial) for number, plane in enumerate(t1)]
    planned += [("LOCALIZER", 0, flair[len(flair) // 2].T, sagittal)]
    folder.mkdir(parents=True, exist_ok=True)
    names = generator.permutation(len(planned))
    for name, (description, number, plane, orientation) in zip(names, planned, strict=True):
        scaled = np.clip(plane * study.gain, 0, 4095).astype(np.uint16)
        dataset = _slice(study, description, number, scaled, orientation)
        if identifiers is not None:
            dataset.update(identifiers)
        if study.compressed:
            dataset.compress(
                JPEG2000Lossless, encoding_plugin="pylibjpeg", generate_instance_uid=False
            )
        dataset.save_as(folder / f"IM{name:04d}.dcm", enforce_file_format=True)
    return made


def _slice(
    study: Study,
    description: str,
    number: int,
    plane: UInt16[ndarray, "row column"],
    orientation: list[float],
) -> Dataset:
    """One MR image.

    Reference:
        DICOM PS3.3 A.4, MR Image IOD.
    """
    series = [study.case_id, description]
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M"]
    dataset.SOPClassUID = MRImageStorage
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=[*series, str(number)])
    dataset.StudyDate = dataset.SeriesDate = study.when.strftime("%Y%m%d")
    dataset.StudyTime = "120000"
    dataset.AccessionNumber = ""
    dataset.Modality = "MR"
    dataset.Manufacturer = f"Phantom {study.site}"
    dataset.ReferringPhysicianName = ""
    dataset.SeriesDescription = description
    dataset.PatientName = study.subject_id
    dataset.PatientID = study.subject_id
    dataset.PatientBirthDate = dataset.PatientSex = ""
    dataset.SliceThickness = GAP_MM
    dataset.RepetitionTime, dataset.EchoTime = 9000, 120
    dataset.StudyInstanceUID = generate_uid(entropy_srcs=[study.case_id])
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=series)
    dataset.StudyID = "1"
    dataset.SeriesNumber = ["LOCALIZER", "FLAIR", "T1 POST GD"].index(description) + 1
    dataset.InstanceNumber = number + 1
    dataset.ImageOrientationPatient = orientation
    dataset.ImagePositionPatient = [-SIZE / 2, -SIZE / 2, number * GAP_MM]
    dataset.FrameOfReferenceUID = generate_uid(entropy_srcs=[study.case_id, "frame"])
    _set_pixels(dataset, plane)
    return dataset


def _set_pixels(dataset: Dataset, plane: UInt16[ndarray, "row column"]) -> None:
    """12 bits of grey, 3.5 mm a pixel."""
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = plane.shape
    dataset.PixelSpacing = [3.5, 3.5]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = (
        16,
        12,
        11,
        0,
    )
    dataset.PixelData = np.ascontiguousarray(plane).tobytes()
    dataset["PixelData"].VR = "OW"
