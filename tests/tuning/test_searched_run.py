"""A searched run: its models are trained on what was chosen; so do the flow and the command."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution
from search_builders import SPACE, quick


@pytest.mark.slow
def test_a_search_ends_with_models_trained_on_what_it_chose(ingested, tmp_path, monkeypatch):
    import mmdiag
    from mmdiag.inference.bundle import Bundle
    from mmdiag.tuning import trials
    from mmdiag.workspace import Workspace

    description, workspace = ingested
    shutil.copytree(workspace.path, tmp_path / "w", ignore=shutil.ignore_patterns("runs"))
    told = []
    cohort = mmdiag.Cohort(description, Workspace(tmp_path / "w"))
    space = {**SPACE, "fusion": CategoricalDistribution(("gated", "low_rank"))}
    found = mmdiag.search(
        cohort, quick(), space=space, trials=2, progress=lambda *said: told.append(said)
    )
    fused = {name: values for name, values in found.chosen.items() if name.endswith(".fused")}
    assert set(fused) == {"fold-0.fused", "fold-1.fused", "all.fused"} and all(
        set(values) == set(space) for values in fused.values()
    )
    assert set(found.chosen) == {
        *fused,
        *(f"fold-{i}.{m}" for i in (0, 1) for m in ("flair", "report", "expression")),
    }
    assert all(
        set(values) == set(SPACE) for name, values in found.chosen.items() if name not in fused
    ), "one modality has nothing to fuse"
    config = Bundle.load(found.bundle.path).config
    assert (
        config.model.width == found.chosen["all.fused"]["model.width"]
        and config.fusion == found.chosen["all.fused"]["fusion"]
    )
    rows = [row for row in found.metrics if row["model"] == "fused"]
    families = {values["fusion"] for values in fused.values()}
    assert rows[0]["n"] == 40 and rows[0]["low"] <= rows[0]["value"] <= rows[0]["high"]
    assert rows[0]["fusion"] == (families.pop() if len(families) == 1 else "searched")
    assert len(pd.read_parquet(found.trials)) == 18
    assert [said[1:3] for said in told if said[0] == "search"][-1] == (9, 9)
    monkeypatch.setattr(trials, "learn", None)  # a call of it would fail
    again = mmdiag.search(cohort, quick(), space=space, trials=2)
    assert again.chosen == found.chosen and again.bundle == found.bundle, "nothing is repeated"
    show(found, tmp_path)


def show(found, tmp_path):
    """The table of what was chosen can be drawn."""
    from mmdiag.cli.show import show_search

    fits = {
        name: {"values": values, "loss": 0.5, "trials": 2, "pruned": 0}
        for name, values in found.chosen.items()
    }
    show_search(
        {
            "search": {"trials": 2, "fits": fits},
            "metrics": found.metrics,
            "cohort": {"name": "c"},
            "modalities": {},
            "seconds": 1.0,
            "cases": {"in": 40, "accepted": 40, "quarantined": 0, "labelled": 40},
            "bundle": {"id": "b", "path": "p"},
            "predictions": "p",
            "workspace": str(tmp_path),
        }
    )


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
def test_the_flow_makes_the_same_trials_in_batches(begun, monkeypatch):
    from prefect import flow

    from flows import search as searching
    from mmdiag.tuning import trials

    monkeypatch.setattr(searching, "BATCH", 1)
    monkeypatch.setenv("MMDIAG_PROCESSES", "2")
    config, n_trials = quick(max_epochs=1), 2
    plain, flowing = begun("plain", config, n_trials), begun("flowing", config, n_trials)
    monkeypatch.setenv("MMDIAG_WORKSPACE", str(flowing.workspace.path))

    @flow(name="test-search", persist_result=False)
    def alone(run: Path) -> dict:
        return searching.search_all(run)

    found = alone(flowing.folder)
    for name in plain.fits:
        trials.run_trials(plain, name)
    assert found["fits"] == trials.summary(plain)["fits"] and found["trials"] == n_trials


def test_a_gpu_is_waited_for_and_a_machine_without_one_waits_for_nothing(monkeypatch):
    import contextlib

    import torch

    from flows import search as searching

    asked = []

    @contextlib.contextmanager
    def concurrency(name, **options):
        asked.append((name, options))
        yield

    monkeypatch.setattr(searching, "concurrency", concurrency)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with searching.gpu_slot():
        assert asked == []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with searching.gpu_slot():
        assert asked == [("gpu", {"occupy": 1, "strict": False})]


def test_the_command_teaches_and_refuses_wrong_use(mmdiag_call, tmp_path):
    told = mmdiag_call("search", "--help").stdout
    assert (
        "no evaluated subject influenced the values" in " ".join(told.split())
        and "--trials" in told
        and "mmdiag search --cohort cohort.toml" in told
    )
    done = mmdiag_call("search", "--cohort", tmp_path / "none.toml", "--trials", 0)
    assert done.returncode == 2 and "--trials" in done.stderr and not list(tmp_path.iterdir())
