"""One table of the OMOP Common Data Model.

Reference:
    OMOP CDM 5.4: MEASUREMENT, OBSERVATION, CONDITION_OCCURRENCE. A datetime at midnight is a date
    whose time is not known.
"""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float64, Int64
from numpy import ndarray
from pyarrow import compute

from mmdiag.errors import DescriptionError
from mmdiag.readers.events.batches import batches, columns_by_name
from mmdiag.readers.events.cells import DAY_US, dates, decimals, whole_numbers
from mmdiag.readers.events.rows import Collected, EventRows, Times
from mmdiag.readers.tables.form import PLAIN

# Table -> (what its codes begin with, the concept, the beginning of the columns of its date)
TABLES = {
    "measurement": ("measurement", "measurement_concept_id", "measurement"),
    "observation": ("observation", "observation_concept_id", "observation"),
    "condition_occurrence": ("condition", "condition_concept_id", "condition_start"),
}
VALUES = (
    "value_as_number",
    "value_as_concept_id",
    "unit_concept_id",
    "unit_source_value",
    "operator_concept_id",
)
EQUAL = 4172703  # the operator "="; the others (<, <=, >=, >) say that the value is a bound
NO_CONCEPT = 0  # nothing that the source says is known by the vocabulary


def read_omop(file: Path, subjects: Collection[int], table: str) -> EventRows:
    """The events of some persons, in the order of the file.

    Args:
        table: A key of TABLES.

    Raises:
        ReadError: It is not a regular table, or torn.
        DescriptionError: A column is missing or of another type.
    """
    prefix, concept, dated = TABLES[table]
    form = PLAIN if file.suffix == ".parquet" else PLAIN.keyed("person_id")
    names = columns_by_name(file, ("person_id", concept), form, "OMOP")
    of_time = [name for name in (f"{dated}_datetime", f"{dated}_date") if name in names]
    if not of_time:
        raise DescriptionError(
            f"A table of OMOP has the column {dated}_date, {file.name} has none: export it by the "
            "standard."
        )
    found = Collected(subjects)
    values = VALUES if table != "condition_occurrence" else ()
    for part in batches(file, names, ("person_id", concept, *of_time, *values), form):
        subject, present = whole_numbers(part["person_id"], "person_id", file.name)
        mine = found.of_subjects(subject, present)
        if mine.any():
            kept = {name: cells.filter(pa.array(mine)) for name, cells in part.items()}
            times = _times([(kept[name], name) for name in of_time], file.name)
            number, faults = _numbers(kept, int(mine.sum()), file.name)
            codes = _codes(kept, concept, prefix, ~np.isnan(number), file.name)
            nothing = np.zeros(len(number), np.uint64)
            found.add(subject[mine], codes, times, number, nothing, faults)
    return found.rows()


def _times(columns: list[tuple[pa.Array, str]], name: str) -> Times:
    """When each event was recorded: the time of its datetime, unless its date is a later day; the
    end of the day where only that is known.
    """
    times = dates(*columns[0], name)
    for cells, column in columns[1:]:
        other = dates(cells, column, name)
        later = other.clock_us // DAY_US > times.clock_us // DAY_US  # STATIC is before any day
        times = Times(
            np.where(later, other.utc_us, times.utc_us),
            np.where(later, other.clock_us, times.clock_us),
            np.where(later, other.zoned, times.zoned),
            times.known | other.known,
        )
    return times


def _numbers(
    cells: dict[str, pa.Array], count: int, name: str
) -> tuple[Float64[ndarray, " event"], dict[str, Bool[ndarray, " event"]]]:
    """The value of each event, and which have one that is no number, not finite, or a bound."""
    number, wrong, infinite = decimals(
        cells.get("value_as_number", pa.nulls(count)), "value_as_number", name
    )
    operator, given = _concepts(cells, "operator_concept_id", count, name)
    bound = given & (operator != EQUAL) & ~np.isnan(number)
    return number, {"not_a_number": wrong, "not_finite": infinite, "comparator": bound}


def _concepts(
    cells: dict[str, pa.Array], column: str, count: int, name: str
) -> tuple[Int64[ndarray, " event"], Bool[ndarray, " event"]]:
    """The concepts of a column, and which events have one."""
    found, present = whole_numbers(cells.get(column, pa.nulls(count)), column, name)
    return found, present & (found != NO_CONCEPT)


def _codes(
    cells: dict[str, pa.Array],
    concept: str,
    prefix: str,
    has_number: Bool[ndarray, " event"],
    name: str,
) -> pa.Array:
    """What happened: the concept; with its unit where it has a number, for numbers of two units are
    never mixed, else with the concept that is its value. Null where there is no concept.
    """
    count = len(has_number)
    what, given = _concepts(cells, concept, count, name)
    value, valued = _concepts(cells, "value_as_concept_id", count, name)
    unit, known_unit = _concepts(cells, "unit_concept_id", count, name)
    source = compute.utf8_trim_whitespace(
        compute.fill_null(compute.cast(_texts(cells, "unit_source_value", count), pa.string()), "")
    )
    own_unit = compute.if_else(
        compute.equal(source, ""), "", compute.binary_join_element_wise("/unit:", source, "")
    )
    with_unit = compute.if_else(pa.array(known_unit), _joined("/", unit), own_unit)
    with_value = compute.if_else(pa.array(valued), _joined("=", value), "")
    ending = compute.if_else(pa.array(has_number), with_unit, with_value)
    whole = compute.binary_join_element_wise(_joined(f"{prefix}/", what), ending, "")
    return compute.if_else(pa.array(given), whole, pa.scalar(None, pa.string()))


def _joined(before: str, numbers: Int64[ndarray, " event"]) -> pa.Array:
    return compute.binary_join_element_wise(before, pa.array(numbers).cast(pa.string()), "")


def _texts(cells: dict[str, pa.Array], column: str, count: int) -> pa.Array:
    return cells.get(column, pa.nulls(count, pa.string()))
