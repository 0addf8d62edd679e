"""Another fusion on the same cohort fits the single modalities no second time; another seed
does.
"""

import dataclasses
import json
import shutil

import pandas as pd
import pytest
from phantom_runs import SMALL, PhantomRun

from mmdiag.experiment.fit_id import FitId


@pytest.fixture
def own_run(small_run, tmp_path) -> PhantomRun:
    """A copy of the small run, which others use too."""
    from mmdiag.workspace import Workspace

    workspace = Workspace(shutil.copytree(small_run.workspace.path, tmp_path / "w"))
    return dataclasses.replace(
        small_run, workspace=workspace, folder=workspace.runs / small_run.folder.name
    )


def start(found: PhantomRun, **changes: object):
    from mmdiag import recipes
    from mmdiag.description import read_description
    from mmdiag.experiment.plan import plan_run

    config = recipes.named("default", fusion="modality_attention", settings=SMALL)
    config = dataclasses.replace(config, **changes)
    return plan_run(read_description(found.cohort / "cohort.toml"), found.workspace, config)


def test_another_fusion_takes_over_what_single_modalities_gave(own_run):
    from mmdiag.experiment.fit import fit
    from mmdiag.experiment.run import Run
    from mmdiag.inference.bundle import Bundle

    run, first = start(own_run, fusion="late"), Run.open(own_run.folder)
    fit(run, FitId.parse("fold-0.report"))
    facts = run.fitted(FitId.parse("fold-0.report"))
    assert (
        facts["taken_from"] == first.manifest.run_id
        and facts["bundle_id"] == first.fitted(FitId.parse("fold-0.report"))["bundle_id"]
    )
    pd.testing.assert_frame_equal(
        run.predictions(FitId.parse("fold-0.report")),
        first.predictions(FitId.parse("fold-0.report")),
    )
    bundle = own_run.workspace.path / facts["bundle"]
    assert bundle.is_relative_to(run.folder) and Bundle.load(bundle).kinds == {"report": "text"}, (
        "its bundle lies with it: the other run may be deleted"
    )


def test_what_depends_on_the_fusion_the_seed_or_the_recipe_is_fitted(own_run):
    from mmdiag.experiment.reuse import reuse_fit
    from mmdiag.experiment.run import Run

    config = Run.open(own_run.folder).config
    assert not reuse_fit(start(own_run, seed=7), FitId.parse("fold-0.report"))
    longer = dataclasses.replace(config.training, max_epochs=3)
    assert not reuse_fit(start(own_run, training=longer), FitId.parse("fold-0.report"))
    unfinished = start(own_run, fusion="gated")
    (own_run.folder / "fits" / "fold-1.report" / "fit.json").rename(own_run.folder / "kept.json")
    try:
        assert not reuse_fit(unfinished, FitId.parse("fold-1.report")), (
            "a fit that was not finished is none"
        )
    finally:
        (own_run.folder / "kept.json").rename(
            own_run.folder / "fits" / "fold-1.report" / "fit.json"
        )
    assert reuse_fit(unfinished, FitId.parse("fold-1.report")) and not list(
        unfinished.folder.glob("fits/.*")
    )
    assert (
        json.loads((unfinished.fit_folder(FitId.parse("fold-1.report")) / "fit.json").read_text())[
            "taken_from"
        ]
        == own_run.folder.name
    )
