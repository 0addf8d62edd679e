"""A file that cannot be read is named with its cure, and the other parts of the page are drawn."""

import json

import pandas as pd
import pytest
from pages import said, viewed
from published_example import NAME, RUN, publish

RUN_FILES = f"runs/{RUN}"
COHORT = f"cohorts/{NAME}"
FILES = {  # file -> page, what is said to bring it back, what is drawn all the same
    f"{RUN_FILES}/metrics.parquet": ("performance", "mmdiag run", "Validation loss"),
    f"{RUN_FILES}/out_of_fold.parquet": ("performance", "mmdiag run", "Fusion"),
    f"{RUN_FILES}/curves.parquet": ("performance", "mmdiag run", "Fusion"),
    f"{RUN_FILES}/run.json": ("performance", "mmdiag run", "Fusion"),
    f"{RUN_FILES}/predictions.parquet": ("cohort", "mmdiag run", "62 cases received"),
    f"{RUN_FILES}/explanations/modality.parquet": ("case", "mmdiag run", "Progression within 24"),
    f"{COHORT}/cases.parquet": ("case", "mmdiag ingest", "Progression within 24"),
    f"{COHORT}/description.json": ("cohort", "mmdiag ingest", "14 cases received"),
    f"{COHORT}/shards/s0/flair.npy": ("case", "mmdiag ingest", "Most influential genes"),
    f"{COHORT}/shards/s0/report.parquet": ("case", "mmdiag ingest", "FLAIR"),
    "ledger.db": ("case", "mmdiag run", "Progression within 24"),
}


def drawn(test) -> str:
    charts = " ".join(" ".join(str(c.proto.spec).split()) for c in test.get("vega_lite_chart"))
    return f"{said(test)} {charts}".replace("\\", "")


@pytest.fixture
def workspace(tmp_path):
    return publish(tmp_path / "w", cases=12).workspace


@pytest.mark.parametrize("how", ["cut", "other"])
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_named_with_its_cure_and_the_rest_is_drawn(page, workspace, name, how):
    path, cure, rest = FILES[name]
    file = workspace.path / name
    whole = file.read_bytes()
    file.write_bytes(
        whole[: len(whole) // 2 if name != "ledger.db" else 60]
        if how == "cut"
        else b"MUELLER ANNA" * 20
    )
    cases = (
        pd.read_parquet(workspace.runs / RUN / "predictions.parquet")
        if "predictions" not in name
        else None
    )
    asked = {}
    if path == "case" and cases is not None:
        full = [
            len(row) == 5 or {"flair", "report", "expression"} <= set(row)
            for row in cases["modalities"]
        ]
        asked = {"case": cases.loc[full, "case_id"].iloc[0]}
    text = drawn(page(workspace.path, path, **asked))
    assert f"`{name}` is damaged" in text and cure in text, text
    assert rest.replace("62", "14") in text, text
    assert "MUELLER" not in text and "Research use only" in text


def test_a_damaged_explanation_is_named_and_the_rest_is_drawn(page, workspace):
    case = next(
        row["case_id"]
        for row in pd.read_parquet(workspace.runs / RUN / "predictions.parquet").to_dict("records")
        if {"flair", "report"} <= set(row["modalities"])
    )
    for file in workspace.path.glob("explanations/*/*.json"):
        file.write_bytes(b"{")
    test = page(workspace.path, "case", case=case)
    text = drawn(test)
    assert ".json` is damaged" in text and f"mmdiag explain {case}" in text
    assert "map" not in viewed(test)["flair"] and "Orange, underlined" not in text


def test_an_explanation_of_an_earlier_version_is_not_shown_as_one_that_adds_up(page, workspace):
    case = pd.read_parquet(workspace.runs / RUN / "predictions.parquet")["case_id"].iloc[0]
    for file in workspace.path.glob("explanations/*/*.json"):
        file.write_text('{"text": {"report": {"spans": [[10, 33, 0.6]]}}}')
    test = page(workspace.path, "case", case=case)
    assert not test.exception and [button for button in test.button if button.key == "explain"]


def test_a_file_without_its_columns_is_damaged(page, workspace):
    file = workspace.runs / RUN / "metrics.parquet"
    pd.read_parquet(file).drop(columns="low").to_parquet(file)
    assert "metrics.parquet` is damaged" in drawn(page(workspace.path, "performance"))


def test_a_shard_with_fewer_rows_than_the_case_table_says_is_damaged(page, workspace):
    file = workspace.cohort(NAME) / "cases.parquet"
    cases = pd.read_parquet(file)
    cases.assign(start_flair=10_000).to_parquet(file)
    case = cases.loc[cases["has_flair"], "case_id"].iloc[0]
    assert "flair.npy` is damaged" in drawn(page(workspace.path, "case", case=case))


def test_a_part_that_fails_says_no_value_and_leaves_the_others(page, workspace):
    file = workspace.cohort(NAME) / "cases.parquet"
    pd.read_parquet(file).assign(label="MUELLER ANNA").to_parquet(file)
    text = drawn(page(workspace.path, "case"))
    assert "The recorded outcome could not be drawn (ValueError)" in text
    assert "MUELLER" not in text and "Progression within 24 months" in text


def test_the_notice_is_the_first_thing_that_is_drawn(page, tmp_path):
    (tmp_path / "ledger.db").write_bytes(b"no database" * 100)
    test = page(tmp_path)
    assert "Research use only" in test.markdown[0].value and "`ledger.db` is damaged" in said(test)


def test_the_notice_stands_where_everything_else_fails(page, tmp_path, monkeypatch):
    from streamlit.testing.v1 import AppTest

    from dashboards import published

    def fail() -> dict[str, object]:
        raise RuntimeError("MUELLER ANNA")

    monkeypatch.setattr(published, "cohort_names", fail)
    monkeypatch.setenv("MMDIAG_WORKSPACE", str(tmp_path))
    from repository import ROOT

    test = AppTest.from_file(str(ROOT / "dashboards" / "main.py"), default_timeout=300).run()
    assert test.exception and "Research use only" in test.markdown[0].value


def test_a_manifest_that_is_no_object_is_damaged(page, workspace):
    (workspace.runs / RUN / "run.json").write_text(json.dumps(["MUELLER"]))
    assert "run.json` is damaged" in drawn(page(workspace.path, "performance"))


@pytest.mark.parametrize("how", ["cut", "gone"])
def test_where_what_is_looked_at_is_damaged_the_array_is_shown_and_both_are_said(
    page, workspace, how
):
    file = workspace.cohort(NAME) / "shards" / "s0" / "flair-display.bin"
    cases = pd.read_parquet(workspace.cohort(NAME) / "cases.parquet")
    case = cases.loc[cases["has_flair"], "case_id"].iloc[-1]
    content = file.read_bytes()
    file.unlink()
    if how == "cut":
        file.write_bytes(content[:-5])
    test = page(workspace.path, "case", case=case)
    assert "flair-display.bin` is damaged" in drawn(test) and "mmdiag ingest" in drawn(test)
    told = viewed(test)["flair"]
    assert told["slices"] == 7 and "cannot be read" in told["said"] and "of=array" in told["url"]
