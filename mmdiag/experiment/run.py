"""A run on disk: what was requested (run.json), its fits, and what came out. The same question
about the same cohort is the same folder.
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
from jaxtyping import Int
from numpy import ndarray

from mmdiag.cohort.labels import labelled, with_labels
from mmdiag.cohort.splits import Split, read_split
from mmdiag.config import RunConfig, from_json, varied
from mmdiag.errors import UsageError
from mmdiag.experiment.fit_id import ALL, TEST, FitId
from mmdiag.experiment.manifest import RunManifest, said_of_erased
from mmdiag.kinds import KINDS
from mmdiag.prepare import extractor
from mmdiag.prepare.blocks.terms import Raw
from mmdiag.prepare.feature_cache import raw_features
from mmdiag.pretraining.weights import configured
from mmdiag.storage.store import Store
from mmdiag.workspace import Workspace, write_text

LABELS_BY_REVIEW = "labels_by_review.json"
COHORT = "cohort"  # in a run: its cohort as it was then


@dataclass(frozen=True, slots=True)
class Run:
    """The folder of a run, and what its run.json says."""

    folder: Path
    manifest: RunManifest

    @staticmethod
    def open(folder: Path) -> "Run":
        """Read run.json."""
        return Run(folder, RunManifest.from_facts(json.loads((folder / "run.json").read_text())))

    @property
    def fits(self) -> tuple[FitId, ...]:
        """The models of the run, in the order in which they are fitted."""
        return self.manifest.fits

    @property
    def config(self) -> RunConfig:
        """The configuration that was requested."""
        return from_json(json.dumps(self.manifest.config))

    def config_of(self, fit: FitId) -> RunConfig:
        """The configuration of a model: what was requested, with what a search chose for it, and
        the pretrained weights of its fold.

        Raises:
            UsageError: The run is a search that has not chosen yet.
        """
        config = self.requested(fit)
        if not self.manifest.search:
            return configured(config, self.workspace, fit.fold)
        if not self.chosen_file(fit).is_file():
            raise UsageError(
                f"A searched model is fitted once its values are chosen, those of {fit} are not: "
                "run `mmdiag search` again, it picks up."
            )
        chosen = json.loads(self.chosen_file(fit).read_text())["values"]
        return configured(varied(config, chosen), self.workspace, fit.fold)

    def requested(self, fit: FitId) -> RunConfig:
        """The configuration that was requested of a model, before any search: where it has one
        modality, there is nothing to fuse.
        """
        if fit.fused or self.config.ensembles:
            return self.config
        return dataclasses.replace(self.config, fusion="concat")

    def chosen_file(self, fit: FitId) -> Path:
        """Where a search writes what it chose for a model."""
        return self.folder / "search" / f"{fit}.json"

    @property
    def fusion(self) -> str:
        """How the fused models fuse; `searched` where a search chose different families for
        different folds.
        """
        found = {self.config_of(fit).fusion for fit in self.fits if fit.fused}
        return found.pop() if len(found) == 1 else "searched"

    @property
    def final(self) -> FitId:
        """The model that becomes the run's bundle: the one that learns from every labelled case; in
        a run of 0.1 with a held-out test the one that is tested.
        """
        return next(
            fit for fold in (ALL, TEST) for fit in self.fits if fit.fused and fit.fold == fold
        )

    @property
    def labels_by_review(self) -> dict[str, int]:
        """Case -> the number of its class, of cases without a recorded label that a person's review
        labels.
        """
        file = self.folder / LABELS_BY_REVIEW
        found: dict[str, int] = json.loads(file.read_text()) if file.is_file() else {}
        return found

    def store(self) -> Store:
        """The cohort with the cases and labels that it had when the run was laid out.

        Raises:
            UsageError: It has changed since, and an earlier version of mmdiag did not keep it.
        """
        kept, name = self.folder / COHORT, self.manifest.cohort
        if (kept / "cases.parquet").is_file():
            return Store.open(self.workspace, name, kept)
        store = Store.open(self.workspace, name)
        if store.hash != self.manifest.cohort_hash:
            raise UsageError(
                f"A run is read with the cases and labels that it was made of, the cohort {name} "
                f"has changed since {self.manifest.run_id}, which does not keep them: train again "
                "(`mmdiag train --cohort ...`)."
            )
        return store

    @property
    def fitted_all(self) -> bool:
        """Whether all of its models are fitted."""
        return all(map(self.done, self.fits))

    @property
    def workspace(self) -> Workspace:
        """The workspace that the run lies in."""
        return Workspace(self.folder.parent.parent)

    def fit_folder(self, fit: FitId) -> Path:
        """Where a fit keeps its checkpoint, and then its results."""
        return self.folder / "fits" / str(fit)

    def done(self, fit: FitId) -> bool:
        """Whether a fit is complete."""
        return (self.fit_folder(fit) / "fit.json").is_file()

    def fitted(self, fit: FitId) -> dict[str, Any]:
        """What a complete fit recorded."""
        found: dict[str, Any] = json.loads((self.fit_folder(fit) / "fit.json").read_text())
        return found

    @property
    def warnings(self) -> list[str]:
        """Sentences on the model that becomes the run's bundle, empty of a fit of an earlier
        version; and how many of its cases were erased since.
        """
        of_fit = self.fitted(self.final).get("warnings") or ()
        return [*of_fit, *said_of_erased(self.manifest.erased)]

    def bundle_folder(self, fit: FitId) -> Path:
        """Where the bundle of a complete fit lies."""
        return self.workspace.path / str(self.fitted(fit)["bundle"])

    def predictions(self, fit: FitId) -> pd.DataFrame:
        """What a complete fit predicted."""
        return pd.read_parquet(self.fit_folder(fit) / "predictions.parquet")

    def update(self, **facts: Any) -> "Run":
        """Write further facts into run.json."""
        run = Run(self.folder, dataclasses.replace(self.manifest, **facts))
        write_text(self.folder / "run.json", json.dumps(run.manifest.facts(), indent=1))
        return run


@dataclass(frozen=True, slots=True)
class RunData:
    """The cohort of a run in memory: the case table, and the raw features of each modality.

    Args:
        by_review: Cases whose label is a person's review: learned from, never judged by.
    """

    store: Store
    cases: pd.DataFrame
    raws: Mapping[str, Sequence[Raw | None]]
    gene_sets: Mapping[str, Mapping[str, Sequence[int]]]
    by_review: frozenset[str] = frozenset()

    @property
    def split(self) -> Split:
        """Part of the split of each labelled subject."""
        return read_split(self.store.folder / "split.json")

    @property
    def part(self) -> pd.Series:
        """Part of the split of each case's subject; of a case that a review labels that of what it
        is kept together with, else `train`.
        """
        split = self.split
        part = split.of(self.cases["subject_id"])
        of_unit = split.of_units(self.cases).where(part.isna(), part)
        reviewed = self.cases["case_id"].isin(self.by_review)
        return part.where(~reviewed, of_unit.fillna("train"))

    @property
    def labelled(self) -> Int[ndarray, "labelled"]:
        """Rows with a recorded label: what a model is judged by."""
        reviewed = self.cases["case_id"].isin(self.by_review).to_numpy()
        return np.flatnonzero(labelled(self.cases, self.store.task.kind) & ~reviewed)

    @property
    def taught(self) -> Int[ndarray, "taught"]:
        """Rows with a label, be it a review's: what a model may learn from."""
        return np.flatnonzero(labelled(self.cases, self.store.task.kind))

    def modalities_of(self, fit: FitId) -> list[str]:
        """The modalities of a model."""
        return list(self.store.modalities) if fit.fused else [fit.model]


