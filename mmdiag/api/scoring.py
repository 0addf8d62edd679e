"""Score a cohort: what is new in it is ingested first; where nothing is new, nothing is loaded."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmdiag.api.steps import Detail, Report, detail, ingest, open_bundle, tell
from mmdiag.cohort.case_table import read_cases
from mmdiag.description import Description
from mmdiag.explain.choice import FULL, MODALITIES, NONE, require_choice
from mmdiag.record.reviews import reviewed_versions
from mmdiag.storage.ledger import Ledger
from mmdiag.storage.turns import WAITS, turn
from mmdiag.workspace import Workspace

if TYPE_CHECKING:
    from mmdiag.inference.bundle import Bundle


def score(
    bundle: "Path | Bundle",
    description: Description,
    workspace: Workspace,
    ledger: Ledger,
    out: Path,
    *,
    explain: str = MODALITIES,
    full_for: int | None = None,
    only_open: bool = False,
    trust: Path | None = None,
    progress: Report | None = None,
) -> dict[str, Any]:
    """Ingest what is new, then score what this bundle has not scored, and explain it; returns what
    `mmdiag score --json` shows.

    Args:
        bundle: Its folder, or what `open_bundle` gave. By its folder no model is loaded where
            nothing is new and nothing is left to do.
        explain, full_for: See `mmdiag.explain.scored.score_and_explain`.
        only_open: Leave out cases with a label or a review, and those that the bundle has learned
            from.
        trust: Public key of whom a bundle that is named by its folder must be signed by.
    """
    require_choice(explain, full_for)
    place = (description, workspace, ledger, out)
    if isinstance(bundle, Path) and explain != FULL:
        told = score_unchanged(
            bundle,
            *place,
            contributions=explain != NONE,
            only_open=only_open,
            trust=trust,
            progress=progress,
        )
        if told is not None:
            return told
    read_cases(description)  # whatever is wrong with it is said before anything is loaded
    from mmdiag.inference.score import wanted_columns

    opened = open_bundle(bundle, description, ledger, trust) if isinstance(bundle, Path) else bundle
    wanted = wanted_columns(opened)
    found = ingest(description, workspace, ledger, wanted=wanted, progress=progress)
    waiting = partial(tell, progress, "score", 0, 0, WAITS)
    with turn(workspace, description.name, waiting):  # what two score is scored once
        return found | score_ingested(
            opened,
            *place,
            explain=explain,
            full_for=full_for,
            only_open=only_open,
            progress=detail(progress, "score"),
        )


def score_ingested(
    bundle: "Bundle",
    description: Description,
    workspace: Workspace,
    ledger: Ledger,
    out: Path,
    *,
    explain: str = MODALITIES,
    full_for: int | None = None,
    only_open: bool = False,
    progress: Detail | None = None,
) -> dict[str, Any]:
    """Score what a bundle has not scored of a cohort that is held alone and was ingested; see
    `score`.
    """
    from mmdiag.explain.scored import score_and_explain

    return score_and_explain(
        bundle,
        description,
        workspace,
        ledger,
        out,
        progress,
        explain=explain,
        full_for=full_for,
        only_open=only_open,
        reviewed=_reviewed(ledger, description.name, only_open=only_open),
    )


def _reviewed(ledger: Ledger, cohort: str, *, only_open: bool) -> frozenset[tuple[str, str]]:
    """case_id and version of the cases that have a review, where those are left out: one whose
    files have changed since is another.
    """
    return reviewed_versions(ledger, cohort) if only_open else frozenset()


def score_unchanged(
    folder: Path,
    description: Description,
    workspace: Workspace,
    ledger: Ledger,
    out: Path,
    *,
    contributions: bool = True,
    only_open: bool = False,
    trust: Path | None = None,
    progress: Report | None = None,
) -> dict[str, Any] | None:
    """The answer where neither the cohort's files have changed since a bundle scored it, nor is a
    case left that it has not scored; else None, and nothing was written. No model is loaded.

    Args:
        contributions: Whether what each modality contributed has to be there, too.
    """
    from mmdiag.cohort.unchanged import look, recall
    from mmdiag.inference.settled import PlainBundle, answered_before

    place = workspace.cohort(description.name)
    if not (place / "cases.parquet").is_file():
        return None
    if trust is not None:
        from mmdiag.inference.signature import verify

        verify(folder, trust)
    plain = PlainBundle.read(folder, ledger)
    if plain is None:
        return None
    with turn(workspace, description.name, partial(tell, progress, "score", 0, 0, WAITS)):
        seen = look(description, place, plain.wanted)
        known = recall(description, place, seen, ledger)
        if known is None:
            return None
        answer = answered_before(
            plain,
            workspace,
            ledger,
            description.name,
            out,
            contributions=contributions,
            only_open=only_open,
            reviewed=_reviewed(ledger, description.name, only_open=only_open),
        )
    return None if answer is None else known | answer
