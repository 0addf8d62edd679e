"""A verdict on each file: would it be read, and if not, why. Every file is read in the sandbox;
nothing is written.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from mmdiag.contracts.contract import read_contract
from mmdiag.contracts.rules import Contract
from mmdiag.contracts.validate import validate
from mmdiag.errors import DescriptionError, ReadError
from mmdiag.readers.archives import HEAD, archive_form
from mmdiag.readers.detached import data_files
from mmdiag.readers.embeddings import FILES
from mmdiag.readers.imaging.raster_nifti import PICTURES
from mmdiag.readers.imaging.research import RESEARCH
from mmdiag.readers.signals.edf import EDF
from mmdiag.readers.signals.wav import WAV
from mmdiag.readers.signals.wfdb_record import WFDB
from mmdiag.readers.tables.numbers import strict_numbers
from mmdiag.readers.workbooks.book import BOOKS
from mmdiag.regular_files import NOT_A_FILE, open_regular
from mmdiag.sandbox.pool import Outcome, Sandbox, shared_sandbox
from mmdiag.sandbox.tables import check_table

PREAMBLE = 128  # bytes before the DICM prefix (PS3.10 7.1)
KINDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("picture", PICTURES),
    ("nifti", (".nii", ".nii.gz")),
    ("volume", RESEARCH),
    ("signal", (*WAV, *EDF, WFDB)),
    ("embedding", FILES),
    ("variants", (".vcf", ".vcf.gz", ".vcf.bgz")),
    ("mutations", (".maf", ".maf.gz")),
    ("matrix", (".gct", ".gct.gz", ".h5ad")),
    ("table", (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet", *BOOKS)),
    (
        "note",
        (
            *(".txt", ".text", ".md", ".rtf", ".html", ".htm", ".pdf", ".docx"),
            *(".xml", ".json", ".yaml", ".yml"),
        ),
    ),
)


TABLES = ("variants", "mutations", "matrix", "table")


def inspect(
    paths: Sequence[Path], contract: Path | None = None, *, sandbox: Sandbox | None = None
) -> Iterator[dict[str, Any]]:
    """Give a verdict on every file below some paths.

    Args:
        contract: A data contract that tables are validated against too.

    Yields:
        `path, kind, verdict (accepted or quarantined), code, detail, seconds, peak_mb`: code is a
        key of `mmdiag.reasons.REASONS`, empty where accepted.
    """
    expected = read_contract(contract) if contract else None
    pool = sandbox or shared_sandbox()
    files = [
        file
        for path in paths
        for file in (
            sorted(child for child in path.rglob("*") if not child.is_dir())
            if path.is_dir()
            else [path]
        )
    ]
    headers = {data: file for file in files for data in data_files(file)}  # read with them
    looked = [_look(headers.get(file, file)) for file in files]
    asked: list[dict[str, Any]] = [
        {"function": f"{kind}_verdict", "file": str(headers.get(file, file))}
        | (pool.limits([file]) if kind in TABLES else {})
        for file, (kind, fault) in zip(files, looked, strict=True)
        if fault is None
    ]
    keys = [name for name, column in expected.columns.items() if column.key] if expected else []
    for request in asked:
        if request["function"] == "table_verdict" and keys:
            request["key"] = keys
    outcomes = pool.each(asked)
    for file, (kind, fault) in zip(files, looked, strict=True):
        yield _verdict(file, kind, fault or next(outcomes), expected, pool)


def _look(file: Path) -> tuple[str, Outcome | None]:
    """Of which kind a file is; or, of none, why it is no file."""
    try:
        return kind_of(file), None
    except ReadError as refusal:
        return "", Outcome(code=refusal.code, detail=refusal.detail)
    except FileNotFoundError:
        if not file.is_symlink():
            raise
        return "", Outcome(code=NOT_A_FILE, detail=f"{file.name} is a link to nothing")


def _verdict(
    file: Path, kind: str, outcome: Outcome, contract: Contract | None, pool: Sandbox
) -> dict[str, Any]:
    code, detail = outcome.code, outcome.detail
    if kind == "table" and contract is not None and not code:
        try:
            _validate(file, contract, pool)
        except ReadError as refusal:
            code, detail = refusal.code, refusal.detail
        except DescriptionError:
            code, detail = "unreadable", file.name
    return {
        "path": str(file),
        "kind": kind,
        "verdict": "quarantined" if code else "accepted",
        "code": code,
        "detail": detail,
        "seconds": round(outcome.seconds, 4),
        "peak_mb": outcome.peak_mb,
    }


def kind_of(file: Path) -> str:
    """`dicom`, `picture`, `nifti`, `volume`, `signal`, `embedding`, `variants`, `mutations`,
    `matrix`, `table`, `note` or `archive`: by content where it says, else by suffix; else DICOM.

    Raises:
        ReadError: `not_a_file`.
    """
    name = file.name.lower()
    with open_regular(file) as content:
        head = content.read(HEAD)
    if head[PREAMBLE : PREAMBLE + 4] == b"DICM" or name.endswith((".dcm", ".dicom", ".ima")):
        return "dicom"
    otherwise = "archive" if archive_form(head) else "dicom"
    return next((kind for kind, suffixes in KINDS if name.endswith(suffixes)), otherwise)


def _validate(file: Path, contract: Contract, pool: Sandbox) -> None:
    """Validate a table that was checked as a file: numbers are strictly decimal,
    everything else is text.
    """
    keys = [name for name, column in contract.columns.items() if column.key]
    table = check_table(file, keys, pool)
    typed, wrong = table.astype(object).where(table != "", None), 0
    for name, column in contract.columns.items():
        if column.type in ("number", "integer") and name in table:
            typed[name], non_numeric = strict_numbers(
                pa.chunked_array([pa.array(table[name], pa.string())])
            )
            wrong += int(non_numeric.sum())
    if wrong:
        raise ReadError("table_value", f"{file.name} has {wrong} cells that are not")
    failing = [
        result
        for result in validate(typed, contract)
        if not result.passed and result.severity != "warn"
    ]
    if failing:
        raise ReadError("contract", f"{file.name}: {failing[0].column} {failing[0].rule}")
