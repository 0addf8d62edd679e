"""What a run is asked and what its models are called come back from disk as they were."""

import json

import pytest

from mmdiag.experiment.fit_id import FitId
from mmdiag.experiment.manifest import RunManifest
from mmdiag.experiment.run import Run


@pytest.mark.parametrize("text", ["fold-0.fused", "all.fused", "test.flair", "fold-12.t1_gd"])
def test_the_name_of_a_fit_is_its_folder(text):
    assert str(FitId.parse(text)) == text


@pytest.mark.parametrize(
    ("fits", "final"),
    [
        (("fold-0.fused", "fold-0.flair", "all.fused"), "all.fused"),
        (("test.fused", "test.flair", "all.fused"), "all.fused"),
        (("test.fused", "test.flair"), "test.fused"),  # of a run of 0.1
    ],
)
def test_the_fused_model_of_every_labelled_case_becomes_the_bundle(tmp_path, fits, final):
    facts = {"run_id": "r-1", "cohort": "c", "cohort_hash": "", "config": {}, "fits": fits}
    assert str(Run(tmp_path, RunManifest.from_facts(facts)).final) == final


def test_run_json_keeps_its_form_and_what_other_versions_added_is_left_aside():
    facts = {
        "run_id": "r-1",
        "cohort": "c",
        "cohort_hash": "sha256:0",
        "status": "running",
        "config": {"fusion": "late"},
        "split": {"folds": 2},
        "fits": ["fold-0.fused", "fold-1.fused", "all.fused"],
        "started": "2026-01-01T00:00:00+00:00",
    }
    manifest = RunManifest.from_facts({**facts, "added_later": 1})
    assert manifest.facts() == facts and manifest.cross_validated
    assert json.loads(json.dumps(manifest.facts())) == facts


def test_a_configuration_that_does_not_fit_leaves_no_split_behind(small_run, tmp_path):
    """The split is written for good: what fails before training must not choose it."""
    import dataclasses
    import shutil

    from mmdiag import recipes
    from mmdiag.description import read_description
    from mmdiag.errors import UsageError
    from mmdiag.experiment.plan import plan_run
    from mmdiag.workspace import Workspace

    workspace = Workspace(shutil.copytree(small_run.workspace.path, tmp_path / "w"))
    name = small_run.answer["cohort"]["name"]
    (workspace.cohort(name) / "split.json").unlink()
    config = recipes.default(fusion="concat")
    survival = dataclasses.replace(config.training, early_stopping="c_index")
    with pytest.raises(UsageError, match="early_stopping"):
        plan_run(
            read_description(small_run.cohort / "cohort.toml"),
            workspace,
            dataclasses.replace(config, training=survival),
        )
    assert not (workspace.cohort(name) / "split.json").exists()
