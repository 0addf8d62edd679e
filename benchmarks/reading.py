"""What reading costs: files a second in the sandbox against the bare file and against MONAI, and
one worker against two.

floor      the bare file: read it, find the pixels at its end, average them down to 224 x 224
direct     our reader in this process
sandbox    our reader in a process of its own, as ingestion has it: one request a series or a single
image
MONAI      LoadImage and Resize (area) in a Compose

All on the same generated files in the same run, in interleaved rounds; the median of the rounds.

python benchmarks/reading.py [--json]
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from mmdiag.sandbox import requests as sources
from mmdiag.sandbox.pool import Sandbox

SIZE, ROUNDS = 224, 7
# rows and columns, files, files of a request
KINDS = {
    "CT series": (512, 96, 24),
    "CT one by one": (512, 96, 1),
    "CR": (2048, 16, 1),
}
ASKED: dict[str, Any] = {"select": {}, "size": SIZE, "window": "auto", "burned_in": "accept"}
LEAST_OF_FLOOR, LEAST_OF_MONAI, MOST_SHARE = 0.7, 8.0, 0.15
IMAGE = "image"


def measure_reading(folder: Path, kind: str, rounds: int = ROUNDS) -> dict[str, float]:
    """Files a second of each way, and their ratios."""
    side, count, _ = KINDS[kind]
    requests = write_requests(folder, kind)
    files = [Path(file) for request in requests for file in request["files"]]
    one, two = Sandbox(1), Sandbox(2)
    monai = _monai()
    ways: dict[str, Callable[[], object]] = {
        "floor": lambda: [_floor(file, side) for file in files],
        "direct": lambda: [sources.image(**request) for request in requests],
        "sandbox": lambda: [outcome.value() for outcome in one.map(IMAGE, requests)],
        "two_workers": lambda: [outcome.value() for outcome in two.map(IMAGE, requests)],
        "monai": lambda: [monai(str(file)) for file in files[: max(4, count // 8)]],
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, call in ways.items():
            began = time.perf_counter()
            call()
            if number:  # the first round warms caches and starts workers
                taken[name].append(
                    (time.perf_counter() - began)
                    / (max(4, count // 8) if name == "monai" else count)
                )
    one.close()
    two.close()
    second = {name: statistics.median(times) for name, times in taken.items()}
    return {
        **{f"{name}_files_per_s": round(1 / value, 1) for name, value in second.items()},
        "of_floor": round(second["floor"] / second["sandbox"], 3),
        "direct_of_floor": round(second["floor"] / second["direct"], 3),
        "of_monai": round(second["monai"] / second["sandbox"], 1),
        "sandbox_share": round(1 - second["direct"] / second["sandbox"], 3),
        "two_of_one": round(second["sandbox"] / second["two_workers"], 2),
    }


def write_requests(folder: Path, kind: str) -> list[dict[str, Any]]:
    """The files of a kind, as they are asked for."""
    side, count, together = KINDS[kind]
    files = [
        str(_write_image(folder / f"{kind}{number}.dcm", side, kind[:2], number, together))
        for number in range(count)
    ]
    return [
        {"files": files[n : n + together], "slices": together, **ASKED}
        for n in range(0, count, together)
    ]


def _floor(file: Path, side: int) -> np.ndarray:
    content = file.read_bytes()
    plane = np.frombuffer(content, np.uint16, side * side, len(content) - 2 * side * side).reshape(
        side, side
    )
    return cv2.resize(plane, (SIZE, SIZE), interpolation=cv2.INTER_AREA)


def _monai() -> Callable[[str], object]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from monai.transforms import Compose, EnsureChannelFirst, LoadImage, Resize

    return Compose(
        [
            LoadImage(reader="PydicomReader", image_only=True),
            EnsureChannelFirst(),
            Resize((SIZE, SIZE), mode="area"),
        ]
    )


def _write_image(file: Path, side: int, kind: str, seed: int, together: int) -> Path:
    """An image with a header of ordinary length: a hundred elements, some of them private;
    `together` of them are a series.
    """
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, generate_uid()
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=[f"{seed // together}"])
    dataset.Modality, dataset.StudyDate = kind, "20240101"
    dataset.PatientID, dataset.PatientName = f"p{seed // together}", "Phantom"
    dataset.ImageType, dataset.PixelSpacing = ["ORIGINAL", "PRIMARY"], [0.5, 0.5]
    dataset.ImagePositionPatient = [0, 0, 2 * seed]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.RescaleSlope, dataset.RescaleIntercept = "1", "-1024"
    dataset.Rows = dataset.Columns = side
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    block = dataset.private_block(0x0099, "BENCHMARK", create=True)
    for number in range(75):
        block.add_new(number, "LO", f"a private value {number}")
    smooth = cv2.resize(
        np.random.default_rng(seed).integers(0, 4096, (side // 16, side // 16)).astype(np.float32),
        (side, side),
    )
    dataset.PixelData = np.clip(smooth, 0, 4095).astype(np.uint16).tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.save_as(file, enforce_file_format=True)
    return file


def main() -> int:
    """Measure, print, and say by the exit code whether the aims are met."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        found = {kind: measure_reading(Path(folder), kind) for kind in KINDS}
    if asked.json:
        print(json.dumps({"benchmark": "reading", "reading": found}))
    else:
        _say(found)
    met = all(
        f["of_floor"] >= LEAST_OF_FLOOR
        and f["of_monai"] >= LEAST_OF_MONAI
        and f["sandbox_share"] <= MOST_SHARE
        for f in found.values()
    )
    return int(not met)


def _say(reading: dict[str, dict[str, float]]) -> None:
    for kind, found in reading.items():
        side = KINDS[kind][0]
        print(
            f"{kind} {side} x {side}: {found['sandbox_files_per_s']} files/s in the sandbox, "
            f"{found['floor_files_per_s']} bare files: "
            f"{found['of_floor']:.2f} of the floor (at least {LEAST_OF_FLOOR}), "
            f"{found['of_monai']:.0f} times MONAI (at least {LEAST_OF_MONAI:.0f}), "
            f"sandbox {100 * found['sandbox_share']:.0f} % of it (at most {100 * MOST_SHARE:.0f} "
            f"%), two workers {found['two_of_one']:.2f} times one"
        )


if __name__ == "__main__":
    sys.exit(main())
