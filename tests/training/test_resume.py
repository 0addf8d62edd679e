"""A killed training ends as if it had not been killed: bit for bit, wherever it was killed, with at
most one epoch done twice.
"""

import hashlib
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from repository import ROOT
from training_builders import Told, fit, make_config, weights

EPOCHS = 8


class Killed(Exception):
    """Stands for a SIGKILL between two epochs."""


def kill_after(epoch):
    def progress(done, *_):
        if done == epoch:
            raise Killed

    return progress


def same(first, second):
    ours, theirs = weights(first), weights(second)
    return ours.keys() == theirs.keys() and all(
        np.array_equal(ours[name], theirs[name]) for name in ours
    )


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    return fit(make_config(max_epochs=EPOCHS), tmp_path_factory.mktemp("calm"))


@pytest.mark.parametrize("epoch", [1, 4, EPOCHS])
def test_a_training_that_is_killed_ends_with_the_same_weights_and_curve(calm, tmp_path, epoch):
    config, told = make_config(max_epochs=EPOCHS), Told()
    with pytest.raises(Killed):
        fit(config, tmp_path, progress=kill_after(epoch))
    again = fit(config, tmp_path, progress=told)
    assert again.curve == calm.curve and same(again, calm)
    assert told == list(range(epoch + 1, EPOCHS + 1)), (
        "no epoch is done twice where its checkpoint was written"
    )
    assert not list(tmp_path.iterdir()), "nothing is left"


def test_a_training_that_was_killed_after_it_had_stopped_early_does_not_go_on(tmp_path):
    config = make_config(max_epochs=60, patience=3, learning_rate=0.05)
    whole = fit(config, tmp_path / "calm")
    last = whole.curve[-1].epoch
    assert last < 60
    with pytest.raises(Killed):
        fit(config, tmp_path / "killed", progress=kill_after(last))
    again = fit(config, tmp_path / "killed")
    assert again.curve == whole.curve and same(again, whole)


@pytest.mark.parametrize("damage", ["torn", "changed", "empty"])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(calm, tmp_path, damage):
    config, told = make_config(max_epochs=EPOCHS), Told()
    with pytest.raises(Killed):
        fit(config, tmp_path, progress=kill_after(5))
    found = sorted(tmp_path.glob("checkpoint-*.safetensors"))
    assert [path.name[:16] for path in found] == ["checkpoint-00004", "checkpoint-00005"], (
        "two are kept"
    )
    content = bytearray(found[-1].read_bytes())
    content[-1] ^= 1
    found[-1].write_bytes(
        {"torn": content[: len(content) // 2], "changed": content, "empty": b""}[damage]
    )
    again = fit(config, tmp_path, progress=told)
    assert told[0] == 5 and again.curve == calm.curve and same(again, calm)


def test_a_checkpoint_of_another_configuration_is_no_beginning(tmp_path):
    with pytest.raises(Killed):
        fit(make_config(max_epochs=EPOCHS), tmp_path, progress=kill_after(3))
    told = Told()
    fit(make_config(max_epochs=EPOCHS, learning_rate=0.002), tmp_path, progress=told)
    assert told[0] == 1


def test_a_checkpoint_holds_no_pickle(tmp_path):
    from safetensors.torch import load_file

    with pytest.raises(Killed):
        fit(make_config(max_epochs=EPOCHS), tmp_path, progress=kill_after(2))
    for path in tmp_path.iterdir():
        assert path.suffix == ".safetensors" and set(load_file(path)) == {
            "model.float32",
            "best.float32",
            "optimizer.float32",
        }


@pytest.mark.slow
def test_a_process_that_is_killed_by_the_system_ends_with_the_same_weights_in_another_process(
    tmp_path,
):
    command = [
        sys.executable,
        "-W",
        "ignore",
        str(ROOT / "tests" / "support" / "training_builders.py"),
        str(EPOCHS),
    ]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
    }

    def start(folder):
        return subprocess.Popen(
            [*command, str(folder)], stdout=subprocess.PIPE, text=True, env=environment
        )

    process = start(tmp_path / "killed")
    deadline = time.monotonic() + 300
    while (
        not list((tmp_path / "killed").glob("checkpoint-*"))
        and process.poll() is None
        and time.monotonic() < deadline
    ):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "it was at work"
    again = start(tmp_path / "killed").communicate(timeout=600)[0]
    whole = start(tmp_path / "calm").communicate(timeout=600)[0]
    assert len(whole.strip()) == len(hashlib.sha256().hexdigest()) and again == whole
