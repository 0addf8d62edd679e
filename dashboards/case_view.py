"""`View`: the case that is shown, and what is known of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from dashboards import published, texts
from mmdiag.cohort.labels import labelled
from mmdiag.evaluation.verdict import is_abstained, scale_of
from mmdiag.explain.drawn import placed
from mmdiag.explain.parts import Part
from mmdiag.kinds import PARTS, kind_named
from mmdiag.reasons import REASONS
from mmdiag.record.reviews import reviewed_task
from mmdiag.storage.store import Store
from mmdiag.task import Task

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class View:
    """The case that is shown.

    Args:
        row: Its row in the store; None where the store's cases cannot be read.
        prediction: Its row of predictions.parquet.
        task: What the model that answered was asked.
        names: Modality -> how people read it.
        outcome: What contributions are contributions to.
        refused: Modality -> its entry in quarantine.
        kept: The full explanation; None where the case has none.
    """

    store: Store
    row: int | None
    prediction: Row
    task: Task
    names: Mapping[str, str]
    outcome: str
    refused: Mapping[str, Row]
    kept: Mapping[str, Any] | None

    @property
    def case_id(self) -> str:
        """Its key."""
        return str(self.prediction["case_id"])

    @property
    def asked(self) -> Task:
        """The task whose classes people name: the cohort's, else that of the model."""
        return reviewed_task(self.store.task, self.task)

    @property
    def scale(self) -> str:
        """In what contributions are given."""
        return scale_of(self.task, self.prediction)

    @property
    def abstained(self) -> bool:
        """Whether the model gives no answer."""
        return is_abstained(self.prediction)

    def of_kind(self, kind: str) -> list[str]:
        """Names of the modalities that are drawn like a kind."""
        kinds = self.store.modalities.items()
        return [name for name, known in kinds if kind_named(known).drawn_as == kind]

    def parts(self, name: str) -> list[Part] | None:
        """The parts of a modality; None where it is not explained."""
        found: list[Part] | None = (self.kept or {}).get("parts", {}).get(name)
        return found

    def groups(self, name: str) -> list[Part]:
        """The named groups of columns of a table."""
        found: list[Part] = (self.kept or {}).get("groups", {}).get(name, [])
        return found

    def has(self, name: str) -> bool:
        """Whether the case has a modality."""
        return self.row is not None and bool(self.store.present(name)[self.row])

    def stored(self, name: str) -> Any:
        """What is stored of a modality that the case has: slices, samples, a note or a row."""
        assert self.row is not None
        with published.reading_part(self.store, name, self.row):
            colour = self.store.in_colour(name)
            found = self.store.raw_input(name, self.row, colour=colour)
            count = int(self.store.cases.iloc[self.row][f"count_{name}"])
            if kind_named(self.store.modalities[name]).layout == PARTS and len(found) != count:
                raise ValueError("the shard has fewer rows than the case table says")
            return found

    def without(self, name: str) -> str:
        """Why an answer has nothing of a modality, in a word or two."""
        if self.has(name) and self.row is not None:
            then, now = (
                self.prediction.get("version"),
                self.store.cases.iloc[self.row].get("version"),
            )
            return "not read by the model" if then in (None, now) else "not there then"
        return "quarantined" if name in self.refused else "not acquired"

    def adds_up(self, name: str) -> str:
        """How the parts of a modality add up to its contribution; empty where that is not known."""
        contribution, parts = self.prediction.get(f"contribution_{name}"), self.parts(name)
        if contribution is None or parts is None:
            return ""
        found = placed(self.store.modalities[name], parts, float(contribution))
        return found.sentence(self.names[name])


def score_again(store: Store, row: int | None) -> str:
    """The command that scores a case whose files changed: one that has its label is left out
    unless all are asked for.
    """
    known = row is not None and bool(labelled(store.cases.iloc[[row]], store.task.kind)[0])
    return f"mmdiag score {'--all ' if known else ''}--cohort cohort.toml --out FILE"


def refusals(table: pd.DataFrame, case_id: str) -> dict[str, Row]:
    """Modality -> entry in quarantine of one case; `""` = the whole case."""
    own = table[table["case_id"] == case_id]
    return {str(row["modality"]): with_cure(row) for row in published.records(own)}


def with_cure(row: Row) -> dict[str, Any]:
    """An entry of the quarantine with the cure of its code, where it is a known one."""
    code = str(row["code"])
    cure = REASONS[code].cure if code in REASONS else str(row.get("cure") or "")
    fact = str(row.get("detail") or "")
    return {**row, "code": code, "rule": str(row["rule"] or ""), "detail": fact, "cure": cure}


def view_of(
    store: Store,
    row: int | None,
    prediction: Row,
    refused: Mapping[str, Row],
    kept: Mapping[str, Any] | None,
) -> View:
    """What is shown of a case, and how it is called."""
    task = published.task_of(str(prediction.get("bundle_id")), store)
    return View(
        store=store,
        row=row,
        prediction=prediction,
        task=task,
        names=texts.display_names(list(store.modalities), store.title),
        outcome=task.explained(prediction),
        refused=refused,
        kept=kept,
    )


def case_folder(run: str | None) -> tuple[Path, pd.DataFrame] | None:
    """Folder and predictions of a run; None where it has none yet."""
    folder = published.run_folder(run)
    table = published.table(folder, "predictions.parquet") if folder else None
    return (folder, table) if folder is not None and table is not None and len(table) else None
