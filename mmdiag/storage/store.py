"""The cohort on disk, read side: cases.parquet beside shards of memory-mapped arrays."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float32, Int16, Shaped, UInt8
from numpy import ndarray

from mmdiag.errors import UsageError
from mmdiag.kinds import NOTE, PARTS, ROW, kind_named
from mmdiag.storage.colours import COLOURS_FILE, NO_COLOURS, colours_start
from mmdiag.storage.display.stack import DisplayStack, read_display
from mmdiag.storage.tables import write_parquet
from mmdiag.task import Task
from mmdiag.workspace import Workspace, write_text

POSE_WORDS, POSE_MM = ("orientation", "side", "left_out"), ("slice_mm", "pixel_mm")
POSE = ("orientation", "side", "slice_mm", "pixel_mm", "left_out")


@dataclass(frozen=True, slots=True, eq=False)
class Store:
    """One ingested cohort.

    Args:
        cases: One row an accepted case: keys, label, version, and for each modality has_, shard_,
            start_, count_, and for images colours_start_.
        task: What is predicted.
        modalities: Name -> kind.
        titles: Modality -> how people read it, where the description says so.
        rates_hz: Signal -> samples a second, where that was recorded.
        leaks: What may give the label away: code, modality and fact of each.
        named_columns: Table -> its columns, as they were when the cohort was committed; a later
            ingestion that did not end may have begun with others.
        of_words: Table -> column of words -> its columns of 0 and 1, likewise.
        embeddings: Embedding -> encoder, revision and licence of what made it, and its width.
        of_colour: Images that are read in colour, all cases alike.
        hash: SHA-256 over case versions and labels: what a model can have learned from.
    """

    folder: Path
    cases: pd.DataFrame
    task: Task
    modalities: Mapping[str, str]
    hash: str
    titles: Mapping[str, str] = field(default_factory=dict)
    rates_hz: Mapping[str, float] = field(default_factory=dict)
    leaks: Sequence[Mapping[str, str]] = ()
    named_columns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    of_words: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    embeddings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    of_colour: Sequence[str] = ()

    def title(self, modality: str) -> str:
        """How people read a modality."""
        return self.titles.get(modality, modality)

    @staticmethod
    def open(workspace: Workspace, name: str, kept: Path | None = None) -> "Store":
        """Open a cohort.

        Args:
            kept: Where `keep` wrote it; None = as it is now.

        Raises:
            UsageError: It was not ingested yet.
        """
        folder = workspace.cohort(name)
        if kept is not None:
            return Store.described(folder, pd.read_parquet(kept / "cases.parquet"), kept)
        if not (folder / "description.json").is_file():
            raise UsageError(
                f"A cohort must be ingested first, {name} is not in {workspace.path}: `mmdiag "
                "ingest --cohort ...`."
            )
        return Store.described(folder, pd.read_parquet(folder / "cases.parquet"))

    @staticmethod
    def described_task(folder: Path) -> Task:
        """What description.json says of a cohort's task; its cases are not read.

        Raises:
            UsageError: It was not ingested yet.
        """
        if not (folder / "description.json").is_file():
            raise UsageError(
                f"A cohort must be ingested first, {folder.name} is not in {folder.parent.parent}: "
                "`mmdiag ingest --cohort ...`."
            )
        return Task.from_facts(json.loads((folder / "description.json").read_text())["task"])

    def keep(self, folder: Path) -> None:
        """Write the cases and what is described of them into a folder, for `open`: ingestion
        changes the cohort's own, and leaves the shards where they are.
        """
        write_text(folder / "description.json", (self.folder / "description.json").read_text())
        write_parquet(folder / "cases.parquet", self.cases)

    @staticmethod
    def described(folder: Path, cases: pd.DataFrame, said: Path | None = None) -> "Store":
        """What description.json says of a cohort, with these of its cases.

        Args:
            said: The folder of that file; None = the cohort's.
        """
        described = json.loads(((said or folder) / "description.json").read_text())
        return Store(
            folder,
            cases,
            Task.from_facts(described["task"]),
            described["modalities"],
            described["hash"],
            described.get("titles", {}),
            described.get("rates_hz", {}),
            tuple(described.get("leaks", ())),
            described.get("columns", {}),
            described.get("categories", {}),
            described.get("embeddings", {}),
            tuple(described.get("in_colour", ())),
        )

    def present(self, modality: str) -> Bool[ndarray, "case"]:
        """Which cases have a modality."""
        return self.cases[f"has_{modality}"].to_numpy(dtype=bool)

    def raw_input(self, modality: str, row: int, *, colour: bool = False) -> Any:
        """What is kept of one case: its rows of an array (uint8 slices, int16 samples), one row of
        numbers, or a note.

        Args:
            colour: Whether slices are wanted in colour.

        Raises:
            UnknownNameError: Another mmdiag wrote the cohort, and it has a kind that is not known.
        """
        layout = kind_named(self.modalities[modality]).layout
        if layout == NOTE:
            return self.text(modality, row)
        if colour:
            return self.images(modality, row, colour=True)
        return self.parts(modality, row) if layout == PARTS else self.table(modality)[row]

    def parts(self, modality: str, row: int) -> Shaped[ndarray, "part ..."]:
        """The rows of one case in a modality's array."""
        where = self._slice(modality, row)
        rows: np.ndarray = _array(where.file.with_suffix(".npy"))[
            where.start : where.start + where.count
        ]
        return rows

    def in_colour(self, modality: str) -> bool:
        """Whether the images of a modality are read in colour."""
        return modality in self.of_colour

    def images(
        self, modality: str, row: int, *, colour: bool | None = None
    ) -> UInt8[ndarray, "slice row column *colour"]:
        """The slices of one case, in spatial order.

        Args:
            colour: Whether they are wanted in red, green and blue, of a grey image three times its
                grey; None = as the modality is read.
        """
        if not (self.in_colour(modality) if colour is None else colour):
            return self.parts(modality, row)
        start = int(self.cases.iloc[row].get(colours_start(modality), NO_COLOURS))
        if start == NO_COLOURS:
            grey = self.parts(modality, row)
            return np.repeat(grey[..., None], 3, axis=3)
        where = self._slice(modality, row)
        file = where.file.with_name(f"{modality}{COLOURS_FILE}")
        found: np.ndarray = _array(file)[start : start + where.count]
        return found

    def display(self, modality: str, row: int) -> DisplayStack | None:
        """The image of one case as it is to be looked at; None where it was ingested before that
        was kept.

        Raises:
            ValueError, OSError: It is listed, and cannot be read.
        """
        case = self.cases.iloc[row]
        shard = self._slice(modality, row).file.parent
        return read_display(shard, str(case["case_id"]), str(case.get("version", "")), modality)

    def signal(self, modality: str, row: int) -> Int16[ndarray, "time channel"]:
        """The samples of one case."""
        return self.parts(modality, row)

    def embedding(self, modality: str, row: int) -> Float32[ndarray, "vector number"]:
        """The vectors of one case."""
        return self.parts(modality, row)

    def source(self, modality: str) -> dict[str, str]:
        """What made a modality, and under which terms; empty of what is made here."""
        made = self.embeddings.get(modality, {})
        return {name: str(value) for name, value in made.items() if name != "width"}

    def rate_hz(self, modality: str) -> float | None:
        """Samples a second of a signal; None where the cohort was ingested before that was
        recorded.
        """
        return self.rates_hz.get(modality)

    def text(self, modality: str, row: int) -> str:
        """The note of one case."""
        where = self._slice(modality, row)
        return str(_notes(where.file.with_suffix(".parquet"))[where.start])

    def table(self, modality: str) -> Float32[ndarray, "case column"]:
        """All rows of a table; NaN where not measured, and for cases without it."""
        return _table(self, modality)

    def poses(self, modality: str, rows: Sequence[int] | None = None) -> pd.DataFrame:
        """How the images of a modality lie in the patient, one row a case that has it: case_id and
        `POSE`; empty or NaN where nobody says it, or the case was ingested before that was kept.

        Args:
            rows: Of the cases that are asked for; None = all.
        """
        own = self.cases if rows is None else self.cases.iloc[list(rows)]
        own = own[own[f"has_{modality}"].astype(bool)]
        present = own[["case_id", "version"]]
        files = [
            self.folder / "shards" / str(shard) / "poses.parquet"
            for shard in sorted(own[f"shard_{modality}"].unique())
        ]
        known = [pd.read_parquet(file) for file in files if file.is_file()]
        columns = ["case_id", "version", "modality", *POSE]
        table = pd.concat(known) if known else pd.DataFrame(columns=columns)
        table = table[table["modality"] == modality].drop_duplicates(["case_id", "version"])
        found = present.merge(table, on=["case_id", "version"], how="left")[["case_id", *POSE]]
        words, lengths = list(POSE_WORDS), list(POSE_MM)
        found[words] = found[words].astype(object).where(found[words].notna(), "")
        found[lengths] = found[lengths].astype(float)
        return found.reset_index(drop=True)

    def columns(self, modality: str) -> list[str]:
        """Names of the columns, of a table; [] for what has none."""
        if kind_named(self.modalities[modality]).layout != ROW:
            return []
        if modality in self.named_columns:
            return list(self.named_columns[modality])
        names: list[str] = json.loads((self.folder / f"columns_{modality}.json").read_text())
        return names

    def categories(self, modality: str) -> dict[str, list[str]]:
        """Column of words -> its columns of 0 and 1, of a table that has any."""
        if modality in self.of_words:
            return {name: list(columns) for name, columns in self.of_words[modality].items()}
        file = self.folder / f"reading_{modality}.json"
        if not file.is_file():
            return {}
        found: dict[str, list[str]] = json.loads(file.read_text())["categories"]
        return found

    def _slice(self, modality: str, row: int) -> "ArraySlice":
        case = self.cases.iloc[row]
        if not case[f"has_{modality}"]:
            raise KeyError(f"{case['case_id']} has no {modality}")
        return ArraySlice(
            self.folder / "shards" / case[f"shard_{modality}"] / modality,
            int(case[f"start_{modality}"]),
            int(case[f"count_{modality}"]),
        )


