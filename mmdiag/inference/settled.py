"""What `score` answers where there is nothing to score, without loading the model: what a bundle is
asked for is told by its manifest and its plain files.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmdiag.cohort.labels import labelled
from mmdiag.inference.manifest import read_json_object, read_manifest
from mmdiag.inference.pending import pending
from mmdiag.inference.prediction_table import write_scored
from mmdiag.inference.shift import abstained_by_reason, new_sites, shift_of, usual_halves
from mmdiag.privacy.subject_keys import SubjectKeys, workspace_key
from mmdiag.storage.ledger import Ledger
from mmdiag.storage.store import Store
from mmdiag.workspace import Workspace, write_text

FILE = "scored.json"  # beside a cohort: bundle -> what scoring said of its columns


@dataclass(frozen=True, slots=True)
class PlainBundle:
    """What a bundle says of itself in plain words.

    Args:
        wanted: Table modality -> the columns that it reads.
        subjects: All subjects that it learned from.
    """

    id: str
    folder: Path
    wanted: Mapping[str, list[str]]
    subjects: tuple[SubjectKeys, ...]

    @staticmethod
    def read(folder: Path, ledger: Ledger | None) -> "PlainBundle | None":
        """Read a bundle whose files are those of its manifest; None where its plain files are of
        an earlier version, or none that could have been written.

        Raises:
            BundleError: It is none, or was changed.
        """
        manifest = read_manifest(folder, ledger.bundle_files if ledger else None)
        described = read_json_object(folder, "config.json")
        prepared = read_json_object(folder, "preparation.json")
        try:
            learned = (described["trained_on"], *described.get("pretrained_on", ()))
            wanted = {
                name: [*found["columns"], *found.get("categories", {})]
                for name, found in prepared.items()
                if found["columns"]
            }
            subjects = tuple(map(SubjectKeys.from_json, learned))
        except (KeyError, TypeError, ValueError, AttributeError):
            return None
        return PlainBundle(manifest.id, folder, wanted, subjects)


def remember_columns(folder: Path, bundle_id: str, columns: Any) -> None:
    """Keep what scoring said of the columns of a cohort as it is.

    Args:
        folder: The cohort's folder in the workspace.
        columns: None = nothing had to be said.
    """
    known = _said(folder)
    write_text(folder / FILE, json.dumps(known | {bundle_id: columns}))


def answered_before(
    bundle: PlainBundle,
    workspace: Workspace,
    ledger: Ledger,
    cohort: str,
    out: Path,
    *,
    contributions: bool = True,
    only_open: bool = False,
    reviewed: Collection[tuple[str, str]] = (),
) -> dict[str, Any] | None:
    """The answer of `mmdiag.inference.score.score_cases` for an ingested cohort that has not
    changed since this bundle scored it; None where something is left to do.
    """
    store, key = Store.open(workspace, cohort), workspace_key(workspace.path)
    said = _said(store.folder)
    todo = pending(
        store,
        ledger,
        bundle.id,
        bundle.subjects,
        key,
        contributions=contributions,
        only_open=only_open,
        reviewed=reviewed,
    )
    if not todo.nothing or bundle.id not in said:
        return None
    scored = write_scored(ledger, bundle.id, cohort, todo.versions, out)
    told = [subjects.holds("", key) for subjects in bundle.subjects]
    return {
        "scored": 0,
        "already_scored": len(todo.asked),
        "left_out": dict(todo.left_out),
        "labelled": int(labelled(store.cases, store.task.kind).sum()),
        "abstained": abstained_by_reason(scored),
        "shift": shift_of(scored, usual_halves(bundle.folder)),
        "new_sites": new_sites(store.cases["site"].iloc[list(todo.asked)], bundle.folder),
        "training_known": None not in told,
        "bundle": {"id": bundle.id, "path": str(bundle.folder)},
        "predictions": str(out),
        **({"columns": said[bundle.id]} if said[bundle.id] else {}),
    }


def _said(folder: Path) -> dict[str, Any]:
    """Bundle -> what was said; nothing where the cohort has changed since."""
    file, cases = folder / FILE, folder / "cases.parquet"
    if not file.is_file() or file.stat().st_mtime_ns <= cases.stat().st_mtime_ns:
        return {}
    found: dict[str, Any] = json.loads(file.read_text())
    return found
