"""What a description keeps together stays on one side of every split of a run: of its folds, its
validation subjects, its inner folds, its rival's, and of its pretraining.
"""

import numpy as np
import pytest
from search_builders import SPACE, quick
from table_builders import ingest, rows, write_cohort

from mmdiag.cohort.kept_together import split_units
from mmdiag.description import read_description
from mmdiag.experiment.fit import rows_of
from mmdiag.experiment.plan import plan_run
from mmdiag.experiment.run import open_data
from mmdiag.workspace import Workspace

N = 72
KEYS = [f"k{number:02d}" for number in range(N)]
SECTION = '[task]\nlabel = "outcome"\npositive = "yes"'


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """72 cases of as many subjects and 18 sources, a quarter of them without a label."""
    folder, rng = tmp_path_factory.mktemp("kept"), np.random.default_rng(2)
    values = {name: [f"{x:.3f}" for x in rng.normal(size=N)] for name in ("a", "b")}
    cases = {
        "outcome": ["" if i % 4 == 3 else ["yes", "no"][i // 4 % 2 ^ i % 2] for i in range(N)],
        "paper": [f"https://papers/{i // 4}" for i in rng.permutation(N)],
    }
    cohort = write_cohort(folder, rows(values, KEYS), SECTION, keys=KEYS, cases=cases)
    cohort.write_text(cohort.read_text().replace("[cases]\n", '[cases]\nkeep_together = "paper"\n'))
    _, view = ingest(cohort, folder / "w")
    assert view.store.cases["together"].nunique() == 18
    return read_description(cohort), Workspace(folder / "w"), view.store


def apart(units, *sides):
    """Whether no unit lies on two of these sides."""
    found = [set(units[rows]) for rows in sides]
    return all(not one & other for i, one in enumerate(found) for other in found[:i])


def test_every_fit_and_every_inner_fold_keeps_sources_whole(kept):
    from mmdiag.tuning import trials

    description, workspace, store = kept
    run = trials.start(description, workspace, quick(), 1, SPACE)
    data, units = open_data(run), split_units(store.cases).to_numpy()
    labelled, valid = set(data.labelled.tolist()), {}
    for fit in run.fits:
        rows_ = rows_of(run, data, fit)
        judged = [row for row in rows_.held_out if row in labelled]
        assert apart(units, rows_.train, rows_.valid, judged) and len(rows_.valid)
        valid[fit.fold] = set(units[rows_.valid])
        for learned, evaluated in trials.inner_rows(run, data, fit):
            assert apart(units, learned, evaluated) and len(evaluated)
    assert valid["fold-0"] != valid["fold-1"] != valid["all"]


def test_what_a_review_labels_is_learned_from_beside_its_source_alone_and_judged_nowhere(kept):
    description, workspace, store = kept
    unknown = store.cases.loc[store.cases["label"].isna(), "case_id"]
    given = {case: number % 2 for number, case in enumerate(unknown)}
    run = plan_run(description, workspace, quick(), labels_by_review=given)
    data, units = open_data(run), split_units(store.cases).to_numpy()
    reviewed = set(np.flatnonzero(store.cases["label"].isna()))
    assert data.by_review == set(given) and not reviewed & set(data.labelled.tolist())
    left_out = 0
    for fit in run.fits:
        rows_ = rows_of(run, data, fit)
        judged = [row for row in rows_.held_out if row not in reviewed]
        assert apart(units, np.concatenate([rows_.train, rows_.valid]), judged)
        learned = reviewed & {*rows_.train.tolist(), *rows_.valid.tolist()}
        left_out += len(reviewed) - len(learned)
        assert len(learned) == len(reviewed) or fit.fold != "all"
        assert fit.fold == "all" or not reviewed & set(rows_.held_out.tolist())
    assert left_out  # some lie in a source of which something is judged
    assert plan_run(description, workspace, quick()).folder != run.folder


def test_a_pretraining_sees_nobody_who_shares_a_source_with_whom_it_judges(kept, monkeypatch):
    from mmdiag.pretraining import run

    description, workspace, store = kept
    plan_run(description, workspace, quick())  # makes the split
    parts, judged = run._parts(store, quick())
    units, subjects = split_units(store.cases).to_numpy(), store.cases["subject_id"].to_numpy()
    split = open_data(plan_run(description, workspace, quick())).split
    for part in parts[:-1]:
        inside = [i for i, subject in enumerate(subjects) if split.part.get(subject) == part]
        seen = [i for i, subject in enumerate(subjects) if judged.get(subject) != part]
        assert inside and apart(units, inside, seen)
    unlabelled = set(subjects) - set(split.part)
    assert unlabelled & set(judged), "an unlabelled case of a judged source is left out"


def test_the_rival_chooses_its_penalty_by_sources(kept, monkeypatch):
    from mmdiag.experiment import late_fusion

    description, workspace, store = kept
    data, asked = open_data(plan_run(description, workspace, quick())), []
    original = late_fusion._inner
    monkeypatch.setattr(
        late_fusion, "_inner", lambda sides, units: asked.append(units) or original(sides, units)
    )
    held_out = np.zeros(N, dtype=bool)
    held_out[data.labelled] = True
    facts = store.cases.loc[held_out, ["case_id"]]
    late_fusion.late_fusion(data, data.split.of(store.cases["subject_id"]), held_out, facts)
    assert asked and all(len(set(units)) < len(units) for units in asked)


def test_the_hash_of_a_cohort_says_what_is_kept_together(kept, tmp_path):
    description, _, store = kept
    plain = tmp_path / "plain"
    plain.mkdir()
    for name in ("cases.csv", "labs.csv"):
        (plain / name).write_bytes((description.root / name).read_bytes())
    (plain / "cohort.toml").write_text(
        description.file.read_text().replace('keep_together = "paper"\n', "")
    )
    _, view = ingest(plain / "cohort.toml", tmp_path / "w")
    assert "together" not in view.store.cases and view.store.hash != store.hash
