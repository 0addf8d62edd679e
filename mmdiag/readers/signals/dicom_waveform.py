"""Reads DICOM waveforms (12-lead, general and ambulatory ECG), by pydicom.

Reference:
    DICOM PS3.3 C.10.9 (waveform module), A.34 (waveform IODs).
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pydicom
from jaxtyping import Float
from numpy import ndarray
from pydicom.waveforms.numpy_handler import multiplex_array

from mmdiag.errors import ReadError
from mmdiag.readers.dicom.attributes import attribute_values
from mmdiag.readers.dicom.dates import recorded_day
from mmdiag.readers.dicom.header import Header
from mmdiag.readers.dicom.pixels import read_attributes
from mmdiag.readers.dicom.volume import head_of
from mmdiag.readers.signals.leads import Leads, lead_of

DICOM: Final = (".dcm", ".dicom", ".ima")
WHOLE: Final = 2**28  # bytes up to which a file is read as a whole
WAVEFORM: Final = "WaveformSequence"
BITS: Final = {(8, "SB"), (8, "UB"), (16, "SS"), (16, "US"), (32, "SL"), (32, "UL")}
MOST_CHANNELS, MOST_SAMPLES = 1024, 2**27
BROKEN: Final = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    NotImplementedError,  # pydicom, of an unknown VR
)


def is_waveform(header: Header) -> bool:
    """Whether a DICOM file holds waveforms."""
    return header.has(WAVEFORM)


def open_waveform(file: Path, channels: Sequence[str], keywords: Sequence[str] = ()) -> Leads:
    """The header of a DICOM waveform: of its multiplex groups the one with most of the channels,
    among those the measured one before a derived one, then the longest.

    Args:
        keywords: Attributes of the patient that are kept.

    Raises:
        ReadError: It is no DICOM, holds no waveform, is cut, or says less than its samples need.
    """
    header = head_of(file, WHOLE)
    if not is_waveform(header):
        raise ReadError("not_a_signal", f"{file.name} is a DICOM file without waveforms")
    if header.scan.elements and not header.scan.little:
        raise ReadError("unsupported_transfer_syntax", f"{file.name} is big endian")
    dataset = read_attributes(header, [WAVEFORM])
    try:
        groups: Any = dataset.WaveformSequence
        facts = [_group(group, file.name) for group in groups]
    except BROKEN as error:
        raise ReadError("unreadable", f"{file.name} ({type(error).__name__})") from None
    if not facts:
        raise ReadError("not_a_signal", f"{file.name} holds no waveform")
    number = max(range(len(facts)), key=lambda n: (*_fitness(groups[n], facts[n], channels), -n))
    names, units, rate, count = facts[number]

    def read(numbers: Sequence[int], seconds: float) -> list[Float[ndarray, "_"]]:
        return _read(dataset, number, numbers, round(seconds * rate) + 2, file.name)

    return Leads(
        names,
        units,
        (rate,) * len(names),
        count / rate,
        read,
        recorded_day([header]),
        attribute_values(header, keywords),
    )


def _fitness(
    group: pydicom.Dataset, facts: tuple[Any, ...], channels: Sequence[str]
) -> tuple[int, bool, float]:
    names, _, rate, count = facts
    there = {lead_of(name) or name.lower() for name in names}
    wanted = sum((lead_of(channel) or channel.lower()) in there for channel in channels)
    return wanted, str(group.get("WaveformOriginality", "")) != "DERIVED", count / rate


def _group(
    group: pydicom.Dataset, name: str
) -> tuple[tuple[str, ...], tuple[str, ...], float, int]:
    """Names and units of the channels of a multiplex group, its rate and its samples; all of its
    bytes are there.
    """
    count, samples = int(group.NumberOfWaveformChannels), int(group.NumberOfWaveformSamples)
    bits, form = int(group.WaveformBitsAllocated), str(group.WaveformSampleInterpretation)
    rate, definitions = float(group.SamplingFrequency), group.ChannelDefinitionSequence
    if (bits, form) not in BITS:
        raise ReadError("unreadable", f"{name} holds samples of a form that is not read")
    if not 0 < count <= MOST_CHANNELS or not samples > 0 or len(definitions) != count:
        raise ReadError("unreadable", f"{name} has another number of channels than it defines")
    if count * samples > MOST_SAMPLES:
        raise ReadError("too_large", f"{name} has more than {MOST_SAMPLES} samples")
    if not 0 < rate < np.inf:
        raise ReadError("signal_rate", f"{name} does not say its rate")
    promised, there = count * samples * bits // 8, len(group.WaveformData)
    if there < promised:
        raise ReadError("truncated", f"{name} promises {promised} bytes, {there} are there")
    if there > promised + 1:
        raise ReadError("unreadable", f"{name} promises {promised} bytes, {there} are there")
    return (
        tuple(_name(channel) for channel in definitions),
        tuple(_unit(channel) for channel in definitions),
        rate,
        samples,
    )


def _name(channel: pydicom.Dataset) -> str:
    """The name of a channel: the meaning of its code where that is a lead, else its label."""
    sources = channel.get("ChannelSourceSequence") or [pydicom.Dataset()]
    meaning, label = str(sources[0].get("CodeMeaning", "")), str(channel.get("ChannelLabel", ""))
    return meaning if lead_of(meaning) or not label else label


def _unit(channel: pydicom.Dataset) -> str:
    """The unit of a channel; empty where its samples are not calibrated."""
    units = channel.get("ChannelSensitivityUnitsSequence")
    if not units or channel.get("ChannelSensitivity") is None:
        return ""
    return str(units[0].get("CodeValue", ""))


def _read(
    dataset: pydicom.Dataset, number: int, channels: Sequence[int], count: int, name: str
) -> list[Float[ndarray, "_"]]:
    """Samples of some channels, by pydicom; NaN where one is padding."""
    group = dataset.WaveformSequence[number]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            values = dataset.waveform_array(number)
            padding = group.get("WaveformPaddingValue")
            if padding is not None:
                stored = multiplex_array(dataset, number, as_raw=True)
                values[stored == _as_number(padding, stored)] = np.nan
        except BROKEN as error:
            raise ReadError("unreadable", f"{name} ({type(error).__name__})") from None
    for channel in channels:
        skew = group.ChannelDefinitionSequence[channel].get("ChannelSampleSkew", 0) or 0
        if abs(float(skew)) >= 1:
            raise ReadError("unreadable", f"a channel of {name} lies whole samples beside others")
    return [np.asarray(values[:count, channel], np.float64) for channel in channels]


def _as_number(padding: Any, stored: np.ndarray) -> int:
    if isinstance(padding, bytes):
        return int(np.frombuffer(padding[: stored.dtype.itemsize], stored.dtype)[0])
    return int(padding)
