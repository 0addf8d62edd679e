"""Expectations that Great Expectations lacks: once this module is imported, any contract names them
like its own.

Each is two small classes: a metric (what is looked at, row by row or once a column), and the
expectation that is found by its name.
"""

from typing import Any, ClassVar

import pandas as pd
from great_expectations.execution_engine.pandas_execution_engine import PandasExecutionEngine
from great_expectations.expectations.expectation import (
    ColumnAggregateExpectation,
    ColumnMapExpectation,
    ColumnPairMapExpectation,
)
from great_expectations.expectations.metrics.column_aggregate_metric_provider import (
    ColumnAggregateMetricProvider,
    column_aggregate_value,
)
from great_expectations.expectations.metrics.map_metric_provider.column_condition_partial import (
    column_condition_partial,
)
from great_expectations.expectations.metrics.map_metric_provider.column_map_metric_provider import (
    ColumnMapMetricProvider,
)
from great_expectations.expectations.metrics.map_metric_provider.column_pair_condition_partial import (  # noqa: E501
    column_pair_condition_partial,
)
from great_expectations.expectations.metrics.map_metric_provider.column_pair_map_metric_provider import (  # noqa: E501
    ColumnPairMapMetricProvider,
)

from mmdiag.readers.tables.keys import is_plain_key

# rows of a pair that are not looked at; the base class has no default for it
BOTH_MISSING = "both_values_are_missing"


class PlainKeys(ColumnMapMetricProvider):
    """Which cells are plain keys."""

    condition_metric_name = "column_values.plain_keys"

    @column_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column: pd.Series, **_: Any) -> pd.Series:  # noqa: N805 - the decorator makes it a method of the class
        return column.map(lambda cell: isinstance(cell, str) and is_plain_key(cell)).astype(bool)


class ExpectColumnValuesToBePlainKeys(ColumnMapExpectation):
    """A key could be no path and no template, has 1 to 128 characters, and all of them show.
    Arguments: column.
    """

    map_metric = "column_values.plain_keys"
    success_keys = ("mostly",)


class OneValueAGroup(ColumnPairMapMetricProvider):
    """Which rows belong to a group (column_A) of which all rows have the same value (column_B)."""

    condition_metric_name = "column_pair_values.one_value_a_group"

    @column_pair_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column_A: pd.Series, column_B: pd.Series, **_: Any) -> pd.Series:  # noqa: N805
        return column_B.groupby(column_A).transform("nunique").fillna(0) <= 1


class ExpectGroupsToHaveOneValue(ColumnPairMapExpectation):
    """All rows with the same column_A have the same column_B, as every case of a subject lies in
    one part of a split.
    """

    ignore_row_if: str = BOTH_MISSING
    map_metric = "column_pair_values.one_value_a_group"
    success_keys = ("column_A", "column_B", "ignore_row_if", "mostly")


class NotAfter(ColumnPairMapMetricProvider):
    """Which rows have a date (column_A) on or before another (column_B); what is no date, or
    missing, is not evaluated.
    """

    condition_metric_name = "column_pair_values.not_after"

    @column_pair_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column_A: pd.Series, column_B: pd.Series, **_: Any) -> pd.Series:  # noqa: N805
        first, second = (
            pd.to_datetime(column, errors="coerce", utc=True, format="ISO8601")
            for column in (column_A, column_B)
        )
        return ~(first > second)


class ExpectColumnValuesToNotBeAfter(ColumnPairMapExpectation):
    """No date in column_A is later than that in column_B of the same row."""

    ignore_row_if: str = BOTH_MISSING
    map_metric = "column_pair_values.not_after"
    success_keys = ("column_A", "column_B", "ignore_row_if", "mostly")


class KnownTogether(ColumnPairMapMetricProvider):
    """Which rows have both values or neither."""

    condition_metric_name = "column_pair_values.known_together"

    @column_pair_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column_A: pd.Series, column_B: pd.Series, **_: Any) -> pd.Series:  # noqa: N805
        return column_A.isna() == column_B.isna()


class ExpectColumnPairValuesToBeKnownTogether(ColumnPairMapExpectation):
    """A row has a value in column_A and in column_B, or in neither."""

    ignore_row_if: str = BOTH_MISSING
    map_metric = "column_pair_values.known_together"
    success_keys = ("column_A", "column_B", "ignore_row_if", "mostly")


class RarestShare(ColumnAggregateMetricProvider):
    """The share of the rarest value among those that are known; 1 where none is."""

    metric_name = "column.rarest_share"

    @column_aggregate_value(engine=PandasExecutionEngine)
    def _pandas(cls, column: pd.Series, **_: Any) -> float:  # noqa: N805
        counts = column.value_counts()
        return float(counts.min() / counts.sum()) if len(counts) else 1.0


class ExpectColumnRarestValueToHaveShare(ColumnAggregateExpectation):
    """The rarest value of a column makes up at least min_value (a share, 0 to 1) of those that are
    known. Arguments: column, min_value.
    """

    min_value: float
    max_value: float | None = None
    strict_min: bool = False
    strict_max: bool = False
    metric_dependencies: ClassVar[tuple[str, ...]] = ("column.rarest_share",)
    success_keys: ClassVar[tuple[str, ...]] = ("min_value",)

    def _validate(
        self,
        metrics: dict[Any, Any],
        runtime_configuration: dict[Any, Any] | None = None,
        execution_engine: Any = None,
    ) -> Any:
        return self._validate_metric_value_between(
            "column.rarest_share", metrics, runtime_configuration, execution_engine
        )
