"""Score new cases with a bundle: in parts, each kept as soon as it is done, and no case twice."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from mmdiag.cohort.files import Matches
from mmdiag.cohort.labels import labelled
from mmdiag.contracts.internal_tables import validate_predictions
from mmdiag.description import Description, ModalityDescription
from mmdiag.encoders.weights import only_from_this_machine
from mmdiag.errors import UsageError
from mmdiag.inference.bundle import Bundle
from mmdiag.inference.columns import (
    Alignment,
    align,
    require_common,
)
from mmdiag.inference.embeddings import require_same_embeddings, require_stored_embeddings
from mmdiag.inference.pending import pending, role_of
from mmdiag.inference.predict import diagnose
from mmdiag.inference.prediction_table import recorded_columns, with_abstentions, write_scored
from mmdiag.inference.settled import remember_columns
from mmdiag.inference.shift import abstained_by_reason, new_sites, shift_of, usual_halves
from mmdiag.prepare import extractor, require_same_features
from mmdiag.prepare.batches import prepare_samples
from mmdiag.prepare.feature_cache import raw_features
from mmdiag.prepare.sources import require_bundle_licences
from mmdiag.privacy.subject_keys import workspace_key
from mmdiag.progress import Progress
from mmdiag.readers.genomics.expression_matrix import is_matrix
from mmdiag.readers.genomics.maf import is_maf
from mmdiag.readers.tables.delimited import as_description_error
from mmdiag.readers.tables.form import form_of
from mmdiag.record.model_task import require_same_question
from mmdiag.record.notify import UNLIKE, notify
from mmdiag.sandbox.tables import table_header
from mmdiag.storage.ledger import Ledger
from mmdiag.storage.store import Store
from mmdiag.workspace import Workspace

PART = 1024  # cases between two commits to the ledger


def open_bundle(folder: Path, description: Description, ledger: Ledger | None) -> Bundle:
    """Load a bundle and see whether it can score a cohort here, before anything is written.

    Args:
        ledger: Whose record of the bundle's files is held against them, if there is one.

    Raises:
        BundleError: The bundle was changed, or is none.
        UsageError: The cohort's modalities are not the bundle's, a table has none of its columns,
            its embeddings are of another encoder, revision or width, a licence is not allowed, or
            the weights that make features here are not those that it was fitted with, or not on
            this machine.
    """
    bundle = Bundle.load(folder, ledger.bundle_files if ledger else None)
    _require_kinds(bundle, {name: m.kind for name, m in description.modalities.items()})
    for name, wanted in wanted_columns(bundle).items():
        modality = description.modalities[name]
        if modality.key and not modality.gene_names and "{" not in modality.path:
            _require_header(description, modality, wanted)
    require_same_embeddings(bundle, description)
    require_bundle_licences(description, bundle.preparations)
    with only_from_this_machine():
        require_same_features(bundle.config, bundle.preparations)
    return bundle


def wanted_columns(bundle: Bundle) -> dict[str, list[str]]:
    """Table modality -> the columns that a bundle reads, for `mmdiag.ingest.plan.plan`."""
    return {
        name: [*preparation.columns, *preparation.categories]
        for name, preparation in bundle.preparations.items()
        if preparation.columns
    }


@dataclass(frozen=True, slots=True)
class Scored:
    """What came of scoring.

    Args:
        answer: What `score` returns.
        meant: What the bundle has said, now or before, of the cases that were meant: the columns of
            predictions.parquet.
    """

    answer: dict[str, Any]
    meant: pd.DataFrame


def score_cases(
    bundle: Bundle,
    description: Description,
    workspace: Workspace,
    ledger: Ledger,
    out: Path,
    progress: Progress | None = None,
    *,
    contributions: bool = True,
    only_open: bool = False,
    reviewed: Collection[tuple[str, str]] = (),
) -> Scored:
    """Score the accepted cases of an ingested cohort that this bundle has not scored yet.

    Args:
        out: Parquet with every case of the cohort that this bundle has scored, now or before.
        contributions: Whether each answer is given with what each modality contributed; a later
            call adds that to answers that were given without.
        only_open: Only cases of role `new` that have no label and no review.
        reviewed: case_id and version of the cases that have a review.

    Returns:
        `scored`, `already_scored`, `labelled`, `bundle` and `predictions` of the answer in
        docs/interface.md 3, and the rows that were meant.

    Raises:
        UsageError: The cohort's modalities are not the bundle's, or it asks for something else now.
    """
    store, key = Store.open(workspace, description.name), workspace_key(workspace.path)
    _require_same(bundle, store)
    which = {"contributions": contributions, "only_open": only_open}
    todo = pending(store, ledger, bundle.id, bundle.subjects, key, **which, reviewed=reviewed)
    aligned = by_bundle_columns(bundle, store)
    parts = _Parts(bundle, store, aligned, key, progress)
    for table in parts.of(todo.new, contributions=contributions):
        ledger.record_predictions(description.name, table)
    for table in parts.of(todo.unexplained, contributions=True):
        ledger.record_contributions(description.name, table)
    scored = write_scored(ledger, bundle.id, description.name, todo.versions, out)
    said = said_of(aligned)
    remember_columns(store.folder, bundle.id, said or None)
    answer = {
        "scored": len(todo.new),
        "already_scored": len(todo.asked) - len(todo.new),
        "left_out": dict(todo.left_out),
        "labelled": int(labelled(store.cases, store.task.kind).sum()),
        **_of_all(scored, description.name, len(todo.new), bundle.folder),
        "new_sites": new_sites(store.cases["site"].iloc[list(todo.asked)], bundle.folder),
        "training_known": bundle.learned_from("", key) is not None,
        "bundle": {"id": bundle.id, "path": str(bundle.folder)},
        "predictions": str(out),
        **({"columns": said} if said else {}),
    }
    meant = {todo.versions[row][0] for row in todo.asked}
    return Scored(answer, scored[scored["case_id"].isin(meant)])


def _of_all(scored: pd.DataFrame, cohort: str, new: int, folder: Path | None) -> dict[str, Any]:
    """How many of all answers are abstained from and why, and how unlike the training they are."""
    shift = shift_of(scored, usual_halves(folder))
    _tell_unlike(cohort, new, shift)
    return {"abstained": abstained_by_reason(scored), "shift": shift}


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a bundle says of a cohort, part after part: each is checked before it is given, and is
    recorded before the next one is begun.
    """

    bundle: Bundle
    store: Store
    aligned: Mapping[str, Alignment]
    key: bytes | None
    progress: Progress | None = None

    def of(self, rows: Sequence[int], *, contributions: bool) -> Iterator[pd.DataFrame]:
        """The predictions of some rows of the case table."""
        for start in range(0, len(rows), PART):
            part = list(rows[start : start + PART])
            raws = features_of(self.bundle, self.store, self.aligned, self.progress, part)
            table = score_rows(
                self.bundle, self.store, raws, part, self.key, contributions=contributions
            )
            validate_predictions(table, exclusive=not self.bundle.task.multilabel)
            yield table
            if self.progress:
                self.progress(start + len(part), len(rows), "scored")


