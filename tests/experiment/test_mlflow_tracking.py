"""Runs are mirrored to MLflow where the user asks for it; a server that does not answer costs
seconds once; nothing of a patient is sent.
"""

import json
import logging
import os
import socket
from pathlib import Path

import pytest
from training_builders import digest, fit, make_config

from mmdiag.errors import UsageError
from mmdiag.experiment.fit_id import FitId

EPOCHS = 4
ROWS = [
    {"model": "fused", "metric": "auroc", "value": 0.8, "low": 0.7, "high": 0.9, "n": 40},
    {
        "model": "baseline:prevalence",
        "metric": "auroc",
        "value": 0.5,
        "low": None,
        "high": None,
        "n": 40,
    },
    {
        "model": "fused",
        "metric": "calibration error (%)",
        "value": float("nan"),
        "low": None,
        "high": None,
        "n": 40,
    },
]


@pytest.fixture
def installed():
    pytest.importorskip(
        "mlflow", reason="MLflow is an option: pip install -c constraints.txt 'mmdiag[mlflow]'"
    )


@pytest.fixture
def run(tmp_path):
    """A run as its folder says it."""
    from mmdiag.config import to_json
    from mmdiag.experiment import mlflow_tracking as mirror
    from mmdiag.experiment.run import Run

    mirror._mirror.cache_clear()
    folder = tmp_path / "w" / "runs" / "r-1"
    folder.mkdir(parents=True)
    asked = {
        "run_id": "r-1",
        "cohort": "lgg",
        "cohort_hash": "sha256:ab",
        "config": json.loads(to_json(make_config(max_epochs=EPOCHS))),
        "fits": ["all.fused"],
    }
    (folder / "run.json").write_text(json.dumps(asked))
    return Run.open(folder)


def mirrored(address):
    """What MLflow holds of the cohort, as one client sees it."""
    from mlflow import MlflowClient

    client = MlflowClient(address)
    runs = client.search_runs([client.get_experiment_by_name("lgg").experiment_id])
    return client, runs


@pytest.mark.usefixtures("installed")
def test_a_run_is_mirrored_once_with_its_configuration_curves_and_intervals(
    run, tmp_path, monkeypatch
):
    from mmdiag.experiment import mlflow_tracking as mirror

    address = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MMDIAG_MLFLOW", "1")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    mirror.require()
    trained = fit(
        make_config(max_epochs=EPOCHS), tmp_path / "fit", attach=mirror.attach(run, run.fits[0])
    )
    fit(
        make_config(max_epochs=EPOCHS),
        tmp_path / "other",
        attach=mirror.attach(run, FitId.parse("fold-0.flair")),
    )
    mirror.publish(run, "b-1", ROWS)
    mirror.publish(run, "b-1", ROWS)
    client, (found,) = mirrored(address)
    assert found.info.status == "FINISHED" and found.info.run_name == "r-1"
    assert (
        found.data.params["training.learning_rate"] == "0.001"
        and found.data.params["fusion"] == "concat"
    )
    wanted = {
        "mmdiag.run_id": "r-1",
        "mmdiag.cohort": "lgg",
        "mmdiag.cohort_hash": "sha256:ab",
        "mmdiag.bundle_id": "b-1",
    }
    assert wanted.items() <= found.data.tags.items()
    curve = [
        point.value
        for point in client.get_metric_history(found.info.run_id, "all.fused/valid_loss")
    ]
    assert curve == [row.valid_loss for row in trained.curve]
    metrics = found.data.metrics
    assert (
        metrics["fused/auroc"],
        metrics["fused/auroc/low"],
        metrics["fused/auroc/high"],
        metrics["fused/auroc/n"],
    ) == (0.8, 0.7, 0.9, 40)
    assert (
        metrics["baseline:prevalence/auroc"] == 0.5 and "fused/calibration error ___" not in metrics
    )
    assert "fold-0.flair/train_loss" in metrics and not list(Path().glob("mlruns*"))


