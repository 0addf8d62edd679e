"""Signals: read from WAV and tables, refused where they lie, and a fourth modality all the way from
the file to the dashboard.
"""

import dataclasses
import gzip
import json

import numpy as np
import pandas as pd
import pytest
from repository import ROOT
from signal_builders import FAST_HZ, RATE_HZ, SECONDS, tone, write_cohort_with_signals, write_wav

from mmdiag.errors import DescriptionError, ReadError


def read(path, channels=(), *, rate_hz=None, seconds=3.0):
    from mmdiag.readers.signals.recording import read_signal

    return read_signal(path, channels, rate_hz=rate_hz, seconds=seconds)


def stored(signal, *, rate_hz=100.0, seconds=3.0, full_scale=1.0):
    from mmdiag.readers.signals.stored import to_stored_signal

    return to_stored_signal(signal, rate_hz=rate_hz, seconds=seconds, full_scale=full_scale)


def frequency(samples, rate_hz):
    """Hz of the strongest oscillation of the first channel."""
    power = np.abs(np.fft.rfft(samples[:, 0] - samples[:, 0].mean()))
    return np.fft.rfftfreq(len(samples), 1 / rate_hz)[power.argmax()]


def write_table(path, samples, names, *, time=None):
    table = pd.DataFrame(samples, columns=names)
    if time is not None:
        table.insert(0, "time_s", time)
    table.to_csv(path, index=False)
    return path


def test_a_wav_is_brought_to_the_stored_rate_and_length_and_keeps_its_frequency(tmp_path):
    found = read(write_wav(tmp_path / "a.wav", tone(FAST_HZ, np.random.default_rng(0))))
    assert found.rate_hz == RATE_HZ and found.seconds == SECONDS
    kept = stored(found)
    assert (
        kept.samples.shape == (300, 1)
        and kept.samples.dtype == np.int16
        and kept.share_clipped == 0
    )
    assert abs(frequency(kept.samples, 100) - FAST_HZ) < 0.4


def test_what_the_stored_rate_cannot_show_is_filtered_out_and_not_folded_back():
    from mmdiag.readers.signals.stored import Signal

    high = np.sin(2 * np.pi * 190 * np.arange(2000) / RATE_HZ)[:, None].astype(np.float32)
    assert np.abs(stored(Signal(high, float(RATE_HZ), 4.0)).samples[20:-20]).max() < 0.01 * 32767


@pytest.mark.parametrize("bits", [8, 16, 32, "float"])
def test_every_width_of_a_wav_gives_the_same_values(tmp_path, bits):
    from scipy.io import wavfile

    samples = tone(FAST_HZ, np.random.default_rng(1), channels=2)
    scaled = {
        8: np.rint(samples * 128 + 128).clip(0, 255).astype(np.uint8),
        16: np.rint(samples * 2**15).astype(np.int16),
        32: np.rint(samples * 2**31).clip(-(2**31), 2**31 - 1).astype(np.int32),
        "float": samples.astype(np.float32),
    }[bits]
    wavfile.write(tmp_path / "a.wav", RATE_HZ, scaled)
    found = read(tmp_path / "a.wav", ("left", "right"), seconds=float(SECONDS))
    assert np.allclose(found.samples, samples, atol=0.01 if bits == 8 else 1e-4)


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_the_columns_of_a_table_are_its_channels_in_the_order_described(tmp_path, suffix):
    samples = np.arange(60, dtype=float).reshape(20, 3) / 10
    path = write_table(tmp_path / "a.csv", samples, ["I", "II", "V1"])
    if suffix == ".csv.gz":
        path = path.rename(tmp_path / "raw.csv")
        (tmp_path / "a.csv.gz").write_bytes(gzip.compress(path.read_bytes()))
        path = tmp_path / "a.csv.gz"
    found = read(path, ("V1", "I"), rate_hz=50.0)
    assert found.rate_hz == 50 and np.allclose(found.samples, samples[:, [2, 0]], atol=1e-6)
    assert stored(found, rate_hz=50.0, full_scale=10.0).samples[0].tolist() == [
        round(0.02 * 32767),
        0,
    ]


def test_a_column_of_times_says_the_rate(tmp_path):
    path = write_table(
        tmp_path / "a.csv",
        np.sin(np.arange(400))[:, None],
        ["ecg"],
        time=np.round(3 + np.arange(400) / 250, 4),
    )
    assert read(path).rate_hz == pytest.approx(250, rel=1e-3)


def test_a_short_signal_stays_short_and_is_not_stretched():
    from mmdiag.readers.signals.stored import Signal

    assert len(stored(Signal(np.zeros((200, 1), np.float32), 100.0, 2.0)).samples) == 200


def test_values_beyond_the_full_scale_are_counted():
    from mmdiag.readers.signals.stored import Signal

    kept = stored(
        Signal(np.array([[0.5], [3.0], [-3.0], [0.0]], np.float32), 100.0, 0.04), full_scale=2.0
    )
    assert kept.samples[:, 0].tolist() == [8192, 32767, -32767, 0] and kept.share_clipped == 0.5


