"""The sandbox: a reader that hangs, eats memory, dies or panics costs one verdict, and the next
file is read as if nothing had been.
"""

import os
import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from dicom_builders import make_slice, write
from special_files import plant_modules

from mmdiag.errors import MmdiagError, ReadError
from mmdiag.sandbox import parent
from mmdiag.sandbox.fork_server import MOST_PARTS, address_counter, receive, send
from mmdiag.sandbox.functions import FUNCTIONS, function_named
from mmdiag.sandbox.parent import own_modules
from mmdiag.sandbox.pool import Sandbox

# What a reader may do wrong: the fork server of these tests has them on its list of functions
MISBEHAVED = """
import os, time
def hang(): time.sleep(60)
def spin():
    while True: pass
def eat(): return {'n': len(bytearray(4 * 2**30))}, {}
def die(): os.kill(os.getpid(), 9)
class Panic(BaseException): pass
def panic(): raise Panic('Jane Doe')
def fail(): raise ValueError('Jane Doe')
def write(path): open(path, 'wb').write(b'x' * 100)
def array():
    import numpy
    return {'a': 1}, {'x': numpy.arange(6, dtype='int16').reshape(2, 3)}
def long(text): return {'n': len(text)}, {}
"""
NAMES = re.findall(r"^def (\w+)", MISBEHAVED, re.MULTILINE)


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    """A pool whose fork server starts with misbehaving functions on its list."""
    folder = tmp_path_factory.mktemp("extra")
    (folder / "misbehaved.py").write_text(MISBEHAVED)
    (folder / "sitecustomize.py").write_text(
        "from mmdiag.sandbox.functions import FUNCTIONS\n"
        f"FUNCTIONS.update({ {name: f'misbehaved:{name}' for name in NAMES} })\n"
    )
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        pool = Sandbox(2, seconds=1.0, megabytes=600)
        try:
            yield pool
        finally:
            pool.close()


def test_what_a_reader_finds_comes_back_as_facts_and_arrays(pool):
    facts, arrays = pool.call("array").value()
    assert (
        facts == {"a": 1}
        and arrays["x"].dtype == np.int16
        and arrays["x"].tolist() == [[0, 1, 2], [3, 4, 5]]
    )


class Narrow(socket.socket):
    """A connection that never takes a message at once."""

    def sendmsg(self, parts):
        return self.send(b"".join(parts)[:99_999])


def test_a_message_arrives_whole_however_many_arrays_it_has_and_however_large_they_are():
    arrays = {f"a{n}": np.full((n % 3, 40_000), n, np.int32) for n in range(2 * MOST_PARTS)}
    ours, theirs = socket.socketpair()
    with ThreadPoolExecutor(1) as other, ours, Narrow(fileno=theirs.detach()) as narrow:
        sent = other.submit(send, narrow, {"note": "é"}, arrays)
        sent.add_done_callback(lambda _: narrow.close())
        message, found = receive(ours)
    assert message == {"note": "é"} and found.keys() == arrays.keys()
    assert all((found[name] == array).all() for name, array in arrays.items())
    assert [array.shape for array in found.values()] == [array.shape for array in arrays.values()]


def test_what_a_worker_holds_is_counted_by_its_addresses():
    counted = address_counter()
    before = counted()
    held = np.empty(2**28, np.uint8)
    assert counted() - before >= held.nbytes


FAILURES = {
    "hang": "too_slow",
    "spin": "too_slow",
    "eat": "too_large",
    "die": "reader_died",
    "panic": "unreadable",
    "fail": "unreadable",
}


@pytest.mark.parametrize(("name", "code"), FAILURES.items())
def test_a_reader_that_fails_costs_one_verdict_and_says_no_value(pool, name, code):
    outcome = pool.call(name)
    assert outcome.code == code and "Jane" not in outcome.detail
    with pytest.raises(ReadError, match=code):
        outcome.value()
    assert pool.call("array").code == "", "the next one is served"


