"""What was published: the ledger, the run folders and the stores, read only. Imports no torch,
monai or transformers.

What cannot be read raises `DamagedFile`, which names the file and its cure.
"""

import json
import os
import shlex
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from jaxtyping import Float32
from numpy import ndarray
from pyarrow import ArrowException
from sqlalchemy.exc import SQLAlchemyError

from mmdiag.errors import MmdiagError
from mmdiag.experiment.manifest import said_of_erased
from mmdiag.explain.kept import explanation_path, kept_checks, kept_facts
from mmdiag.kinds import NOTE, kind_named
from mmdiag.record import model_task
from mmdiag.record.worklist import states_of
from mmdiag.storage.colours import COLOURS_FILE
from mmdiag.storage.display.stack import CONTENT
from mmdiag.storage.ledger import Ledger
from mmdiag.storage.store import Store
from mmdiag.task import Task
from mmdiag.workspace import Workspace, sqlite_file

UNREADABLE = (
    MmdiagError,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
    ArrowException,
    SQLAlchemyError,
)
RUN_AGAIN = ("move it away, then run again", "mmdiag run --cohort cohort.toml")
INGEST_AGAIN = ("move it away, then run again", "mmdiag ingest --cohort cohort.toml")
Cure = tuple[str, str]
QUARANTINE = ("case_id", "modality", "code", "rule", "detail", "cure", "first_seen")
REQUIRED = {  # columns without which a file of a run is not what it should be
    "predictions.parquet": ("case_id", "subject_id", "role", "predicted", "modalities"),
    "metrics.parquet": ("model", "metric", "value", "low", "high", "n", "modalities", "split"),
    "out_of_fold.parquet": ("model", "label"),
    "curves.parquet": ("fit", "epoch", "valid_loss"),
    "explanations/modality.parquet": ("case_id",),
}


class DamagedFile(Exception):
    """A file of the workspace that cannot be read as what it should be.

    Args:
        path: Below the workspace.
        kind: Of the failure; never its text, which may hold a value.
        cure: What brings the file back, in the imperative, and the command that it ends with.
    """

    def __init__(self, path: Path, kind: str, cure: Cure) -> None:
        super().__init__(f"{path} ({kind})")
        self.path, self.kind, self.cure = path, kind, cure


@contextmanager
def reading(path: Path, cure: Cure) -> Iterator[None]:
    """Turn what goes wrong while a file is read into the name of the file."""
    try:
        yield
    except DamagedFile:
        raise
    except UNREADABLE as error:
        root = workspace().path
        shown = path.relative_to(root) if path.is_relative_to(root) else path
        raise DamagedFile(shown, type(error).__name__, cure) from None


def workspace() -> Workspace:
    """The workspace that the server was started for."""
    return Workspace(Path(os.environ.get("MMDIAG_WORKSPACE", "workspace")).resolve())


@st.cache_resource(show_spinner=False)
def _ledger(url: str, folder: Path) -> Ledger:
    found = Ledger(url, folder)
    found.migrate()  # once a server: at each look it would cost what the look costs
    return found


def ledger() -> Ledger | None:
    """The ledger, or None where there is none yet: looking at a workspace does not make one."""
    url = workspace().ledger_url
    if (file := sqlite_file(url)) is not None and not file.is_file():
        return None
    return _ledger(url, workspace().path)


@contextmanager
def reading_ledger() -> Iterator[Ledger | None]:
    """The ledger, while it is read."""
    file = workspace().ledger_url.removeprefix("sqlite:///")
    path = Path(file) if file.startswith("/") else workspace().path / "ledger.db"
    with reading(path, (f"put a backup in its place, or {RUN_AGAIN[0]}", RUN_AGAIN[1])):
        yield ledger()


def cohort_names() -> dict[str, dict[str, Any]]:
    """Ingested cohorts by name, with their counts; the newest first."""
    with reading_ledger() as record:
        if record is None:
            return {}
        table = record.cohorts().sort_values("ingested_at", ascending=False)
    return {
        row["name"]: row
        for row in records(table)
        if (workspace().cohort(row["name"]) / "cases.parquet").is_file()
    }


def cohort_folders() -> dict[str, dict[str, Any]]:
    """Ingested cohorts by name, without their counts: what the folders say where the ledger cannot
    be read.
    """
    found = workspace().path.glob("cohorts/*/cases.parquet")
    return {path.parent.name: {} for path in sorted(found)}


