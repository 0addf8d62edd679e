"""Models in use: which model of a cohort is its champion, and why. A person promotes, returns to
the champion before, or retires; each in one transaction with its row of the audit.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select, update

from mmdiag.errors import UsageError
from mmdiag.evaluation.verdict import FUSED
from mmdiag.roles import OPERATOR, require_role, system_user
from mmdiag.storage.audit.chain import now
from mmdiag.storage.ledger import Ledger
from mmdiag.storage.ledger_tables import METRICS
from mmdiag.storage.model_states import CANDIDATE, REFUSED, RETIRED, champion
from mmdiag.storage.record_tables import CHAMPION, MODELS
from mmdiag.workspace import Workspace

ORDER = {CHAMPION: 0, CANDIDATE: 1, RETIRED: 2, REFUSED: 3}
LIST = "`mmdiag models list` names those that are known"


def list_models(ledger: Ledger, cohort: str | None = None) -> list[dict[str, Any]]:
    """Every model with its state, as docs/interface.md 8 has it: the champion of a cohort first,
    then the newest.
    """
    ledger.migrate()
    query = select(MODELS).where(MODELS.c.cohort == cohort) if cohort else select(MODELS)
    rows = [dict(row) for row in ledger.rows(query, MODELS)]
    bundles = {str(row["bundle_id"]): row for _, row in ledger.bundles().iterrows()}
    rows.sort(key=lambda row: row["since"], reverse=True)
    rows.sort(key=lambda row: (row["cohort"], ORDER[row["state"]]))
    return [_shown(row, bundles.get(row["bundle_id"], {}), ledger) for row in rows]


def champion_of(ledger: Ledger, cohort: str) -> str | None:
    """The id of a cohort's champion."""
    ledger.migrate()
    query = select(MODELS.c.bundle_id).where(MODELS.c.cohort == cohort, MODELS.c.state == CHAMPION)
    return next((str(row["bundle_id"]) for row in ledger.rows(query, MODELS)), None)


def champion_folder(workspace: Workspace, ledger: Ledger | None, cohort: str) -> Path:
    """The folder of a cohort's champion.

    Raises:
        UsageError: It has none, or the folder is gone.
    """
    bundle = champion_of(ledger, cohort) if ledger is not None else None
    if bundle is None:
        raise UsageError(
            f"Without a bundle named, the champion of the cohort scores, and {cohort} has none: "
            f"train one (`mmdiag train`), promote one (`mmdiag models promote`), or name a model "
            "by --bundle or --champion-of."
        )
    folder = workspace.bundles / bundle
    if not folder.is_dir():
        raise UsageError(
            f"The champion of the cohort {cohort} scores, its folder {folder} is gone: bring it "
            "back, or promote another by `mmdiag models promote`."
        )
    return folder


def promote(
    ledger: Ledger,
    bundle_id: str,
    reason: str,
    by: str = "",
    *,
    role: str = OPERATOR,
    workspace: Workspace | None = None,
) -> dict[str, Any]:
    """Make a model its cohort's champion; the one before retires.

    Args:
        workspace: Where its folder must lie; None = nobody looks.

    Raises:
        UsageError: The model is not known, its folder is gone, no reason is given, or the role may
            not.
    """
    require_role(role, "decide")
    _require_reason(reason)
    ledger.migrate()
    with ledger.writing() as connection:
        model = _model(connection, bundle_id)
        _require_folder(workspace, bundle_id)
        if model["state"] != CHAMPION:
            crown(ledger, connection, model, reason, by)
        return _model(connection, bundle_id)


def rollback(
    ledger: Ledger,
    cohort: str,
    reason: str,
    by: str = "",
    *,
    role: str = OPERATOR,
    workspace: Workspace | None = None,
) -> dict[str, Any]:
    """Return to the champion before, in one transaction.

    Args:
        workspace: Where its folder must lie; None = nobody looks.

    Raises:
        UsageError: The cohort has no champion, or this is its first, the one before was taken out
            of use or its folder is gone, no reason is given, or the role may not.
    """
    require_role(role, "decide")
    _require_reason(reason)
    ledger.migrate()
    with ledger.writing() as connection:
        now_in_use = champion(connection, cohort)
        if now_in_use is None or not now_in_use["before"]:
            fact = "has no champion" if now_in_use is None else "had none before the one in use"
            raise UsageError(
                f"A rollback returns to the champion before, the cohort {cohort} {fact}: promote "
                f"a model by `mmdiag models promote`; {LIST}."
            )
        earlier = _model(connection, now_in_use["before"])
        if earlier["reason"] != _followed(now_in_use["bundle_id"]):
            raise UsageError(
                f"A rollback returns to the champion before, {earlier['bundle_id']} was taken out "
                f"of use since ({earlier['reason']}): promote a model by `mmdiag models promote`; "
                f"{LIST}."
            )
        _require_folder(workspace, earlier["bundle_id"])
        give_state(connection, now_in_use["bundle_id"], RETIRED, reason, by)
        give_state(connection, earlier["bundle_id"], CHAMPION, reason, by)
        facts = {"cohort": cohort, "bundle_id": earlier["bundle_id"]}
        facts |= {"instead_of": now_in_use["bundle_id"], "reason": reason}
        ledger.audit(connection, "rollback", facts, by)
        return _model(connection, earlier["bundle_id"])