def damage(path, kind):
    """Break a good file in one way; returns the file and how it is asked for."""
    good = tone(FAST_HZ, np.random.default_rng(0))
    wav = write_wav(path / "a.wav", good)
    table = {"table": np.zeros((9, 1)), "names": ["ecg"], "time": np.arange(9) / 10}
    if kind == "truncated":
        wav.write_bytes(wav.read_bytes()[:-700])
        return wav, {}
    if kind == "not_a_signal":
        wav.write_bytes(b"RIFF0000WAVEjunk" * 4)
        return wav, {}
    if kind == "two channels":
        return write_wav(wav, tone(FAST_HZ, np.random.default_rng(0), channels=2)), {}
    if kind == "one sample":
        return write_wav(wav, good[:1]), {}
    if kind == "no rate":
        return write_table(path / "b.csv", table["table"], table["names"]), {}
    if kind == "uneven":
        return write_table(
            path / "b.csv", table["table"], table["names"], time=[0, 1, 2, 3, 5, 6, 7, 8, 9]
        ), {}
    if kind == "gap":
        return write_table(path / "b.csv", [[1.0], [np.nan], [2.0]], ["ecg"]), {"rate_hz": 100.0}
    if kind == "word":
        return write_table(path / "b.csv", [["1.0"], ["high"], ["2.0"]], ["ecg"]), {
            "rate_hz": 100.0
        }
    if kind == "no such column":
        return write_table(path / "b.csv", table["table"], ["ecg"]), {
            "channels": ("II",),
            "rate_hz": 100.0,
        }
    return write_table(path / "b.csv", np.zeros((9, 2)), ["I", "II"]), {"rate_hz": 100.0}


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("truncated", "truncated"),
        ("not_a_signal", "not_a_signal"),
        ("two channels", "signal_channels"),
        ("one sample", "signal_gap"),
        ("no rate", "signal_rate"),
        ("uneven", "signal_rate"),
        ("gap", "signal_gap"),
        ("word", "table_value"),
        ("no such column", "signal_channels"),
        ("several columns, none named", "signal_channels"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_refused_with_its_code_and_no_value(
    tmp_path, kind, code
):
    from mmdiag.reasons import REASONS

    path, asked = damage(tmp_path, kind)
    with pytest.raises(ReadError, match=f"^{code}: {path.name}|^{code}: .*{path.name}") as refusal:
        read(path, **asked)
    assert code in REASONS and "high" not in refusal.value.detail


def describe(tmp_path, *lines):
    from mmdiag.description import read_description

    (tmp_path / "cases.csv").write_text("case_id,label\na,1\n")
    path = tmp_path / "cohort.toml"
    path.write_text(
        '[cohort]\nname = "c"\n[cases]\ntable = "cases.csv"\ncase_id = "case_id"\n[task]\nlabel '
        '= "label"\npositive = "1"\n'
        + '[modalities.ecg]\nkind = "signal"\npath = "ecg/{case_id}.csv"\n'
        + "\n".join(lines)
    )
    return read_description(path).modalities["ecg"]


def test_a_signal_is_described_by_its_channels_rates_and_length(tmp_path):
    found = describe(tmp_path, 'channels = ["I", "II"]', "rate_hz = 500", "full_scale = 5")
    assert (found.channels, found.rate_hz, found.store_hz, found.seconds, found.full_scale) == (
        ("I", "II"),
        500.0,
        250.0,
        10.0,
        5.0,
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("seconds = 0", "seconds under .* above 0 and at most 600"),
        ('rate_hz = "fast"', "rate_hz under"),
        ("size = 3", "known are"),
    ],
)
def test_a_wrong_description_of_a_signal_is_refused(tmp_path, line, said):
    with pytest.raises(DescriptionError, match=said):
        describe(tmp_path, line)


