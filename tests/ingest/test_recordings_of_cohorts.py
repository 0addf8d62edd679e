"""A cohort of recordings and research volumes: what they are called and lack is said, their headers
mask notes and are held against as_of and the subjects, and data beside a header is a part of it.
"""

import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from recording_builders import multiplex, write_edf, write_waveform, write_wfdb
from table_builders import ingest
from volume_builders import write_metaimage, write_nrrd

from mmdiag.description import read_description
from mmdiag.ingest.case_versions import case_versions
from mmdiag.ingest.inspect import inspect
from mmdiag.readers.signals.stored import MISSING
from mmdiag.sandbox.pool import shared_sandbox

SECTIONS = """[cohort]
name = "wards"
[cases]
table = "cases.csv"
case_id = "id"
as_of = "seen"
[modalities.ecg]
kind = "signal"
path = "ecg/{id}.*"
channels = ["I", "II"]
full_scale = 5
seconds = 3
[modalities.note]
kind = "text"
path = "note/{id}.txt"
"""


def wave(seed):
    return np.cumsum(np.random.default_rng(seed).integers(-9, 10, (400, 2)), axis=0)


def records(seed):
    return [one.reshape(4, 100) for one in wave(seed).T]


def write_cohort(root: Path) -> Path:
    (root / "ecg").mkdir(parents=True)
    (root / "note").mkdir()
    rows = ["id,seen", *(f"p{number},2021-06-01" for number in range(1, 6)), "p6,2020-01-01"]
    (root / "cases.csv").write_text("\n".join(rows) + "\n")
    ecg = root / "ecg"
    write_edf(
        ecg / "p1.edf",
        records(1),
        labels=["ECG I", "ECG II"],
        patient="H7788 F X Haagse_Wilhelmina",
    )
    (root / "note" / "p1.txt").write_text("Wilhelmina Haagse, H7788, has no oedema of the lung.")
    write_wfdb(ecg / "p2.hea", wave(2), labels=["I", "MLII"])
    write_waveform(ecg / "p3.dcm", [multiplex(wave(3)[:, :1], ["Lead II"])], PatientID="x3")
    write_edf(ecg / "p4.edf", records(4), labels=["I", "II"], patient="p1 X X X")
    write_edf(ecg / "p5.edf", records(5), labels=["I", "II"], records=99)
    write_edf(ecg / "p6.edf", records(6), labels=["I", "II"])
    (root / "cohort.toml").write_text(SECTIONS)
    return root / "cohort.toml"


def test_a_ward_of_recordings_is_stored_said_masked_and_held_against_its_cases(tmp_path):
    toml = write_cohort(tmp_path / "c")
    answer, cohort = ingest(toml, tmp_path / "w")
    assert answer["modalities"]["ecg"]["said"] == [
        "I is read from ECG I in 1 of 3 recordings",
        "II is read from ECG II in 1 of 3 recordings",
        "II is read from Lead II in 1 of 3 recordings",
        "II is read from MLII in 1 of 3 recordings",
        "I is missing in 1 of 3 recordings, and kept so",
        "3 of 3 recordings go on after `seconds`: the rest is not stored",
    ]
    stored = {case: cohort.signal("ecg", case) for case in ("p1", "p2", "p3")}
    assert all(one.shape == (750, 2) for one in stored.values())
    assert (stored["p3"][:, 0] == MISSING).all() and (stored["p3"][:, 1] != MISSING).all()
    refused = cohort.quarantine.query("modality == 'ecg'").set_index("case_id")["code"].to_dict()
    assert refused == {"p4": "patient_mismatch", "p5": "truncated", "p6": "after_as_of"}
    (shard,) = (tmp_path / "w").glob("cohorts/wards/shards/*")
    rules = pd.read_parquet(shard / "contracts.parquet").query("column == 'n_missing'")
    assert rules["failed"].max() == 1
    note = cohort.note("note", "p1")
    assert "oedema" in note and "Wilhelmina" not in note and "H7788" not in note
    kept = b"".join(path.read_bytes() for path in (tmp_path / "w").rglob("*") if path.is_file())
    assert b"Wilhelmina" not in kept and b"H7788" not in kept


