"""The whole network: every family with modalities missing, what a case in training is shown, and
the blend that is fitted afterwards.
"""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from model_builders import BINARY, make_batches, make_preparations, make_raws

from mmdiag.task import Task

torch = pytest.importorskip("torch")


def pytest_generate_tests(metafunc):
    """Every family, and a chain of all kinds."""
    from mmdiag.config import FUSION_NAMES

    if "fusion" in metafunc.fixturenames:
        metafunc.parametrize("fusion", [*FUSION_NAMES, "cross_modal+modality_attention+late"])


def make_config(fusion="concat", **training):
    from mmdiag.recipes import default

    config = default(fusion=fusion, seed=3)
    return dataclasses.replace(config, training=dataclasses.replace(config.training, **training))


def make_model(fusion="concat", *, task=BINARY, cases=40, missing=0.4, **training):
    """A model at its beginning, and a batch of cases of which many lack something."""
    from mmdiag.model.network import DiagnosisModel

    config = make_config(fusion, **training)
    raws, label = make_raws(cases, missing=missing)
    prepared = make_preparations(raws, config)
    torch.manual_seed(0)
    return DiagnosisModel(config, prepared, task), make_batches(
        raws, label, prepared, np.arange(cases)
    ).take(np.arange(cases))


def present(batch):
    return torch.stack(list(batch.present.values()), dim=1)


def test_arrays_of_absent_modalities_are_never_read(fusion):
    model, batch = make_model(fusion)
    model.eval()
    poisoned = {
        name: {
            key: value
            if value.dtype == torch.bool
            else torch.where(
                batch.present[name].view(-1, *[1] * (value.ndim - 1)), value, torch.nan
            )
            for key, value in arrays.items()
        }
        for name, arrays in batch.values.items()
    }
    assert torch.equal(
        model(batch).logits, model(dataclasses.replace(batch, values=poisoned)).logits
    )


def test_what_an_encoder_leaves_behind_a_mask_reaches_neither_the_loss_nor_a_gradient(fusion):
    from mmdiag.model.network import loss_of
    from mmdiag.tokens import Tokens

    model, batch = make_model(fusion)
    model.eval()
    tokens = model.encode(batch, batch.present)
    spoiled = {
        name: Tokens(t.values.masked_fill(~t.mask[..., None], torch.nan), t.mask)
        for name, t in tokens.items()
    }
    found = []
    for given in (tokens, spoiled):
        model.zero_grad()
        loss = loss_of(model.head, model.diagnose(given), batch.target, 0.3)
        loss.backward(retain_graph=True)
        found.append(
            [loss.detach(), *(p.grad.clone() for p in model.parameters() if p.grad is not None)]
        )
    for calm, other in zip(*found, strict=True):
        torch.testing.assert_close(other, calm)


def test_every_weight_of_a_fusion_learns(fusion):
    from mmdiag.model.network import loss_of

    model, batch = make_model(fusion, modality_dropout=0.0)
    with torch.no_grad():  # what starts at zero holds back the gradient of what lies behind it
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    loss_of(model.head, model(batch), batch.target, 0.3).backward()
    still = [
        name
        for name, parameter in model.fusion.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    ]
    assert not [name for name in still if not name.endswith("frame.null")], (
        still
    )  # a null vector is not read where absence only masks


def test_a_branch_of_late_fusion_learns_from_its_own_answer_alone():
    from mmdiag.model.network import loss_of

    model, batch = make_model("late", modality_dropout=0.0, missing=0.0)
    model.eval()

    def gradient(noise):
        report = {
            key: value if value.dtype == torch.bool else value + noise
            for key, value in batch.values["report"].items()
        }
        values = {**batch.values, "report": report}
        model.zero_grad()
        loss_of(
            model.head, model(dataclasses.replace(batch, values=values)), batch.target, 0.3
        ).backward()
        return model.encoders["flair_"].summary.weight.grad.clone()

    assert torch.equal(gradient(0.0), gradient(1.0))


def test_the_branches_of_deep_fusion_answer_for_themselves_after_the_exchange():
    model, batch = make_model("deep", missing=0.0)
    model.eval()
    tokens = model.encode(batch, batch.present)
    output = model.diagnose(tokens)
    for k, name in enumerate(model.modalities):
        assert torch.equal(
            output.own[name][0], model.own_heads[f"{name}_"](output.fused.branches[:, k])
        )


