"""How many cases and modalities of a cohort were received, accepted and refused, beside its cases:
what a model card says of them.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdiag.workspace import write_text

FILE = "counts.json"
OF_CASES = ("in", "accepted", "quarantined", "labelled")
OF_MODALITIES = ("present", "absent", "quarantined")


def write_counts(
    folder: Path, cases: Mapping[str, int], modalities: Mapping[str, Mapping[str, Any]]
) -> None:
    """Write what does not depend on when a cohort was ingested."""
    found = {
        "cases": {name: cases[name] for name in OF_CASES},
        "modalities": {
            modality: {name: counts[name] for name in OF_MODALITIES}
            for modality, counts in modalities.items()
        },
    }
    write_text(folder / FILE, json.dumps(found, indent=1))


def read_counts(folder: Path) -> dict[str, Any]:
    """`cases` and `modalities`, as `write_counts` has them; empty where an earlier version ingested
    the cohort.
    """
    file = folder / FILE
    found: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    return found
