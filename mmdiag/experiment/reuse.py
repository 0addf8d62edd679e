"""A single modality's model does not depend on how the others are fused: where another run has
fitted the same one, it is copied, not fitted again.
"""

import json
import shutil
from pathlib import Path

from mmdiag.experiment.fit_id import FitId
from mmdiag.experiment.manifest import RunManifest
from mmdiag.experiment.run import Run
from mmdiag.workspace import write_text


def reuse_fit(run: Run, name: FitId) -> bool:
    """Copy a complete fit of one modality from another run of the same cohort, split and
    configuration but for its fusion.

    Returns:
        Whether one was found; fit.json then names its run as `taken_from`.
    """
    for file in sorted(run.workspace.runs.glob("*/run.json")):
        other = Run.open(file.parent)
        same = other.folder != run.folder and _same_inputs(run.manifest, other.manifest)
        if same and name in other.fits and other.done(name):
            _copy(run, other, name)
            return True
    return False


def _same_inputs(one: RunManifest, two: RunManifest) -> bool:
    """Whether two runs fit the same models of single modalities."""
    if one.search or two.search:
        return False
    asked = [
        (
            (run.cohort_hash, run.labels_by_review, dict(run.split), run.fits, run.erased),
            {**run.config, "fusion": ""},
        )
        for run in (one, two)
    ]
    return asked[0] == asked[1]


def _copy(run: Run, other: Run, name: FitId) -> None:
    source, target = other.fit_folder(name), run.fit_folder(name)
    temporary = target.with_name(f".{target.name}.tmp")
    for left in (temporary, target):
        shutil.rmtree(left, ignore_errors=True)
    shutil.copytree(source, temporary)
    facts = other.fitted(name)
    bundle = Path(facts["bundle"]).relative_to(source.relative_to(run.workspace.path))
    facts |= {
        "bundle": str(target.relative_to(run.workspace.path) / bundle),
        "taken_from": other.manifest.run_id,
    }
    write_text(temporary / "fit.json", json.dumps(facts, indent=1))
    temporary.rename(target)
