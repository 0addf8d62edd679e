"""The ensemble from a cohort's files to predictions, its bundle and its explanations."""

import copy
import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import torch
from phantom_runs import run_phantom
from safetensors.torch import load_file, save_file

from mmdiag import recipes
from mmdiag.cli.show import show_evaluation
from mmdiag.description import read_description
from mmdiag.errors import BundleError, UsageError
from mmdiag.experiment.ensemble import SILENT
from mmdiag.experiment.fit import learn_ensemble, rows_of
from mmdiag.experiment.fit_id import FitId
from mmdiag.experiment.run import Run, open_data
from mmdiag.inference.bundle import Bundle
from mmdiag.inference.coalitions.shapley import shapley
from mmdiag.inference.predict import diagnose
from mmdiag.prepare.batches import batch_of, prepare_samples
from mmdiag.workspace import file_sha256

FEW = {
    "training.max_epochs": 8,
    "ensemble.folds": 3,
    "evaluation.folds": 2,
    "evaluation.resamples": 50,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A phantom of 60 cases, of which many lack something."""
    return run_phantom(
        tmp_path_factory.mktemp("ensemble"),
        cases=60,
        seed=4,
        missing=0.25,
        fusion="ensemble",
        settings=FEW,
        explained=2,
    )


def open_description(run):
    return read_description(run.cohort / "cohort.toml")


@pytest.fixture(scope="module")
def bundle(run):
    return Bundle.load(run.workspace.path / "bundles" / run.answer["bundle"]["id"])


@pytest.fixture(scope="module")
def samples(run, bundle):
    data = open_data(Run.open(run.folder))
    return prepare_samples(bundle.preparations, data.raws, range(len(data.cases)))


def test_contributions_and_base_add_up_and_what_is_absent_adds_nothing(bundle, samples):
    table = diagnose(bundle, samples)
    names = list(bundle.kinds)
    parts = table[[f"contribution_{name}" for name in names]].to_numpy()
    total = table["base"].to_numpy() + parts.sum(axis=1)
    assert total == pytest.approx(table["log_odds"].to_numpy(), abs=2e-5)
    present = np.asarray([[name in sample for name in names] for sample in samples])
    assert (parts[~present] == 0).all() and not present.all()
    odds = np.exp(table["log_odds"].to_numpy())
    assert table["probability"].to_numpy() == pytest.approx(odds / (1 + odds), abs=1e-6)


@pytest.fixture(scope="module")
def nothing(tmp_path_factory):
    """A phantom that tells nothing of its outcome, with cases enough to know that."""
    return run_phantom(
        tmp_path_factory.mktemp("nothing"),
        cases=160,
        seed=8,
        signal="none",
        fusion="ensemble",
        settings=FEW | {"training.max_epochs": 2},
        checked=False,
    )


def test_a_model_that_knows_nothing_answers_every_case_alike_and_says_so(nothing, capsys):
    folder = nothing.workspace.path / "bundles" / nothing.answer["bundle"]["id"]
    bundle, data = Bundle.load(folder), open_data(Run.open(nothing.folder))
    samples = prepare_samples(bundle.preparations, data.raws, range(len(data.cases)))
    table = diagnose(bundle, samples)
    share = data.cases["label"].mean()
    assert table["probability"].to_numpy() == pytest.approx(share, abs=1e-6)
    contributions = table[[f"contribution_{name}" for name in bundle.kinds]].to_numpy()
    assert np.abs(contributions).max() < 1e-6 and (table["attention_weight"] == 0).all()
    assert nothing.answer["warnings"] == [SILENT]
    card = json.loads((folder / "card.json").read_text())
    assert card["warnings"] == [SILENT]
    assert SILENT in (folder / "card.md").read_text()
    show_evaluation(nothing.answer | {"run": "r-1"})
    assert "answers every case alike" in " ".join(capsys.readouterr().out.split())


def test_what_knows_something_is_not_silenced(run):
    assert run.answer["warnings"] == []


def test_without_joint_members_a_contribution_is_the_modality_s_own_evidence(bundle, samples):
    model = bundle.model
    evidence = np.asarray([[2.0, -1.0, 0.5]])
    shares = shapley(lambda _, known: known @ evidence[0], np.ones((1, 3), bool))
    found, base = shares.contributions, shares.base
    assert found == pytest.approx(evidence) and base == pytest.approx(0)
    assert model.weight.min() >= 0 and len(model.weight) == len(bundle.kinds) + 1


def test_a_case_is_answered_alike_alone_and_in_company(bundle, samples):
    together = diagnose(bundle, samples[:12])["log_odds"]
    alone = [diagnose(bundle, [sample])["log_odds"].iloc[0] for sample in samples[:12]]
    assert alone == pytest.approx(together, abs=1e-5)


@torch.no_grad()
def test_what_speaks_in_a_case_agrees_or_cancels_out(bundle, samples):
    shares = diagnose(bundle, samples)["agreement"]
    assert shares.between(0, 1).all() and shares.std() > 0
    model = copy.deepcopy(bundle.model)
    first, second = model.modalities[:2]
    for name in (first, second):  # one member each is left
        kept = model.encoders[f"{name}_"].weight
        kept.copy_(torch.eye(len(kept))[0])
    model.weight.zero_()
    model.weight[:2] = 1
    both = [sample for sample in samples if {first, second} <= set(sample)]
    batch = batch_of(bundle.preparations, both)
    tokens = model.encode(batch, batch.present)
    one, other = (tokens[name].values[:, 0, 0].double().numpy() for name in (first, second))
    found = model.agreement(batch, tokens, torch.zeros(len(both), dtype=torch.long))
    assert found == pytest.approx(np.abs(one + other) / (np.abs(one) + np.abs(other)), abs=1e-5)
    assert found.min() < 1 - 1e-6 and found.max() == pytest.approx(1)


def test_the_matrix_of_the_networks_has_rows_that_add_up_to_one(bundle, samples):
    whole = [sample for sample in samples if len(sample) == len(bundle.kinds)]
    for text in diagnose(bundle, whole)["attention"]:
        assert np.asarray(json.loads(text)).sum(axis=1) == pytest.approx(1, abs=1e-3)


def test_the_bundle_learned_from_every_labelled_case(run, bundle):
    cases = open_data(Run.open(run.folder)).cases
    assert len(bundle.trained_on.keys) == cases.loc[cases["label"].notna(), "subject_id"].nunique()
    assert set(run.predictions["role"]) == {"out-of-fold"}


def test_the_labels_of_held_out_cases_are_not_looked_at(run):
    opened = Run.open(run.folder)
    name, data = FitId.parse("fold-0.fused"), open_data(opened)
    rows = rows_of(opened, data, name)
    cases = data.cases.copy()
    turned = cases["label"].to_numpy().copy()
    turned[rows.held_out] = 1 - turned[rows.held_out]
    config = opened.config_of(name)
    answers = []
    for labels in (cases["label"].to_numpy(), turned):
        part = dataclasses.replace(data, cases=cases.assign(label=labels))
        found = learn_ensemble(part, config, data.modalities_of(name), rows.seen)
        state = found.trained.model.state_dict()
        answers.append(torch.cat([value.double().reshape(-1) for value in state.values()]))
    assert torch.equal(*answers)


def test_a_case_is_explained_within_its_modalities(run):
    files = sorted((run.workspace.path / "explanations").glob("*/*.json"))
    assert len(files) == 2
    for file in files:
        found = json.loads(file.read_text())
        assert found["parts"] and max(found["gap"].values()) < 1e-3
        for parts in found["parts"].values():
            assert any(part["value"] for part in parts)


@pytest.mark.parametrize("part", ["value", "of_words", "set_scale"])
def test_numbers_that_are_none_are_refused(bundle, tmp_path, part):
    _, folder = bundle.save(tmp_path)
    weights = load_file(folder / "model.safetensors")
    name = next(key for key in weights if key.split(".")[-1] == part)
    weights[name].view(-1)[0] = torch.nan
    save_file(weights, folder / "model.safetensors")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["model.safetensors"] = file_sha256(folder / "model.safetensors")
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError):
        Bundle.load(folder)


def test_a_bundle_that_was_saved_answers_as_before(bundle, samples, tmp_path):
    _, folder = bundle.save(tmp_path)
    again = diagnose(Bundle.load(folder), samples)
    pd.testing.assert_frame_equal(again, diagnose(bundle, samples))


def test_what_an_ensemble_cannot_do_is_said_with_its_cure(run):
    from mmdiag.experiment.plan import _require_ensemble
    from mmdiag.tuning import trials

    trained = recipes.end_to_end(fusion="ensemble")
    with pytest.raises(UsageError, match=r"image encoder.*--fusion cross_modal"):
        _require_ensemble(trained, run.workspace)
    with pytest.raises(UsageError, match="name a family"):
        trials.require(open_description(run), recipes.default(), 3)
    with pytest.raises(UsageError, match="does not stack by itself"):
        recipes.named("default", settings={"ensemble.network": "late"})


@pytest.fixture(scope="module")
def store(run):
    return open_data(Run.open(run.folder)).store


def test_parts_and_what_has_no_place_are_the_contribution(bundle, samples, store):
    from mmdiag.explain.parts import total, unplaced
    from mmdiag.explain.within.case import explain_within

    answers = diagnose(bundle, samples)
    for row in range(0, len(samples), 16):
        found = explain_within(bundle, store, row, samples[row])
        assert set(found.parts) == set(samples[row])
        matrix = np.asarray(found.interaction["matrix"])
        assert matrix == pytest.approx(matrix.T, abs=1e-6)
        for place, name in enumerate(found.interaction["modalities"]):
            contribution = answers.loc[row, f"contribution_{name}"]
            assert found.contributions[name] == pytest.approx(contribution, abs=2e-5)
            assert matrix[place].sum() == pytest.approx(contribution, abs=2e-5)
            assert abs(found.gap[name]) < 1e-4, "the integral along the path is its difference"
            rest = unplaced(found.parts[name], contribution)
            assert total(found.parts[name]) + rest == pytest.approx(contribution, abs=1e-6)


def test_what_is_added_for_the_set_of_modalities_is_in_the_base_and_in_no_bar(
    bundle, samples, store
):
    from mmdiag.explain.parts import unplaced
    from mmdiag.explain.within.case import explain_within

    moved = dataclasses.replace(bundle, model=copy.deepcopy(bundle.model))
    row = next(i for i, sample in enumerate(samples) if len(sample) == 3)
    moved.model.sets.fill_(-1)
    moved.model.sets[0] = torch.ones(3)
    answers, parts = [], []
    for offset in (0.0, 0.6):
        moved.model.set_offset.zero_()
        moved.model.set_offset[1] = offset
        answers.append(diagnose(moved, [samples[row]]).iloc[0])
        parts.append(explain_within(moved, store, row, samples[row]))
    without, with_it = answers
    assert with_it["base"] - without["base"] == pytest.approx(0.6, abs=1e-4)
    odds = [np.log(one["probability"] / (1 - one["probability"])) for one in answers]
    assert odds[1] - odds[0] == pytest.approx(0.6, abs=1e-4)
    for name, contribution in parts[1].contributions.items():
        assert contribution == pytest.approx(parts[0].contributions[name], abs=1e-4)
        assert contribution == pytest.approx(with_it[f"contribution_{name}"], abs=1e-4)
        rest = [unplaced(one.parts[name], one.contributions[name]) for one in parts]
        assert rest[1] == pytest.approx(rest[0], abs=1e-4), "nothing more is without a place"
    assert abs(unplaced(parts[1].parts["expression"], parts[1].contributions["expression"])) < 1e-3


def test_of_linear_members_alone_a_column_adds_its_coefficient_times_its_deviation(
    bundle, samples, store
):
    from mmdiag.explain.within.probe import Probe
    from mmdiag.model.members import RidgeMember

    name = "expression"
    linear = dataclasses.replace(bundle, model=copy.deepcopy(bundle.model))
    members = linear.model.encoders[f"{name}_"]
    linear.model.weight[-1] = 0.0  # no network
    for number, member in enumerate(members.members):
        members.weight[number] = float(isinstance(member, RidgeMember))
    row = next(i for i, sample in enumerate(samples) if len(sample) == 3)
    found = Probe(linear, samples[row]).attribution(name)
    coefficients = members.members[0].of_columns[:, 0].numpy()
    scale = found.slopes["columns"] / np.where(coefficients == 0, np.nan, coefficients)
    assert np.nanstd(scale) < 1e-5 * np.nanmean(np.abs(scale))
    assert np.abs(found.columns).max() == 0 and found.gap == pytest.approx(0, abs=1e-6)


def test_the_pieces_of_a_word_lie_where_they_are_counted():
    from mmdiag.prepare.blocks.terms import Note, occurrences

    sentences = ["No midline shift, no oedema.", "Oedema (left)  temporal."]
    note = Note.of(np.zeros((2, 3), np.float32), sentences)
    for pieces, counted in ((False, note.words), (True, note.characters)):
        found = [one.bucket for text in sentences for one in occurrences(text, pieces=pieces)]
        buckets, counts = np.unique(found, return_counts=True)
        assert buckets.tolist() == counted[:, 0].tolist()
        assert counts.tolist() == counted[:, 1].tolist()
    words = [one.words for one in occurrences("Oedema (left)  temporal.", pieces=False)]
    assert words == [(0,), (1,), (2,), (0, 1), (1, 2)]
    words = [one.words for one in occurrences("No left oedema.", pieces=False)]
    assert words == [(0,), (0, 1), (0, 2), (0, 1), (0, 1, 2)], "without the no it is another term"


def test_what_if_answers_for_a_changed_case_and_writes_nothing(run):
    from mmdiag import api
    from mmdiag.explain.what_if import Change

    table = run.predictions
    row = table[table["modalities"].map(len) == 3].iloc[0]
    case = row["case_id"]
    before = sorted(run.workspace.path.rglob("*"))
    less = api.explain_case(run.workspace, case, change=Change(without=("report",)))
    assert less["contributions"]["report"] == 0 and "report" not in less["parts"]
    assert less["logit"] != row["logit"] == less["recorded"]["logit"]
    total = less["base"] + sum(less["contributions"].values())
    assert total == pytest.approx(less["logit"], abs=1e-4)
    note = "FINDINGS: Marked oedema. Marked progression."
    other = api.explain_case(run.workspace, case, change=Change(notes={"report": note}))
    assert {note[p["start"] : p["end"]] for p in other["parts"]["report"]} >= {"oedema.", "Marked"}
    gene = other["parts"]["expression"][0]["name"]
    set_ = api.explain_case(run.workspace, case, change=Change(values={gene: "median"}))
    part = next(p for p in set_["parts"]["expression"] if p["name"] == gene)
    assert 40 <= part["percentile"] <= 60
    among = other["parts"]["expression"][0]["among"]  # told of the columns that add most
    assert len(among) == 2, "outcomes apart"
    assert all(0 <= low < mid < high <= 100 for low, mid, high in among.values())
    assert sorted(run.workspace.path.rglob("*")) == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"without": ("nothing",)}, "'nothing' is none"),
        ({"without": ("flair", "report", "expression")}, "leave one in"),
        ({"notes": {"flair": "x"}}, "modality of notes"),
        ({"values": {"nothing": "1"}}, "in no table of the case"),
        ({"values": {"G000_rna": "high"}}, "is a number or `median`|in no table"),
    ],
)
def test_a_change_that_is_none_is_said(run, change, words):
    from mmdiag import api
    from mmdiag.explain.what_if import Change

    table = run.predictions
    case = table[table["modalities"].map(len) == 3]["case_id"].iloc[0]
    with pytest.raises(UsageError, match=words):
        api.explain_case(run.workspace, case, change=Change(**change))


def test_similar_cases_are_other_subjects_with_an_outcome_the_nearest_first(run, store, bundle):
    from mmdiag.explain.similar import features_of_cohort, similar_cases

    found, again = (
        similar_cases(bundle, store, features_of_cohort(bundle, store, run.workspace), 0)
        for _ in range(2)
    )
    assert found == again and len(found) == 5
    cases = store.cases.set_index("case_id")
    own = store.cases["subject_id"].iloc[0]
    assert all(cases.loc[one["case_id"], "subject_id"] != own for one in found)
    assert cases.loc[[one["case_id"] for one in found], "label"].notna().all()
    values = [one["similarity"] for one in found]
    assert values == sorted(values, reverse=True) and values[0] <= 1.0001


def test_similar_cases_are_earlier_ones_where_there_is_one(run, store, bundle):
    from mmdiag.explain.similar import features_of_cohort, similar_cases

    features, days = features_of_cohort(bundle, store, run.workspace), store.cases["as_of"]
    found = {}
    for row in (int(days.argmin()), int(days.argmax())):
        names = [one["case_id"] for one in similar_cases(bundle, store, features, row)]
        found[row] = days[store.cases["case_id"].isin(names)] > days[row]
    first, last = found.values()
    assert len(first) and first.all(), "of the first case there are later ones alone"
    assert len(last) and not last.any()


def test_explanations_are_checked_and_a_model_at_chance_is_not_relied_on(
    bundle, store, monkeypatch
):
    from mmdiag.explain.checks import _reasons, check, chosen
    from mmdiag.explain.kinds import image

    monkeypatch.setattr(image, "ORDERS", 1)
    rows = chosen(store, list(bundle.kinds), 1)
    found = check(bundle, store, rows)
    assert found["cases"] == 1 and found["completeness"] < 1e-3 and found["outside_tissue"] == 0
    assert {"null", "mean"} == set(found["deletion"]) and found["randomised"] < 0.5
    row = {"model": "fused", "metric": "auroc", "value": 0.52, "low": 0.4, "high": 0.61, "n": 80}
    assert next(_reasons(found, {"metrics": [row]})) == (
        "the model is not shown to be above chance (AUROC 0.52 (0.40 to 0.61), n = 80)"
    )
    assert not list(_reasons(found | {"same_sign": 1.0}, {"metrics": []}))
    nothing = {"value": None, "low": None, "high": None, "n": 0}
    untold = found | {"same_sign": 1.0, "deletion": {"null": nothing, "mean": nothing}}
    assert not list(_reasons(untold, {"metrics": []})), "what was not asked is no reason"
