"""Images from and to a PACS, against archives of this file: what arrives is whole, lies where it
should, and is asked for with patience.
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
from bent_archive import SERIES, STUDY, archive


@pytest.fixture
def make_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a small DICOM file."""
    import numpy as np
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

    def make(
        number: int = 1,
        *,
        patient: str = "P1",
        study: str = STUDY,
        side: int = 8,
        rle: bool = False,
    ) -> Path:
        image = Dataset()
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.SOPClassUID, image.SOPInstanceUID = MRImageStorage, f"{SERIES}.{number}"
        image.StudyInstanceUID, image.SeriesInstanceUID, image.PatientID, image.Modality = (
            study,
            SERIES,
            patient,
            "MR",
        )
        image.Rows = image.Columns = side
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.BitsAllocated = image.BitsStored = 16
        image.HighBit, image.PixelRepresentation = 15, 0
        image.PixelData = np.full((side, side), number, dtype="<u2").tobytes()
        image["PixelData"].VR = "OW"
        if rle:
            from pydicom.uid import RLELossless

            image.compress(RLELossless, encoding_plugin="pydicom", generate_instance_uid=False)
        path = tmp_path / "sent" / f"{number}-{patient}.dcm"
        path.parent.mkdir(exist_ok=True)
        image.save_as(path, enforce_file_format=True)
        return path

    return make


def fetched(url: str, out: Path, slept: list[float] | None = None, **query: Any) -> Any:
    from mmdiag.exchange.pacs.dicomweb import Query, fetch_dicomweb
    from mmdiag.exchange.pacs.dicomweb_client import open_archive
    from mmdiag.exchange.pacs.inbox import Arrivals, Wanted, cases_of

    query.setdefault("wanted", [Wanted(STUDY)])
    arrivals = Arrivals(out, cases_of(query["wanted"]), reserve_bytes=0)
    return fetch_dicomweb(
        open_archive(url, "reader", "pw"),
        Query(**query),
        arrivals,
        sleep=([] if slept is None else slept).append,
    )


def contents(files: list[Path]) -> dict[str, bytes]:
    return {f"{SERIES}.{file.name.split('-')[0]}": file.read_bytes() for file in files}


def below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_what_is_fetched_is_byte_for_byte_what_the_archive_gives_and_is_fetched_once(
    make_file: Callable[..., Path], tmp_path: Path
) -> None:
    files = contents([make_file(1), make_file(2, rle=True)])
    with archive(files) as (url, asked):
        first = fetched(url, tmp_path / "in")
        second = fetched(url, tmp_path / "in")
    assert (dict(first.instances), dict(second.instances), asked["instances"]) == (
        {"new": 2},
        {"already_there": 2},
        6,
    )
    assert sorted(path.read_bytes() for path in below(tmp_path / "in")) == sorted(files.values())


def test_names_of_files_are_of_our_own_making(
    make_file: Callable[..., Path], tmp_path: Path
) -> None:
    from mmdiag.exchange.pacs.inbox import Wanted, hashed

    with archive(contents([make_file()])) as (url, _):
        fetched(url, tmp_path / "in")
        fetched(
            url,
            tmp_path / "cases",
            wanted=[Wanted(STUDY, SERIES, "c1"), Wanted(STUDY, SERIES, "c2")],
        )
    assert [str(p.relative_to(tmp_path)) for p in below(tmp_path / "in")] == [
        f"in/{hashed(STUDY)}/{hashed(SERIES)}/{hashed(SERIES + '.1')}.dcm"
    ]
    assert [p.relative_to(tmp_path / "cases").parts[0] for p in below(tmp_path / "cases")] == [
        "c1",
        "c2",
    ], "a study of two cases lies in both"


@pytest.mark.parametrize(
    "plan", [[503, 500, 200], [0, 0, 200], [429, 200], [504, 0, 502, 503, 200]]
)
def test_what_may_pass_by_itself_is_asked_again(
    plan: list[int], make_file: Callable[..., Path], tmp_path: Path
) -> None:
    slept: list[float] = []
    with archive(contents([make_file()]), plan) as (url, _):
        assert fetched(url, tmp_path / "in", slept).instances == {"new": 1}
    assert slept == [0.5, 1.0, 2.0, 4.0][: len(slept)] and len(slept) >= 1


def test_an_instance_that_the_archive_will_not_give_costs_itself_only(
    make_file: Callable[..., Path], tmp_path: Path
) -> None:
    with archive(contents([make_file(1), make_file(2)]), [404]) as (url, _):
        found = fetched(url, tmp_path / "in")
    assert dict(found.instances) == {"refused": 1, "new": 1} and dict(found.refused) == {
        "not_retrieved": 1
    }