@pytest.mark.usefixtures("installed")
def test_a_run_that_was_killed_goes_on_in_the_same_mirror(run, tmp_path, monkeypatch):
    from mmdiag.experiment import mlflow_tracking as mirror

    address = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MMDIAG_MLFLOW", "1")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    fit(
        make_config(max_epochs=2),
        tmp_path / "fit",
        attach=mirror.attach(run, FitId.parse("fold-0.fused")),
    )
    mirror._mirror.cache_clear()  # another process
    fit(make_config(max_epochs=2), tmp_path / "fit", attach=mirror.attach(run, run.fits[0]))
    mirror.publish(run, "b-1", ROWS)
    _, (found,) = mirrored(address)
    assert {"fold-0.fused/valid_loss", "all.fused/valid_loss", "fused/auroc"} <= set(
        found.data.metrics
    )


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("answer", ["silence", "refusal"])
def test_a_server_that_does_not_answer_costs_seconds_once_and_changes_nothing(
    run, tmp_path, monkeypatch, caplog, answer
):
    from urllib3.util.connection import create_connection

    from mmdiag.experiment import mlflow_tracking as mirror

    for name in mirror.PATIENCE:
        monkeypatch.delenv(name, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        if answer == "refusal":
            silent.close()
        monkeypatch.setenv("MMDIAG_MLFLOW", "1")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://user:secret@127.0.0.1:{port}")
        config = make_config(max_epochs=EPOCHS)
        calm = fit(config, tmp_path / "calm")
        asked = []
        monkeypatch.setattr(
            "urllib3.util.connection.create_connection",
            lambda *given, connect=create_connection, **more: (
                asked.append(given[0]) or connect(*given, **more)
            ),
        )
        with caplog.at_level(logging.WARNING, logger="mmdiag.experiment.mlflow_tracking"):
            found = fit(config, tmp_path / "fit", attach=mirror.attach(run, run.fits[0]))
            fit(config, tmp_path / "again", attach=mirror.attach(run, FitId.parse("fold-0.fused")))
            mirror.publish(run, "b-1", ROWS)
        assert asked == [("127.0.0.1", port)], "it is asked once"
        assert mirror.PATIENCE.items() <= os.environ.items(), "and waited for so many seconds"
    said = [
        record.getMessage()
        for record in caplog.records
        if record.name == "mmdiag.experiment.mlflow_tracking"
    ]
    assert (
        len(said) == 1
        and "127.0.0.1" in said[0]
        and "secret" not in said[0]
        and "training goes on" in said[0]
    )
    assert digest(found) == digest(calm) and found.curve == calm.curve


def test_without_being_asked_nothing_is_mirrored(run, monkeypatch):
    from mmdiag.experiment import mlflow_tracking as mirror

    monkeypatch.delenv("MMDIAG_MLFLOW", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    mirror.require()
    assert mirror.attach(run, run.fits[0]) is None
    mirror.publish(run, "b-1", ROWS)


@pytest.mark.parametrize(
    ("address", "found"),
    [("", "none"), ("/data/mlruns", "a file address"), ("file:///data/mlruns", "a file address")],
)
def test_a_mirror_without_a_server_is_refused_before_anything_begins(monkeypatch, address, found):
    import importlib.util

    from mmdiag.experiment import mlflow_tracking as mirror

    monkeypatch.setenv("MMDIAG_MLFLOW", "1")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    with monkeypatch.context() as context:
        context.setattr(importlib.util, "find_spec", lambda _: None)
        with pytest.raises(UsageError, match=r"pip install 'mmdiag\[mlflow\]'"):
            mirror.require()
        context.setattr(importlib.util, "find_spec", lambda _: object())
        with pytest.raises(
            UsageError, match=f"Mirroring needs MLFLOW_TRACKING_URI, .* found {found}"
        ):
            mirror.require()


def test_mlflow_is_told_not_to_call_its_makers():
    import os
    import subprocess
    import sys

    code = "import mmdiag, os; print(os.environ['MLFLOW_DISABLE_TELEMETRY'])"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW")}
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=clean
        ).stdout
        == "true\n"
    )