def test_data_that_changes_beside_its_header_makes_a_new_version_of_its_case(tmp_path):
    from mmdiag.cohort.case_table import read_cases
    from mmdiag.cohort.cases import find_cases

    toml = write_cohort(tmp_path / "c")
    description = read_description(toml)
    cases = find_cases(description, read_cases(description))
    (tmp_path / "w").mkdir()
    before = case_versions(tmp_path / "w", description, cases, {}).of
    write_wfdb(tmp_path / "c" / "ecg" / "p2.hea", wave(9), labels=["I", "MLII"])
    after = case_versions(tmp_path / "w", description, cases, {}).of
    assert {case for case in before if before[case] != after[case]} == {"p2"}


VOLUME = np.random.default_rng(2).integers(0, 99, (8, 7, 6)).astype("i2")
LPS = np.diag([1.0, 1.0, 3.0])


def write_files(folder: Path) -> None:
    write_edf(folder / "good.edf", records(1), labels=["I", "II"])
    write_edf(folder / "torn.edf", records(1), labels=["I", "II"], records=9)
    write_wfdb(folder / "good.hea", wave(1), labels=["I", "II"])
    write_wfdb(folder / "gone.hea", wave(1), labels=["I", "II"])
    (folder / "gone.dat").unlink()
    write_waveform(folder / "good.dcm", [multiplex(wave(1), ["I", "II"])])
    write_metaimage(folder / "volume.mhd", VOLUME, LPS, data="volume.raw")
    write_nrrd(folder / "several.nrrd", np.stack([VOLUME] * 2, axis=-1), LPS)


def test_inspect_gives_a_verdict_of_each_and_of_data_that_of_its_header(tmp_path):
    write_files(tmp_path)
    found = {Path(one["path"]).name: (one["kind"], one["code"]) for one in inspect([tmp_path])}
    assert found == {
        "good.edf": ("signal", ""),
        "torn.edf": ("signal", "truncated"),
        "good.hea": ("signal", ""),
        "good.dat": ("signal", ""),
        "gone.hea": ("signal", "missing_data"),
        "good.dcm": ("dicom", ""),
        "volume.mhd": ("volume", ""),
        "volume.raw": ("volume", ""),
        "several.nrrd": ("volume", "several_volumes"),
    }


def own_peak_mb() -> float:
    fields = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()
    return int(fields[0]) / 1024


@pytest.mark.parametrize("form", ["mgz", "nrrd", "dcm"])
def test_a_recording_or_volume_that_swells_costs_its_reader_and_never_the_parent(tmp_path, form):
    import gzip

    zeros = gzip.compress(bytes(2**28), 1)
    shape = (512, 512, 512)
    if form == "mgz":
        head = struct.pack(">7ih", 1, *shape, 1, 0, 0, 1) + struct.pack(
            ">15f", 1, 1, 1, -1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0
        )
        file = tmp_path / "bomb.mgz"
        with gzip.open(file, "wb", 1) as stream:
            stream.write(head.ljust(284, b"\0"))
            for _ in range(128):
                stream.write(bytes(2**20))
    elif form == "nrrd":
        file = write_nrrd(
            tmp_path / "bomb.nrrd", VOLUME, LPS, fields={"sizes": "700 700 500", "encoding": "gzip"}
        )
        file.write_bytes(file.read_bytes().split(b"\n\n")[0] + b"\n\n" + zeros)
    else:
        group = multiplex(wave(1), ["I", "II"], NumberOfWaveformSamples=2**26)
        file = write_waveform(tmp_path / "bomb.dcm", [group])
    before = own_peak_mb()
    verdict = "signal_verdict" if form == "dcm" else "volume_verdict"
    (outcome,) = shared_sandbox().each([{"function": verdict, "file": str(file)}])
    expected = {"mgz": "too_large", "nrrd": "truncated", "dcm": "truncated"}
    assert outcome.code == expected[form]
    assert own_peak_mb() - before < 100
