"""Reads a signal (an ECG, an auscultation) of any form."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from mmdiag.errors import ReadError
from mmdiag.readers.detached import without_data_files
from mmdiag.readers.dicom.volume import head_of
from mmdiag.readers.signals.columns import TABLES, read_columns
from mmdiag.readers.signals.dicom_waveform import DICOM, is_waveform, open_waveform
from mmdiag.readers.signals.edf import EDF, open_edf
from mmdiag.readers.signals.leads import Leads, choose, require_rate
from mmdiag.readers.signals.stored import Signal
from mmdiag.readers.signals.wav import WAV, read_wav
from mmdiag.readers.signals.wfdb_record import WFDB, open_wfdb
from mmdiag.regular_files import open_regular

RECORDINGS: Final = (*EDF, WFDB, *DICOM)  # endings of files that name channels, rate and unit
SIGNALS: Final = (*WAV, *TABLES, *RECORDINGS)
MILLIVOLT: Final = "mV"
PREFIX = slice(128, 132)  # of a DICOM file: DICM
CHECKED_S: Final = 600.0  # as much of a recording as a cohort may store


def read_signal(
    file: Path,
    channels: Sequence[str],
    *,
    rate_hz: float | None,
    seconds: float,
    unit: str = MILLIVOLT,
    keywords: Sequence[str] = (),
) -> Signal:
    """Read the beginning of a signal.

    Args:
        channels: Names of its channels: columns of a table, leads of an ECG; of a WAV their number
            and order. None = it has one.
        rate_hz: Of a table whose times do not say it; every other file says its own.
        seconds: How much is read.
        unit: That samples are brought to, where the file says its own.
        keywords: Attributes of the patient that are read of a DICOM file.

    Raises:
        ReadError: It is no signal, is cut, has none of the channels, or gaps, or its rate or its
            unit is not known.
    """
    name = file.name.lower()
    if not name.endswith((*WAV, *TABLES)):
        return _read_leads(file, channels, seconds, unit, keywords)
    if name.endswith(WAV):
        samples, rate = read_wav(file)
        if samples.shape[1] != max(len(channels), 1):
            raise ReadError(
                "signal_channels",
                f"{file.name} has {samples.shape[1]} channels, {max(len(channels), 1)} are "
                "described",
            )
    else:
        samples, rate = read_columns(file, channels, rate_hz)
    require_rate(rate, len(samples), file.name)
    return Signal(samples[: round(seconds * rate) + 1], rate, len(samples) / rate)


def _read_leads(
    file: Path, channels: Sequence[str], seconds: float, unit: str, keywords: Sequence[str]
) -> Signal:
    leads = open_recording(file, channels, keywords)
    chosen = choose(leads, channels, unit, seconds, file.name)
    return Signal(
        chosen.samples[: round(seconds * chosen.rate_hz) + 1],
        chosen.rate_hz,
        leads.seconds,
        chosen.renamed,
        chosen.missing,
        leads.recorded,
        leads.patient,
    )


def open_recording(file: Path, channels: Sequence[str] = (), keywords: Sequence[str] = ()) -> Leads:
    """The header of an EDF, BDF, WFDB record or DICOM waveform.

    Args:
        channels: Of several groups of a DICOM waveform the one that has most of them is meant.
        keywords: Attributes of the patient that are read of a DICOM file.

    Raises:
        ReadError: `not_a_signal`, or as its reader.
    """
    name = file.name.lower()
    if name.endswith(EDF):
        return open_edf(file)
    if name.endswith(WFDB):
        return open_wfdb(file)
    with open_regular(file) as opened:
        is_dicom = opened.read(PREFIX.stop)[PREFIX] == b"DICM"
    if not is_dicom:
        raise ReadError("not_a_signal", file.name)
    return open_waveform(file, channels, keywords)


def holds_waveform(file: Path) -> bool:
    """Whether a DICOM file holds waveforms, and no image.

    Raises:
        ReadError: It is no DICOM file.
    """
    return is_waveform(head_of(file))


def check_recording(file: Path) -> None:
    """Read a recording, whatever its channels and units, as far as a cohort may store it.

    Raises:
        ReadError: As `read_signal`.
    """
    if file.name.lower().endswith(WAV):
        read_wav(file)
        return
    leads = open_recording(file)
    leads.read(range(len(leads.names)), CHECKED_S)


def the_signal(files: Sequence[Path]) -> Path:
    """The one recording among the files of a case: data and annotations that lie beside a header
    are none.

    Raises:
        ReadError: `signal_channels`, where there are several.
    """
    headed = without_data_files(files) if len(files) > 1 else list(files)
    named = [file for file in headed if file.name.lower().endswith(SIGNALS)]
    found = named or headed
    if len(found) != 1:
        raise ReadError("signal_channels", f"{len(found)} files")
    return found[0]