@pytest.mark.parametrize("rate", [0.5, 0.9, "observed"])
def test_a_case_in_training_keeps_at_least_one_of_its_modalities(rate):
    model, batch = make_model(cases=200, modality_dropout=rate)
    before = present(batch)
    for _ in range(20):
        after = torch.stack(list(model._hide(batch.present).values()), dim=1)
        assert (after <= before).all() and torch.equal(after.any(1), before.any(1))


def test_a_rate_hides_that_share():
    model, batch = make_model(cases=200, missing=0.0, modality_dropout=0.25)
    shown = torch.stack(
        [torch.stack(list(model._hide(batch.present).values()), dim=1) for _ in range(50)]
    ).float()
    assert abs(shown.mean() - 0.75) < 0.02


def test_observed_patterns_are_shown_as_often_as_they_are_met():
    """Of 100 cases that have all, with 60 that lack the report and 40 that have the report alone,
    patterns come back in these shares.
    """
    model, _ = make_model(cases=200, missing=0.0, modality_dropout="observed")
    there = torch.ones(200, 3, dtype=torch.bool)
    there[100:160, 1] = False
    there[160:, [0, 2]] = False
    shown = torch.cat(
        [
            torch.stack(
                list(model._hide(dict(zip(model.modalities, there.T, strict=True))).values()), dim=1
            )[:100]
            for _ in range(100)
        ]
    )
    whole, without, alone = (
        (shown == torch.tensor(pattern)).all(1).float().mean()
        for pattern in ([1, 1, 1], [1, 0, 1], [0, 1, 0])
    )
    assert abs(whole - 0.5) < 0.03 and abs(without - 0.3) < 0.03 and abs(alone - 0.2) < 0.03


def test_a_complete_cohort_hides_nothing_where_observed_patterns_are_asked_for():
    model, batch = make_model(missing=0.0, modality_dropout="observed")
    assert all(there.all() for there in model._hide(batch.present).values())


@pytest.mark.parametrize("rate", [1.0, -0.1, "sometimes"])
def test_a_modality_dropout_that_is_no_rate_is_refused(rate):
    from mmdiag.errors import UsageError

    with pytest.raises(UsageError, match=r"a rate from 0 to below 1 or 'observed'"):
        make_config(modality_dropout=rate)


TASKS = {
    "binary": BINARY,
    "multiclass": Task(kind="multiclass", classes=("a", "b", "c")),
    "survival": Task(kind="survival", cuts=(1.0, 2.0, 3.0)),
}


@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize("chained", ["late", "gated+late"])
def test_the_blend_is_fitted_for_every_kind_of_task_and_lowers_the_loss(kind, chained):
    model, batch = make_model(chained, task=TASKS[kind], cases=120)
    latent = batch.target[:, 0]
    target = {
        "binary": latent[:, None],
        "multiclass": 2 * latent[:, None],
        "survival": torch.stack([3 - 3 * latent, latent], dim=1),
    }[kind]
    batch = dataclasses.replace(batch, target=target)
    model.eval()
    before = model.head.loss(model(batch).logits, target)
    model.settle([batch.rows(np.arange(60)), batch.rows(np.arange(60, 120))])
    assert model.head.loss(model(batch).logits, target) < before
    assert len(model.fusion.sets.unique(dim=0)) > 2


def test_families_that_are_not_late_have_nothing_to_fit_afterwards(fusion):
    model, batch = make_model(fusion)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.eval().settle([batch])
    changed = {
        name for name, value in model.state_dict().items() if not torch.equal(value, before[name])
    }
    assert changed == (
        {"fusion.scale", "fusion.shift", "fusion.offset", "fusion.sets"}
        if "late" in fusion
        else set()
    )


