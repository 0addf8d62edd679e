"""A configuration with some of its fields changed, as a command line or a search names them."""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from typing import Any, get_args, get_type_hints

from mmdiag.config.run import RunConfig
from mmdiag.errors import UnknownNameError, UsageError

NAMES_OF_TYPES = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


def varied(config: RunConfig, values: Mapping[str, Any]) -> RunConfig:
    """A configuration with some fields changed, those of a part together: whether they fit each
    other is asked of all of them.

    Args:
        values: Dotted name of a field, such as `fusion` or `training.learning_rate` -> its value.

    Raises:
        UsageError: A value that the field may not have.
        UnknownNameError: No configuration has such a field.
    """
    changes: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        part, _, field_name = name.rpartition(".")
        owner: Any = getattr(config, part, None) if part else config
        fields = (
            [known.name for known in dataclasses.fields(owner)]
            if dataclasses.is_dataclass(owner)
            else []
        )
        if field_name not in fields or dataclasses.is_dataclass(getattr(owner, field_name)):
            known = [f"{part}.{field}" if part else field for field in fields]
            raise UnknownNameError(
                "A field of a configuration",
                name,
                known or [f.name for f in dataclasses.fields(config)],
            )
        changes.setdefault(part, {})[field_name] = _of_type(
            name, get_type_hints(type(owner))[field_name], value
        )
    own = changes.pop("", {})
    return dataclasses.replace(
        config,
        **own,
        **{
            part: dataclasses.replace(getattr(config, part), **fields)
            for part, fields in changes.items()
        },
    )


def settings_of(texts: Iterable[str]) -> dict[str, Any]:
    """Read settings such as `training.learning_rate=0.003` for `varied`: numbers, true, false and
    null as in JSON, everything else is text.

    Raises:
        UsageError: One is not of this form.
    """
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or "." not in name:
            raise UsageError(
                f"A setting is PART.FIELD=VALUE, found {text!r}: write it like "
                "training.learning_rate=0.003 or image.encoder=texture."
            )
        try:
            found[name] = json.loads(value)
        except json.JSONDecodeError:
            found[name] = value
    return found


def _of_type(name: str, hint: Any, value: Any) -> Any:
    """The value as its field holds it: a whole number may stand for a real one.

    Raises:
        UsageError: It is of another type.
    """
    kinds = get_args(hint) or (hint,)
    if (
        isinstance(value, int)
        and not isinstance(value, bool)
        and float in kinds
        and int not in kinds
    ):
        value = float(value)
    if type(value) not in kinds:
        known = " or ".join(
            "null" if kind is type(None) else NAMES_OF_TYPES.get(kind, kind.__name__)
            for kind in kinds
        )
        raise UsageError(f"The value of {name} is {known}, found {value!r}: correct it.")
    return value