def runs(cohort: str) -> pd.DataFrame:
    """Finished runs of a cohort, the newest first: run_id, fusion, started, bundle_id, folder."""
    with reading_ledger() as record:
        table = record.runs() if record else pd.DataFrame(columns=["cohort", "config"])
        table = table[table["cohort"] == cohort]
        return table.assign(fusion=[config.get("fusion", "") for config in table["config"]])


def run_folders(cohort: str) -> pd.DataFrame:
    """As `runs`, from the folders: run_id, fusion, started."""
    found = []
    for path in workspace().runs.glob("*/run.json"):
        with reading(path, RUN_AGAIN):
            facts = json.loads(path.read_text())
            if facts["cohort"] == cohort:
                fusion, started = facts["config"]["fusion"], str(facts["started"])
                found.append({"run_id": path.parent.name, "fusion": fusion, "started": started})
    table = pd.DataFrame(found, columns=["run_id", "fusion", "started"])
    return table.sort_values("started", ascending=False, ignore_index=True)


def quarantine(cohort: str) -> pd.DataFrame:
    """What is in quarantine, a row a case and modality; `""` = the whole case."""
    with reading_ledger() as record:
        return record.quarantine(cohort) if record else pd.DataFrame(columns=list(QUARANTINE))


def contracts(cohort: str) -> pd.DataFrame:
    """How the rules of the data contracts fared."""
    with reading_ledger() as record:
        return record.contracts(cohort) if record else pd.DataFrame()


def model_states(cohort: str) -> dict[str, str]:
    """Model -> its state: which one is in use."""
    with reading_ledger() as record:
        return states_of(record, cohort) if record else {}


def state_of(bundle_id: str) -> str:
    """The state of a model; empty where the ledger cannot be read, which is said elsewhere."""
    try:
        with reading_ledger() as record:
            return states_of(record).get(bundle_id, "") if record else ""
    except DamagedFile:
        return ""


def run_folder(run_id: str | None) -> Path | None:
    """Folder of a run."""
    folder = workspace().runs / run_id if run_id else None
    return folder if folder is not None and folder.is_dir() else None


def model_of(run_id: str | None) -> tuple[str, str] | None:
    """Id of the bundle of a run, and its fusion; None where no run is chosen."""
    folder = run_folder(run_id)
    if folder is None:
        return None
    with reading(folder / "run.json", RUN_AGAIN):
        manifest = json.loads((folder / "run.json").read_text())
        bundle = (manifest.get("bundle") or {}).get("id", "not finished")
        return str(bundle), str(manifest["config"]["fusion"])


def store(cohort: str) -> Store:
    """The cohort's cases and arrays; read again once ingestion has changed them."""
    path = workspace().cohort(cohort) / "cases.parquet"
    described = path.with_name("description.json")
    with reading(described, INGEST_AGAIN):
        changed = described.stat().st_mtime_ns
        Task.from_facts(json.loads(described.read_text())["task"])
    with reading(path, INGEST_AGAIN):
        return _store(cohort, (path.stat().st_mtime_ns, changed))


def state_of_cases(store: Store) -> tuple[str, int]:
    """What changes with the cases of a cohort: with what a model can learn from, and, as a site
    does, without.
    """
    return store.hash, (store.folder / "cases.parquet").stat().st_mtime_ns


@st.cache_resource(show_spinner=False, max_entries=4)
def _store(cohort: str, changed: tuple[int, int]) -> Store:
    del changed
    found = Store.open(workspace(), cohort)
    needed = ["case_id", "site", "as_of", "label", *(f"has_{name}" for name in found.modalities)]
    found.cases[needed]
    return found


def described(cohort: str) -> Store:
    """The cohort without its cases: how people read its task and modalities."""
    folder = workspace().cohort(cohort)
    with reading(folder / "description.json", INGEST_AGAIN):
        return Store.described(folder, pd.DataFrame({"case_id": []}))


@contextmanager
def reading_part(store: Store, name: str, row: int) -> Iterator[None]:
    """While what is stored of one modality of a case is read; a file that is shorter than its
    header says is damaged before it is mapped.
    """
    note = kind_named(store.modalities[name]).layout == NOTE
    shard = str(store.cases.iloc[row][f"shard_{name}"])
    folder = store.folder / "shards" / shard
    path = folder / f"{name}{'.parquet' if note else '.npy'}"
    colours = folder / f"{name}{COLOURS_FILE}"
    cure = ("move the folder that it lies in away, then run again", INGEST_AGAIN[1])
    if store.in_colour(name) and colours.is_file():
        with reading(colours, cure):
            _require_length(colours)
    with reading(path, cure):
        if not note:
            _require_length(path)
        yield


