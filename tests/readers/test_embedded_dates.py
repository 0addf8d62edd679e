"""Photographs, volumes and recordings say when they were made: in the file, or in the one beside."""

import json
import wave
from datetime import date

import numpy as np
import pytest
from PIL import Image

from mmdiag.readers.embedded_dates import picture_day, volume_day, wav_day
from mmdiag.sandbox.requests import image, signal

DAY = date(2024, 6, 15)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_a_photograph_says_when_it_was_taken(tmp_path, suffix):
    picture = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8))
    facts = Image.Exif()
    facts.get_ifd(0x8769)[0x9003] = "2024:06:15 10:15:00"
    facts[0x0132] = "2025:01:01 00:00:00"  # when the file was changed
    picture.save(tmp_path / f"a.{suffix}", exif=facts)
    picture.save(tmp_path / f"b.{suffix}")
    assert picture_day(tmp_path / f"a.{suffix}") == DAY
    assert picture_day(tmp_path / f"b.{suffix}") is None
    reply, _ = image([str(tmp_path / f"a.{suffix}")], {}, 8, 1, "auto", "refuse")
    assert reply["recorded"] == "2024-06-15"


def test_the_json_beside_a_nifti_says_when_it_was_acquired(tmp_path):
    volume = tmp_path / "v.nii.gz"
    assert volume_day(volume) is None
    (tmp_path / "v.json").write_text(json.dumps({"AcquisitionDateTime": "2024-06-15T10:15:00.5"}))
    assert volume_day(volume) == DAY
    for other in ("[]", "{", json.dumps({"AcquisitionTime": "10:15:00"})):
        (tmp_path / "v.json").write_text(other)
        assert volume_day(volume) is None


def make_wav(file, *chunks):
    with wave.open(str(file), "wb") as opened:
        opened.setnchannels(1)
        opened.setsampwidth(2)
        opened.setframerate(100)
        opened.writeframes((np.arange(400) % 7).astype("<i2").tobytes())
    content = file.read_bytes()
    for name, value in chunks:
        content += name + len(value).to_bytes(4, "little") + value + b"\0" * (len(value) % 2)
    file.write_bytes(content[:4] + (len(content) - 8).to_bytes(4, "little") + content[8:])


def test_a_recording_says_when_it_was_made(tmp_path):
    created = b"INFOICRD" + (11).to_bytes(4, "little") + b"2024-06-15\0\0"
    make_wav(tmp_path / "a.wav", (b"LIST", created))
    make_wav(tmp_path / "b.wav", (b"bext", b"\0" * 320 + b"2024-06-1510:15:00"))
    make_wav(tmp_path / "c.wav")
    assert wav_day(tmp_path / "a.wav") == wav_day(tmp_path / "b.wav") == DAY
    assert wav_day(tmp_path / "c.wav") is None
    reply, _ = signal(str(tmp_path / "a.wav"), [], None, 50.0, 4.0, 1.0)
    assert reply["recorded"] == "2024-06-15"
