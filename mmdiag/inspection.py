"""A verdict on each file: would it be read, and if not, why. Writes nothing."""

import resource
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from mmdiag.contracts import Contract, hold, read_contract
from mmdiag.errors import DescriptionError, ReadError
from mmdiag.readers.dicom import check_file
from mmdiag.readers.notes import read_note
from mmdiag.readers.pictures import read_nifti, read_picture
from mmdiag.readers.tables import read_any_table

PICTURES = (".png", ".jpg", ".jpeg")
TABLES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet")
PREAMBLE = 128  # bytes before the DICM prefix (PS3.10 7.1)


def inspect(paths: Sequence[Path], contract: Path | None = None) -> Iterator[dict[str, Any]]:
    """Give a verdict on every file below some paths.

    Args:
        contract: A data contract that tables are held against too.

    Yields:
        `path, kind, verdict (accepted or quarantined), code, seconds, peak_mb`: code is a key of `mmdiag.reasons.REASONS`, empty where accepted.
    """
    held = read_contract(contract) if contract else None
    for path in paths:
        for file in sorted(child for child in path.rglob("*") if child.is_file()) if path.is_dir() else [path]:
            yield _verdict(file, held)


def _verdict(file: Path, contract: Contract | None) -> dict[str, Any]:
    began, kind, code = time.perf_counter(), kind_of(file), ""
    try:
        CHECKS[kind](file, contract)
    except ReadError as refusal:
        code = refusal.code
    except DescriptionError:
        code = "unreadable"
    seconds = round(time.perf_counter() - began, 4)
    peak = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
    return {
        "path": str(file),
        "kind": kind,
        "verdict": "quarantined" if code else "accepted",
        "code": code,
        "seconds": seconds,
        "peak_mb": peak,
    }


def kind_of(file: Path) -> str:
    """`dicom`, `picture`, `nifti`, `table` or `note`: by content where it says, else by suffix; what says nothing is taken for DICOM."""
    name = file.name.lower()
    with file.open("rb") as content:
        head = content.read(PREAMBLE + 4)
    if head[PREAMBLE:] == b"DICM" or name.endswith((".dcm", ".dicom", ".ima")):
        return "dicom"
    for kind, suffixes in (("picture", PICTURES), ("nifti", (".nii", ".nii.gz")), ("table", TABLES), ("note", (".txt", ".text", ".md"))):
        if name.endswith(suffixes):
            return kind
    return "dicom"


def _table(file: Path, contract: Contract | None) -> None:
    table = read_any_table(file)
    if contract is None:
        return
    numbers = [name for name, column in contract.columns.items() if column.type in ("number", "integer") and name in table]
    typed = table.replace("", None).assign(**{name: pd.to_numeric(table[name].replace("", None), errors="coerce") for name in numbers})
    wrong = any((typed[name].isna() & (table[name] != "")).any() for name in numbers)
    if wrong or any(not result.passed and result.severity != "warn" for result in hold(typed, contract)):
        raise ReadError("contract", file.name)


CHECKS: dict[str, Callable[[Path, Contract | None], Any]] = {
    "dicom": lambda file, _: check_file(file),
    "picture": lambda file, _: read_picture(file),
    "nifti": lambda file, _: read_nifti(file),
    "note": lambda file, _: read_note(file),
    "table": _table,
}
