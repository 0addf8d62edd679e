"""A run on disk: what it was asked (run.json), its fits, and what came out. The same question about
the same cohort is the same folder.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmdiag.cohort.labels import labelled
from mmdiag.config import RunConfig, from_json, varied
from mmdiag.errors import UsageError
from mmdiag.kinds import KINDS
from mmdiag.prepare import extractor
from mmdiag.prepare.feature_cache import raw_features
from mmdiag.pretraining.weights import configured
from mmdiag.storage.store import Store
from mmdiag.workspace import Workspace, write_text

FUSED = "fused"  # the model of all modalities; any other of a run is named for the one that it has


@dataclass(frozen=True, slots=True)
class Run:
    """The folder of a run, and what its run.json says."""

    folder: Path
    asked: Mapping[str, Any]

    @staticmethod
    def open(folder: Path) -> "Run":
        """Read run.json."""
        return Run(folder, json.loads((folder / "run.json").read_text()))

    @property
    def config(self) -> RunConfig:
        """The configuration that was asked for."""
        return from_json(json.dumps(self.asked["config"]))

    def config_of(self, fit: str) -> RunConfig:
        """The configuration of a model: what was asked for, with what a search chose for it, and
        the pretrained weights of its part.

        Args:
            fit: Its name, `<part that is judged>.<model>`.

        Raises:
            UsageError: The run is a search that has not chosen yet.
        """
        part, config = fit.split(".", 1)[0], self.asked_of(fit)
        if "search" not in self.asked:
            return configured(config, self.workspace, part)
        if not self.chosen_file(fit).is_file():
            raise UsageError(
                f"A searched model is fitted once its values are chosen, those of {fit} are not: "
                "run `mmdiag search` again, it picks up."
            )
        return configured(
            varied(config, json.loads(self.chosen_file(fit).read_text())["values"]),
            self.workspace,
            part,
        )

    def asked_of(self, fit: str) -> RunConfig:
        """The configuration that was asked for of a model, before any search: where it has one
        modality, there is nothing to fuse.
        """
        return (
            self.config
            if fit.endswith(f".{FUSED}")
            else dataclasses.replace(self.config, fusion="concat")
        )

    def chosen_file(self, fit: str) -> Path:
        """Where a search writes what it chose for a model."""
        return self.folder / "search" / f"{fit}.json"

    @property
    def fusion(self) -> str:
        """How the fused models fuse; `searched` where a search chose different families for
        different parts.
        """
        found = {
            self.config_of(name).fusion
            for name in map(str, self.asked["fits"])
            if name.endswith(f".{FUSED}")
        }
        return found.pop() if len(found) == 1 else "searched"

    @property
    def final(self) -> str:
        """The part whose fused model becomes the run's bundle: `all`, or `test`."""
        return str(self.asked["fits"][-1]).split(".", 1)[0]

    @property
    def workspace(self) -> Workspace:
        """The workspace that the run lies in."""
        return Workspace(self.folder.parent.parent)

    def fit_folder(self, name: str) -> Path:
        """Where a fit keeps its checkpoint, and then its results."""
        return self.folder / "fits" / name

    def done(self, name: str) -> bool:
        """Whether a fit is complete."""
        return (self.fit_folder(name) / "fit.json").is_file()

    def fitted(self, name: str) -> dict[str, Any]:
        """What a complete fit recorded."""
        found: dict[str, Any] = json.loads((self.fit_folder(name) / "fit.json").read_text())
        return found

    def predictions(self, name: str) -> pd.DataFrame:
        """What a complete fit predicted."""
        return pd.read_parquet(self.fit_folder(name) / "predictions.parquet")

    def update(self, **facts: Any) -> "Run":
        """Write further facts into run.json."""
        write_text(self.folder / "run.json", json.dumps({**self.asked, **facts}, indent=1))
        return Run.open(self.folder)


@dataclass(frozen=True, slots=True)
class RunData:
    """The cohort of a run in memory: the case table, and the raw features of each modality."""

    store: Store
    cases: pd.DataFrame
    raws: Mapping[str, Sequence[np.ndarray | None]]
    gene_sets: Mapping[str, Mapping[str, Sequence[int]]]

    @property
    def parts(self) -> Mapping[str, str]:
        """Part of the split of each labelled subject."""
        found: dict[str, str] = json.loads((self.store.folder / "split.json").read_text())["part"]
        return found

    @property
    def labelled(self) -> np.ndarray:
        """Rows with a label."""
        return np.flatnonzero(labelled(self.cases, self.store.task.kind))


def open_data(folder: Path, part: str = "") -> RunData:
    """Load a run's cohort once a process; features that are not stored yet are made and stored.

    Args:
        part: Whose features: where frozen weights were pretrained, each part of the split has its
            own. Default: those of the run's bundle.
    """
    run, data = Run.open(folder), _open_data(folder)
    if not run.config.pretrained or part in ("", run.final):
        return data
    return dataclasses.replace(data, raws={**data.raws, **_features_of(folder, part)})


@lru_cache(maxsize=1)
def _open_data(folder: Path) -> RunData:
    run = Run.open(folder)
    config, store = (
        configured(run.config, run.workspace, run.final),
        Store.open(run.workspace, run.asked["cohort"]),
    )
    raws = {
        name: raw_features(store, name, extractor(kind, config))
        for name, kind in store.modalities.items()
    }
    gene_sets = {
        path.stem.removeprefix("gene_sets_"): json.loads(path.read_text())
        for path in folder.glob("gene_sets_*.json")
    }
    return RunData(store, store.cases, raws, gene_sets)


@lru_cache(maxsize=8)
def _features_of(folder: Path, part: str) -> dict[str, Sequence[np.ndarray | None]]:
    """Raw features that a part has of its own."""
    run, store = Run.open(folder), _open_data(folder).store
    config, final = (configured(run.config, run.workspace, name) for name in (part, run.final))
    kinds = [
        name
        for name, kind in KINDS.items()
        if kind.settings and getattr(config, kind.settings) != getattr(final, kind.settings)
    ]
    return {
        name: raw_features(store, name, extractor(kind, config))
        for name, kind in store.modalities.items()
        if kind in kinds
    }
