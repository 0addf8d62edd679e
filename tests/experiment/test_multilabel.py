"""Several labels at once: read from columns, trained with some unknown, published and judged one by
one.
"""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from mmdiag.errors import DescriptionError

TABLE = "id,fluid,nodule,other\nc1,1,0,a\nc2,0,1.0,b\nc3,,1,a\nc4,NA,,b\nc5,1,0,a\n"
TOML = """[cohort]
name = "several"
[cases]
table = "cases.csv"
case_id = "id"
[task]
kind = "multilabel"
labels = ["fluid", "nodule"]
[modalities.genes]
kind = "table"
path = "genes.csv"
key = "id"
"""


def described(folder, toml=TOML, table=TABLE):
    from mmdiag.description import read_description

    (folder / "cases.csv").write_text(table)
    (folder / "cohort.toml").write_text(toml)
    return read_description(folder / "cohort.toml")


def test_each_label_is_a_column_of_its_own_and_may_be_unknown(tmp_path):
    from mmdiag.cohort.case_table import read_cases
    from mmdiag.cohort.label_cells import class_names

    description = described(tmp_path)
    cases = read_cases(description)
    np.testing.assert_array_equal(cases["label_fluid"], [1, 0, np.nan, np.nan, 1])
    np.testing.assert_array_equal(cases["label_nodule"], [0, 1, 1, np.nan, 0])
    np.testing.assert_array_equal(cases["label"], [1, 1, 1, np.nan, 1])
    assert class_names(description, cases) == ()


@pytest.mark.parametrize(
    ("toml", "table", "words"),
    [
        (('labels = ["fluid", "nodule"]', 'labels = ["fluid"]'), None, "two columns or more"),
        (('labels = ["fluid", "nodule"]', 'labels = ["fluid", "fluid"]'), None, "each once"),
        (("labels", 'label = "other"\nlabels'), None, "and no label"),
        (('kind = "multilabel"', 'kind = "multiclass"'), None, "belong to a multilabel task"),
        (('"nodule"]', '"nodul"]'), None, "did you mean 'nodule'"),
        (None, ("c2,0", "c2,2"), "'fluid' must be 0, 1 or empty.*line 3"),
        (None, ("c2,0", "c2,1"), "'fluid' in cases.csv has one of the two"),
    ],
)
def test_wrong_labels_are_said(tmp_path, toml, table, words):
    from mmdiag.cohort.case_table import read_cases

    with pytest.raises(DescriptionError, match=words):
        read_cases(
            described(
                tmp_path,
                TOML.replace(*toml) if toml else TOML,
                TABLE.replace(*table) if table else TABLE,
            )
        )


def test_a_cohort_without_labels_hashes_as_before(tmp_path):
    plain = described(
        tmp_path,
        TOML.replace('kind = "multilabel"\nlabels = ["fluid", "nodule"]', 'kind = "survival"'),
    )
    assert "labels" not in plain.task.facts() and described(tmp_path).task.facts()["labels"] == (
        "fluid",
        "nodule",
    )
    assert plain.hash() != described(tmp_path).hash()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A phantom of two modalities with two labels, opposite to each other, taken all the way."""
    from mmdiag import api
    from mmdiag.description import read_description
    from mmdiag.experiment.evaluate import evaluate
    from mmdiag.experiment.fit import fit
    from mmdiag.experiment.plan import plan_run
    from mmdiag.experiment.publish import publish
    from mmdiag.phantom import write_phantom
    from mmdiag.recipes import default
    from mmdiag.storage.ledger import Ledger
    from mmdiag.workspace import Workspace

    folder = tmp_path_factory.mktemp("several")
    write_phantom(folder, cases=60, seed=5, signal="one-modality")
    table = pd.read_csv(folder / "cases.csv", dtype={"label": "Int64"})
    table["first"], table["second"] = table["label"], 1 - table["label"]
    table.loc[table.index % 6 == 0, "second"] = pd.NA
    table.drop(columns="label").to_csv(folder / "cases.csv", index=False)
    toml = (folder / "cohort.toml").read_text()
    head, rest = toml.split("[task]")
    modalities = [
        "[modalities." + part
        for part in rest.split("[modalities.")[1:]
        if not part.startswith("report]")
    ]
    (folder / "cohort.toml").write_text(
        f'{head}[task]\nkind = "multilabel"\nlabels = ["first", "second"]\n\n' + "".join(modalities)
    )
    workspace, description = (
        Workspace(folder / "workspace"),
        read_description(folder / "cohort.toml"),
    )
    ledger = Ledger(workspace.ledger_url)
    config = default(fusion="modality_attention").as_one_network()
    training = dataclasses.replace(config.training, max_epochs=25, early_stopping="auroc")
    config = dataclasses.replace(
        config,
        training=training,
        evaluation=dataclasses.replace(config.evaluation, folds=2, resamples=100),
    )
    found = api.ingest(description, workspace, ledger)
    run = plan_run(description, workspace, config)
    for name in run.fits:
        fit(run, name)
    evaluate(run)
    return found | publish(run, ledger), ledger, workspace


def test_each_label_has_a_probability_and_a_metric_with_its_own_n(finished):
    answer, _, _ = finished
    table = pd.read_parquet(answer["predictions"])
    assert table[["probability_first", "probability_second"]].to_numpy().min() > 0
    assert np.corrcoef(table["probability_first"], table["probability_second"])[0, 1] < -0.3, (
        "each column is of its own label"
    )
    assert set(table["predicted"]) <= {"first", "second", "first, second", "none of the labels"}
    rows = {row["metric"]: row for row in answer["metrics"] if row["model"] == "fused"}
    assert set(rows) == {"auroc", "auroc_first", "auroc_second"}
    assert rows["auroc_first"]["n"] == 60 and rows["auroc_second"]["n"] == 50
    assert rows["auroc"]["value"] == pytest.approx(
        (rows["auroc_first"]["value"] + rows["auroc_second"]["value"]) / 2
    )
    assert all(row["low"] <= row["value"] <= row["high"] for row in rows.values())


def test_prevalence_is_the_baseline_of_each_label(finished):
    answer, _, _ = finished
    rows = [row for row in answer["metrics"] if row["model"] == "baseline:prevalence"]
    assert rows and all(row["value"] == 0.5 for row in rows)


def test_curves_are_in_the_ledger_epoch_by_epoch(finished):
    answer, ledger, workspace = finished
    run = next(workspace.runs.iterdir())
    curves, kept = ledger.curves(run.name), pd.read_parquet(run / "curves.parquet")
    assert len(curves) == len(kept) and set(curves["fit"]) == set(kept["fit"])
    fused = curves[curves["fit"] == "all.fused"].reset_index(drop=True)
    assert (
        fused["epoch"].tolist() == list(range(1, len(fused) + 1))
        and (fused["learning_rate"] > 0).all()
    )
    assert (
        set(fused["gradient_norm"][0]) == set(answer["modalities"]) == set(fused["probe"][0])
        and fused["probe"][1] == {}
    )
    ledger.record_curves(run.name, kept)
    assert len(ledger.curves(run.name)) == len(kept), "doing it again changes nothing"
    fit = json.loads((run / "fits" / "all.fused" / "fit.json").read_text())
    assert fit["warnings"] == [] and 0 <= fit["waiting_for_cases"] < 1
    assert json.loads((run / "run.json").read_text())["warnings"] == {}