def retire(
    ledger: Ledger, bundle_id: str, reason: str, by: str = "", *, role: str = OPERATOR
) -> dict[str, Any]:
    """Take a model out of use; a cohort whose champion retires has none.

    Raises:
        UsageError: The model is not known, no reason is given, or the role may not.
    """
    require_role(role, "decide")
    return _end(ledger, bundle_id, RETIRED, "retire", reason, by)


def refuse(ledger: Ledger, bundle_id: str, reason: str, by: str = "") -> dict[str, Any]:
    """Record that a plan refused a model.

    Raises:
        UsageError: The model is not known, or no reason is given.
    """
    return _end(ledger, bundle_id, REFUSED, "refuse", reason, by)


def crown(
    ledger: Ledger, connection: Connection, model: Mapping[str, Any], reason: str, by: str = ""
) -> None:
    """Make a model champion within a transaction; the one before retires."""
    before = champion(connection, model["cohort"])
    if before is not None:
        give_state(connection, before["bundle_id"], RETIRED, _followed(model["bundle_id"]), by)
    give_state(connection, model["bundle_id"], CHAMPION, reason, by)
    follows = update(MODELS).where(MODELS.c.bundle_id == model["bundle_id"])
    connection.execute(follows.values(before=before["bundle_id"] if before is not None else None))
    facts = {"cohort": model["cohort"], "bundle_id": model["bundle_id"], "reason": reason}
    facts |= {"instead_of": before["bundle_id"] if before is not None else None}
    ledger.audit(connection, "promote", facts, by)


def _followed(bundle_id: str) -> str:
    """Why a champion retires that another follows: nobody found anything against it."""
    return f"{bundle_id} followed"


def give_state(connection: Connection, bundle_id: str, state: str, reason: str, by: str) -> None:
    """Give a model a state within a transaction."""
    changed = {"state": state, "since": now(), "by": by or system_user(), "reason": reason}
    connection.execute(update(MODELS).where(MODELS.c.bundle_id == bundle_id).values(**changed))


def _end(
    ledger: Ledger, bundle_id: str, state: str, kind: str, reason: str, by: str
) -> dict[str, Any]:
    _require_reason(reason)
    ledger.migrate()
    with ledger.writing() as connection:
        model = _model(connection, bundle_id)
        if (model["state"], model["reason"]) != (state, reason):
            give_state(connection, bundle_id, state, reason, by)
            facts = {"cohort": model["cohort"], "bundle_id": bundle_id, "reason": reason}
            ledger.audit(connection, kind, facts | {"was": model["state"]}, by)
        return _model(connection, bundle_id)


def _model(connection: Connection, bundle_id: str) -> dict[str, Any]:
    found = connection.execute(select(MODELS).where(MODELS.c.bundle_id == bundle_id)).mappings()
    row = found.first()
    if row is None:
        raise UsageError(
            f"A model in use is one of this workspace's, {bundle_id!r} is none: {LIST}."
        )
    return dict(row)


def _require_folder(workspace: Workspace | None, bundle_id: str) -> None:
    """A model that is to score must be there: the next night would find out otherwise.

    Raises:
        UsageError: Its folder is gone.
    """
    if workspace is not None and not (workspace.bundles / bundle_id).is_dir():
        raise UsageError(
            f"A champion scores, and the folder {workspace.bundles / bundle_id} is gone: bring it "
            "back, or promote another by `mmdiag models promote`."
        )


def _shown(row: dict[str, Any], bundle: Any, ledger: Ledger) -> dict[str, Any]:
    shown = {name: row[name] for name in ("bundle_id", "cohort", "state", "since", "by", "reason")}
    facts = bundle.get("description") or {}
    shown |= {"fusion": facts.get("fusion"), "saved_at": bundle.get("saved_at")}
    return shown | {"metrics": promised(ledger, bundle.get("run_id"))}


def promised(ledger: Ledger, run_id: str | None) -> list[dict[str, Any]]:
    """How the fused model of a run was judged when it was made."""
    if not run_id:
        return []
    query = select(METRICS).where(METRICS.c.run_id == run_id, METRICS.c.model == FUSED)
    names = ("split", "metric", "value", "low", "high", "n", "n_positive")
    return [{name: row[name] for name in names} for row in ledger.rows(query, METRICS)]


def _require_reason(reason: str) -> None:
    if not reason.strip():
        raise UsageError("A decision on a model has a reason, none is given: say why by --reason.")
