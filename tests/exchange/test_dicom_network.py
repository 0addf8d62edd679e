"""Images over the DICOM network: what is sent is received as it is, by those who may, within
bounds.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from bent_archive import STUDY, below


@contextmanager
def receiver(out: Path, **options: Any) -> Iterator[tuple[Any, int]]:
    """A receiver that listens, and its port."""
    from mmdiag.exchange.pacs.inbox import Arrivals
    from mmdiag.exchange.pacs.store_scp import Listening, Receiver

    places = {name: options.pop(name) for name in ("cases", "reserve_bytes") if name in options}
    sizes = {name: options.pop(name) for name in ("largest_dataset",) if name in options}
    running = Receiver(
        Arrivals(out, **({"reserve_bytes": 0} | places)), Listening(port=0, **options), **sizes
    )
    port = running.start()
    try:
        yield running, port
    finally:
        running.stop(grace=1.0)


def dataset_of(file: Path) -> bytes:
    """The bytes behind the meta information."""
    content = file.read_bytes()
    return content[144 + int.from_bytes(content[140:144], "little") :]


def test_what_is_sent_is_received_byte_for_byte_in_its_own_syntax(
    make_file: Callable[..., Path], tmp_path: Path
) -> None:
    import pydicom

    from mmdiag.exchange.pacs.store_scu import send_files

    files = [make_file(1), make_file(2, rle=True), make_file(3)]
    (tmp_path / "sent" / "no.dcm").write_text("no DICOM")
    with receiver(tmp_path / "in", cases={STUDY: ("c1",)}) as (running, port):
        sent = send_files(
            [*files, tmp_path / "sent" / "no.dcm"], "127.0.0.1", port, called="MMDIAG"
        )
        again = send_files(files[:1], "127.0.0.1", port, called="MMDIAG")
        changed = send_files([make_file(3, patient="P9")], "127.0.0.1", port, called="MMDIAG")
    assert (dict(sent), dict(again), dict(changed)) == (
        {"unreadable": 1, "sent": 3},
        {"sent": 1},
        {"sent": 1},
    )
    assert dict(running.counts) == {"new": 3, "already_there": 1, "replaced": 1}
    arrived = {
        str(pydicom.dcmread(path).SOPInstanceUID)[-1]: path
        for path in below(tmp_path / "in" / "c1")
    }
    assert dataset_of(arrived["1"]) == dataset_of(files[0]) and dataset_of(
        arrived["2"]
    ) == dataset_of(files[1])
    assert pydicom.dcmread(arrived["2"]).file_meta.TransferSyntaxUID.name == "RLE Lossless"
    assert pydicom.dcmread(arrived["3"]).PatientID == "P9", (
        "the later one holds: a PACS sends again what it has corrected"
    )
    assert {path.parts[len(tmp_path.parts)] for path in below(tmp_path)} == {"in", "sent"}


def test_only_who_calls_by_the_right_names_may_send(
    make_file: Callable[..., Path], tmp_path: Path
) -> None:
    from mmdiag.errors import MmdiagError
    from mmdiag.exchange.pacs.store_scu import send_files

    with receiver(tmp_path / "in", senders=("PACS",)) as (running, port):
        with pytest.raises(MmdiagError, match="takes a connection"):
            send_files([make_file()], "127.0.0.1", port, called="OTHER", calling="PACS")
        with pytest.raises(MmdiagError, match="takes a connection"):
            send_files([make_file()], "127.0.0.1", port, called="MMDIAG", calling="STRANGER")
        assert send_files([make_file()], "127.0.0.1", port, called="MMDIAG", calling="PACS") == {
            "sent": 1
        }
    assert running.counts.total() == 1


def test_a_full_disk_refuses_the_image_and_the_sender_knows(
    make_file: Callable[..., Path], tmp_path: Path
) -> None:
    from mmdiag.exchange.pacs.store_scu import send_files

    with receiver(tmp_path / "in", reserve_bytes=2**60) as (running, port):
        assert send_files([make_file()], "127.0.0.1", port, called="MMDIAG") == {"refused": 1}
    assert running.refused == {"no_room": 1} and below(tmp_path / "in") == []


def test_a_sender_cannot_fill_the_memory(make_file: Callable[..., Path], tmp_path: Path) -> None:
    from mmdiag.errors import MmdiagError
    from mmdiag.exchange.pacs.store_scu import send_files

    with receiver(tmp_path / "in", largest_dataset=100_000) as (running, port):
        assert send_files([make_file(side=128)], "127.0.0.1", port, called="MMDIAG") == {"sent": 1}
        with pytest.raises(MmdiagError, match="archive"):
            send_files([make_file(2, side=1024)], "127.0.0.1", port, called="MMDIAG")
        with socket.create_connection(("127.0.0.1", port)) as stranger:
            stranger.sendall(b"\x01\x00\xff\xff\xff\xff" + b"x" * 64)
            stranger.settimeout(120)
            assert stranger.recv(64) == b"", "the connection is closed"
        assert send_files([make_file(3)], "127.0.0.1", port, called="MMDIAG") == {"sent": 1}, (
            "others are still served"
        )
    assert running.refused == {"transfer_too_large": 2} and running.counts["new"] == 2


def test_a_data_set_without_uids_of_its_own_is_refused(
    make_file: Callable[..., Path], tmp_path: Path
) -> None:
    import pydicom

    from mmdiag.exchange.pacs.store_scu import send_files

    broken = pydicom.dcmread(make_file())
    del broken.StudyInstanceUID
    broken.save_as(tmp_path / "broken.dcm")
    with receiver(tmp_path / "in") as (running, port):
        assert send_files([tmp_path / "broken.dcm"], "127.0.0.1", port, called="MMDIAG") == {
            "refused": 1
        }
    assert running.refused == {"unreadable": 1} and below(tmp_path / "in") == []


def test_a_receiver_listens_on_this_computer_only_and_says_so_when_it_does_not() -> None:
    from mmdiag.exchange.pacs.store_scp import Listening

    assert [
        Listening(host).is_local()
        for host in ("127.0.0.1", "localhost", "::1", "0.0.0.0", "192.0.2.7", "host")
    ] == [True] * 3 + [False] * 3
    assert Listening().host == "127.0.0.1"


def test_a_port_that_is_taken_and_a_title_that_is_none_are_wrong_use(tmp_path: Path) -> None:
    from mmdiag.errors import UsageError
    from mmdiag.exchange.pacs.inbox import Arrivals
    from mmdiag.exchange.pacs.store_scp import Listening, Receiver

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UsageError, match="free port"):
            Receiver(Arrivals(tmp_path), Listening(port=taken.getsockname()[1])).start()
    for title in ("", " ", "A" * 17, "A\\B", "Ä"):
        with pytest.raises(UsageError, match="AE title"):
            Receiver(Arrivals(tmp_path), Listening(port=0, ae_title=title)).start()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_listens_until_it_is_stopped_and_gives_its_counts(
    number: int, make_file: Callable[..., Path], tmp_path: Path
) -> None:
    from mmdiag.exchange.pacs.store_scu import send_files

    command = [
        sys.executable,
        "-m",
        "mmdiag",
        "fetch",
        "listen",
        "--out",
        tmp_path / "in",
        "--port",
        "0",
        "--json",
    ]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"MMDIAG_WORKSPACE": str(tmp_path)},
    )
    assert process.stderr is not None
    port = int(process.stderr.readline().split("port ")[1].split(".")[0])
    assert send_files([make_file()], "127.0.0.1", port, called="MMDIAG") == {"sent": 1}
    process.send_signal(number)
    said, _ = process.communicate(timeout=300)
    answer = json.loads(said)
    assert (process.returncode, answer["command"], answer["instances"]) == (
        0,
        "fetch listen",
        {"new": 1},
    )


def test_the_command_ends_by_itself_when_nothing_comes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from mmdiag.cli import boundary, cli

    assert (
        boundary.run(
            cli,
            [
                "fetch",
                "listen",
                "--out",
                str(tmp_path / "in"),
                "--port",
                "0",
                "--until-idle",
                "0.3",
            ],
        )
        == 0
    )
    assert "Images in" in capsys.readouterr().out


def send_dicom(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of `mmdiag send dicom`."""
    from mmdiag.cli import boundary, cli

    code = boundary.run(cli, ["send", "dicom", *map(str, arguments)])
    return code, *capsys.readouterr()