def test_a_reader_cannot_write_a_file(pool, tmp_path):
    assert pool.call("write", path=str(tmp_path / "left")).code == "unreadable"
    assert not (tmp_path / "left").exists() or (tmp_path / "left").stat().st_size == 0


@pytest.mark.parametrize("name", ["os:getcwd", "mmdiag.sandbox.requests:image", "warm_up"])
def test_only_functions_of_the_list_are_run(pool, name):
    with pytest.raises(MmdiagError, match=f"must be one of the known ones, found {name!r}"):
        pool.call(name)


def test_no_file_of_the_current_folder_is_run_as_a_module(tmp_path, monkeypatch):
    (file,) = write(tmp_path / "s", [make_slice(0)])
    ran = plant_modules(tmp_path / "planted")
    monkeypatch.chdir(tmp_path / "planted")
    own = Sandbox(1)
    try:
        assert own.call("dicom_verdict", file=str(file)).value()[0] == {}
    finally:
        own.close()
    assert not ran.exists()


def test_a_checkout_that_is_not_installed_starts_its_own_processes(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.chdir(tmp_path)
    assert own_modules() == {"PYTHONSAFEPATH": "1"}
    root = Path(parent.__file__).parents[2]
    monkeypatch.chdir(root)
    assert own_modules()["PYTHONPATH"].split(os.pathsep) == [str(root), "/elsewhere"]


def test_every_function_of_the_list_exists():
    assert all(callable(function_named(name)) for name in FUNCTIONS)


def test_answers_come_in_the_order_of_the_requests(pool, tmp_path):
    files = write(tmp_path / "s", [make_slice(n) for n in range(6)])
    (tmp_path / "s" / "05.txt").write_text("not an image")
    files = sorted((tmp_path / "s").iterdir())
    codes = [
        outcome.code
        for outcome in pool.map("dicom_verdict", [{"file": str(file)} for file in files])
    ]
    assert codes == ["not_dicom" if file.suffix == ".txt" else "" for file in files]


def test_a_queued_request_survives_a_worker_crash(pool):
    names = ["die", "array", "array", "hang", "array", "array", "array"]
    codes = [outcome.code for outcome in pool.each({"function": name} for name in names)]
    assert codes == ["reader_died", "", "", "too_slow", "", "", ""]


def test_a_worker_finds_its_next_request_waiting_and_has_never_more_than_two(pool):
    from mmdiag.sandbox import pool as sandbox

    most = []
    take = pool._take

    def watched():
        member = take()
        most.append(member.asked)
        return member

    pool._take = watched
    try:
        asked = [
            {"function": "long", "text": "x" * (2 * sandbox.SENT_AHEAD)},
            {"function": "array"},
        ] * 20
        assert all(outcome.code == "" for outcome in pool.each(asked))
    finally:
        del pool._take
    assert max(most) == sandbox.AT_ONCE and len(pool._members) <= pool.workers


def test_a_worker_is_replaced_after_so_many_files(monkeypatch):
    from mmdiag.sandbox import pool as sandbox

    monkeypatch.setattr(sandbox, "FILES_A_WORKER", 3)
    small = Sandbox(1)
    try:
        answers = [small.call("dicom_verdict", file="/nowhere") for _ in range(4)]
        assert {answer.code for answer in answers} == {"unreadable"} and not any(
            "nowhere" in answer.detail for answer in answers
        )
    finally:
        small.close()


def test_workers_end_with_their_parent():
    import subprocess
    import sys

    code = (
        "import os, signal; from mmdiag.sandbox.pool import shared_sandbox; s = shared_sandbox(); "
        "s.call('dicom_verdict', file='/nowhere'); "
        "print(s._fork_server.process.pid, *[w.process for w in s._members], flush=True); "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    ).stdout.split()
    assert len(said) == 2
    deadline = time.monotonic() + 120
    while any(
        Path(f"/proc/{pid}").exists()
        and "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]
        for pid in said
    ):
        assert time.monotonic() < deadline, "a killed command leaves no process behind"
        time.sleep(0.05)
