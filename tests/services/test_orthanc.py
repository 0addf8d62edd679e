"""Against a real Orthanc: to store and back by both protocols, and from a FHIR export and the
archive's images to an ingested cohort.
"""

import csv
import json
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orthanc_server
import pytest
from orthanc_server import PASSWORD, TITLE, USER, Orthanc

pytestmark = [
    pytest.mark.services,
    pytest.mark.skipif(orthanc_server.missing() is not None, reason=str(orthanc_server.missing())),
]
CASES = 10


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cohort whose site C stores JPEG 2000; one file is RLE."""
    import pydicom
    from pydicom.uid import RLELossless

    from mmdiag.phantom import write_phantom

    folder = tmp_path_factory.mktemp("phantom")
    write_phantom(folder, cases=CASES, seed=1)
    for file in files_of(folder):
        image = pydicom.dcmread(file)
        if not image.file_meta.TransferSyntaxUID.is_compressed:
            image.compress(RLELossless, encoding_plugin="pydicom", generate_instance_uid=False)
            image.save_as(file, enforce_file_format=True)
            break
    return folder


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory, phantom: Path) -> Iterator[Orthanc]:
    """An archive that holds the phantom's images, sent by C-STORE."""
    from mmdiag.exchange.pacs.store_scu import send_files

    with orthanc_server.orthanc(tmp_path_factory.mktemp("orthanc")) as server:
        files = files_of(phantom)
        assert send_files(files, "127.0.0.1", server.dicom, called=TITLE) == {"sent": len(files)}
        assert server.count() == len(files)
        yield server


@pytest.fixture
def mmdiag(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., dict[str, Any]]:
    """Runs a command as its user would, and gives its JSON answer."""
    from mmdiag.cli import boundary, cli

    monkeypatch.setenv("MMDIAG_PACS_PASSWORD", PASSWORD)
    monkeypatch.setenv("MMDIAG_KEY_FILE", str(tmp_path / "key"))

    def run(*arguments: object) -> dict[str, Any]:
        capsys.readouterr()
        code = boundary.run(
            cli, [*map(str, arguments), "--workspace", str(tmp_path / "workspace"), "--json"]
        )
        said = capsys.readouterr()
        assert code == 0, said.err
        return dict(json.loads(said.out))

    return run


def files_of(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.dcm"))


def by_instance(folder: Path) -> dict[str, Any]:
    import pydicom

    return {str(image.SOPInstanceUID): image for image in map(pydicom.dcmread, files_of(folder))}


def syntaxes(images: dict[str, Any]) -> Counter[str]:
    return Counter(str(image.file_meta.TransferSyntaxUID.name) for image in images.values())


def assert_same(arrived: dict[str, Any], sent: dict[str, Any]) -> None:
    """The same images with the same values in the same transfer syntax."""
    assert arrived.keys() == sent.keys()
    for uid, image in arrived.items():
        assert (
            image == sent[uid]
            and image.file_meta.TransferSyntaxUID == sent[uid].file_meta.TransferSyntaxUID
        )


def test_images_come_back_by_dicomweb_in_the_syntax_that_they_had(
    archive: Orthanc, phantom: Path, tmp_path: Path, mmdiag: Callable[..., dict[str, Any]]
) -> None:
    arguments = (
        "fetch",
        "dicomweb",
        archive.url,
        "--modality",
        "MR",
        "--user",
        USER,
        "--out",
        tmp_path / "in",
    )
    first, second = mmdiag(*arguments), mmdiag(*arguments)
    sent = by_instance(phantom)
    assert (first["studies"], first["instances"], second["instances"]) == (
        CASES,
        {"new": len(sent)},
        {"already_there": len(sent)},
    )
    assert_same(by_instance(tmp_path / "in"), sent)
    assert set(syntaxes(sent)) == {
        "Explicit VR Little Endian",
        "JPEG 2000 Image Compression (Lossless Only)",
        "RLE Lossless",
    }


def fhir_of(phantom: Path) -> dict[str, Any]:
    """What a hospital would export of a phantom."""
    with (phantom / "cases.csv").open(newline="") as file:
        cases = list(csv.DictReader(file))
    studies = {
        path.name: next(iter(by_instance(path).values())) for path in (phantom / "dicom").iterdir()
    }
    entries: list[dict[str, Any]] = []
    for number, case in enumerate(cases):
        uid = str(studies[case["case_id"]].StudyInstanceUID)
        subject = {"reference": f"Patient/{case['subject_id']}"}
        entries += [
            {
                "resourceType": "Patient",
                "id": case["subject_id"],
                "gender": {"F": "female", "M": "male"}[case["sex"]],
            },
            {
                "resourceType": "ImagingStudy",
                "id": f"s{number}",
                "status": "available",
                "subject": subject,
                "started": case["study_date"],
                "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{uid}"}],
            },
            {
                "resourceType": "DiagnosticReport",
                "id": f"r{number}",
                "status": "final",
                "subject": subject,
                "effectiveDateTime": case["study_date"],
                "imagingStudy": [{"reference": f"ImagingStudy/s{number}"}],
                "conclusion": (phantom / "notes" / f"{case['case_id']}.txt").read_text(),
            },
        ]
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": entry} for entry in entries],
    }


