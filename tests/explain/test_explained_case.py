"""What `mmdiag explain` says of a case of a finished run: its parts, what they add up to, and whose
case it is.
"""

import json
import shutil

import numpy as np
import pytest
from phantom_runs import SMALL, explained_cases


@pytest.fixture(scope="module")
def explained(small_run):
    """The answers for the cases that the run has explained, and its store."""
    from mmdiag import api
    from mmdiag.storage.store import Store

    cases = explained_cases(small_run.workspace)
    assert len(cases) == 6
    answers = [api.explain_case(small_run.workspace, case) for case in cases]
    return answers, Store.open(small_run.workspace, answers[0]["cohort"])


def test_parts_and_what_has_no_place_add_up_to_each_contribution(explained):
    answers, store = explained
    for answer in answers:
        total = answer["base"] + sum(answer["contributions"].values())
        assert total == pytest.approx(answer["logit"], abs=1e-4)
        assert set(answer["parts"]) == set(answer["unplaced"]) == set(answer["modalities"])
        for name, parts in answer["parts"].items():
            placed = sum(part["value"] for part in parts)
            whole = answer["contributions"][name]
            assert placed + answer["unplaced"][name] == pytest.approx(whole, abs=1e-6)
            assert any(part["value"] for part in parts)
            assert store.title(name) in answer["drawn"][name]["sentence"]


def test_each_row_of_the_interactions_adds_up_to_its_modality(explained):
    answers, _ = explained
    for answer in answers:
        matrix = np.asarray(answer["interaction"]["matrix"])
        assert np.allclose(matrix, matrix.T, atol=1e-6)
        whole = [answer["contributions"][name] for name in answer["interaction"]["modalities"]]
        assert matrix.sum(axis=1) == pytest.approx(whole, abs=1e-4)


def test_no_region_lies_outside_of_the_body_and_no_span_on_a_heading(explained):
    from mmdiag.explain.headings import without_content
    from mmdiag.explain.tissue import tissue_mask

    answers, store = explained
    row_of = {case: row for row, case in enumerate(store.cases["case_id"])}
    for answer in answers:
        row = row_of[answer["case_id"]]
        for name, parts in answer["parts"].items():
            if store.modalities[name] == "image":
                body = tissue_mask(store.images(name, row))
                for part in parts:
                    rows = slice(part["row"], part["row"] + part["height"])
                    columns = slice(part["column"], part["column"] + part["width"])
                    assert body[part["slice"], rows, columns].any()
            if store.modalities[name] == "text":
                note = store.text(name, row)
                starts = {start for start, _ in without_content(note)}
                assert not starts & {part["start"] for part in parts}
                assert all(note[part["start"]].isalnum() for part in parts)


def test_an_explanation_whose_files_are_damaged_is_made_anew(small_run, tmp_path):
    from mmdiag import api
    from mmdiag.workspace import Workspace

    shutil.copytree(small_run.workspace.path, tmp_path / "w")
    workspace = Workspace(tmp_path / "w")
    files = sorted(workspace.path.glob("explanations/*/*.json"))
    case = json.loads(files[0].read_text())["case_id"]
    before = api.explain_case(workspace, case)
    files[0].write_text("{")
    again = api.explain_case(workspace, case)
    assert {**again, "seconds": 0} == {**before, "seconds": 0}


def test_a_key_that_two_cohorts_have_is_asked_for(small_run, tmp_path):
    from mmdiag import api
    from mmdiag.errors import UsageError
    from mmdiag.workspace import Workspace

    shutil.copytree(small_run.workspace.path, tmp_path / "w")
    workspace = Workspace(tmp_path / "w")
    first = next((workspace.path / "cohorts").iterdir())
    shutil.copytree(first, first.with_name("another"))
    case = small_run.predictions["case_id"].iloc[0]
    with pytest.raises(UsageError, match=f"another, {first.name}: give --cohort"):
        api.explain_case(workspace, case)
    assert api.explain_case(workspace, case, first.name)["cohort"] == first.name
    with pytest.raises(UsageError, match="needs a finished run or a score"):
        api.explain_case(workspace, case, "another")
    with pytest.raises(UsageError, match="'nobody' is not in cohort another of"):
        api.explain_case(workspace, "nobody", "another")


def test_the_same_question_with_full_explanations_completes_the_run(small_run, tmp_path):
    from mmdiag import api, recipes
    from mmdiag.description import read_description
    from mmdiag.storage.ledger import Ledger
    from mmdiag.workspace import Workspace

    shutil.copytree(small_run.workspace.path, tmp_path / "w")
    workspace = Workspace(tmp_path / "w")
    before = explained_cases(workspace)
    description = read_description(small_run.cohort / "cohort.toml")
    config = recipes.named("default", fusion="modality_attention", settings=SMALL)
    ledger = Ledger(workspace.ledger_url)
    answer = api.compare(description, workspace, ledger, config)
    assert answer["bundle"]["id"] == small_run.answer["bundle"]["id"]
    assert explained_cases(workspace) == before
    api.compare(description, workspace, ledger, config, explain="full", full_for=2)
    assert len(list(workspace.runs.iterdir())) == len(list(small_run.workspace.runs.iterdir()))
    table = small_run.predictions
    held_out = table[table["role"] == "out-of-fold"]
    doubt = (held_out["probability"] - 0.5).abs().where(~held_out["abstained"], -1.0)
    wanted = [held_out["case_id"][row] for row in doubt.nsmallest(2).index]
    assert explained_cases(workspace) == before | set(wanted)
