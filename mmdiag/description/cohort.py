"""`cohort.toml` as one frozen value, and its hash."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmdiag.description.modality import ModalityDescription
from mmdiag.description.task import TaskDescription


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A whole `cohort.toml`.

    Args:
        root: Folder that all paths are relative to.
        file: The cohort.toml.
        also_read: Folders outside of the root in which reference files may lie, resolved.
        weights_licence: Licences that pretrained weights and embeddings may have; none = any.
        sheet: Of a case table that is a workbook, the sheet; None = the only one that has cells.
        as_of: A column of the case table, or one ISO date for all.
        keep_together: Columns, or templates of columns: cases that share a value of one of them
            never stand on both sides of a split.
        group: Columns for subgroup reports, never model inputs.
        identifiers: Columns of the case table, or one CSV with case_id and value, that hold what
            identifies a person: masked in the notes, never stored.
        incomplete: What becomes of a case of which one modality is refused: `keep` it with the
            others, or `refuse` it.
    """

    name: str
    root: Path
    file: Path
    table: Path
    case_id: str
    subject_id: str
    sheet: str | None = None
    as_of: str | None = None
    site: str | None = None
    keep_together: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    identifiers: tuple[str, ...] = ()
    incomplete: str = "keep"
    also_read: tuple[Path, ...] = ()
    weights_licence: tuple[str, ...] = ()
    task: TaskDescription
    modalities: Mapping[str, ModalityDescription]

    def option(self, key: str) -> dict[str, Any]:
        """Modality -> what it says under a key of its kind; None where it says nothing."""
        return {name: modality.options.get(key) for name, modality in self.modalities.items()}

    def allows(self, licence: str) -> bool:
        """Whether weights and embeddings under these terms may be used; names of licences are alike
        in upper and lower case.
        """
        allowed = {one.casefold() for one in self.weights_licence}
        return not allowed or licence.casefold() in allowed

    def hash(self) -> str:
        """SHA-256 of everything that changes what ingestion writes."""
        facts = {name: modality.facts() for name, modality in self.modalities.items()}
        return (
            "sha256:"
            + hashlib.sha256(
                json.dumps([self.name, facts, self.task.facts()], sort_keys=True).encode()
            ).hexdigest()
        )
