"""Recordings as EDF, BDF, WFDB and DICOM waveforms, written from the text of their formats."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid

TWELVE_LEAD = "1.2.840.10008.5.1.4.1.1.9.1.1"
FORMS = {"SB": "i1", "UB": "u1", "SS": "<i2", "US": "<u2", "SL": "<i4", "UL": "<u4"}


def write_edf(
    file: Path,
    digital: Sequence[np.ndarray],
    *,
    labels: Sequence[str],
    units: Sequence[str] | None = None,
    physical: tuple[str, str] = ("-5", "5"),
    span: tuple[int, int] = (-32768, 32767),
    record_s: str = "1",
    records: int | None = None,
    patient: str = "X X X X",
    recording: str = "Startdate X X X X",
    day: str = "02.03.21",
    reserved: str = "",
    fields: dict[int, bytes] | None = None,
    tail: bytes = b"",
) -> Path:
    """An EDF of 16 bits or, by its ending, a BDF of 24, from stored numbers (record, sample) of each
    channel.

    Args:
        records: That the header states; None = those there are.
        fields: Byte of the header -> what stands there instead.
    """
    bdf, count = file.suffix == ".bdf", len(digital)
    units = units or ["mV"] * count
    there = len(digital[0])
    magic = b"\xffBIOSEMI" if bdf else b"0       "

    def padded(*texts: Any, width: int) -> bytes:
        return b"".join(str(text).encode("latin-1").ljust(width) for text in texts)

    head = magic + padded(patient, recording, width=80) + padded(day, "10.11.12", width=8)
    head += padded(256 * (count + 1), width=8) + padded(reserved, width=44)
    head += padded(there if records is None else records, record_s, width=8)
    head += padded(count, width=4)
    head += padded(*labels, width=16) + padded(*[""] * count, width=80) + padded(*units, width=8)
    for value in (*physical, *span):
        head += padded(*[value] * count, width=8)
    head += padded(*[""] * count, width=80)
    head += padded(*[one.shape[1] for one in digital], width=8) + padded(*[""] * count, width=32)
    for at, text in (fields or {}).items():
        head = head[:at] + text + head[at + len(text) :]
    body = b""
    for record in range(there):
        for one in digital:
            numbers = one[record].astype("<i4")
            width = 3 if bdf else 2
            body += numbers[:, None].view("u1").reshape(-1, 4)[:, :width].tobytes()
    file.write_bytes(head + body + tail)
    return file


def packed_wfdb(flat: np.ndarray, form: str) -> bytes:
    """Samples, channel by channel of each frame, in a format of WFDB's signal(5)."""
    plain = {"16": "<i2", "61": ">i2", "32": "<i4"}
    if form in plain:
        return flat.astype(plain[form]).tobytes()
    if form == "80":
        return (flat + 128).astype("u1").tobytes()
    if form == "160":
        return (flat + 32768).astype("<u2").tobytes()
    if form == "24":
        return flat.astype("<i4")[:, None].view("u1").reshape(-1, 4)[:, :3].tobytes()
    twelve = np.append(flat, [0] * (len(flat) % 2)).astype(int) & 0xFFF  # 212
    first, second = twelve[::2], twelve[1::2]
    parts = [first & 0xFF, (first >> 8) | ((second >> 8) << 4), second & 0xFF]
    return np.stack(parts, axis=1).astype("u1").tobytes()


def write_wfdb(
    file: Path,
    digital: np.ndarray,
    *,
    labels: Sequence[str],
    form: str = "16",
    gain: str = "200(0)/mV",
    rate: str = "100",
    length: int | None = None,
    data: str = "",
    offset: int = 0,
    day: str = "",
    comments: str = "",
) -> Path:
    """A record of stored numbers (time, channel): its header and, beside it, its data."""
    data = data or f"{file.stem}.dat"
    where = f"{form}+{offset}" if offset else form
    length = len(digital) if length is None else length
    lines = [f"{file.stem} {len(labels)} {rate} {length}{' 10:00:00 ' + day if day else ''}"]
    lines += [
        f"{data} {where} {gain} 16 0 {digital[0, i]} 0 0 {name}" for i, name in enumerate(labels)
    ]
    file.write_text("\n".join(lines) + "\n" + comments)
    if "/" not in data:
        content = bytes(offset) + packed_wfdb(digital.ravel(), form)
        (file.parent / data).write_bytes(content)
    return file


def multiplex(
    stored: np.ndarray,
    leads: Sequence[str],
    *,
    form: str = "SS",
    rate: float = 100,
    sensitivity: str | None = "0.005",
    unit: str = "mV",
    baseline: str = "0",
    correction: str = "1",
    labels: bool = False,
    **more: Any,
) -> Dataset:
    """A multiplex group of stored numbers (time, channel)."""
    group = Dataset()
    group.WaveformOriginality, group.MultiplexGroupLabel = "ORIGINAL", "RHYTHM"
    group.NumberOfWaveformChannels, group.NumberOfWaveformSamples = stored.shape[1], len(stored)
    group.SamplingFrequency = rate
    group.WaveformBitsAllocated = 8 * np.dtype(FORMS[form]).itemsize
    group.WaveformSampleInterpretation = form
    channels = []
    for lead in leads:
        channel = Dataset()
        if labels:
            channel.ChannelLabel = lead
        source = Dataset()
        source.CodeValue, source.CodingSchemeDesignator = "1", "SCPECG"
        source.CodeMeaning = "Unspecified" if labels else lead
        channel.ChannelSourceSequence = Items([source])
        if sensitivity is not None:
            units = Dataset()
            units.CodeValue, units.CodingSchemeDesignator, units.CodeMeaning = unit, "UCUM", unit
            channel.ChannelSensitivity = sensitivity
            channel.ChannelSensitivityUnitsSequence = Items([units])
            channel.ChannelSensitivityCorrectionFactor = correction
            channel.ChannelBaseline = baseline
        channel.WaveformBitsStored = group.WaveformBitsAllocated
        channels.append(channel)
    group.ChannelDefinitionSequence = Items(channels)
    group.add_new(
        0x54001010, "OB" if form in ("SB", "UB") else "OW", stored.astype(FORMS[form]).tobytes()
    )
    for keyword, value in more.items():
        setattr(group, keyword, value)
    return group


def write_waveform(
    file: Path, groups: Sequence[Dataset], *, implicit: bool = False, **facts: Any
) -> Path:
    """A DICOM waveform of some multiplex groups."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = (
        ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    )
    dataset.SOPClassUID, dataset.SOPInstanceUID = TWELVE_LEAD, generate_uid()
    dataset.Modality, dataset.PatientID, dataset.PatientName = "ECG", "p1", "Doe^Jane"
    dataset.AcquisitionDateTime = "20210302101112"
    dataset.WaveformSequence = Items(list(groups))
    for keyword, value in facts.items():
        setattr(dataset, keyword, value)
    dataset.save_as(file, enforce_file_format=True)
    return file
