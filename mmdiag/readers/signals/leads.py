"""The channels of a recording that a cohort asks for: found by name, whatever each system calls a
lead of an ECG, brought to one unit and one rate.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from typing import Final

import numpy as np
from jaxtyping import Float, Float32
from numpy import ndarray

from mmdiag.errors import ReadError
from mmdiag.readers.signals.stored import FINEST

RATES_HZ: Final = (1.0, 768_000.0)
LEADS: Final = {
    lead.lower(): lead
    for lead in (
        *("I", "II", "III", "aVR", "aVL", "aVF"),
        *(f"V{number}" for number in range(1, 10)),
        *("V3R", "V4R", "V5R", "X", "Y", "Z"),
    )
}
# how systems call them: Latin America D1, the modified leads of Holters ML, IEC 60601-2-51 C
OTHERS: Final = (
    {"di": "i", "dii": "ii", "diii": "iii", "d1": "i", "d2": "ii", "d3": "iii"}
    | {"mli": "i", "mlii": "ii", "mliii": "iii"}
    | {f"c{number}": f"v{number}" for number in range(1, 10)}
    | {"vx": "x", "vy": "y", "vz": "z"}
)
WORDS: Final = re.compile(
    r"\b(?:lead|ecg|ekg|mdc|ableitung|derivation|derivacion|einthoven|goldberger|wilson)\b"
)
TURNED: Final = re.compile(r"(?:^|\s)-(?=\w)|-$")  # a minus before a name or behind it
VOLTS: Final = {
    "v": 1.0,
    "volt": 1.0,
    "mv": 1e-3,
    "millivolt": 1e-3,
    "uv": 1e-6,
    "\u00b5v": 1e-6,  # the micro sign
    "\u03bcv": 1e-6,  # the Greek letter
    "microvolt": 1e-6,
    "nv": 1e-9,
}
MEGAVOLT: Final = "MV"


@dataclass(frozen=True, slots=True)
class Leads:
    """A recording whose header was read.

    Args:
        names: Of its channels, as its header has them.
        units: Of each; empty where none is said.
        rates_hz: Of each.
        seconds: How long the whole recording is.
        read: Some channels by number, and seconds from the beginning -> the samples of each, in its
            own unit and at its own rate; NaN where one has no value.
        recorded: The day on which it began.
        patient: What the header says of its patient: DICOM keyword -> values.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    rates_hz: tuple[float, ...]
    seconds: float
    read: Callable[[Sequence[int], float], list[Float[ndarray, "_"]]] = field(repr=False)
    recorded: date | None = None
    patient: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The channels that were asked for.

    Args:
        samples: In the unit that was asked for; a channel that is missing is NaN throughout.
        renamed: Channel -> what the recording calls it.
        missing: Channels that it lacks.
    """

    samples: Float32[ndarray, "time channel"]
    rate_hz: float
    renamed: Mapping[str, str]
    missing: tuple[str, ...]


def choose(leads: Leads, channels: Sequence[str], unit: str, seconds: float, name: str) -> Chosen:
    """Read the channels that a cohort describes.

    Args:
        channels: Their names, in order; none = the recording has one.
        unit: That they are brought to.
        seconds: How much is read, from the beginning.
        name: Of the file, for messages.

    Raises:
        ReadError: `signal_channels` where none is there or a name may mean two, `signal_rate`,
            `signal_unit`, `signal_gap`.
    """
    if not channels and len(leads.names) != 1:
        fact = f"{name} has {len(leads.names)} channels and no channels are described"
        raise ReadError("signal_channels", fact)
    numbers, renamed = _numbers(leads.names, channels, name) if channels else ([0], {})
    there = [number for number in numbers if number is not None]
    if not there:
        raise ReadError(
            "signal_channels", f"{name} has none of the {len(channels)} channels by these names"
        )
    for number in there:
        rate = leads.rates_hz[number]
        require_rate(rate, int(min(leads.seconds * rate + 0.5, 2**62)), name)
    factors = [_factor(leads.units[number], unit, name) for number in there]
    read = leads.read(there, seconds)
    lost = {number for number, one in zip(there, read, strict=True) if np.isnan(one).all()}
    values = {
        number: one * factor
        for number, one, factor in zip(there, read, factors, strict=True)
        if number not in lost
    }
    if not values:
        raise ReadError("signal_gap", f"{name} has no value in the channels that are asked for")
    gaps = sum(int(np.isnan(one).sum()) for one in values.values())
    if gaps:
        raise ReadError("signal_gap", f"{name} has {gaps} samples without a value")
    samples, rate = _at_one_rate(values, leads.rates_hz)
    columns = [samples.get(number) if number is not None else None for number in numbers]
    length = min(len(one) for one in samples.values())
    whole = np.full((length, len(columns)), np.nan, np.float32)
    for place, column in enumerate(columns):
        if column is not None:
            whole[:, place] = column[:length]
    missing = tuple(one for one, column in zip(channels, columns, strict=False) if column is None)
    return Chosen(whole, rate, {k: v for k, v in renamed.items() if k not in missing}, missing)


def require_rate(rate: float, samples: int, name: str) -> None:
    """Refuse a rate that is none of a recording, and what is no series of samples.

    Raises:
        ReadError: `signal_rate`, `signal_gap`.
    """
    if not RATES_HZ[0] <= rate <= RATES_HZ[1]:
        raise ReadError("signal_rate", f"{name} has {rate:g} samples a second")
    if samples < 2:
        raise ReadError("signal_gap", f"{name} has {samples} samples")


def lead_of(name: str) -> str:
    """What lead of an ECG a channel is; empty of another channel. A lead that is turned round
    (`-aVR`, `ECG -aVR`, `aVR (-)`) is another one, and so is the difference of two (`I-II`).
    """
    plain = re.sub(r"[\s_.:()]+", " ", name.lower()).strip()
    words = WORDS.sub(" ", plain)
    parts = [part for part in re.split(r"[\s-]+", words) if part]
    several = sum(_named_lead(part) != "" for part in parts) > 1
    return "" if several or TURNED.search(plain) else _named_lead("".join(parts))


def _named_lead(word: str) -> str:
    return LEADS.get(OTHERS.get(word, word), "")


def _numbers(
    names: Sequence[str], channels: Sequence[str], file: str
) -> tuple[list[int | None], dict[str, str]]:
    """The number of each channel that is asked for, None where it is missing, and those that have
    another name: by the same name first, else by the same lead.
    """
    plain = [name.strip().lower() for name in names]
    found: list[int | None] = []
    for channel in channels:
        same = [number for number, name in enumerate(plain) if name == channel.strip().lower()]
        found.append(_only(same, file))
    taken, renamed = set(found), dict[str, str]()
    for place, channel in enumerate(channels):
        lead = lead_of(channel)
        if found[place] is not None or not lead:
            continue
        same = [n for n, name in enumerate(names) if n not in taken and lead_of(name) == lead]
        found[place] = _only(same, file)
        if found[place] is not None:
            taken.add(found[place])
            renamed[channel] = names[same[0]].strip()
    return found, renamed


def _only(numbers: Sequence[int], file: str) -> int | None:
    if len(numbers) > 1:
        raise ReadError("signal_channels", f"{len(numbers)} channels of {file} may be the same one")
    return numbers[0] if numbers else None


def _factor(unit: str, wanted: str, name: str) -> float:
    """What values in a unit are multiplied with to be in another.

    Raises:
        ReadError: `signal_unit`.
    """
    said, asked = unit.strip(), wanted.strip()
    if said and said == asked:
        return 1.0
    volts = VOLTS.get(said.lower()) if not said.startswith(MEGAVOLT) else None
    wanted_volts = VOLTS.get(asked.lower())
    if volts is None or wanted_volts is None:
        what = "says no unit" if not said else f"has a unit that cannot be brought to {asked}"
        raise ReadError("signal_unit", f"a channel of {name} {what}")
    return volts / wanted_volts


def _at_one_rate(
    values: Mapping[int, Float[ndarray, "_"]], rates_hz: Sequence[float]
) -> tuple[Mapping[int, Float[ndarray, "_"]], float]:
    """Channels at the highest rate among them."""
    rates = {number: rates_hz[number] for number in values}
    highest = max(rates.values())
    if set(rates.values()) == {highest}:
        return values, highest
    from scipy.signal import resample_poly

    found = dict[int, ndarray]()
    for number, one in values.items():
        ratio = Fraction(highest / rates[number]).limit_denominator(FINEST)
        found[number] = (
            one
            if ratio == 1
            else resample_poly(one, ratio.numerator, ratio.denominator, padtype="line")
        )
    return found, highest
