"""FHIR JSON as plain dictionaries: bundles and bulk-data ndjson, parsed strictly, one resource at a
time.

Duplicate keys, NaN, deep nesting and endless lines are refused, because two programs would read two
different patients from them.

Reference:
    FHIR R4 2.6.2 (JSON), 3.3.1 (Bundle), Bulk Data Access IG 2.0 (ndjson).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmdiag.errors import UsageError
from mmdiag.exchange.fhir.accounting import LeftOut
from mmdiag.readers.documents.strict_json import NotStrict, parse_json

LARGEST_BUNDLE = 512 * 2**20  # bytes
LONGEST_LINE = 64 * 2**20  # bytes of one resource
BUNDLES = ("collection", "document", "searchset", "transaction", "batch", "message")


@dataclass(frozen=True, slots=True)
class ExportedResource:
    """One resource of an export, or why there is none.

    Args:
        body: The resource; empty where it could not be read.
        url: Its address within a bundle.
        refused: Why it could not be read, by a key of `accounting.WHY`.
    """

    body: Mapping[str, Any]
    url: str | None = None
    refused: str | None = None


def read_export(export: Path) -> Iterator[ExportedResource]:
    """Every resource of a bundle, of an ndjson file, or of all such files of a folder.

    Raises:
        UsageError: There is no such file, or a bundle is not one.
    """
    files = (
        sorted(path for path in export.iterdir() if path.suffix in (".json", ".ndjson"))
        if export.is_dir()
        else [export]
    )
    if not any(file.is_file() for file in files):
        raise UsageError(
            f"A FHIR export is a bundle (.json) or a folder of .ndjson files, {export.name} is "
            "neither: name the file or folder."
        )
    for file in files:
        yield from _lines(file) if file.suffix == ".ndjson" else _bundle(file)


def parse(text: str) -> Any:
    """Parse JSON strictly.

    Raises:
        LeftOut: `not_json`, `duplicate_key`, `not_a_number` or `too_deep`.
    """
    try:
        return parse_json(text)
    except NotStrict as fault:
        raise LeftOut(fault.why) from None


def _bundle(file: Path) -> Iterator[ExportedResource]:
    if file.stat().st_size > LARGEST_BUNDLE:
        raise UsageError(
            f"A bundle has at most {LARGEST_BUNDLE >> 20} MB, {file.name} has more: export "
            "ndjson, which is read line by line."
        )
    try:
        body = parse(file.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError:
        raise UsageError(f"FHIR JSON is UTF-8, {file.name} is not: export it again.") from None
    except LeftOut as refusal:
        raise UsageError(
            f"A bundle is strict JSON, {file.name} is not ({refusal}): export it again."
        ) from None
    if not isinstance(body, dict) or "resourceType" not in body:
        yield ExportedResource({}, refused="not_fhir")  # such as the manifest of a bulk export
        return
    if body["resourceType"] != "Bundle":
        yield ExportedResource(body)
        return
    if body.get("type") not in BUNDLES:
        raise UsageError(
            f"A bundle's type is one of {', '.join(BUNDLES)}, that of {file.name} is not: a "
            "history holds states that no longer hold."
        )
    entries = body.get("entry", [])
    for entry in entries if isinstance(entries, list) else [None]:
        resource = entry.get("resource") if isinstance(entry, dict) else None
        url = entry.get("fullUrl") if isinstance(entry, dict) else None
        if isinstance(resource, dict) and (url is None or isinstance(url, str)):
            yield ExportedResource(resource, url)
        else:
            yield ExportedResource({}, refused="not_fhir")


def _lines(file: Path) -> Iterator[ExportedResource]:
    with file.open("rb") as lines:
        while line := lines.readline(LONGEST_LINE + 1):
            if len(line) > LONGEST_LINE:
                while line and not line.endswith(b"\n"):
                    line = lines.readline(LONGEST_LINE)
                yield ExportedResource({}, refused="too_large")
            elif line.strip():
                yield _line(line)


def _line(line: bytes) -> ExportedResource:
    try:
        body = parse(line.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return ExportedResource({}, refused="not_json")
    except LeftOut as refusal:
        return ExportedResource({}, refused=refusal.why)
    return (
        ExportedResource(body)
        if isinstance(body, dict) and "resourceType" in body
        else ExportedResource({}, refused="not_fhir")
    )
