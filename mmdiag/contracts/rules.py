"""What a data contract says, and how a rule of it fared, as frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What a contract says of a column."""

    type: str
    unit: str | None = None
    key: bool = False
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One expectation, of Great Expectations or of `expectations.py`, with its severity and its
    reason.
    """

    expect: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    severity: str
    why: str

    @property
    def column(self) -> str:
        """The column it is about; empty for a rule on the whole table."""
        return str(self.kwargs.get("column", ""))

    @property
    def text(self) -> str:
        """What it asks, in words: it names the rule in results, in the ledger and in the report."""
        hidden = ("column", "column_set", "exact_match")
        arguments = ", ".join(
            f"{key}={value}" for key, value in self.kwargs.items() if key not in hidden
        )
        rule = self.expect.removeprefix("expect_").replace("_", " ")
        return f"{rule} ({arguments})" if arguments else rule

    @property
    def columns(self) -> set[str]:
        """Every column that it needs."""
        named = [
            self.kwargs[key] for key in ("column", "column_A", "column_B") if key in self.kwargs
        ]
        return {str(name) for name in [*named, *self.kwargs.get("column_list", ())]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """A data contract."""

    table: str
    version: int
    columns: Mapping[str, Column]
    other_columns: str = "refuse"
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleResult:
    """How one rule fared on one table.

    Args:
        failed_rows: Index labels of the rows that break it (leakage: case keys); empty for a rule
            on the whole table.
        checked: Rows that were evaluated.
    """

    contract: str
    rule: str
    column: str
    severity: str
    why: str
    passed: bool
    failed_rows: tuple[Any, ...]
    checked: int

    @property
    def failed(self) -> int:
        """Rows that break it; 1 where the table as a whole does."""
        return 0 if self.passed else len(self.failed_rows) or 1
