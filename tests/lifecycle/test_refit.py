"""Refit from end to end: a cohort grows, its labels arrive, and a challenger is promoted, held or
refused; each time the record holds.
"""

import csv
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jaxtyping
import numpy as np
import pandas as pd
import pytest

from mmdiag import api, recipes
from mmdiag.cli import boundary, cli
from mmdiag.cohort.splits import read_split
from mmdiag.description import Description, read_description
from mmdiag.errors import UsageError
from mmdiag.evaluation.ranking import auroc
from mmdiag.experiment.run import Run
from mmdiag.lifecycle.plan import FILE
from mmdiag.lifecycle.refit import recipe_of, refit
from mmdiag.phantom import write_phantom
from mmdiag.record.audit import audit_rows, verify
from mmdiag.record.models import champion_of, list_models, promote
from mmdiag.record.outcomes import outcomes
from mmdiag.record.reviews import record_review
from mmdiag.storage.ledger import Ledger
from mmdiag.workspace import Workspace

CASES, FIRST = 56, 36
RECIPE = {
    "training.max_epochs": 1,
    "training.averaged": False,
    "evaluation.folds": 2,
    "evaluation.resamples": 50,
}
PLAN = """
modification_protocol: {least_cases: 10, least_of_a_kind: 3, resamples: 200}
impact_assessment: {calibration_margin: 1.0, subgroup_margin: 1.0}
"""


