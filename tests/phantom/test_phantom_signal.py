"""The product against a known truth: it finds a signal where there is one, names where it lies, and
reports none where there is none.
"""

import json

import numpy as np
import pandas as pd
import pytest
from phantom_runs import run_phantom

QUICK = {"settings": {"evaluation.folds": 3}, "checked": False}  # the small run is checked


@pytest.fixture(scope="module")
def additive(tmp_path_factory):
    return run_phantom(
        tmp_path_factory.mktemp("additive"),
        cases=300,
        seed=7,
        signal="additive",
        explained=16,
        **QUICK,
    )


def test_fusion_reaches_nineteen_twentieths_of_the_best_possible_auroc(additive):
    assert additive.metric("fused")["value"] >= 0.95 * additive.truth["best_auroc"]
    assert additive.metric("fused-minus-best")["low"] > 0, (
        "and is better than the best single modality beyond doubt"
    )


def test_the_contributions_of_modalities_follow_the_true_ones(additive):
    truth = pd.read_parquet(additive.cohort / "truth" / "cases.parquet").set_index("case_id")
    found = additive.predictions.set_index("case_id")
    for name in additive.answer["modalities"]:
        correlation = np.corrcoef(
            found[f"contribution_{name}"], truth.loc[found.index, f"contribution_{name}"]
        )[0, 1]
        assert correlation > 0.85, (name, correlation)


def test_contributions_add_up_to_the_answer(additive):
    found = additive.predictions.set_index("case_id")
    base = pd.read_parquet(additive.folder / "explanations" / "modality.parquet").set_index(
        "case_id"
    )["base"]
    total = found.filter(like="contribution_").sum(axis=1) + base[found.index]
    assert np.allclose(1 / (1 + np.exp(-total)), found["probability"], atol=1e-5)


def explained(run):
    for file in sorted(run.workspace.path.glob("explanations/*/*.json")):
        found = json.loads(file.read_text())
        yield found["case_id"], found


def test_heat_maps_point_at_the_lesion(additive):
    lesions = pd.read_parquet(additive.cohort / "truth" / "lesions.parquet").set_index("case_id")
    hits = []
    for case, found in explained(additive):
        box = lesions.loc[case]
        most = max(found["parts"]["flair"], key=lambda part: abs(part["value"]))
        near = [
            box[f"{axis}_from"] - size <= most[start] + size / 2 <= box[f"{axis}_to"] + size
            for axis, start, size in (
                ("rows", "row", most["height"]),
                ("columns", "column", most["width"]),
            )
        ]
        hits.append(all(near))
    assert len(hits) == 16 and np.mean(hits) >= 0.85, np.mean(hits)  # chance is about 0.2


def test_the_genes_that_are_named_are_those_that_matter(additive):
    informative = {f"{name}_rna" for name in additive.truth["informative_genes"]}
    shares = [
        np.mean([gene["name"] in informative for gene in found["parts"]["expression"][:10]])
        for _, found in explained(additive)
    ]
    assert np.mean(shares) >= 0.6, np.mean(shares)  # 40 of 200 genes matter: chance is 0.2
    pathways = [
        found["groups"]["expression"][0]["name"] in additive.truth["informative_pathways"]
        for _, found in explained(additive)
    ]
    assert np.mean(pathways) >= 0.5, np.mean(pathways)  # 2 of 10: chance is 0.2


def test_the_words_that_are_shaded_are_findings(additive):
    words = set(additive.truth["informative_words"])
    shares = []
    for case, found in explained(additive):
        text = (additive.cohort / "notes" / f"{case}.txt").read_text()
        spans = sorted(found["parts"]["report"], key=lambda part: -abs(part["value"]))[:5]
        sentences = [
            text[
                max(text.rfind(".", 0, a), text.rfind("\n", 0, a)) + 1 : b + text[b:].find(".") + 1
            ].lower()
            for a, b in ((part["start"], part["end"]) for part in spans)
        ]
        shares.append(np.mean([any(word in sentence for word in words) for sentence in sentences]))
    assert np.mean(shares) >= 0.7, np.mean(shares)


@pytest.mark.slow
def test_where_there_is_no_signal_none_is_reported(tmp_path):
    run = run_phantom(tmp_path, cases=150, seed=8, signal="none", **QUICK)
    fused = run.metric("fused")
    assert fused["low"] <= 0.5 <= fused["high"]
    assert run.metric("fused-minus-best")["low"] <= 0


@pytest.mark.slow
def test_where_one_modality_holds_the_signal_it_is_named(tmp_path):
    run = run_phantom(tmp_path, cases=150, seed=9, signal="one-modality", missing=0.1, **QUICK)
    moved = {
        name: run.predictions[f"contribution_{name}"].abs().mean()
        for name in run.answer["modalities"]
    }
    assert max(moved, key=moved.get) == "flair" and moved["flair"] > 2 * max(
        moved["report"], moved["expression"]
    ), moved
