"""What was published: the ledger, the run folders and the stores, read only. Imports no torch,
monai or transformers.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from jaxtyping import Float32
from numpy import ndarray

from mmdiag.storage.ledger import Ledger
from mmdiag.storage.store import Store
from mmdiag.workspace import Workspace


def workspace() -> Workspace:
    """The workspace that the server was started for."""
    return Workspace(Path(os.environ.get("MMDIAG_WORKSPACE", "workspace")).resolve())


@st.cache_resource(show_spinner=False)
def _ledger(url: str) -> Ledger:
    return Ledger(url)


def ledger() -> Ledger | None:
    """The ledger, or None where there is none yet: looking at a workspace does not make one."""
    url = workspace().ledger_url
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).is_file():
        return None
    return _ledger(url)


def cohort_names() -> dict[str, dict[str, Any]]:
    """Ingested cohorts by name, with their counts; the newest first."""
    record = ledger()
    if record is None:
        return {}
    table = record.cohorts().sort_values("ingested_at", ascending=False)
    return {
        row["name"]: row
        for row in records(table)
        if (workspace().cohort(row["name"]) / "cases.parquet").is_file()
    }


def runs(cohort: str) -> pd.DataFrame:
    """Finished runs of a cohort, the newest first: run_id, fusion, started, bundle_id, folder."""
    record = ledger()
    table = record.runs() if record else pd.DataFrame(columns=["cohort"])
    table = table[table["cohort"] == cohort]
    return table.assign(fusion=[config.get("fusion", "") for config in table["config"]])


def run_folder(run_id: str | None) -> Path | None:
    """Folder of a run."""
    folder = workspace().runs / run_id if run_id else None
    return folder if folder is not None and folder.is_dir() else None


def header_line(cohort: str | None, run_id: str | None) -> str:
    """What is looked at, in one line."""
    parts = [f"**mmdiag** · workspace `{workspace().path.name}`"]
    parts += [f"cohort `{cohort}`"] if cohort else []
    folder = run_folder(run_id)
    if folder:
        manifest = json.loads((folder / "run.json").read_text())
        bundle = (manifest.get("bundle") or {}).get("id", "not finished")
        parts.append(f"model `{bundle}` ({manifest['config']['fusion']})")
    return " · ".join(parts)


def store(cohort: str) -> Store:
    """The cohort's cases and arrays; read again once ingestion has changed them."""
    return _store(cohort, (workspace().cohort(cohort) / "cases.parquet").stat().st_mtime_ns)


@st.cache_resource(show_spinner=False, max_entries=4)
def _store(cohort: str, changed: int) -> Store:
    del changed
    return Store.open(workspace(), cohort)


def table(folder: Path, name: str) -> pd.DataFrame | None:
    """One Parquet file of a run, or None where the run did not come that far."""
    path = folder / name
    return _parquet(str(path), path.stat().st_mtime_ns) if path.is_file() else None


@st.cache_data(show_spinner=False, max_entries=32)
def _parquet(path: str, changed: int) -> pd.DataFrame:
    del changed
    return pd.read_parquet(path)


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table."""
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def explanation(
    folder: Path, case_id: str
) -> tuple[dict[str, Float32[ndarray, "..."]], dict[str, Any]] | None:
    """Heat maps of one case; and by kind and modality the words, columns and windows that
    contributed.
    """
    base = folder / "explanations" / "cases" / hashlib.sha256(case_id.encode()).hexdigest()[:16]
    if not base.with_suffix(".json").is_file():
        return None
    with np.load(base.with_suffix(".npz")) as arrays:
        heat = {
            name.removeprefix("heat_"): arrays[name].astype(np.float32) for name in arrays.files
        }
    return heat, json.loads(base.with_suffix(".json").read_text())
