"""A single modality's model does not depend on how the others are fused: what another run has
fitted of it is taken over, not fitted again.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from mmdiag.experiment.run import Run
from mmdiag.workspace import write_text


def take_over(run: Run, name: str) -> bool:
    """Take a complete fit of one modality from another run of the same cohort, split and
    configuration but for its fusion.

    Args:
        name: Of the fit, `<part that is judged>.<modality>`.

    Returns:
        Whether one was found; fit.json then names its run as `taken_from`.
    """
    for file in sorted(run.workspace.runs.glob("*/run.json")):
        other = Run.open(file.parent)
        if (
            other.folder != run.folder
            and _alike(run.asked, other.asked)
            and name in other.asked["fits"]
            and other.done(name)
        ):
            _copy(run, other, name)
            return True
    return False


def _alike(one: Any, two: Any) -> bool:
    """Whether two runs fit the same models of single modalities."""
    if "search" in one or "search" in two:
        return False
    same = all(one[key] == two[key] for key in ("cohort_hash", "split", "fits"))
    return same and {**one["config"], "fusion": ""} == {**two["config"], "fusion": ""}


def _copy(run: Run, other: Run, name: str) -> None:
    source, target = other.fit_folder(name), run.fit_folder(name)
    temporary = target.with_name(f".{target.name}.tmp")
    for left in (temporary, target):
        shutil.rmtree(left, ignore_errors=True)
    shutil.copytree(source, temporary)
    facts = other.fitted(name)
    bundle = Path(facts["bundle"]).relative_to(source.relative_to(run.workspace.path))
    facts |= {
        "bundle": str(target.relative_to(run.workspace.path) / bundle),
        "taken_from": other.asked["run_id"],
    }
    write_text(temporary / "fit.json", json.dumps(facts, indent=1))
    temporary.rename(target)
