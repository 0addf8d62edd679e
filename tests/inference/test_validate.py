"""A bundle is judged on labelled cases of subjects that it has not seen, and on no others."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score

from mmdiag.errors import UsageError


@pytest.fixture(scope="module")
def new_cases(tmp_path_factory):
    from mmdiag.phantom import write_phantom

    folder = tmp_path_factory.mktemp("new")
    write_phantom(folder, cases=24, seed=78, missing=0.2)
    return folder


def judge(small_run, toml, workspace):
    from mmdiag import api
    from mmdiag.description import read_description
    from mmdiag.storage.ledger import Ledger
    from mmdiag.workspace import Workspace

    place, description = Workspace(workspace), read_description(toml)
    bundle = api.open_bundle(Path(small_run.answer["bundle"]["path"]), description, None)
    api.require_judgeable(bundle, description, place)
    return api.validate(bundle, description, place, Ledger(place.ledger_url))


def figure(answer, metric):
    return next(row for row in answer["metrics"] if row["metric"] == metric)


def test_its_figures_are_those_of_what_the_bundle_scores(small_run, new_cases, tmp_path):
    import mmdiag
    from mmdiag.storage.ledger import Ledger

    toml, place = new_cases / "cohort.toml", tmp_path / "w"
    answer = judge(small_run, toml, place)
    assert not len(Ledger(f"sqlite:///{place / 'ledger.db'}").predictions()), "nothing is recorded"
    cohort = mmdiag.Cohort.open(toml, workspace=tmp_path / "other")
    scored = mmdiag.Bundle.load(small_run.answer["bundle"]["path"]).score(cohort)
    table = scored.merge(cohort.cases[["case_id", "label"]].dropna(), on="case_id")
    assert answer["unseen"] == len(table) == figure(answer, "auroc")["n"] and answer["seen"] == 0
    label, probability = table["label"], table["probability"]
    assert figure(answer, "auroc")["value"] == pytest.approx(roc_auc_score(label, probability))
    assert figure(answer, "brier")["value"] == pytest.approx(brier_score_loss(label, probability))
    assert answer["calibration"]["brier"] == pytest.approx(brier_score_loss(label, probability))
    assert {row["metric"] for row in answer["metrics"]} == {"auroc", "auprc", "brier"}
    counts = pd.DataFrame(answer["by_availability"]).query("metric == 'brier'")
    assert counts["n"].sum() == len(table) and set(answer["shift"]) <= set(answer["modalities"])


def test_subjects_that_it_learned_from_are_left_out_and_counted(small_run, tmp_path):
    folder = shutil.copytree(small_run.cohort, tmp_path / "both")
    cases = pd.read_csv(folder / "cases.csv", dtype=str, keep_default_na=False)
    known = sorted(set(cases["subject_id"]))[::2]
    others = ~cases["subject_id"].isin(known)
    cases.loc[others, "subject_id"] = "new-" + cases.loc[others, "subject_id"]
    cases.to_csv(folder / "cases.csv", index=False)
    answer = judge(small_run, folder / "cohort.toml", tmp_path / "w")
    accepted = answer["cases"]["labelled"]
    assert answer["unseen"] + answer["seen"] == accepted and answer["seen"] > 5
    table = pd.read_parquet(next((tmp_path / "w" / "cohorts").iterdir()) / "cases.parquet")
    own = table["subject_id"].isin(known) & table["label"].notna()
    assert answer["seen"] == own.sum() and figure(answer, "auroc")["n"] == (~own).sum()


def test_without_the_key_of_its_workspace_nobody_is_known(small_run, new_cases, tmp_path):
    from mmdiag import api
    from mmdiag.cli.context import to_json
    from mmdiag.description import read_description
    from mmdiag.inference.validate import require_judgeable, validate
    from mmdiag.storage.ledger import Ledger
    from mmdiag.workspace import Workspace

    elsewhere = shutil.copytree(small_run.answer["bundle"]["path"], tmp_path / "sent")
    place, description = Workspace(tmp_path / "w"), read_description(new_cases / "cohort.toml")
    bundle = api.open_bundle(elsewhere, description, None)
    require_judgeable(bundle, description, place)
    api.ingest(description, place, Ledger(place.ledger_url))
    answer = validate(bundle, description, place)
    assert answer["seen"] is None and json.loads(to_json(answer))["unseen"] == 24


def test_a_cohort_without_a_label_or_without_a_new_subject_is_refused_with_nothing_written(
    small_run, new_cases, tmp_path, mmdiag_command
):
    folder = shutil.copytree(new_cases, tmp_path / "none")
    toml = folder / "cohort.toml"
    lines = toml.read_text().splitlines()
    told = ("label = ", "positive = ", "negative = ", "class_names = ")
    toml.write_text("\n".join(line for line in lines if not line.startswith(told)))
    bundle, place = small_run.answer["bundle"]["path"], tmp_path / "w"
    done = mmdiag_command(
        "validate", "--bundle", bundle, "--cohort", toml, "--workspace", place, "--json"
    )
    assert done.returncode == 2 and "has no label" in done.stderr and "mmdiag score" in done.stderr
    assert not place.exists() and not done.stdout
    learned = shutil.copytree(small_run.cohort, tmp_path / "learned")
    cases = pd.read_csv(learned / "cases.csv", dtype=str, keep_default_na=False)
    accepted = cases["subject_id"].isin(small_run.predictions["subject_id"])
    cases[accepted].to_csv(learned / "cases.csv", index=False)
    with pytest.raises(UsageError, match="learned from all"):
        judge(small_run, learned / "cohort.toml", place)
    assert not place.exists()
    with pytest.raises(UsageError, match="that were accepted"):
        judge(small_run, small_run.cohort / "cohort.toml", place)  # one was refused, then as now


def test_another_task_is_refused(small_run):
    from mmdiag.inference.validate import _labels, _require_task
    from mmdiag.task import Task

    own = Task(kind="multiclass", label="l", classes=("a", "b", "c"))
    with pytest.raises(UsageError, match="which is multiclass, the cohort's is binary"):
        _require_task(own, Task(kind="binary"))
    with pytest.raises(UsageError, match="1 of the cohort's classes"):
        _require_task(own, Task(kind="multiclass", classes=("a", "x")))
    theirs = Task(kind="multiclass", classes=("c", "a"))
    _require_task(own, theirs)
    cases = pd.DataFrame({"label": [0.0, 1.0, 0.0]})
    assert np.array_equal(_labels(cases, theirs, own), [2, 0, 2]), "numbered as the bundle does"


def test_columns_that_a_cohort_lacks_or_has_besides_are_said(
    small_run, new_cases, tmp_path, capsys
):
    from mmdiag.cli.show import show_validation

    folder = shutil.copytree(new_cases, tmp_path / "renamed")
    genes = folder / "genomics.csv"
    genes.write_text(genes.read_text().replace("PH00G00_rna", "PH99G99_rna", 1))
    answer = judge(small_run, folder / "cohort.toml", tmp_path / "w")
    found = answer["columns"]["expression"]
    assert found["missing"] == ["PH00G00_rna"] and found["left_out"] == ["PH99G99_rna"]
    show_validation(answer)
    shown = capsys.readouterr().out.replace("\n", " ")
    assert "nobody here has a number in, taken for not measured: PH00G00_rna" in shown


def test_a_mean_over_classes_says_of_which_where_some_have_no_case():
    from mmdiag.evaluation.judged import Judged
    from mmdiag.inference.validate import _of_classes
    from mmdiag.task import Task

    task = Task(kind="multiclass", classes=("a", "b", "rare"))
    label = np.asarray([0.0, 1.0, 1.0])
    some = Judged(task, label, np.full((3, 3), 1 / 3), label.astype(str), label, label)
    assert "the mean over the 2 of its 3 classes that these cases have" in _of_classes(some)
    assert not _of_classes(Judged(task, np.arange(3.0), some.probability, *[label] * 3))


def test_a_cohort_in_which_nobody_has_one_of_several_labels_is_judged_on_the_others():
    """Of a small cohort a label that all or none have is to be left out of its description."""
    from mmdiag.evaluation.judged import Judged
    from mmdiag.inference.validate import _labels, _of_classes, _require_task
    from mmdiag.task import Task

    own = Task(kind="multilabel", labels=("edema", "nodule", "rare"))
    theirs = Task(kind="multilabel", labels=("nodule", "edema"))
    _require_task(own, theirs)
    cases = pd.DataFrame({"label_nodule": [1.0, 0.0], "label_edema": [0.0, np.nan]})
    found = _labels(cases, theirs, own)
    np.testing.assert_array_equal(found, [[0, 1, np.nan], [np.nan, 0, np.nan]])
    label = np.asarray([[0.0, 1, np.nan], [1, 0, np.nan]])
    nothing = np.zeros(2)
    judged = Judged(own, label, label, nothing.astype(str), nothing, nothing)
    assert "the mean over the 2 of its 3 labels that differ" in _of_classes(judged)
    with pytest.raises(UsageError, match="other columns under labels"):
        _require_task(own, Task(kind="multilabel", labels=("edema", "effusion")))


def test_classes_that_another_table_spells_otherwise_are_the_bundles():
    from mmdiag.inference.validate import _labels, _require_task
    from mmdiag.task import Task

    own = Task(kind="multiclass", classes=("0.0", "1.0", "Grade II"))
    theirs = Task(kind="multiclass", classes=("1", "grade ii"))
    _require_task(own, theirs)
    found = _labels(pd.DataFrame({"label": [0.0, 1.0]}), theirs, own)
    assert found.tolist() == [1.0, 2.0]
    with pytest.raises(UsageError, match="1 of the cohort's classes are not among them"):
        _require_task(own, Task(kind="multiclass", classes=("1", "Grade III")))
