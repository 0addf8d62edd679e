"""A search that is killed ends as if it had not been, and no two processes are at the same part."""

import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
from search_builders import tried

from mmdiag.errors import MmdiagError


class Killed(Exception):
    """Stands for a SIGKILL in the middle of a trial."""


@pytest.mark.parametrize("number", [1, pytest.param(5, marks=pytest.mark.slow)])
def test_a_trial_that_was_killed_does_not_count_and_is_made_again(begun, monkeypatch, number):
    from mmdiag.experiment.fit_id import FitId
    from mmdiag.tuning import trials

    calm, killed = tried(begun("calm")), begun("killed")
    learn, calls = trials.learn, []

    def dies(*arguments, **options):
        calls.append(1)
        if len(calls) == number:  # of three inner trainings a trial
            raise Killed
        return learn(*arguments, **options)

    with monkeypatch.context() as context:
        context.setattr(trials, "learn", dies)
        with pytest.raises(Killed):
            trials.run_trials(killed, FitId.parse("fold-0.fused"))
    pd.testing.assert_frame_equal(tried(killed), calm, check_exact=True)


@pytest.mark.slow
def test_a_process_that_was_killed_leaves_a_search_that_ends_the_same(begun):
    calm, killed = tried(begun("calm")), begun("killed")
    code = (
        "from mmdiag.tuning import trials; from pathlib import Path; "
        "from mmdiag.experiment.run import Run; from mmdiag.experiment.fit_id import FitId; "
        f"run = Run.open(Path({str(killed.folder)!r})); "
        "trials.run_trials(run, FitId('fold-0', 'fused'))"
    )
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code], env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    deadline = time.monotonic() + 300
    while (
        not list(killed.folder.glob("search/trial-*/*"))
        and process.poll() is None
        and time.monotonic() < deadline
    ):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.returncode == -signal.SIGKILL, "it was at work"
    pd.testing.assert_frame_equal(tried(killed), calm, check_exact=True)


def test_a_part_is_searched_by_one_process_at_a_time(begun):
    from mmdiag.experiment.fit_id import FitId
    from mmdiag.tuning import trials
    from mmdiag.tuning.study import open_study

    run = begun()
    with (
        open_study(run, FitId.parse("fold-0.fused")),
        pytest.raises(MmdiagError, match=r"another one is at fold-0.fused"),
    ):
        trials.run_trials(run, FitId.parse("fold-0.fused"))


def test_a_record_that_cannot_be_written_is_said_with_its_cure(begun, monkeypatch):
    import optuna

    from mmdiag.experiment.fit_id import FitId
    from mmdiag.tuning import trials

    def full(*_):
        raise optuna.exceptions.StorageInternalError("disk I/O error")

    run = begun()
    monkeypatch.setattr(trials, "_trial", full)
    with pytest.raises(
        MmdiagError, match=r"could not be written: free some space, and run again"
    ) as raised:
        trials.run_trials(run, FitId.parse("fold-0.fused"))
    assert raised.value.exit_code == 1
