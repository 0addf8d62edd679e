"""What `init` writes of recordings and research volumes is read as it is written."""

import numpy as np
from recording_builders import multiplex, write_edf, write_waveform, write_wfdb
from volume_builders import write_metaimage, write_mgh, write_nrrd

from mmdiag.cohort.scaffold import describe_folder
from mmdiag.description import read_description
from mmdiag.sandbox.image_request import image
from mmdiag.sandbox.signal_request import signal

CASES = ("p1", "p2")
VOLUME = np.random.default_rng(0).integers(0, 99, (8, 7, 6)).astype("i2")


def write_folder(folder):
    rng = np.random.default_rng(1)
    for name in ("ecg", "eeg", "holter", "rest", "mri", "seg", "brain"):
        (folder / name).mkdir(parents=True)
    (folder / "cases.csv").write_text("id,label\np1,x\np2,y\n")
    lps = np.diag([1.0, 1.0, 3.0])
    for case in CASES:
        wave = np.cumsum(rng.integers(-9, 10, (400, 2)), axis=0)
        digital = [wave[:, i].reshape(4, 100) for i in range(2)]
        write_edf(folder / "ecg" / f"{case}.edf", digital, labels=["ECG V1", "ECG I"])
        eeg = {"labels": ["Fp1", "Cz"], "units": ["uV"] * 2, "span": (-500, 500)}
        write_edf(folder / "eeg" / f"{case}.bdf", digital, physical=("-500", "500"), **eeg)
        write_wfdb(folder / "holter" / f"{case}.hea", wave[:, :1], labels=["MLII"])
        write_waveform(folder / "rest" / f"{case}.dcm", [multiplex(wave, ["Lead II", "Lead aVR"])])
        write_nrrd(folder / "mri" / f"{case}.nrrd", VOLUME, lps)
        write_metaimage(folder / "seg" / f"{case}.mhd", VOLUME, lps, data=f"{case}.raw")
        write_mgh(folder / "brain" / f"{case}.mgz", VOLUME, lps)
    return folder


def test_recordings_and_volumes_are_described_so_that_they_are_read(tmp_path):
    folder = write_folder(tmp_path / "data")
    text = describe_folder(folder, "data")
    (tmp_path / "cohort.toml").write_text(text)
    found = read_description(tmp_path / "cohort.toml").modalities
    assert {name: (one.kind, one.path) for name, one in found.items()} == {
        "ecg": ("signal", "ecg/{id}.edf"),
        "eeg": ("signal", "eeg/{id}.bdf"),
        "holter": ("signal", "holter/{id}.hea"),
        "rest": ("signal", "rest/{id}.dcm"),
        "mri": ("image", "mri/{id}.nrrd"),
        "seg": ("image", "seg/{id}.mhd"),
        "brain": ("image", "brain/{id}.mgz"),
    }
    assert {name: one.channels for name, one in found.items() if one.kind == "signal"} == {
        "ecg": ("I", "V1"),
        "eeg": ("Fp1", "Cz"),
        "holter": (),
        "rest": ("II", "aVR"),
    }
    for name, one in found.items():
        for case in CASES:
            file = str(folder / one.path.replace("{id}", case))
            if one.kind == "image":
                assert image([file], {}, 16, 8, "auto", "refuse")[1]["stack"].std() > 0
                continue
            unit = one.options.get("unit", "mV")
            reply, arrays = signal(
                file, one.channels, one.rate_hz, one.store_hz, 3.0, one.full_scale, unit
            )
            assert reply["missing"] == [] and reply["facts"]["share_clipped"] == 0, name
            assert np.ptp(arrays["samples"]) > 0, name