def _tell_unlike(cohort: str, scored: int, shift: dict[str, dict[str, Any]]) -> None:
    """Tell somebody of a batch that is unlike the training, if it has a new case."""
    unlike = {name: found["cases"] for name, found in shift.items() if found["unlike"]}
    if scored and unlike:
        notify(UNLIKE, cohort, {"scored": scored, **unlike})


def answer_rows(
    bundle: Bundle,
    store: Store,
    rows: list[int],
    key: bytes | None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """What a bundle says of some cases of a cohort, in the columns of predictions.parquet; nothing
    is recorded.

    Raises:
        UsageError: The cohort's modalities are not the bundle's.
    """
    _require_kinds(bundle, store.modalities)
    require_stored_embeddings(bundle, store)
    aligned, parts = by_bundle_columns(bundle, store), []
    for start in range(0, len(rows), PART):
        part = rows[start : start + PART]
        raws = features_of(bundle, store, aligned, progress, part)
        parts.append(score_rows(bundle, store, raws, part, key))
        if progress:
            progress(start + len(part), len(rows), "scored")
    return pd.concat(parts, ignore_index=True)


def features_of(
    bundle: Bundle,
    store: Store,
    aligned: Mapping[str, Alignment],
    progress: Progress | None = None,
    rows: Sequence[int] | None = None,
) -> dict[str, Any]:
    """What a bundle reads of the cases of a cohort; weights come from this machine alone.

    Args:
        rows: Rows of the case table that are wanted; None = all.
    """
    with only_from_this_machine():
        raws: dict[str, Any] = {
            name: raw_features(
                store,
                name,
                extractor(kind, bundle.config),
                colour=bundle.preparations[name].colour,
                only=rows,
                progress=progress,
            )
            for name, kind in bundle.kinds.items()
        }
    for name, alignment in aligned.items():
        raws[name] = [
            row if there else None
            for row, there in zip(alignment.values, store.present(name), strict=True)
        ]
    return raws


def _require_same(bundle: Bundle, store: Store) -> None:
    """Does a cohort have what the bundle reads, and ask what it answers?"""
    _require_kinds(bundle, store.modalities)
    require_stored_embeddings(bundle, store)
    if bundle.cohort["name"] == store.folder.name:
        require_same_question(bundle.task, store.task, bundle.id, store.folder.name)


def _require_kinds(bundle: Bundle, modalities: Mapping[str, str]) -> None:
    unknown = [name for name, kind in bundle.kinds.items() if modalities.get(name) != kind]
    if unknown:
        raise UsageError(
            "A cohort to score describes the modalities that the bundle was trained on, "
            f"{', '.join(unknown)} differ or are missing: name them alike in cohort.toml; the "
            "path of one that no case has leads to an empty folder, or to a table without a row "
            "of theirs."
        )


def _require_header(
    description: Description, modality: ModalityDescription, wanted: list[str]
) -> None:
    with as_description_error():
        files = Matches(description.root).of(modality.path)
    if files and not any(is_matrix(file) or is_maf(file) for file in files):
        form = form_of(modality)
        header = [column for file in files for column in table_header(file, form)]
        require_common(modality.name, header, wanted)


def by_bundle_columns(bundle: Bundle, store: Store) -> dict[str, Alignment]:
    """The tables of a cohort under the columns of the bundle."""
    return {
        name: align(store, name, preparation)
        for name, preparation in bundle.preparations.items()
        if preparation.columns and store.present(name).any()
    }


def said_of(aligned: Mapping[str, Alignment]) -> dict[str, Any]:
    """`columns` of docs/interface.md 3: of each table whose columns are not the bundle's."""
    answers = {name: alignment.answer() for name, alignment in aligned.items()}
    return {name: answer for name, answer in answers.items() if answer}


def score_rows(
    bundle: Bundle,
    store: Store,
    raws: dict[str, Any],
    rows: list[int],
    key: bytes | None,
    *,
    contributions: bool = True,
) -> pd.DataFrame:
    """The predictions of some rows of a cohort, in the columns of predictions.parquet, with
    `version`, the weights, and how modalities attend and act together.
    """
    samples = prepare_samples(bundle.preparations, raws, rows)
    table = diagnose(bundle, samples, contributions=contributions)
    cases = store.cases.iloc[rows]
    for name in ("case_id", "subject_id", "as_of", "version"):
        table[name] = cases[name].to_numpy()
    table["bundle_id"] = bundle.id
    table["role"] = [role_of(subject, bundle.subjects, key) for subject in cases["subject_id"]]
    present = {name: store.present(name)[rows] for name in bundle.kinds}
    table["modalities"] = [[name for name in present if present[name][i]] for i in range(len(rows))]
    table = with_abstentions(table, [bundle.met(names) for names in table["modalities"]])
    table["scored_at"] = datetime.now(UTC).isoformat(timespec="milliseconds")
    return recorded_columns(table)