def test_the_command_sends_a_folder_and_gives_its_counts(
    make_file: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sent = [make_file(1), make_file(2, rle=True)]
    with receiver(tmp_path / "in", senders=("STATION",)) as (running, port):
        archive = ["--host", "127.0.0.1", "--port", port, "--to", "MMDIAG", "--from", "STATION"]
        code, out, err = send_dicom(capsys, tmp_path / "sent", *archive, "--json")
        answer = json.loads(out)
        assert (code, answer["command"], answer["files"], answer["sent"], err) == (
            0,
            "send dicom",
            2,
            2,
            "",
        )
        (tmp_path / "sent" / "no.dcm").write_text("no DICOM")
        code, out, _ = send_dicom(capsys, tmp_path / "sent", *archive)
        assert (code, out) == (3, "2 of 3 files sent, 1 unreadable.\n")
        code, out, _ = send_dicom(capsys, tmp_path / "sent" / "no.dcm", *archive, "--json")
        assert (code, json.loads(out)["sent"]) == (3, 0)
    assert running.counts["new"] == len(sent)


def test_the_command_says_what_an_archive_needs(
    make_file: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = make_file()
    with receiver(tmp_path / "in") as (_, port):
        there = ["--host", "127.0.0.1", "--port", port]
        code, _, err = send_dicom(capsys, file, *there, "--to", "OTHER")
        assert code == 1 and err.count("\n") == 1, "the network library says nothing of its own"
        assert "knows 'MMDIAG', and is called 'OTHER'" in err
        code, _, err = send_dicom(capsys, file, *there, "--to", "A" * 17)
        assert code == 2 and "AE title" in err
    code, _, err = send_dicom(capsys, file, *there, "--to", "MMDIAG")
    assert code == 1 and err == (
        f"An archive must be reachable, 127.0.0.1:{port} is not (ConnectionRefusedError): see that "
        "host and port are right, and that it is up.\n"
    )
    code, _, err = send_dicom(capsys, file, "--host", "x" * 64, "--port", 104, "--to", "PACS")
    assert code == 1 and "unencrypted" in err and "must be reachable" in err
    code, _, err = send_dicom(capsys, file, *there)
    assert code == 2 and "--to" in err and "shows examples" in err
