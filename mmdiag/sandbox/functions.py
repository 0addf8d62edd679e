"""The closed list of functions that a worker of the sandbox runs; each is imported at its first
use, because some lie in packages above this one.
"""

import importlib
from collections.abc import Callable
from typing import Any

from mmdiag.errors import UnknownNameError

SECONDS_A_NOTE = 60.0  # to read and mask one; a worker reads the name lists with its first
FUNCTIONS: dict[str, str] = (
    {
        name: f"mmdiag.sandbox.requests:{name}"
        for name in (
            "image",
            "note",
            "note_text",
            "masked_note",
            "case_table",
            "dicom_verdict",
            "picture_verdict",
            "nifti_verdict",
            "volume_verdict",
            "signal_verdict",
            "note_verdict",
            "table_verdict",
            "matrix_verdict",
            "mutations_verdict",
            "variants_verdict",
            "archive_verdict",
        )
    }
    | {
        name: f"mmdiag.sandbox.table_requests:{name}"
        for name in (
            "case_cells",
            "table_cells",
            "table_facts",
            "sheets",
            "checked_cells",
            "keyed_cells",
            "header",
            "key_counts",
            "row_digests",
            "numbers",
            "approved",
            "gene_sets",
        )
    }
    | {
        name: f"mmdiag.sandbox.embedding_requests:{name}"
        for name in ("embedding", "embedding_width", "embedding_verdict", "embedding_table")
    }
    | {name: f"mmdiag.sandbox.event_requests:{name}" for name in ("events", "event_names")}
    | {
        "signal": "mmdiag.sandbox.signal_request:signal",
        "signal_channels": "mmdiag.sandbox.signal_request:signal_channels",
        "deidentified_dicom": "mmdiag.deidentify.dicom:deidentified_dicom",
        "dicom_identifiers": "mmdiag.deidentify.dicom:dicom_identifiers",
    }
)


def function_named(name: str) -> Callable[..., Any]:
    """The function that a request names; it answers with facts (what JSON has) and arrays.

    Raises:
        UnknownNameError: It is not on the list.
    """
    if name not in FUNCTIONS:
        raise UnknownNameError("A function that the sandbox runs", name, FUNCTIONS)
    module, _, function = FUNCTIONS[name].partition(":")
    named: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return named