@pytest.mark.parametrize(
    ("column", "value", "severity"),
    [
        ("n_samples", 3, "quarantine"),
        ("low", 1.0, "quarantine"),
        ("share_clipped", 0.2, "quarantine"),
        ("share_clipped", 0.005, "warn"),
        ("share_of_scale", 0.001, "warn"),
        ("n_flat", 1, "warn"),
        ("seconds", 0.2, "warn"),
    ],
)
def test_every_rule_of_the_contract_has_an_example_that_breaks_it(column, value, severity):
    from mmdiag.contracts.contract import packaged_contract
    from mmdiag.contracts.validate import validate

    sound = {
        "case_id": ["a", "b"],
        "modality": "heart",
        "n_samples": 300,
        "n_channels": 1,
        "rate_hz": 500.0,
        "seconds": 4.0,
        "low": -0.5,
        "high": 0.6,
        "share_of_scale": 0.6,
        "share_clipped": 0.0,
        "n_flat": 0,
    }
    assert all(
        result.passed for result in validate(pd.DataFrame(sound), packaged_contract("signals"))
    )
    broken = pd.DataFrame(sound)
    broken.loc[0, column] = value
    failed = [
        result for result in validate(broken, packaged_contract("signals")) if not result.passed
    ]
    assert severity in {result.severity for result in failed} and all(
        result.failed_rows == (0,) for result in failed
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A model that was hardly trained."""
    return taken_all_the_way(tmp_path_factory.mktemp("four"), epochs=2)


def taken_all_the_way(folder, epochs):
    """Four modalities, of which the signal alone says the label: a held-out test."""
    from mmdiag import api, recipes
    from mmdiag.config import EvaluationConfig
    from mmdiag.description import read_description
    from mmdiag.experiment.evaluate import evaluate
    from mmdiag.experiment.fit import fit
    from mmdiag.experiment.plan import plan_run
    from mmdiag.experiment.publish import publish
    from mmdiag.explain.run import chunks, explain
    from mmdiag.storage.ledger import Ledger
    from mmdiag.workspace import Workspace

    description = read_description(write_cohort_with_signals(folder / "cohort", cases=60, seed=3))
    workspace = Workspace(folder / "workspace")
    ledger = Ledger(workspace.ledger_url)
    found = api.ingest(description, workspace, ledger)
    config = recipes.default(fusion="concat").as_one_network()
    training = dataclasses.replace(
        config.training, max_epochs=epochs, patience=8, learning_rate=3e-3
    )
    config = dataclasses.replace(
        config,
        training=training,
        evaluation=EvaluationConfig(holdout_from=20, test_share=0.3, resamples=200),
    )
    place = plan_run(description, workspace, config)
    for name in place.fits:
        fit(place, name)
    evaluate(place)
    explain(place, chunks(place)[0][:1])
    return place, found | publish(place, ledger), workspace


@pytest.mark.slow
def test_four_modalities_train_end_to_end_and_the_one_that_says_the_label_is_named(tmp_path):
    _, answer, _ = taken_all_the_way(tmp_path, epochs=25)
    assert {
        name: (facts["kind"], facts["present"]) for name, facts in answer["modalities"].items()
    }["heart"] == ("signal", 52)
    metric = {row["model"]: row["value"] for row in answer["metrics"] if row["metric"] == "auroc"}
    assert (
        metric["heart"] > 0.95
        and metric["fused"] > 0.85
        and max(metric["flair"], metric["report"], metric["expression"]) < 0.85
    ), metric
    table = pd.read_parquet(answer["predictions"])
    moved = table.filter(like="contribution_").abs().mean()
    assert (
        moved.idxmax() == "contribution_heart"
        and moved["contribution_heart"] > 2 * moved.drop("contribution_heart").max()
    )
    absent = ~table["modalities"].map(lambda names: "heart" in names)
    assert absent.sum() == 8 and (table.loc[absent, "contribution_heart"] == 0).all()


def test_a_bundle_with_a_signal_comes_back_as_it_was(run):
    from mmdiag.experiment.run import open_data
    from mmdiag.inference.bundle import Bundle
    from mmdiag.inference.predict import diagnose
    from mmdiag.prepare.batches import prepare_samples

    place, answer, _ = run
    bundle, data = Bundle.load(answer["bundle"]["path"]), open_data(place)
    rows = np.flatnonzero(data.store.present("heart"))[:4].tolist()
    samples = prepare_samples(bundle.preparations, data.raws, rows)
    whole = diagnose(bundle, samples)["log_odds"]
    alone = [diagnose(bundle, [sample])["log_odds"].iloc[0] for sample in samples]
    assert np.allclose(whole, alone, atol=1e-5)
    known = pd.read_parquet(answer["predictions"]).set_index("case_id")["probability"]
    assert np.allclose(
        1 / (1 + np.exp(-np.sign(whole) * np.abs(whole))),
        known[data.cases["case_id"].iloc[rows]].to_numpy(),
        atol=1e-5,
    )


def test_windows_of_a_signal_are_explained(run):
    from mmdiag.explain.run import chunks

    place, answer, _ = run
    table = pd.read_parquet(answer["predictions"])
    files = place.workspace.path.glob("explanations/*/*.json")
    kept = {json.loads(file.read_text())["case_id"]: file for file in files}
    done = sorted(kept)
    assert len(done) == 1 and done[0] not in [case for part in chunks(place) for case in part]
    for case in done:
        parts = json.loads(kept[case].read_text())["parts"]
        has = "heart" in table.set_index("case_id").loc[case, "modalities"]
        assert ("heart" in parts) == has
        assert not has or (
            len(parts["heart"]) == 20 and any(window["value"] for window in parts["heart"])
        )


def test_the_dashboard_shows_what_the_signal_contributed(run, monkeypatch):

    from streamlit.testing.v1 import AppTest

    _, _, workspace = run
    monkeypatch.setenv("MMDIAG_WORKSPACE", str(workspace.path))
    monkeypatch.delenv("MMDIAG_LEDGER", raising=False)
    test = AppTest.from_file(str(ROOT / "dashboards" / "main.py"), default_timeout=300).run()
    for page in ("views/cohort.py", "views/case.py"):
        test = test.switch_page(page).run()
        assert not test.exception, page
    assert any("heart" in str(chart.proto.spec) for chart in test.get("vega_lite_chart"))
