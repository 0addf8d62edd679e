"""Fitted state on the disk: preparation.json says what each modality's is, preparation.safetensors
holds its arrays.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from mmdiag.prepare.preparation import Preparation, restore_preparation
from mmdiag.workspace import write_text


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
    save_file(arrays or {"empty": np.zeros(0, np.float32)}, folder / "preparation.safetensors")


def read_preparations(folder: Path) -> dict[str, Preparation]:
    """What `write_preparations` wrote, in its order."""
    arrays = load_file(folder / "preparation.safetensors")
    return {
        name: restore_preparation(
            settings,
            {
                key.removeprefix(f"{name}/"): value
                for key, value in arrays.items()
                if key.startswith(f"{name}/")
            },
        )
        for name, settings in json.loads((folder / "preparation.json").read_text()).items()
    }
