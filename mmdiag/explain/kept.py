"""Where the full explanation of a case lies: of a bundle and a version of the case, whoever asked
for it.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool
from numpy import ndarray

from mmdiag.explain.parts import CaseParts
from mmdiag.workspace import Workspace, write_text


def explanation_path(workspace: Workspace, bundle_id: str, case_id: str, version: str) -> Path:
    """The file; its name says nothing of the case."""
    key = hashlib.sha256(f"{case_id}\n{version}".encode()).hexdigest()[:16]
    return workspace.path / "explanations" / bundle_id / f"{key}.json"


def still_similar(
    cases: pd.DataFrame, row: int, similar: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Of the cases that were found to be alike those that may still be shown: that are there, have
    their outcome, and are of another subject; those of a later day, which `later` tells, where none
    is earlier. The nearest of few cases may be unlike: one with a similarity of 0 or less is not
    alike.

    Args:
        cases: Of the store, as it is now.
        row: Of the case that they are like.
    """
    shown, is_later = may_be_shown(cases, row), later(cases, row)
    of = dict(zip(cases.loc[shown, "case_id"], is_later[shown].tolist(), strict=True))
    known = [{**one, "later": of[one["case_id"]]} for one in similar if one["case_id"] in of]
    found = [one for one in known if one["similarity"] > 0]
    return [one for one in found if not one["later"]] or found


def heading_of(similar: Sequence[Mapping[str, Any]]) -> str:
    """What stands above what `still_similar` gave."""
    none_earlier = any(one["later"] for one in similar)
    return (
        "Similar cases of later days (none is earlier)" if none_earlier else "Similar earlier cases"
    )


def later(cases: pd.DataFrame, row: int) -> Bool[ndarray, "case"]:
    """Which cases are of a later day than one."""
    found: ndarray = (cases["as_of"] > cases["as_of"].iloc[row]).to_numpy()
    return found


def may_be_shown(cases: pd.DataFrame, row: int) -> Bool[ndarray, "case"]:
    """Which cases have a known outcome, and are of another subject than a case."""
    known = cases["label"].notna().to_numpy() if "label" in cases else np.zeros(len(cases), bool)
    if "time" in cases and not known.any():
        known = cases["time"].notna().to_numpy()
    own = (cases["subject_id"] == cases["subject_id"].iloc[row]).to_numpy()
    found: ndarray = known & ~own
    return found


def is_whole(path: Path) -> bool:
    """Whether an explanation is there and can be read; one of an earlier version of mmdiag, whose
    parts did not add up, is made anew.
    """
    try:
        return "parts" in json.loads(path.read_text())
    except (OSError, ValueError, TypeError):
        return False


def keep(
    path: Path, case_id: str, found: CaseParts, similar: Sequence[Mapping[str, Any]] = ()
) -> None:
    """Write an explanation.

    Args:
        similar: Cases that are like it: `case_id`, `similarity` and `alike_in`.
    """
    facts = {
        "case_id": case_id,
        "parts": found.parts,
        "groups": found.groups,
        "interaction": found.interaction,
        "gap": found.gap,
        "similar": list(similar),
    }
    write_text(path, json.dumps(facts))


def kept_facts(path: Path) -> dict[str, Any]:
    """`case_id`, `similar`, and `parts`, `groups`, `interaction` and `gap`, see `CaseParts`."""
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def features_path(workspace: Workspace, bundle_id: str, cohort: str) -> Path:
    """Where the features lie by which similar cases are found."""
    return workspace.path / "explanations" / bundle_id / f"similar-{cohort}.npz"


def checks_path(workspace: Workspace, bundle_id: str) -> Path:
    """Where it lies how the explanations of a model were found."""
    return workspace.path / "explanations" / bundle_id / "checks" / "checks.json"


def kept_checks(workspace: Workspace, bundle_id: str) -> dict[str, Any] | None:
    """How the explanations of a model were found; None where nobody has checked them."""
    try:
        found: dict[str, Any] = json.loads(checks_path(workspace, bundle_id).read_text())
    except (OSError, ValueError):
        return None
    return found if "reliable" in found else None