def test_a_settled_network_comes_back_from_its_bundle(fusion, tmp_path):
    from mmdiag.inference.bundle import Bundle

    model, batch = make_model(fusion)
    model.eval().settle([batch])
    config = make_config(fusion)
    patterns = frozenset({frozenset({"flair"}), frozenset({"flair", "report"})})
    bundle = Bundle(
        config=config,
        model=model,
        preparations=make_preparations(make_raws(40, missing=0.4)[0], config),
        task=BINARY,
        kinds={},
        cohort={"name": "n", "hash": "h"},
        trained_on=frozenset(),
        patterns=patterns,
    )
    loaded = Bundle.load(bundle.save(tmp_path)[1])
    with torch.inference_mode():
        assert torch.equal(loaded.model(batch).logits, model(batch).logits)
    assert loaded.met(["report", "flair"]) and not loaded.met(["report"]) and not loaded.met([])


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
    from mmdiag.experiment.evaluate import LEAST_CASES, LEAST_OF_A_KIND, availability_of

    judged = (
        pd.read_parquet(small_run.folder / "out_of_fold.parquet")
        .query("model == 'fused'")
        .set_index("case_id")["label"]
    )
    names = small_run.predictions.set_index("case_id")["modalities"].map("+".join)[judged.index]
    rows = availability_of(small_run.folder)
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
    from mmdiag.inference.score import _score_rows
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
    table = _score_rows(
        dataclasses.replace(bundle, patterns=frozenset({whole})),
        store,
        raws,
        list(range(len(store.cases))),
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


@pytest.fixture
def tiny_text(tmp_path):
    """A folder with a text encoder, a configuration that names it, and the record that a bundle
    keeps of it.
    """
    from encoder_builders import write_tiny_text_model

    from mmdiag.config import RunConfig, TextConfig
    from mmdiag.encoders.sentence import text_weights

    folder = write_tiny_text_model(tmp_path / "tiny", seed=1)
    return (
        folder,
        RunConfig(text=TextConfig(encoder=str(folder))),
        text_weights(str(folder)).record(),
    )


def test_scoring_with_other_weights_than_the_bundle_was_fitted_with_is_refused(
    small_run, tiny_text
):
    from encoder_builders import write_tiny_text_model

    from mmdiag.description import read_description
    from mmdiag.errors import UsageError
    from mmdiag.inference.bundle import Bundle
    from mmdiag.inference.score import score

    folder, config, record = tiny_text
    bundle = Bundle.load(small_run.answer["bundle"]["path"])
    fitted = {
        **bundle.preparations,
        "report": dataclasses.replace(bundle.preparations["report"], source=record),
    }
    where = dataclasses.replace(
        bundle, config=dataclasses.replace(bundle.config, text=config.text), preparations=fitted
    ).save(folder.parent)[1]
    write_tiny_text_model(folder, seed=2)
    with pytest.raises(
        UsageError,
        match=rf"those of report were folder tiny with the SHA-256 {record['sha256'][:12]}, and "
        r"folder tiny now holds .* train again",
    ):
        score(
            where,
            read_description(small_run.cohort / "cohort.toml"),
            small_run.workspace,
            small_run.ledger,
            folder.parent / "p.parquet",
        )
    assert not (folder.parent / "p.parquet").exists()


def test_the_same_weights_under_the_same_name_are_taken(tiny_text):
    from mmdiag.prepare import Preparation, require_same_features

    _, config, record = tiny_text
    require_same_features(
        config, {"report": Preparation(kind="text", source=record, feature_version="sentences 3")}
    )


def test_a_bundle_whose_features_were_made_by_another_version_is_refused(
    small_run, monkeypatch, tmp_path
):
    from mmdiag.description import read_description
    from mmdiag.errors import UsageError
    from mmdiag.inference.bundle import Bundle
    from mmdiag.inference.score import score
    from mmdiag.prepare import extract

    where = Path(small_run.answer["bundle"]["path"])
    assert {name: found.feature_version for name, found in Bundle.load(where).preparations.items()} == {
        "flair": "statistics 4",
        "report": "sentences 3",
        "expression": "",
    }
    monkeypatch.setitem(extract.VERSIONS, "statistics", 5)
    with pytest.raises(
        UsageError,
        match=r"those of flair were made by 'statistics 4', here they are by 'statistics 5': "
        r"train again",
    ):
        score(
            where,
            read_description(small_run.cohort / "cohort.toml"),
            small_run.workspace,
            small_run.ledger,
            tmp_path / "p.parquet",
        )


def test_weights_are_compared_only_where_features_are_still_made_by_them(tiny_text):
    from mmdiag.config import ImageConfig
    from mmdiag.errors import UsageError
    from mmdiag.prepare import Preparation, require_same_features

    folder, config, record = tiny_text
    other = {**record, "sha256": "0" * 64}
    config = dataclasses.replace(
        config, image=ImageConfig(encoder="resnet10", training="fine_tuned", weights=str(folder))
    )
    require_same_features(
        config,
        {
            "flair": Preparation(kind="image", reads="image", source=other),
            "genes": Preparation(kind="table"),
        },
    )
    with pytest.raises(UsageError, match="those of flair were"):
        require_same_features(config, {"flair": Preparation(kind="image", source=other)})
    with pytest.raises(UsageError, match="those of report were"):
        require_same_features(
            config, {"report": Preparation(kind="text", feature_version="sentences 3", source=other)}
        )
