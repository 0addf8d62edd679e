"""Configurations as JSON, and the digest that names what was made by one."""

import dataclasses
import hashlib
import json
from typing import Any, get_type_hints

from mmdiag.config.run import RunConfig
from mmdiag.errors import UsageError


def to_json(config: RunConfig) -> str:
    """Write a configuration as JSON with sorted keys."""
    return json.dumps(dataclasses.asdict(config), sort_keys=True, indent=1)


def from_json(text: str) -> RunConfig:
    """Read what `to_json` wrote.

    Raises:
        UsageError: A key that no configuration has.
    """
    config: RunConfig = _build(RunConfig, json.loads(text))
    return config


def _build(kind: type, values: dict[str, Any]) -> Any:
    hints = get_type_hints(kind)
    unknown = sorted(set(values) - set(hints))
    if unknown:
        raise UsageError(
            f"A configuration has only known keys, found {unknown} in {kind.__name__}: it was "
            "written by another version of mmdiag."
        )
    return kind(
        **{
            key: _build(hints[key], value) if dataclasses.is_dataclass(hints[key]) else value
            for key, value in values.items()
        }
    )


def digest(*parts: str) -> str:
    """SHA-256 of some texts, as 64 hexadecimal digits."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
