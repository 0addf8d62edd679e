"""Score a cohort: what is new in it is ingested first; where nothing is new, nothing is loaded."""

from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmdiag.api.steps import Report, detail, ingest, open_bundle, tell
from mmdiag.description import Description
from mmdiag.explain.choice import FULL, MODALITIES, NONE, require_choice
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
    reviewed: Collection[str] = (),
    trust: Path | None = None,
    progress: Report | None = None,
) -> dict[str, Any]:
    """Ingest what is new, then score what this bundle has not scored, and explain it; returns what
    `mmdiag score --json` shows.

    Args:
        bundle: Its folder, or what `open_bundle` gave. By its folder no model is loaded where
            nothing is new and nothing is left to do.
        explain, full_for, only_open, reviewed: See `mmdiag.explain.scored.score_and_explain`.
        trust: Public key of whom a bundle that is named by its folder must be signed by.
    """
    require_choice(explain, full_for)
    meant = {"only_open": only_open, "reviewed": reviewed}
    if isinstance(bundle, Path) and explain != FULL:
        contributions = {"contributions": explain != NONE}
        told = _scored_before(
            bundle, description, workspace, ledger, out, meant | contributions, trust, progress
        )
        if told is not None:
            return told
    from mmdiag.explain.scored import score_and_explain
    from mmdiag.inference.score import wanted_columns

    opened = open_bundle(bundle, description, ledger, trust) if isinstance(bundle, Path) else bundle
    wanted = wanted_columns(opened)
    found = ingest(description, workspace, ledger, wanted=wanted, progress=progress)
    waiting = partial(tell, progress, "score", 0, 0, WAITS)
    with turn(workspace, description.name, waiting):  # what two score is scored once
        return found | score_and_explain(
            opened,
            description,
            workspace,
            ledger,
            out,
            detail(progress, "score"),
            explain=explain,
            full_for=full_for,
            only_open=only_open,
            reviewed=reviewed,
        )


def _scored_before(
    folder: Path,
    description: Description,
    workspace: Workspace,
    ledger: Ledger,
    out: Path,
    meant: Mapping[str, Any],
    trust: Path | None,
    progress: Report | None,
) -> dict[str, Any] | None:
    """The answer where neither the cohort's files have changed since a bundle scored it, nor is a
    case left that it has not scored; else None, and nothing was written.

    Args:
        meant: Arguments of `answered_before`.
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
        answer = answered_before(plain, workspace, ledger, description.name, out, **meant)
    return None if answer is None else known | answer
