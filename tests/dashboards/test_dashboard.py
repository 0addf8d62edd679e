"""The dashboard: every page on a real run, on a published example, on an empty workspace, in a real
browser; nothing leaves the machine, nothing of a note
becomes markup."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from pages import said
from published_example import NAME, RUN, answer_again, publish
from repository import ROOT


@pytest.fixture(scope="module")
def run(small_run):
    return small_run


def test_an_empty_workspace_says_which_command_fills_it(page, tmp_path):
    assert "mmdiag run" in said(page(tmp_path)) and not list(tmp_path.iterdir()), (
        "and looking at it writes nothing"
    )


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("", "no model in use yet"),
        ("performance", "No model was evaluated"),
        ("case", "No case of this cohort has a prediction"),
        ("cohort", "60 accepted"),
    ],
)
def test_a_cohort_without_a_model_says_on_each_page_what_brings_one(page, tmp_path, path, words):
    publish(tmp_path / "w", trained=False)
    text = said(page(tmp_path / "w", path))
    assert words in text and ("mmdiag run" in text or path == "cohort")


@pytest.mark.parametrize(
    "missing",
    [
        "out_of_fold.parquet",
        "curves.parquet",
        "explanations/modality.parquet",
        "predictions.parquet",
    ],
)
def test_a_page_is_drawn_where_a_file_of_the_run_is_missing(page, tmp_path, missing):
    example = publish(tmp_path / "w", explained=False)
    (example.workspace.runs / RUN / missing).unlink()
    for path in ("", "cohort", "case", "performance", "operations"):
        assert "Research use only" in said(page(tmp_path / "w", path))


def test_without_a_paired_comparison_the_verdict_rests_on_the_intervals(page, tmp_path):
    example = publish(tmp_path / "w")
    file = example.workspace.runs / RUN / "metrics.parquet"
    metrics = pd.read_parquet(file)
    metrics = metrics[metrics["model"] != "fused-minus-best"].reset_index(drop=True)
    metrics.to_parquet(file)
    assert "the intervals overlap" in said(page(tmp_path / "w", "performance"))
    fused = metrics["model"] == "fused"
    metrics.assign(
        low=np.where(fused, metrics["low"], 0.2),
        high=np.where(fused, metrics["high"], 0.3),
        value=np.where(fused, metrics["value"], 0.25),
    ).to_parquet(file)
    assert "Fusion helps on this cohort, the intervals lie apart" in said(
        page(tmp_path / "w", "performance")
    )


def test_the_performance_page_gives_the_verdict_with_its_interval_and_n(page, run):
    text = said(page(run.workspace.path, "performance"))
    assert "Fusion" in text and "n = 39" in text and "Research use only" in text


def test_the_performance_page_names_the_most_important_modality(page, run):
    table = run.predictions
    names = [
        column.removeprefix("contribution_")
        for column in table
        if column.startswith("contribution_")
    ]
    size = {
        m: table.loc[[m in there for there in table["modalities"]], f"contribution_{m}"]
        .abs()
        .mean()
        for m in names
    }
    charts = page(run.workspace.path, "performance").get("vega_lite_chart")
    titled = [json.loads(chart.proto.spec).get("title") or {} for chart in charts]
    specs = [" ".join(title.get("text", ())) for title in titled]
    titles = {"flair": "FLAIR", "report": "Radiology report", "expression": "Gene expression"}
    largest = titles[max(size, key=size.__getitem__)]
    assert any("Modality importance: mean absolute Shapley" in spec for spec in specs)
    assert any(f"largest: {largest}" in spec for spec in specs)


def test_the_cohort_page_accounts_for_every_case(page, run):
    test = page(run.workspace.path, "cohort")
    assert "40 cases received: 39 accepted, 1 quarantined" in said(test)
    refused = test.dataframe[1].value
    assert (
        set(refused["code"]) == {"no_modality", "truncated", "not_text"}
        and refused["cure"].str.len().min() > 10
    )


def test_the_case_page_shows_an_absent_modality_as_absent(page, run):
    lacking = run.predictions[[len(m) == 1 for m in run.predictions["modalities"]]]["case_id"].iloc[
        0
    ]
    test = page(run.workspace.path, "case")
    test.selectbox(key="case").set_value(lacking).run()
    assert not test.exception and lacking in said(test)
    assert any("not acquired" in str(element.proto.body) for element in test.get("html"))


def test_the_most_uncertain_case_comes_first(page, run):
    test = page(run.workspace.path, "case")
    first = (
        run.predictions.assign(doubt=(run.predictions["probability"] - 0.5).abs())
        .sort_values(["doubt", "case_id"])["case_id"]
        .iloc[0]
    )
    assert test.selectbox(key="case").value == first


def test_next_and_previous_walk_through_the_cases_in_the_order_of_doubt(page, example):
    doubt = (example.predictions["probability"] - 0.5).abs()
    order = (
        example.predictions.assign(doubt=doubt)
        .sort_values(["doubt", "case_id"])["case_id"]
        .tolist()
    )
    test = page(example.workspace.path, "case")
    walked = [test.selectbox(key="case").value]
    for key in ("next", "next", "previous"):
        test.button(key=key).click().run()
        walked.append(test.selectbox(key="case").value)
    assert walked == [order[0], order[1], order[2], order[1]] and order[1] in said(test)


@pytest.mark.parametrize(
    ("kind", "words"), [("multiclass", "grade: c"), ("survival", "Event: risk 0")]
)
def test_an_answer_that_is_not_yes_or_no_has_its_pages(page, tmp_path, kind, words):
    example = publish(tmp_path / "w", cases=20)
    cohort, run = example.workspace.cohort(NAME) / "description.json", example.workspace.runs / RUN
    task = {
        "kind": kind,
        "label": "grade" if kind == "multiclass" else None,
        "classes": ["a", "b", "c"] if kind == "multiclass" else [],
    }
    cohort.write_text(json.dumps({**json.loads(cohort.read_text()), "task": task}))
    metrics = pd.read_parquet(run / "metrics.parquet").query("model != 'fused-minus-best'")
    if kind == "multiclass":
        tables = [
            pd.read_parquet(run / name)
            .drop(columns="probability")
            .assign(predicted="c", probability_a=0.1, probability_b=0.2, probability_c=0.7)
            for name in ("predictions.parquet", "out_of_fold.parquet")
        ]
        answer_again(example.workspace, tables[0])
        tables[1].to_parquet(run / "out_of_fold.parquet")
    metrics.replace(
        {"metric": {"auroc": "auroc" if kind == "multiclass" else "c_index"}}
    ).to_parquet(run / "metrics.parquet")
    assert ("AUROC" if kind == "multiclass" else "C-index") in said(
        page(tmp_path / "w", "performance")
    )
    assert words in said(page(tmp_path / "w", "case")).replace("\\", ""), (
        "but for what Markdown needs"
    )


def test_every_case_can_be_opened_whatever_it_lacks(page, example):
    test = page(example.workspace.path, "case")
    lacking = example.predictions.assign(
        number=example.predictions["modalities"].str.len()
    ).drop_duplicates("number")["case_id"]
    for case in lacking:
        test.selectbox(key="case").set_value(case).run()
        assert not test.exception, (case, test.exception)


def specs(test) -> list[str]:
    """The charts of a page as text."""
    return [" ".join(str(chart.proto.spec).split()) for chart in test.get("vega_lite_chart")]


def test_a_case_is_shown_in_the_cohorts_own_words(page, example):
    case = example.cases.loc[example.cases["label"].notna(), "case_id"].iloc[0]
    test = page(example.workspace.path, "case", case=case)
    test.toggle(key=f"outcome-{case}").set_value(True).run()
    shown = said(test)
    probability = example.predictions.set_index("case_id").loc[case, "probability"]
    assert f"Progression within 24 months: {100 * probability:.0f}" in shown.replace("\\", "")
    assert "recorded: **stable**" in shown or "recorded: **progresses**" in shown
    drawn = " ".join(specs(test))
    assert "raises Progression within 24 months" in drawn and "T1 post-contrast" in drawn
    assert "Cross-modality attention (rows sum to 1)" in drawn


def test_the_windows_of_a_signal_are_shaded_once_they_are_asked_for(page, example):
    lacking = example.cases.loc[~example.cases["has_ecg"], "case_id"].iloc[0]
    having = example.cases.loc[example.cases["has_ecg"], "case_id"].iloc[0]
    test = page(example.workspace.path, "case")
    test.selectbox(key="case").set_value(lacking).run()
    assert any("ECG not acquired" in str(element.proto.body) for element in test.get("html"))
    test.selectbox(key="case").set_value(having).run()
    plain = next(spec for spec in specs(test) if "ECG, each channel" in spec)
    assert "start_s" not in plain and "time (s)" in plain
    test.toggle(key="heat-ecg").set_value(True).run()
    assert not test.exception and "largest effect in this signal" in said(test)
    assert "start_s" in next(spec for spec in specs(test) if "ECG, each channel" in spec)


def test_a_signal_without_windows_is_drawn_plain_and_without_its_rate_by_samples(page, tmp_path):
    example = publish(tmp_path / "w", cases=12)
    for file in example.workspace.path.glob("explanations/*/*.json"):
        kept = json.loads(file.read_text())
        kept["parts"].pop("ecg", None)
        file.write_text(json.dumps(kept))
    file = example.workspace.cohort(NAME) / "description.json"
    file.write_text(
        json.dumps({k: v for k, v in json.loads(file.read_text()).items() if k != "rates_hz"})
    )
    test = page(example.workspace.path, "case")
    test.selectbox(key="case").set_value(
        example.cases.loc[example.cases["has_ecg"], "case_id"].iloc[0]
    ).run()
    assert test.toggle(key="heat-ecg").disabled
    assert any("sample (rate not recorded)" in spec for spec in specs(test))


@pytest.mark.parametrize("known", [True, False])
def test_an_embedding_is_a_line_that_says_what_made_it_and_no_picture(page, tmp_path, known):
    """The stored samples of the ECG, called vectors."""
    example = publish(tmp_path / "w", cases=12)
    file = example.workspace.cohort(NAME) / "description.json"
    described = json.loads(file.read_text())
    made = {"encoder": "UNI2-h", "revision": "0123", "licence": "CC-BY-NC-ND-4.0", "width": 2}
    described["modalities"]["ecg"] = "embedding"
    described |= {"embeddings": {"ecg": made}} if known else {}
    file.write_text(json.dumps(described))
    for case in example.workspace.path.glob("explanations/*/*.json"):
        kept = json.loads(case.read_text())
        vectors = [{"start": 0, "end": 1, "value": 0.25}, {"start": 1, "end": 2, "value": 0.0}]
        kept["parts"]["ecg"] = vectors
        case.write_text(json.dumps(kept))
    test = page(example.workspace.path, "case")
    having = example.cases.loc[example.cases["has_ecg"], "case_id"].iloc[0]
    test.selectbox(key="case").set_value(having).run()
    shown = said(test).replace("\\", "")
    assert not test.exception and "vectors of" in shown and "has no picture." in shown
    assert ("numbers, made by UNI2-h 0123 (CC-BY-NC-ND-4.0)." in shown) == known
    assert "2 vectors add up to +0.25" in shown
    assert not any("ECG, each channel" in spec for spec in specs(test))


def test_a_drawn_signal_keeps_its_peaks_and_its_length():
    from dashboards.charts.case import envelope

    samples = np.zeros((10_000, 2), np.int16)
    samples[7_777, 1] = -20_000
    table = envelope(samples, 250.0)
    second = table[table["channel"] == 2]
    assert second["y"].min() == pytest.approx(-1.42) and len(table) <= 2_000
    assert second.loc[second["y"].idxmin(), "x"] == pytest.approx(7_777 / 250, abs=0.1)
    assert table["x"].max() < 40


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</span></div><style>*{display:none}</style>",
    "a\u202eb",
    "![x](http://x.test/y)",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_a_note_becomes_markup(text):
    from dashboards import notes

    shown = notes.shaded(text, [[0, len(text), 1.0]])
    inner = shown.removeprefix('<span class="p5">').removesuffix("</span>")
    assert "<" not in inner and "\u202e" not in inner


def test_a_site_that_is_written_as_markdown_stays_text(page, tmp_path):
    example = publish(tmp_path / "w", cases=12)
    file = example.workspace.cohort(NAME) / "cases.parquet"
    pd.read_parquet(file).assign(site="![x](http://x.test/y) <b>").to_parquet(file)
    assert r"\!\[x\]\(http\:" in said(page(tmp_path / "w", "case"))


def test_dashboards_never_import_torch():
    code = (
        "import sys; sys.path.insert(0, '.'); import dashboards.published, dashboards.main; "
        "import dashboards.views.worklist, dashboards.views.case, dashboards.views.performance; "
        "import dashboards.views.cohort; "
        "print([m for m in ('torch', 'monai', 'transformers') if m in sys.modules])"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip()
        == "[]"
    )
