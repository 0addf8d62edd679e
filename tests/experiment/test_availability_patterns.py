"""Which modalities a case has: metrics of each pattern, and a flag on those that no fit met."""

import dataclasses

import pandas as pd


def test_every_metric_is_there_for_each_availability_pattern(small_run):
    found = pd.read_parquet(small_run.folder / "availability.parquet")
    whole = pd.read_parquet(small_run.folder / "metrics.parquet")
    assert set(found) == set(whole) - {"p"} | {"availability"} and set(found["model"]) == {"fused"}
    assert set(found["metric"]) <= set(whole["metric"])
    counts = found[found["metric"] == "brier"].set_index("availability")["n"]
    assert counts.sum() == small_run.metric("fused")["n"]
    names = small_run.predictions.set_index("case_id")["modalities"].map("+".join)
    judged = pd.read_parquet(small_run.folder / "out_of_fold.parquet").query("model == 'fused'")[
        "case_id"
    ]
    assert counts.to_dict() == names[judged].value_counts().to_dict()


def test_a_pattern_with_too_few_cases_says_its_number_and_gives_no_value(small_run):
    from mmdiag.evaluation.judged import LEAST_CASES, LEAST_OF_A_KIND
    from mmdiag.experiment.evaluate import availability_of
    from mmdiag.experiment.run import Run

    judged = (
        pd.read_parquet(small_run.folder / "out_of_fold.parquet")
        .query("model == 'fused'")
        .set_index("case_id")["label"]
    )
    names = small_run.predictions.set_index("case_id")["modalities"].map("+".join)[judged.index]
    rows = availability_of(Run.open(small_run.folder))
    enough = set()
    for pattern, label in judged.groupby(names):
        found = {row["metric"]: row for row in rows if row["availability"] == pattern}
        assert (
            set(found) >= {"auroc", "auprc", "brier"}
            and found["auroc"]["n_positive"] == label.sum()
        )
        known = (
            len(label) >= LEAST_CASES
            and min(label.sum(), len(label) - label.sum()) >= LEAST_OF_A_KIND
        )
        assert all(
            (row["value"] is not None)
            == (row["low"] is not None)
            == (row["high"] is not None)
            == known
            for row in found.values()
        )
        assert found["auroc"]["modalities"] == pattern.split("+")
        enough.add(known)
    assert enough == {False} or enough == {True, False}
    assert small_run.answer["availability"] == rows


def test_a_case_with_a_pattern_that_was_never_met_is_flagged(small_run):
    from mmdiag.inference.bundle import Bundle
    from mmdiag.inference.score import score_rows
    from mmdiag.prepare import extractor
    from mmdiag.prepare.feature_cache import raw_features
    from mmdiag.storage.store import Store

    bundle = Bundle.load(small_run.answer["bundle"]["path"])
    assert bundle.patterns and all(pattern <= set(bundle.kinds) for pattern in bundle.patterns)
    (name,) = (path.name for path in (small_run.workspace.path / "cohorts").iterdir())
    store = Store.open(small_run.workspace, name)
    raws = {
        m: raw_features(store, m, extractor(kind, bundle.config))
        for m, kind in bundle.kinds.items()
    }
    whole = frozenset(bundle.kinds)
    table = score_rows(
        dataclasses.replace(bundle, patterns=frozenset({whole})),
        store,
        raws,
        list(range(len(store.cases))),
        None,
    )
    assert table["abstained"].tolist() == [
        frozenset(names) != whole for names in table["modalities"]
    ]
    assert 0 < table["abstained"].sum() < len(table) and table["probability"].notna().all()


def test_the_predictions_of_a_run_are_flagged_by_what_their_own_fit_had_met(small_run):
    import json

    table = small_run.predictions
    judged = (
        pd.read_parquet(small_run.folder / "out_of_fold.parquet")
        .query("model == 'fused'")
        .set_index("case_id")["part"]
    )
    for part, cases in judged.groupby(judged):
        met = json.loads((small_run.folder / "fits" / f"{part}.fused" / "fit.json").read_text())[
            "patterns"
        ]
        rows = table[table["case_id"].isin(cases.index)]
        assert rows["abstained"].tolist() == [
            sorted(names) not in met for names in rows["modalities"]
        ]
