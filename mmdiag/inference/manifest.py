"""What a bundle's folder must hold: regular files whose hashes its manifest names, and an id that
follows from these hashes.
"""

import hashlib
import json
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmdiag.errors import BundleError
from mmdiag.workspace import BUNDLE_ID, file_sha256

WEIGHTS = "model.safetensors"
FILES = (
    WEIGHTS,
    "config.json",
    "preparation.json",
    "preparation.safetensors",
    "card.md",
)
CARD_FACTS = "card.json"  # of a model that a run published; models of folds and of 0.1 have none
MANIFEST = "manifest.json"
FORMAT = 1
SHA256 = re.compile(r"[0-9a-f]{64}")
LARGEST_TEXT = 64 * 2**20  # bytes of a JSON file of a bundle; the largest seen has some 2 MB


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A manifest that holds.

    Args:
        id: `b-` and the first twelve hexadecimal digits of the SHA-256 of `files`.
        files: Name -> SHA-256.
        text: manifest.json as it stands, which is what a signature is over.
    """

    id: str
    files: Mapping[str, str]
    text: bytes


def bundle_id(files: Mapping[str, str]) -> str:
    """The id that belongs to files with these hashes."""
    text = json.dumps(dict(files), sort_keys=True)
    return f"b-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def read_manifest(
    folder: Path, known: Callable[[str], Mapping[str, str] | None] | None = None
) -> Manifest:
    """Check a bundle's files against its manifest, and its id against both.

    Args:
        known: The hashes that the ledger recorded for an id, if it knows it: an id has twelve
            digits, and other files with the same ones could be searched for.

    Raises:
        BundleError: The folder is no bundle, its manifest is damaged or of another format, a file
            is missing, a link or was changed, or the id is that of other files.
    """
    if not is_regular(folder / MANIFEST):
        raise BundleError(
            f"A bundle is a folder with {MANIFEST}, found none in {folder}: name a folder below "
            "workspace/bundles/ (`mmdiag status` lists them)."
        )
    found = read_json_object(folder, MANIFEST)
    if found.get("format") != FORMAT:
        raise BundleError(
            f"A bundle has a format that this mmdiag knows ({FORMAT}), {folder.name} says "
            "another: use the mmdiag that its manifest names, or take it from its source again."
        )
    files = _hashes(folder, found.get("files"))
    wrong = [
        name
        for name, expected in files.items()
        if not is_regular(folder / name) or file_sha256(folder / name) != expected
    ]
    if wrong:
        raise BundleError(
            "The files of a bundle must be those that were saved, changed, missing or links in "
            f"{folder.name}: {', '.join(wrong)}. Take it from its source again."
        )
    identity = found.get("id")
    own = bundle_id(files)
    if not (isinstance(identity, str) and BUNDLE_ID.fullmatch(identity) and identity == own):
        raise BundleError(
            f"The id of a bundle follows from its files, {folder.name} names one that is not "
            "theirs: the files were changed and hashed anew. Take it from its source again."
        )
    recorded = known(identity) if known else None
    if recorded is not None and dict(recorded) != dict(files):
        raise BundleError(
            f"The ledger knows {identity} with other files than those in {folder.name}: take it "
            "from its source again."
        )
    return Manifest(id=identity, files=files, text=(folder / MANIFEST).read_bytes())


def read_json_object(folder: Path, name: str) -> dict[str, Any]:
    """Read a JSON file of a bundle.

    Raises:
        BundleError: It is too large, not JSON, nested without end, or no object.
    """
    try:
        if (folder / name).stat().st_size > LARGEST_TEXT:
            raise ValueError
        found = json.loads((folder / name).read_text(encoding="utf-8"), parse_constant=_no_number)
    except (ValueError, RecursionError, OSError):
        found = None
    if not isinstance(found, dict):
        raise damaged(folder, f"{name} is no JSON object")
    return found


def damaged(folder: Path, fact: str) -> BundleError:
    """The error about a bundle whose files are not what a bundle's are."""
    return BundleError(
        f"A bundle holds what `mmdiag train` wrote, in {folder.name} {fact}: take it from its "
        "source again, or train again."
    )


def is_regular(file: Path) -> bool:
    """Whether this is a file itself: no link, pipe, device or folder."""
    try:
        return stat.S_ISREG(file.lstat().st_mode)
    except OSError:
        return False


def _hashes(folder: Path, files: Any) -> dict[str, str]:
    if not isinstance(files, dict) or set(files) - {CARD_FACTS} != set(FILES):
        raise damaged(folder, f"{MANIFEST} does not name the files of a bundle")
    if not all(isinstance(value, str) and SHA256.fullmatch(value) for value in files.values()):
        raise damaged(folder, f"{MANIFEST} has hashes that are none")
    return dict(files)


def _no_number(_: str) -> Any:
    raise ValueError  # NaN and Infinity are no JSON
