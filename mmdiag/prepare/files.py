"""Fitted state on the disk: preparation.json says what each modality's is, preparation.safetensors
holds its arrays.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from mmdiag.prepare.preparation import Preparation
from mmdiag.prepare.validate import checked_preparation
from mmdiag.workspace import write_text

EMPTY = "empty"  # safetensors has no file without an array


def write_preparations(folder: Path, preparations: Mapping[str, Preparation]) -> None:
    """Write the fitted state of each modality into a folder."""
    write_text(
        folder / "preparation.json",
        json.dumps({name: p.config() for name, p in preparations.items()}, indent=1),
    )
    arrays = {
        f"{name}/{key}": value
        for name, p in preparations.items()
        for key, value in p.state().items()
    }
    save_file(arrays or {EMPTY: np.zeros(0, np.float32)}, folder / "preparation.safetensors")


def read_preparations(folder: Path) -> dict[str, Preparation]:
    """What `write_preparations` wrote, in its order.

    Raises:
        ValueError: It is not what could have been written; in words that may be shown.
    """
    try:
        arrays = load_file(folder / "preparation.safetensors")
        described = json.loads((folder / "preparation.json").read_text(encoding="utf-8"))
    except (SafetensorError, ValueError, RecursionError):
        raise ValueError("the fitted state cannot be read") from None
    if not isinstance(described, dict):
        raise ValueError("preparation.json is no object")
    owners = {key.partition("/")[0] for key in arrays} - {EMPTY}
    if not owners <= set(described):
        raise ValueError("there are arrays of a modality that is not described")
    return {
        name: checked_preparation(
            settings,
            {
                key.removeprefix(f"{name}/"): value
                for key, value in arrays.items()
                if key.startswith(f"{name}/")
            },
        )
        for name, settings in described.items()
    }