@dataclass(frozen=True)
class Grown:
    """A cohort whose last cases came without their label and have it now."""

    folder: Path

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.folder / "workspace")

    @property
    def ledger(self) -> Ledger:
        return Ledger(f"sqlite:///{self.workspace.path / 'ledger.db'}")

    @property
    def description(self) -> Description:
        return read_description(self.folder / "cohort" / "cohort.toml")

    def show(self, cases: int, labelled: int, rows: list[dict[str, str]]) -> None:
        """The case table now holds so many cases, so many of them with their label."""
        shown = [
            row if i < labelled else row | {self.description.task.label: ""}
            for i, row in enumerate(rows[:cases])
        ]
        with (self.folder / "cohort" / "cases.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(shown)

    def state(self, bundle: str) -> str:
        return next(r["state"] for r in list_models(self.ledger) if r["bundle_id"] == bundle)

    def refit(self) -> dict[str, Any]:
        return refit(self.description, self.workspace, self.ledger, by="tester")


@pytest.fixture(scope="module", autouse=True)
def unchecked_shapes() -> Any:
    """Shapes are checked where the networks are tested; here it is a third of the time."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, unchecked_shapes: None) -> Grown:
    """The champion has scored the new cases, their labels are in the table, and the challenger is
    trained.
    """
    grown = Grown(tmp_path_factory.mktemp("grown"))
    write_phantom(grown.folder / "cohort", cases=CASES, seed=7, signal="additive")
    with (grown.folder / "cohort" / "cases.csv").open() as file:
        rows = list(csv.DictReader(file))
    config = recipes.named("default", fusion="concat", settings=RECIPE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mmdiag.explain.run.chunks", lambda *_, **__: [])
        grown.show(FIRST, FIRST, rows)
        first = api.compare(grown.description, grown.workspace, grown.ledger, config)
        grown.show(CASES, FIRST, rows)
        bundle = Path(first["bundle"]["path"])
        out = grown.folder / "p.parquet"
        api.score(bundle, grown.description, grown.workspace, grown.ledger, out)
        grown.show(CASES, CASES, rows)
        api.compare(grown.description, grown.workspace, grown.ledger, config)
    (grown.folder / "cohort" / FILE).write_text(PLAN)
    return grown


@pytest.fixture
def grown(whole: Grown, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Grown:
    monkeypatch.setattr("mmdiag.explain.run.chunks", lambda *_, **__: [])
    shutil.copytree(whole.folder, tmp_path / "copy")
    return Grown(tmp_path / "copy")


def prospective(grown: Grown, said: Callable[[str], float]) -> int:
    """Let the champion have said something else of the new cases; returns how many there are."""
    name = grown.description.name
    champion = champion_of(grown.ledger, name)
    with closing(sqlite3.connect(grown.workspace.path / "ledger.db")) as database:
        query = "SELECT case_id FROM predictions WHERE bundle_id = ? AND role = 'new'"
        cases = [case for (case,) in database.execute(query, (champion,))]
        for case in cases:
            answers = json.dumps({"probability": said(case)})
            database.execute(
                "UPDATE predictions SET answers = ? WHERE bundle_id = ? AND case_id = ?",
                (answers, champion, case),
            )
        database.commit()
    return len(cases)


def truth(grown: Grown) -> dict[str, float]:
    cases = pd.read_parquet(grown.workspace.cohort(grown.description.name) / "cases.parquet")
    return dict(zip(cases["case_id"], cases["label"], strict=True))


def challenger_folds(grown: Grown) -> pd.DataFrame:
    """What the models of the challenger's folds said of the cases they had not learned from."""
    newest = grown.ledger.runs().sort_values("started").iloc[-1]
    table = pd.read_parquet(grown.workspace.path / newest["folder"] / "out_of_fold.parquet")
    return table[table["model"] == "fused"]


def challenger_says(grown: Grown) -> dict[str, float]:
    fused = challenger_folds(grown)
    return dict(zip(fused["case_id"], fused["probability"], strict=True))


def test_both_are_judged_on_the_cases_that_came_later(grown: Grown) -> None:
    name = grown.description.name
    before = champion_of(grown.ledger, name)
    done = grown.refit()
    found = outcomes(grown.ledger, grown.workspace, name)["models"]
    known = next(row["known"] for row in found if row["bundle_id"] == before)
    assert done["champion"] == before != done["challenger"]
    assert known == done["comparison"][0]["n"] >= 15
    assert done["decision"] in ("promoted", "held", "refused") and done["reasons"]
    expected = done["challenger"] if done["decision"] == "promoted" else before
    assert done["champion_now"] == champion_of(grown.ledger, name) == expected
    assert verify(grown.ledger)["ok"]


def test_ranks_compare_the_answers_of_one_of_the_challengers_models(grown: Grown) -> None:
    learned = challenger_folds(grown)
    said = prospective(grown, lambda _: 0.5)
    row = grown.refit()["comparison"][0]
    came_later = learned[learned["case_id"].isin(list(truth(grown))[FIRST:])]
    label = came_later["case_id"].map(truth(grown)).to_numpy(float)
    score, fold = came_later["probability"].to_numpy(float), came_later["part"].to_numpy(str)
    one = np.ones((1, len(label)))
    assert (row["metric"], row["n"], len(label)) == ("auroc", said, said)
    assert row["challenger"] == pytest.approx(auroc(label, score, fold)(one)[0])
    assert row["challenger"] != pytest.approx(auroc(label, score)(one)[0])


def test_a_better_challenger_is_promoted_and_the_next_refit_finds_nothing_new(
    grown: Grown,
) -> None:
    says = truth(grown)
    prospective(grown, lambda case: 0.9 - 0.8 * says[case])  # always wrong
    done = grown.refit()
    assert done["decision"] == "promoted", done
    assert done["champion_now"] == done["challenger"]
    assert grown.state(done["champion"]) == "retired"
    again = grown.refit()
    assert again["decision"] == "held" and "nothing was learned" in again["reasons"][0]["fact"]
    assert again["champion_now"] == done["challenger"]


def test_an_equal_challenger_is_held_and_a_person_may_promote_it(
    grown: Grown, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MMDIAG_NOTIFY", f"tee {tmp_path / 'told'}")
    says = challenger_says(grown)
    prospective(grown, lambda case: says[case])
    done = grown.refit()
    assert (done["decision"], done["notified"]) == ("held", True)
    assert json.loads((tmp_path / "told").read_text())["kind"] == "held"
    assert grown.state(done["challenger"]) == "candidate"
    rows = len(audit_rows(grown.ledger))
    assert grown.refit()["decision"] == "held"
    assert len(audit_rows(grown.ledger)) == rows, "the same decision twice in a row is one"
    promote(grown.ledger, done["challenger"], "seen", "tester")
    assert champion_of(grown.ledger, grown.description.name) == done["challenger"]


def test_a_worse_challenger_is_refused(grown: Grown) -> None:
    says = truth(grown)
    assert prospective(grown, lambda case: 0.1 + 0.8 * says[case]) >= 15
    done = grown.refit()
    assert done["decision"] == "refused", done
    assert done["reasons"][0]["section"] == "impact_assessment"
    assert grown.state(done["challenger"]) == "refused"
    assert done["champion_now"] == done["champion"]


def test_a_challenger_that_learned_from_a_leak_is_refused(grown: Grown) -> None:
    with closing(sqlite3.connect(grown.workspace.path / "ledger.db")) as database:
        assert database.execute("SELECT count(*) FROM bundles").fetchone() == (2,)
    leak = {"code": "label_in_note", "modality": "report", "fact": "it tells"}
    told = pytest.MonkeyPatch()
    opened = "mmdiag.lifecycle.refit.Store.open"
    from dataclasses import replace

    from mmdiag.storage.store import Store

    original = Store.open
    told.setattr(opened, lambda *a: replace(original(*a), leaks=(leak,)))
    try:
        done = grown.refit()
    finally:
        told.undo()
    assert done["decision"] == "refused"
    assert done["reasons"][0]["rule"] == "no new leakage warning"
    assert "label_in_note of report" in done["reasons"][0]["fact"]


def test_a_champion_that_changed_in_the_meantime_is_not_followed(
    grown: Grown, monkeypatch: pytest.MonkeyPatch
) -> None:
    says = truth(grown)
    prospective(grown, lambda case: 0.9 - 0.8 * says[case])  # else the challenger is promoted

    def meanwhile(*arguments: Any, **named: Any) -> Any:
        grown.ledger.record_bundle("b-else", "bundles/b-else", "r-x", grown.description.name, {})
        promote(grown.ledger, "b-else", "somebody decided")
        from mmdiag.lifecycle.compare import compare

        return compare(*arguments, **named)

    monkeypatch.setattr("mmdiag.lifecycle.refit.compare", meanwhile)
    done = grown.refit()
    assert (done["decision"], done["champion_now"]) == ("held", "b-else")


def test_reviews_are_labels_only_where_the_plan_says_so_and_nothing_is_judged_by_them(
    grown: Grown,
) -> None:
    with (grown.folder / "cohort" / "cases.csv").open() as file:
        rows = list(csv.DictReader(file))
    recorded = CASES - 6
    grown.show(CASES, recorded, rows)
    api.ingest(grown.description, grown.workspace, grown.ledger)
    said = grown.ledger.predictions(cohort=grown.description.name)
    unknown = [row["case_id"] for row in rows[recorded:] if row["case_id"] in set(said["case_id"])]
    agreed, overridden, flagged, *_ = unknown
    review = partial(record_review, grown.ledger, grown.workspace, reason="seen", by="tester")
    review(agreed, "agree")
    review(overridden, "override", label=rows[0][grown.description.task.label])
    review(flagged, "flag")
    without = grown.refit()
    assert without["labels_by_review"] == 0
    plan = grown.folder / "cohort" / FILE
    plan.write_text(PLAN.replace("{least_cases", "{reviews_are_labels: true, least_cases"))
    done = grown.refit()
    assert done["labels_by_review"] == 2 and done["challenger"] != without["challenger"]
    runs = grown.ledger.runs().sort_values("started")["folder"]
    before, after = (Run.open(grown.workspace.path / folder) for folder in runs[-2:])
    assert set(after.labels_by_review) == {agreed, overridden} and not before.labels_by_review
    subject = {row["case_id"]: row["subject_id"] for row in rows}
    part = read_split(grown.workspace.cohort(grown.description.name) / "split.json").part
    for fit in (fit for fit in after.fits if fit.fused):  # but of a subject who is held out
        learned = [run.fitted(fit)["train"] + run.fitted(fit)["valid"] for run in (before, after)]
        more = [case for case in (agreed, overridden) if part.get(subject[case]) != fit.fold]
        assert learned[1] == learned[0] + len(more) and more, fit
    judged = challenger_folds(grown)["case_id"]
    assert not {agreed, overridden} & set(judged) and len(judged) == len(truth(grown)) - 6
    assert done["comparison"][0]["n"] == without["comparison"][0]["n"]
    card = json.loads((grown.workspace.bundles / done["challenger"] / "card.json").read_text())
    assert card["learned_from"]["labels_by_review"] == 2
    told = (grown.workspace.bundles / done["challenger"] / "card.md").read_text()
    assert "2 of these have no recorded outcome" in told


def test_the_challenger_has_the_champions_recipe(grown: Grown) -> None:
    champion = champion_of(grown.ledger, grown.description.name)
    folder = grown.workspace.bundles / str(champion)
    config = recipe_of(grown.workspace, grown.ledger, folder)
    assert (config.fusion, config.training.max_epochs) == ("concat", 1)


def test_without_a_champion_nothing_is_trained(tmp_path: Path) -> None:
    write_phantom(tmp_path / "cohort", cases=12, seed=1, signal="additive")
    grown = Grown(tmp_path)
    with pytest.raises(UsageError, match="champion"):
        grown.refit()
    assert not grown.workspace.path.exists()


def test_the_command_writes_a_plan_and_answers_in_json(
    grown: Grown, capsys: pytest.CaptureFixture[str]
) -> None:
    cohort = str(grown.folder / "cohort" / "cohort.toml")
    place = ["--cohort", cohort, "--workspace", str(grown.workspace.path)]
    assert boundary.run(cli, ["refit", "--write-plan", *place]) == boundary.WRONG_USE
    assert "written once" in capsys.readouterr().err
    assert boundary.run(cli, ["refit", "--json", *place]) == 0
    done = json.loads(capsys.readouterr().out)
    assert {"champion", "challenger", "decision", "reasons", "comparison"} <= set(done)
    assert boundary.run(cli, ["refit", *place]) == 0
    assert done["decision"] in capsys.readouterr().out
