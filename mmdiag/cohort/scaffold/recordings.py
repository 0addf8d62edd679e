"""What a description says of recordings that name their channels: which of them, in which unit."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmdiag.cohort.scaffold.text import quoted
from mmdiag.errors import ReadError
from mmdiag.readers.signals.leads import LEADS, VOLTS, lead_of
from mmdiag.readers.signals.recording import holds_waveform
from mmdiag.sandbox.pool import shared_sandbox

LONGEST_NAME = 24  # of a channel; a longer label is free text
MOST_CHANNELS = 64
MILLIVOLTS, MICROVOLTS = 5.0, 1000.0  # that an ECG, and that an EEG stays below


def holds_waveforms(example: Path) -> bool:
    """Whether a DICOM file, or the first file of a folder, is a waveform and no image."""
    files = (
        sorted(path for path in example.rglob("*") if path.is_file()) if example.is_dir() else []
    )
    try:
        return holds_waveform(files[0] if files else example)
    except (ReadError, OSError):
        return False


def channel_lines(examples: Sequence[Path]) -> list[str]:
    """Lines of TOML for some recordings: the leads of an ECG that all of them have, else the
    channels that all of them have; none where they have one, or cannot be read.
    """
    asked = [{"function": "signal_channels", "file": str(file)} for file in examples]
    headers: list[dict[str, Any]] = []
    for outcome in shared_sandbox().each(asked):
        if not outcome.code:
            headers.append(outcome.value()[0])
    if not headers:
        return []
    leads = _common([[lead_of(name) for name in one["names"]] for one in headers])
    if leads:
        ordered = [lead for lead in LEADS.values() if lead in leads]
        return [*_listed(ordered, headers), _scale(MILLIVOLTS, "mV")]
    names = _common([one["names"] for one in headers])
    units = {unit for one in headers for unit in one["units"]}
    lines = _listed([name for name in names if name.isprintable()][:MOST_CHANNELS], headers)
    if all(unit.lower() in VOLTS for unit in units):
        return [*lines, 'unit = "uV"', _scale(MICROVOLTS, "uV")]
    if len(units) == 1 and (unit := units.pop()):
        return [*lines, f"unit = {quoted(unit)}", "# full_scale = 1.0   # the largest value"]
    return lines


def _common(names: Sequence[Sequence[str]]) -> list[str]:
    """Short names that all recordings have, each once, in the order of the first."""
    others = [set(one) for one in names[1:]]
    return [
        name
        for name in dict.fromkeys(names[0])
        if 0 < len(name) <= LONGEST_NAME and all(name in one for one in others)
    ]


def _listed(names: Sequence[str], headers: Sequence[dict[str, Any]]) -> list[str]:
    if max(len(one["names"]) for one in headers) == 1:
        return []
    return [f"channels = [{', '.join(map(quoted, names))}]"] if names else []


def _scale(largest: float, unit: str) -> str:
    return (
        f"full_scale = {largest:g}                      # {unit}: the largest value that is stored"
    )