@pytest.mark.parametrize(
    ("swap", "code"),
    [(b"<html>no image</html>", "not_dicom"), (b"", "not_dicom"), (None, "not_retrieved")],
)
def test_an_answer_that_is_not_the_image_asked_for_is_not_kept(
    swap: bytes | None, code: str, make_file: Callable[..., Path], tmp_path: Path
) -> None:
    other = make_file(2).read_bytes()
    with archive({f"{SERIES}.1": other if swap is None else swap}) as (url, _):
        assert dict(fetched(url, tmp_path / "in").refused) == {code: 1}
    assert below(tmp_path / "in") == []


def test_an_archive_that_is_down_is_said_and_a_rerun_goes_on(
    make_file: Callable[..., Path], tmp_path: Path
) -> None:
    from mmdiag.errors import MmdiagError

    files = contents([make_file(1), make_file(2)])
    with archive(files, [200, 0, 0, 0, 0, 0]) as (url, _):
        with pytest.raises(MmdiagError, match="did not in 5 attempts") as said:
            fetched(url, tmp_path / "in")
        assert said.value.exit_code == 1 and STUDY not in str(said.value)
        assert dict(fetched(url, tmp_path / "in").instances) == {"already_there": 1, "new": 1}


def test_refused_credentials_are_wrong_use_and_not_asked_again(
    make_file: Callable[..., Path], tmp_path: Path
) -> None:
    from mmdiag.errors import UsageError

    slept: list[float] = []
    with (
        archive(contents([make_file()]), [401]) as (url, _),
        pytest.raises(UsageError, match="MMDIAG_PACS_PASSWORD"),
    ):
        fetched(url, tmp_path / "in", slept)
    assert slept == []


def test_a_patient_who_was_not_asked_for_is_not_fetched(
    make_file: Callable[..., Path], tmp_path: Path
) -> None:
    from mmdiag.errors import UsageError

    with archive(contents([make_file()])) as (url, _):
        assert fetched(url, tmp_path / "in", wanted=(), patient_id="P1").studies == 1, (
            "this archive ignores the question"
        )
        assert fetched(url, tmp_path / "in", wanted=(), patient_id="P3").studies == 0
        assert fetched(url, tmp_path / "in", modality="CT").series == 0
        with pytest.raises(UsageError, match="says which studies"):
            fetched(url, tmp_path / "in", wanted=())


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x/y",
        "x",
        "http://",
        "http://u:p@host/x",
        "https://h/x?key=1",
        "http://h:99999/x",
        "http://[::1/x",
    ],
)
def test_a_url_that_is_none_or_carries_a_secret_is_refused_without_being_shown(url: str) -> None:
    from mmdiag.errors import UsageError
    from mmdiag.exchange.pacs.dicomweb_client import open_archive

    with pytest.raises(UsageError, match="archive") as said:
        open_archive(url)
    assert url not in str(said.value)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("study\n1.2.3\n", "column study_uid"),
        ("study_uid\n../x\n", "line 2"),
        ("study_uid,case_id\n1.2.3,c1\n1.2.4,../../x\n", "line 3"),
        ("study_uid,case_id\n1.2.3,.\n", "line 2"),
        ("study_uid\n\xff\n", "CSV in UTF-8"),
    ],
)
def test_a_list_of_studies_that_could_lead_elsewhere_is_refused(
    text: str, rule: str, tmp_path: Path
) -> None:
    from mmdiag.errors import UsageError
    from mmdiag.exchange.pacs.inbox import read_wanted

    (tmp_path / "list.csv").write_text(text, encoding="latin-1")
    with pytest.raises(UsageError, match=rule):
        read_wanted(tmp_path / "list.csv")


def test_a_disk_that_is_nearly_full_is_said_before_it_is_full(tmp_path: Path) -> None:
    from mmdiag.exchange.pacs.inbox import Arrivals, DiskNearlyFull

    arrivals = Arrivals(tmp_path / "in", reserve_bytes=2**60)
    with pytest.raises(DiskNearlyFull, match="stay free"):
        arrivals.keep(b"x", arrivals.paths("1", "2", "3"))
    assert below(tmp_path / "in") == []


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


def test_the_command_fetches_and_gives_its_counts(
    make_file: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from mmdiag.cli import boundary, cli

    (tmp_path / "imaging.csv").write_text(
        f"case_id,study_uid,series_uid,modality\nc1,{STUDY},{SERIES},MR\n"
    )
    with archive(contents([make_file()])) as (url, _):
        arguments = [
            "fetch",
            "dicomweb",
            url,
            "--out",
            str(tmp_path / "in"),
            "--studies",
            str(tmp_path / "imaging.csv"),
            "--json",
        ]
        assert boundary.run(cli, [*arguments, "--user", "reader"]) == 2
        assert "MMDIAG_PACS_PASSWORD is not set" in capsys.readouterr().err
        monkeypatch.setenv("MMDIAG_PACS_PASSWORD", "pw")
        assert boundary.run(cli, [*arguments, "--user", "reader"]) == 0
        answer = json.loads(capsys.readouterr().out)
    assert (answer["studies"], answer["series"], answer["instances"]) == (1, 1, {"new": 1})
    assert below(tmp_path / "in")[0].parts[-3] == "c1"


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
