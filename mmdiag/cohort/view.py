"""A cohort to look at: its cases, images, notes, signals, embeddings and tables by key, without
knowing a file.

What is returned is what a network is given, after masking; nothing here writes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float32, Int16, UInt8
from numpy import ndarray

from mmdiag.errors import UnknownNameError, UsageError
from mmdiag.storage.ledger import Ledger
from mmdiag.storage.store import Store
from mmdiag.workspace import Workspace, sqlite_file

KEYS = ["case_id", "subject_id", "site", "as_of"]
REFUSALS = ["case_id", "modality", "code", "rule", "detail", "cure", "first_seen", "last_seen"]


@dataclass(frozen=True, slots=True, eq=False)
class CohortView:
    """An ingested cohort.

    Args:
        store: Its cases and arrays.
        refusals: What was refused, and why.
    """

    store: Store
    refusals: pd.DataFrame

    @staticmethod
    def open(workspace: Workspace, name: str) -> "CohortView":
        """Open a cohort of a workspace.

        Raises:
            UsageError: It was not ingested yet.
        """
        store = Store.open(workspace, name)
        return CohortView(store, _refusals(workspace, name))

    @property
    def modalities(self) -> Mapping[str, str]:
        """Name -> kind: `image`, `text`, `table`, `signal` or `embedding`."""
        return self.store.modalities

    @property
    def cases(self) -> pd.DataFrame:
        """One row an accepted case: case_id, subject_id, label, site, as_of, and a column a
        modality that is True where the case has it.

        The label of a binary task is 1.0, 0.0 or NaN, of a multiclass task its class; several
        labels have a column `label_<name>` each, a survival has `time` and `event`.
        """
        cases, task = self.store.cases, self.store.task
        found = cases[KEYS].copy()
        if task.survival:
            found[["time", "event"]] = cases[["time", "event"]]
        elif task.multilabel:
            for name in task.labels:
                found[f"label_{name}"] = cases[f"label_{name}"]
        elif task.kind == "multiclass":
            classes = dict(enumerate(task.classes))
            found.insert(2, "label", cases["label"].map(classes))
        else:
            found.insert(2, "label", cases["label"].astype(float))
        for name in self.modalities:
            found[name] = self.store.present(name)
        return found

    @property
    def quarantine(self) -> pd.DataFrame:
        """What was refused: case_id, modality (empty = the whole case), code, rule, detail, cure,
        first_seen, last_seen.
        """
        return self.refusals.copy()

    def image(self, modality: str, case_id: str) -> UInt8[ndarray, "slice row column *colour"]:
        """The slices of a case in spatial order, as a network sees them; where the modality is read
        in colour, with red, green and blue behind.

        Raises:
            UnknownNameError: No modality has this name.
            UsageError: It is no image, or the case is unknown or has none.
        """
        return np.array(self.store.images(modality, self._row(modality, "image", case_id)))

    def poses(self, modality: str) -> pd.DataFrame:
        """A row a case that has the image (index case_id): `orientation` (where slices, rows and
        columns go: L, R, A, P, H or F, a letter each), `side` (L, R, B, U), `slice_mm` and
        `pixel_mm` of the stored stack, and `left_out`, the files of its folder that are no images.
        Empty or NaN = its files do not say.

        Raises:
            UnknownNameError: No modality has this name.
            UsageError: It is no image.
        """
        self._require(modality, "image")
        return self.store.poses(modality).set_index("case_id")

    def note(self, modality: str, case_id: str) -> str:
        """The note of a case, masked. Raises as `image`."""
        return self.store.text(modality, self._row(modality, "text", case_id))

    def signal(self, modality: str, case_id: str) -> Int16[ndarray, "time channel"]:
        """The samples of a case. Raises as `image`."""
        return np.array(self.store.signal(modality, self._row(modality, "signal", case_id)))

    def embedding(self, modality: str, case_id: str) -> Float32[ndarray, "vector number"]:
        """The vectors of a case, one or a bag. Raises as `image`."""
        row = self._row(modality, "embedding", case_id)
        return np.array(self.store.embedding(modality, row))

    def table(self, modality: str) -> pd.DataFrame:
        """A row a case that has the table (index case_id), a column a number; NaN = not measured.

        Raises:
            UnknownNameError: No modality has this name.
            UsageError: It is no table.
        """
        self._require(modality, "table")
        present = self.store.present(modality)
        return pd.DataFrame(
            self.store.table(modality)[present],
            index=pd.Index(self.store.cases.loc[present, "case_id"], name="case_id"),
            columns=self.store.columns(modality),
        )

    def _row(self, modality: str, kind: str, case_id: str) -> int:
        self._require(modality, kind)
        rows = np.flatnonzero(self.store.cases["case_id"].to_numpy() == case_id)
        if not len(rows):
            raise UsageError(
                f"A case must be one of the cohort's accepted cases, {case_id!r} is not: "
                "`cohort.cases` lists them, `cohort.quarantine` what was refused."
            )
        row = int(rows[0])
        if not self.store.present(modality)[row]:
            refused = (self.refusals["case_id"] == case_id) & (
                self.refusals["modality"] == modality
            )
            why = "it is in quarantine" if refused.any() else "it was not acquired"
            raise UsageError(
                f"A case gives what it has, {case_id!r} has no {modality} ({why}): look at the "
                f"column {modality!r} of `cohort.cases` first."
            )
        return row

    def _require(self, modality: str, kind: str) -> None:
        if modality not in self.modalities:
            raise UnknownNameError("A modality", modality, self.modalities)
        if self.modalities[modality] != kind:
            raise UsageError(
                f"{modality} is of kind {self.modalities[modality]}, it was asked for as {kind}: "
                "use image, note, signal, embedding or table as `cohort.modalities` says."
            )


def _refusals(workspace: Workspace, name: str) -> pd.DataFrame:
    """Rows of the ledger; looking at a workspace does not make one."""
    url = workspace.ledger_url
    if (file := sqlite_file(url)) is not None and not file.is_file():
        return pd.DataFrame(columns=REFUSALS)
    table = Ledger(url).quarantine(name)
    return table[[column for column in REFUSALS if column in table]].reset_index(drop=True)