def test_a_fhir_export_and_the_images_of_the_archive_make_the_cohort_that_the_disk_makes(
    archive: Orthanc, phantom: Path, tmp_path: Path, mmdiag: Callable[..., dict[str, Any]]
) -> None:
    (tmp_path / "export.json").write_text(json.dumps(fhir_of(phantom)))
    cohort = tmp_path / "cohort"
    found = mmdiag("fetch", "fhir", tmp_path / "export.json", "--out", cohort)
    assert (found["cases"], found["imaging"]["studies"]) == (CASES, CASES)
    mmdiag(
        "fetch",
        "dicomweb",
        archive.url,
        "--studies",
        cohort / "imaging.csv",
        "--user",
        USER,
        "--out",
        cohort / "dicom",
    )
    description = (cohort / "cohort.toml").read_text()
    (cohort / "cohort.toml").write_text(
        description.replace("# select = ...", 'select = { SeriesDescription = "FLAIR" }')
    )
    fetched = mmdiag("ingest", "--cohort", cohort / "cohort.toml")
    direct = mmdiag("ingest", "--cohort", phantom / "cohort.toml")
    assert fetched["cases"]["accepted"] == direct["cases"]["accepted"] == CASES
    assert fetched["modalities"]["image"] == direct["modalities"]["flair"]
    assert fetched["modalities"]["report"] == direct["modalities"]["report"]


def receive(out: Path, port: int) -> Any:
    from mmdiag.exchange.pacs.inbox import Arrivals
    from mmdiag.exchange.pacs.store_scp import Listening, Receiver

    receiver = Receiver(Arrivals(out), Listening(port=port, senders=(TITLE, "STORESCU")))
    receiver.start()
    return receiver


def test_the_archive_sends_to_the_receiver_when_it_is_told_to(
    archive: Orthanc, phantom: Path, tmp_path: Path
) -> None:
    study = phantom / "dicom" / sorted(path.name for path in (phantom / "dicom").iterdir())[0]
    uid = str(next(iter(by_instance(study).values())).StudyInstanceUID)
    receiver = receive(tmp_path / "in", archive.receiver)
    try:
        keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={uid}"]
        move = [
            "movescu",
            "-S",
            "-aet",
            "MMDIAG",
            "-aec",
            TITLE,
            "-aem",
            "MMDIAG",
            *keys,
            "127.0.0.1",
            str(archive.dicom),
        ]
        subprocess.run(move, check=True, timeout=300)
    finally:
        receiver.stop()
    assert dict(receiver.counts) == {"new": len(files_of(study))}
    assert_same(by_instance(tmp_path / "in"), by_instance(study))


@pytest.mark.parametrize(
    ("name", "option"),
    [("JPEG 2000 Image Compression (Lossless Only)", "-xv"), ("RLE Lossless", "-xr")],
)
def test_storescu_sends_compressed_files_that_arrive_byte_for_byte(
    name: str, option: str, archive: Orthanc, phantom: Path, tmp_path: Path
) -> None:
    import pydicom

    sent = next(
        file
        for file in files_of(phantom)
        if pydicom.dcmread(file).file_meta.TransferSyntaxUID.name == name
    )
    shutil.copy(sent, tmp_path / "one.dcm")
    receiver = receive(tmp_path / "in", archive.receiver)
    try:
        subprocess.run(
            [
                "storescu",
                option,
                "-aec",
                "MMDIAG",
                "127.0.0.1",
                str(archive.receiver),
                str(tmp_path / "one.dcm"),
            ],
            check=True,
            timeout=300,
        )
        stranger = [
            "storescu",
            option,
            "-aet",
            "STRANGER",
            "-aec",
            "MMDIAG",
            "127.0.0.1",
            str(archive.receiver),
            str(tmp_path / "one.dcm"),
        ]
        assert subprocess.run(stranger, capture_output=True, timeout=300).returncode != 0
    finally:
        receiver.stop()
    (arrived,) = files_of(tmp_path / "in")
    assert data_set(arrived) == data_set(sent) and receiver.counts == {"new": 1}


def data_set(file: Path) -> bytes:
    """The bytes behind the meta information."""
    content = file.read_bytes()
    return content[144 + int.from_bytes(content[140:144], "little") :]


def test_what_is_sent_by_dicomweb_is_there_to_be_fetched(
    phantom: Path, tmp_path: Path, mmdiag: Callable[..., dict[str, Any]]
) -> None:
    with orthanc_server.orthanc(tmp_path / "orthanc") as empty:
        sent = mmdiag("send", "dicomweb", empty.url, phantom / "dicom", "--user", USER)
        assert sent["sent"] == sent["files"] == empty.count() == len(files_of(phantom))
        mmdiag(
            "fetch",
            "dicomweb",
            empty.url,
            "--modality",
            "MR",
            "--user",
            USER,
            "--out",
            tmp_path / "in",
        )
    assert_same(by_instance(tmp_path / "in"), by_instance(phantom))
    assert {data_set(file) for file in files_of(tmp_path / "in")} == {
        data_set(file) for file in files_of(phantom)
    }


def test_the_archive_knows_who_may_ask_and_send(
    archive: Orthanc, phantom: Path, tmp_path: Path
) -> None:
    from mmdiag.errors import MmdiagError, UsageError
    from mmdiag.exchange.pacs.dicomweb import Query, fetch_dicomweb
    from mmdiag.exchange.pacs.dicomweb_client import open_archive
    from mmdiag.exchange.pacs.inbox import Arrivals
    from mmdiag.exchange.pacs.store_scu import send_files

    for user, url, rule in (
        (("mm", "guess"), archive.url, "401"),
        ((USER, PASSWORD), archive.url + "-not", "404"),
    ):
        with pytest.raises(UsageError, match=rule):
            fetch_dicomweb(
                open_archive(url, *user), Query(modality="MR"), Arrivals(tmp_path / "in")
            )
    with pytest.raises(MmdiagError, match="lets this AE title store"):
        send_files(
            files_of(phantom)[:1], "127.0.0.1", archive.dicom, called=TITLE, calling="STRANGER"
        )
