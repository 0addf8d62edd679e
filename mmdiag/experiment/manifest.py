"""`RunManifest`: run.json, which says what a run was asked and what became of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mmdiag.experiment.fit_id import FitId


@dataclass(frozen=True, slots=True, kw_only=True)
class RunManifest:
    """What a run was asked, and what became of it.

    Args:
        config: The requested configuration, as `mmdiag.config.to_json` writes it.
        split: `{"folds": 5}`, or the number of subjects of `train`, `valid` and `test`.
        fits: The models to fit, in order; the last one's fold is that of the bundle.
        started, finished: ISO 8601; `finished` is empty while the run goes on.
        bundle: `id` and `path` of the bundle, once it is published.
        warnings: Fit -> sentences on branches that collapsed.
        search: What is searched, where the run is a search.
        labels_by_review: SHA-256 of the labels that people's reviews give to cases without a
            recorded one, as `labels_by_review.json` holds them; empty where there are none.
        in_colour: Images that the run reads in colour, as the cohort's were when it began.
        erased: How many of its cases were erased since (`mmdiag audit erase`).
    """

    run_id: str
    cohort: str
    cohort_hash: str
    config: Mapping[str, Any]
    fits: tuple[FitId, ...]
    split: Mapping[str, int] = field(default_factory=dict)
    started: str = ""
    status: str = "running"
    finished: str = ""
    bundle: Mapping[str, str] = field(default_factory=dict)
    warnings: Mapping[str, list[str]] = field(default_factory=dict)
    search: Mapping[str, Any] = field(default_factory=dict)
    labels_by_review: str = ""
    in_colour: Sequence[str] = ()
    erased: int = 0

    @staticmethod
    def from_facts(facts: Mapping[str, Any]) -> "RunManifest":
        """Read run.json; what other versions wrote beside it is left aside."""
        known = {key: facts[key] for key in RunManifest.__dataclass_fields__ if key in facts}
        return RunManifest(**{**known, "fits": tuple(map(FitId.parse, facts["fits"]))})

    def facts(self) -> dict[str, Any]:
        """What run.json holds; nothing that is not known yet."""
        listed = {key: getattr(self, key) for key in self.__dataclass_fields__}
        listed["fits"] = [str(fit) for fit in self.fits]
        later = {
            "finished",
            "bundle",
            "warnings",
            "search",
            "labels_by_review",
            "in_colour",
            "erased",
        }
        later -= {"warnings"} if self.status == "done" else set()
        return {key: value for key, value in listed.items() if value or key not in later}

    @property
    def cross_validated(self) -> bool:
        """Whether every labelled subject is held out once, in some fold."""
        return "folds" in self.split


def said_of_erased(cases: int) -> list[str]:
    """What is said of a run of which cases were erased; nothing where none was."""
    if not cases:
        return []
    which = "1 case of this run was" if cases == 1 else f"{cases} cases of this run were"
    said = "the models have learned from what is gone, and figures of before count it"
    return [f"{which} erased since: {said}."]
