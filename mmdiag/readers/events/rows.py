"""Events as arrays: those of some subjects, and how many were left out and why."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float64, Int32, Int64, UInt64
from numpy import ndarray
from pyarrow import compute

STATIC: Final = int(np.iinfo(np.int64).min)  # in place of a time: known from the beginning
LARGEST: Final = float(np.finfo(np.float32).max)  # of a value: tables of numbers are float32


@dataclass(frozen=True, slots=True)
class Times:
    """When some events were recorded.

    Args:
        utc_us: Microseconds since 1970 in UTC, STATIC where there is no time; what has no zone is
            taken for UTC.
        clock_us: The same on the clock that it is written on.
        zoned: Whether it says its zone.
        known: Whether it is a time at all, or STATIC.
    """

    utc_us: Int64[ndarray, " event"]
    clock_us: Int64[ndarray, " event"]
    zoned: Bool[ndarray, " event"]
    known: Bool[ndarray, " event"]


@dataclass(frozen=True, slots=True)
class EventRows:
    """Events of some subjects, in the order of their file.

    Args:
        subject: The subject's number.
        utc_us, clock_us, zoned: As of `Times`.
        code: Which of `codes`.
        number: The value, NaN = none.
        text_hash: Of what else tells two events apart, 0 = nothing.
        codes: What can happen, each once.
        left_out: Why -> events that are not here.
        read: Events that the file holds: those here and those left out.
    """

    subject: Int64[ndarray, " event"]
    utc_us: Int64[ndarray, " event"]
    clock_us: Int64[ndarray, " event"]
    zoned: Bool[ndarray, " event"]
    code: Int32[ndarray, " event"]
    number: Float64[ndarray, " event"]
    text_hash: UInt64[ndarray, " event"]
    codes: Sequence[str]
    left_out: Mapping[str, int]
    read: int

    def arrays(self) -> dict[str, ndarray]:
        """The arrays by name, each (event,)."""
        return {name: getattr(self, name) for name in ARRAYS}


ARRAYS: Final = {
    "subject": np.int64,
    "utc_us": np.int64,
    "clock_us": np.int64,
    "zoned": np.bool_,
    "code": np.int32,
    "number": np.float64,
    "text_hash": np.uint64,
}


@dataclass(slots=True)
class Collected:
    """Gathers the events of one file, a batch at a time, so that no more than a batch and what is
    kept of those before is in memory.

    Args:
        subjects: Of whom events are kept.
    """

    subjects: Collection[int]
    read: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    _wanted: Int64[ndarray, " subject"] | None = None
    _codes: dict[str, int] = field(default_factory=dict)
    _parts: dict[str, list[ndarray]] = field(default_factory=lambda: {n: [] for n in ARRAYS})

    def of_subjects(
        self, subject: Int64[ndarray, " row"], present: Bool[ndarray, " row"]
    ) -> Bool[ndarray, " row"]:
        """Which rows of a batch belong to the subjects; the others are counted.

        Args:
            present: Whether a row names a subject at all.
        """
        if self._wanted is None:
            self._wanted = np.unique(np.fromiter(self.subjects, np.int64, len(self.subjects)))
        mine = present & np.isin(subject, self._wanted)
        self.read += len(subject)
        self.left_out["no_subject"] += int(np.count_nonzero(~present))
        self.left_out["not_a_subject"] += int(np.count_nonzero(present & ~mine))
        return mine

    def add(
        self,
        subject: Int64[ndarray, " event"],
        codes: pa.Array,
        times: Times,
        number: Float64[ndarray, " event"],
        text_hash: UInt64[ndarray, " event"],
        faults: Mapping[str, Bool[ndarray, " event"]],
    ) -> None:
        """Keep the events of a batch that have no fault; the others are counted.

        Args:
            codes: Text, a cell an event; null or blank = none.
            faults: Why -> events that cannot be used; the first reason counts.
        """
        blank = compute.equal(compute.utf8_trim_whitespace(codes), "").fill_null(True)
        good = np.ones(len(subject), bool)
        too_large = np.abs(number) > LARGEST  # NaN, which is no value, is not
        masks = {
            "no_code": blank.to_numpy(zero_copy_only=False),
            "no_time": ~times.known,
            **faults,
            "out_of_range": too_large,
        }
        for why, mask in masks.items():
            self.left_out[why] += int(np.count_nonzero(good & mask))
            good &= ~mask
        arrays = {
            "subject": subject,
            "utc_us": times.utc_us,
            "clock_us": times.clock_us,
            "zoned": times.zoned,
            "code": self._numbered(codes, good),
            "number": number,
            "text_hash": text_hash,
        }
        for name, array in arrays.items():
            self._parts[name].append(array[good] if len(array) == len(good) else array)

    def rows(self) -> EventRows:
        """All that was kept."""
        arrays = {
            name: np.concatenate([np.empty(0, kind), *self._parts[name]])
            for name, kind in ARRAYS.items()
        }
        counts = {why: count for why, count in self.left_out.items() if count}
        return EventRows(**arrays, codes=list(self._codes), left_out=counts, read=self.read)

    def _numbered(self, codes: pa.Array, good: Bool[ndarray, " event"]) -> Int32[ndarray, " kept"]:
        """The number of each code that is kept."""
        kept = codes.filter(pa.array(good)).dictionary_encode()
        numbers = [
            self._codes.setdefault(code, len(self._codes)) for code in kept.dictionary.to_pylist()
        ]
        places = kept.indices.to_numpy(zero_copy_only=False)
        return np.asarray(numbers, np.int32)[places] if len(places) else np.empty(0, np.int32)