@contextmanager
def reading_display(store: Store, name: str, row: int) -> Iterator[None]:
    """While what is looked at of an image is read."""
    folder = store.folder / "shards" / str(store.cases.iloc[row][f"shard_{name}"])
    cure = ("move the folder that it lies in away, then run again", INGEST_AGAIN[1])
    with reading(folder / f"{name}{CONTENT}", cure):
        yield


def beside(
    store: Store, name: str, row: int, most: int
) -> tuple[Float32[ndarray, " number"], Float32[ndarray, "case number"]]:
    """The numbers of a case in a table, and those of some other cases: of the shard that has the
    most.
    """
    having = store.cases[store.cases[f"has_{name}"].astype(bool)]
    shard, case = f"shard_{name}", store.cases.iloc[row]
    largest = having[shard].value_counts().idxmax()
    own, others = (
        np.load(store.folder / "shards" / str(where) / f"{name}.npy", mmap_mode="r")
        for where in (case[shard], largest)
    )
    found = own[int(case[f"start_{name}"])], others[:most]
    return np.asarray(found[0], np.float32), np.asarray(found[1], np.float32)


def _require_length(path: Path) -> None:
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        read = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(file)
        if path.stat().st_size < file.tell() + int(np.prod(shape)) * dtype.itemsize:
            raise ValueError("shorter than its header says")


def table(folder: Path, name: str) -> pd.DataFrame | None:
    """One Parquet file of a run, or None where the run did not come that far."""
    path = folder / name
    if not path.is_file():
        return None
    with reading(path, RUN_AGAIN):
        found = _parquet(str(path), path.stat().st_mtime_ns)
        found[list(REQUIRED.get(name, ()))]
        return found


def facts(folder: Path, name: str) -> dict[str, Any] | None:
    """One JSON file of a run, or None where the run did not come that far."""
    path = folder / name
    if not path.is_file():
        return None
    with reading(path, RUN_AGAIN):
        return dict(json.loads(path.read_text()))


def task_of(bundle_id: str, store: Store) -> Task:
    """What a model answers, in the cohort's present words."""
    return model_task.task_of(workspace(), bundle_id, store.task)


def read_by(bundle_id: str, store: Store) -> list[str]:
    """The modalities of a cohort that a model reads: one may have come since; all where the model
    does not say.
    """
    kinds = (facts(workspace().bundles / bundle_id, "config.json") or {}).get("kinds")
    return [name for name in store.modalities if not kinds or name in kinds]


def warnings(bundle_id: str) -> list[str]:
    """What the card of a model says against it; of the model of a fold, what its fit does."""
    said = facts(workspace().bundles / bundle_id, "card.json") if bundle_id else None
    fold = workspace().bundle(bundle_id) if said is None else None
    run = workspace().runs / str(((said or {}).get("run") or {}).get("id") or "-")
    if fold is not None:
        said, run = facts(fold.parent, "fit.json"), fold.parents[2]
    erased = int((facts(run, "run.json") or {}).get("erased") or 0)
    return [*map(str, (said or {}).get("warnings", ())), *said_of_erased(erased)]


@st.cache_data(show_spinner=False, max_entries=32)
def _parquet(path: str, changed: int) -> pd.DataFrame:
    del changed
    return pd.read_parquet(path)


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table."""
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def explanation(bundle_id: str, case_id: str, version: str) -> Path:
    """Where the explanation of a case lies."""
    return explanation_path(workspace(), bundle_id, case_id, version)


def explained(path: Path, case_id: str) -> dict[str, Any] | None:
    """The full explanation of one case; None where there is none, or one of an earlier version of
    mmdiag, whose parts did not add up.
    """
    if not path.is_file():
        return None
    with reading(path, explain_again(case_id)):
        found = kept_facts(path)
        return found if "parts" in found else None


def checks(bundle_id: str) -> dict[str, Any] | None:
    """How the explanations of a model were found; None where nobody has checked them."""
    return kept_checks(workspace(), bundle_id)


def explain_again(case_id: str) -> Cure:
    """What brings the explanation of a case back."""
    return "run", f"mmdiag explain {shlex.quote(case_id)}"
