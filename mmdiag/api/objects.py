"""What Python code holds: a cohort, a bundle, and what a search found."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxtyping import Float32, Int16, UInt8
from numpy import ndarray

from mmdiag.api.results import predictions_path, verify
from mmdiag.api.scoring import score
from mmdiag.api.steps import Report, compare, ingest, search_and_compare
from mmdiag.cohort.case_table import read_cases
from mmdiag.cohort.view import CohortView
from mmdiag.config import RunConfig
from mmdiag.description import Description, read_description
from mmdiag.storage.ledger import Ledger
from mmdiag.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

    from mmdiag.tuning.space import Space


@dataclass(frozen=True, slots=True)
class Cohort:
    """A described cohort and the workspace that keeps what is made of it."""

    description: Description
    workspace: Workspace

    @staticmethod
    def open(cohort: Path | str, *, workspace: Path | str = "workspace") -> "Cohort":
        """Read and check a cohort.toml; nothing is written.

        Raises:
            DescriptionError: What is wrong with it, and how to correct it.
        """
        description = read_description(Path(cohort))
        read_cases(description)
        return Cohort(description, Workspace(Path(workspace).resolve()))

    @property
    def cases(self) -> "pd.DataFrame":
        """One row an accepted case: keys, label, and a column a modality that is True where the
        case has it; see `CohortView.cases`.
        """
        return self.view().cases

    @property
    def quarantine(self) -> "pd.DataFrame":
        """What was refused, and why."""
        return self.view().quarantine

    @property
    def modalities(self) -> Mapping[str, str]:
        """Name -> kind."""
        return {name: modality.kind for name, modality in self.description.modalities.items()}

    def image(self, modality: str, case_id: str) -> UInt8[ndarray, "slice row column *colour"]:
        """The slices of a case in spatial order, as a network sees them; where the modality is read
        in colour, with red, green and blue behind.

        Raises:
            UnknownNameError: No modality has this name.
            UsageError: It is no image, or the case is unknown or has none.
        """
        return self.view().image(modality, case_id)

    def poses(self, modality: str) -> "pd.DataFrame":
        """How the images of a modality lie in the patient, a row a case that has it (index
        case_id): orientation, side, slice_mm, pixel_mm, left_out.

        Raises:
            UnknownNameError: No modality has this name.
            UsageError: It is no image.
        """
        return self.view().poses(modality)

    def note(self, modality: str, case_id: str) -> str:
        """The note of a case, masked. Raises as `image`."""
        return self.view().note(modality, case_id)

    def signal(self, modality: str, case_id: str) -> Int16[ndarray, "time channel"]:
        """The samples of a case. Raises as `image`."""
        return self.view().signal(modality, case_id)

    def embedding(self, modality: str, case_id: str) -> Float32[ndarray, "vector number"]:
        """The vectors of a case, one or a bag. Raises as `image`."""
        return self.view().embedding(modality, case_id)

    def table(self, modality: str) -> "pd.DataFrame":
        """A row a case that has the table (index case_id), its columns by name.

        Raises:
            UnknownNameError: No modality has this name.
            UsageError: It is no table.
        """
        return self.view().table(modality)

    def view(self) -> CohortView:
        """What ingestion left of the cohort; opened again once that has changed.

        Raises:
            UsageError: It was not ingested yet.
        """
        file = self.workspace.cohort(self.description.name) / "cases.parquet"
        changed = file.stat().st_mtime_ns if file.is_file() else 0
        return _view(self.workspace, self.description.name, changed)

    def ledger(self) -> Ledger:
        """The record of this workspace."""
        return Ledger.of(self.workspace)

    def ingest(self, *, progress: Report | None = None) -> dict[str, Any]:
        """Read what is new; returns `cohort`, `cases` and `modalities` with their counts."""
        return ingest(self.description, self.workspace, self.ledger(), progress=progress)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A trained model in its folder."""

    id: str
    path: Path

    @staticmethod
    def load(path: Path | str) -> "Bundle":
        """Open a bundle, after checking every file against its manifest.

        Raises:
            BundleError: A file is missing or was changed.
        """
        return Bundle(verify(Path(path)), Path(path).resolve())

    def score(
        self, cohort: Cohort, *, out: Path | str | None = None, progress: Report | None = None
    ) -> "pd.DataFrame":
        """Predictions for every accepted case of a cohort, in the columns of predictions.parquet;
        cases scored earlier are not scored again.

        Args:
            out: Where they are written too; by default beside the cohort in the workspace.
        """
        import pandas as pd

        target = (
            Path(out)
            if out
            else predictions_path(cohort.workspace, cohort.description.name, self.id)
        )
        score(
            self.path,
            cohort.description,
            cohort.workspace,
            cohort.ledger(),
            target,
            progress=progress,
        )
        return pd.read_parquet(target)


@dataclass(frozen=True, slots=True)
class Searched:
    """What a search found.

    Args:
        bundle: The model with the values that were chosen on all labelled subjects, or on those
            outside the held-out test.
        chosen: For each fold, and `all` for the bundle, the values by dotted field.
        metrics: Nested cross-validation estimates, with their intervals.
        trials: Parquet with one row a trial.
    """

    bundle: Bundle
    chosen: dict[str, dict[str, Any]]
    metrics: list[dict[str, Any]]
    trials: Path


def train(cohort: Cohort, config: RunConfig, *, progress: Report | None = None) -> Bundle:
    """Ingest what is new, then train and compare; returns the bundle of the fused model."""
    answer = compare(
        cohort.description, cohort.workspace, cohort.ledger(), config, progress=progress
    )
    return Bundle(answer["bundle"]["id"], Path(answer["bundle"]["path"]))


def search(
    cohort: Cohort,
    config: RunConfig | None = None,
    *,
    space: "Space | None" = None,
    trials: int = 20,
    progress: Report | None = None,
) -> Searched:
    """Ingest what is new, then search: each model of each fold has its values chosen
    on its training subjects alone, and is trained with them.

    Args:
        config: What is not searched, and the first trial; None = the default recipe, with the
            fusion's family searched, too.
        space: Dotted fields of a configuration, such as `training.learning_rate` -> one of Optuna's
            distributions; None = `mmdiag.tuning.space.default_space`.
        trials: Trials of each model.

    Raises:
        UsageError: The space is not one, or the cohort cannot be trained on.
    """
    from mmdiag.recipes import default

    answer = search_and_compare(
        cohort.description,
        cohort.workspace,
        cohort.ledger(),
        config or default(fusion="concat"),
        trials=trials,
        space=space,
        fusion=config is None,
        progress=progress,
    )
    chosen = {name: found["values"] for name, found in answer["search"]["fits"].items()}
    return Searched(
        Bundle(answer["bundle"]["id"], Path(answer["bundle"]["path"])),
        chosen,
        answer["metrics"],
        Path(answer["search"]["table"]),
    )


@lru_cache(maxsize=4)
def _view(workspace: Workspace, name: str, changed_ns: int) -> CohortView:
    del changed_ns  # only there so that a cohort that was ingested anew is opened anew
    return CohortView.open(workspace, name)
