"""Pieces of a run side by side: the same as one after the other, and a process that is killed is
said, not waited for.
"""

import dataclasses
import os
import shutil
import signal
import threading
from pathlib import Path

import pytest
from special_files import plant_modules


@pytest.fixture
def run(small_run, tmp_path, monkeypatch):
    """A run of one fold's fits on the small cohort, with two worker processes."""
    from mmdiag import recipes
    from mmdiag.description import read_description
    from mmdiag.experiment.plan import plan_run
    from mmdiag.workspace import Workspace

    monkeypatch.setenv("MMDIAG_PROCESSES", "2")
    workspace = Workspace(shutil.copytree(small_run.workspace.path, tmp_path / "w"))
    config = recipes.default(fusion="concat", seed=4).as_one_network()
    config = dataclasses.replace(
        config, training=dataclasses.replace(config.training, max_epochs=4)
    )
    return plan_run(read_description(small_run.cohort / "cohort.toml"), workspace, config)


def test_fits_side_by_side_are_those_that_one_process_makes(run, monkeypatch):
    from mmdiag.experiment.fit_id import FitId
    from mmdiag.workers import pool

    names = [f"fold-0.{model}" for model in ("fused", "flair", "report", "expression")]
    messages = []
    pool.each(pool.FIT, run.folder, names, lambda done, what: messages.append((done, what)))
    found = [run.fitted(FitId.parse(name))["bundle_id"] for name in names]
    assert {what.split()[0] for _, what in messages if what} == set(names) and max(
        done for done, _ in messages
    ) == 4, "each says how far it is"
    shutil.rmtree(run.folder / "fits")
    monkeypatch.setenv("MMDIAG_PROCESSES", "1")
    pool.each(pool.FIT, run.folder, names, lambda *_: None)
    assert [run.fitted(FitId.parse(name))["bundle_id"] for name in names] == found


@pytest.mark.slow
def test_models_searched_side_by_side_get_the_values_that_one_process_chooses(
    small_run, tmp_path, monkeypatch
):
    from optuna.distributions import FloatDistribution

    from mmdiag import recipes
    from mmdiag.description import read_description
    from mmdiag.experiment.fit_id import FitId
    from mmdiag.tuning import trials
    from mmdiag.workers import pool
    from mmdiag.workspace import Workspace

    config = recipes.named(
        "default",
        fusion="concat",
        seed=4,
        settings={"training.max_epochs": 2, "training.averaged": False},
    )
    names, found = [f"fold-0.{model}" for model in ("fused", "flair", "report")], []
    for processes in ("1", "2"):
        monkeypatch.setenv("MMDIAG_PROCESSES", processes)
        workspace = Workspace(shutil.copytree(small_run.workspace.path, tmp_path / processes))
        space = {"training.learning_rate": FloatDistribution(1e-4, 1e-1, log=True)}
        search = trials.start(
            read_description(small_run.cohort / "cohort.toml"), workspace, config, 2, space
        )
        pool.each(pool.SEARCH, search.folder, names, lambda *_: None)
        found.append([trials.choose(search, FitId.parse(name)) for name in names])
    assert found[0] == found[1] and all(chosen["trials"] == 2 for chosen in found[0])


def test_a_piece_that_fails_in_another_process_fails_here_with_what_may_be_said(
    run, tmp_path, monkeypatch
):
    from mmdiag.failures import StepFailed
    from mmdiag.workers import pool

    ran = plant_modules(tmp_path / "planted")
    monkeypatch.chdir(tmp_path / "planted")
    with (
        pool.at_work(run.folder, 8),
        pytest.raises(StepFailed, match="The program failed and should not have: ") as failed,
    ):
        pool.do(pool.FIT, run.folder, "fold-0.nobody")
    assert failed.value.exit_code == 1 and "Jane" not in str(failed.value)
    assert not ran.exists(), "no file of the current folder is run as a module"


def test_a_process_that_is_killed_is_said_and_another_one_goes_on(run):
    from mmdiag.experiment.fit_id import FitId
    from mmdiag.failures import StepFailed
    from mmdiag.workers import pool

    with pool.at_work(run.folder, 8):

        def kill(done: int, of: int, text: str) -> None:
            for worker in list(pool._pools[-1].all):
                os.kill(worker.process.pid, signal.SIGKILL)

        with pytest.raises(StepFailed, match="one was killed"):
            pool.do(pool.FIT, run.folder, "fold-0.report", kill)
        pool.do(pool.FIT, run.folder, "fold-0.report")
        pids = [worker.process.pid for worker in pool._pools[-1].all]
    assert run.done(FitId.parse("fold-0.report")) and threading.active_count() < 50
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()], (
        "nobody is left when the work is done"
    )


def test_a_number_of_processes_that_is_none_is_wrong_use(run, monkeypatch):
    from mmdiag.errors import UsageError
    from mmdiag.workers import pool

    monkeypatch.setenv("MMDIAG_PROCESSES", "many")
    with (
        pytest.raises(UsageError, match="MMDIAG_PROCESSES is a number"),
        pool.at_work(run.folder, 8),
    ):
        pass