@dataclass(frozen=True, slots=True)
class ArraySlice:
    """Where one case lies within a shard's array."""

    file: Path
    start: int
    count: int


@lru_cache(maxsize=256)
def _array(file: Path) -> np.ndarray:
    array: np.ndarray = np.load(file, mmap_mode="r")
    return array


@lru_cache(maxsize=16)
def _notes(file: Path) -> list[str]:
    from pyarrow.parquet import read_table

    texts: list[str] = read_table(file, columns=["text"])["text"].to_pylist()
    return texts


def read_rows(folder: Path, cases: pd.DataFrame, modality: str) -> tuple[list[str], list[Any]]:
    """Keys of the cases that have a note or a table row, and its text or its numbers, shard by
    shard.

    Args:
        cases: case_id, and has_, shard_ and start_ of the modality.
    """
    keys: list[str] = []
    found: list[Any] = []
    known = cases[cases[f"has_{modality}"].astype(bool)]
    for shard, rows in known.groupby(f"shard_{modality}"):
        file, starts = (
            folder / "shards" / str(shard) / modality,
            rows[f"start_{modality}"].to_numpy(dtype=int),
        )
        keys += rows["case_id"].tolist()
        if file.with_suffix(".parquet").is_file():
            texts = _notes(file.with_suffix(".parquet"))
            found += [texts[start] for start in starts]
        else:
            found += list(_array(file.with_suffix(".npy"))[starts])
    return keys, found


@lru_cache(maxsize=8)
def _table(store: Store, modality: str) -> np.ndarray:
    values = np.full((len(store.cases), len(store.columns(modality))), np.nan, dtype=np.float32)
    known = store.cases[store.cases[f"has_{modality}"]]
    for shard, rows in known.groupby(f"shard_{modality}"):
        values[rows.index.to_numpy()] = _array(
            store.folder / "shards" / str(shard) / f"{modality}.npy"
        )[rows[f"start_{modality}"].to_numpy(dtype=int)]
    return values
