"""Where the full explanation of a case lies: of a bundle and a version of the case, whoever asked
for it; a file of maps and a file of words and genes.
"""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mmdiag.workspace import Workspace, atomic_path, write_text


def explanation_path(workspace: Workspace, bundle_id: str, case_id: str, version: str) -> Path:
    """Where it is written, without its suffix; the name says nothing of the case."""
    key = hashlib.sha256(f"{case_id}\n{version}".encode()).hexdigest()[:16]
    return workspace.path / "explanations" / bundle_id / key


def earlier_path(run: Path, case_id: str) -> Path:
    """Where an earlier version of mmdiag wrote the explanations of a run, which are still read."""
    return run / "explanations" / "cases" / hashlib.sha256(case_id.encode()).hexdigest()[:16]


def is_whole(path: Path) -> bool:
    """Whether both files of an explanation are there and can be read."""
    try:
        json.loads(path.with_suffix(".json").read_text())
        with np.load(path.with_suffix(".npz")) as arrays:
            return all(arrays[name].ndim for name in arrays.files)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error):
        return False


def keep(
    path: Path,
    case_id: str,
    heat: Mapping[str, Float[ndarray, "..."]],
    values: Mapping[str, Mapping[str, Any]],
) -> None:
    """Write an explanation; the file that says that it is there comes last."""
    maps: dict[str, Any] = {f"heat_{name}": one for name, one in heat.items()}
    with atomic_path(path.with_suffix(".npz")) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **maps)
    write_text(path.with_suffix(".json"), json.dumps({"case_id": case_id, **values}))


def kept_values(path: Path) -> dict[str, Any]:
    """Kind -> modality -> what is explained of it; and `case_id`."""
    found: dict[str, Any] = json.loads(path.with_suffix(".json").read_text())
    return found


def kept_heat(path: Path) -> dict[str, Float[ndarray, "..."]]:
    """Modality -> its map."""
    with np.load(path.with_suffix(".npz")) as arrays:
        return {name.removeprefix("heat_"): arrays[name] for name in arrays.files}