def open_data(run: Run, fold: str = "") -> RunData:
    """Load a run's cohort once a process; features that are not stored yet are made and stored.

    Args:
        fold: Whose features: where frozen weights were pretrained, each fold has its own. Default:
            those of the run's bundle.
    """
    data = _open_data(run.folder)
    if not run.config.pretrained or fold in ("", run.final.fold):
        return data
    return dataclasses.replace(data, raws={**data.raws, **_features_of(run.folder, fold)})


@lru_cache(maxsize=1)
def _open_data(folder: Path) -> RunData:
    run = Run.open(folder)
    config = configured(run.config, run.workspace, run.final.fold)
    store = run.store()
    # cases that came since may have changed how the cohort's images are read
    store = dataclasses.replace(store, of_colour=tuple(run.manifest.in_colour))
    raws = {
        name: raw_features(store, name, extractor(kind, config))
        for name, kind in store.modalities.items()
    }
    gene_sets = {
        path.stem.removeprefix("gene_sets_"): json.loads(path.read_text())
        for path in folder.glob("gene_sets_*.json")
    }
    given = run.labels_by_review
    unknown = store.cases[~labelled(store.cases, store.task.kind)]
    cases = with_labels(store.cases, given) if given else store.cases
    return RunData(store, cases, raws, gene_sets, frozenset(given) & frozenset(unknown["case_id"]))


@lru_cache(maxsize=8)
def _features_of(folder: Path, fold: str) -> dict[str, Sequence[Raw | None]]:
    """Raw features that a fold has of its own."""
    run, store = Run.open(folder), _open_data(folder).store
    config, final = (configured(run.config, run.workspace, name) for name in (fold, run.final.fold))
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
