"""Values of a cohort.toml, each checked as it is taken: text, lists of text, known words, names.

Every function raises `DescriptionError`, naming the file, the word and the nearest known one.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from mmdiag.errors import DescriptionError


def section_of(raw: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
    found = raw.get(name, {})
    if not isinstance(found, Mapping):
        raise DescriptionError(
            f"[{name}] must be a section of {where}, it is a single value: write it as [{name}] "
            "with keys below."
        )
    return found


def require_known(found: Iterable[str], known: Iterable[str], what: str, where: str) -> None:
    names = list(known)
    for key in found:
        if key not in names:
            nearest = difflib.get_close_matches(key, names, n=1, cutoff=0.5)
            hint = f"did you mean {nearest[0]!r}? " if nearest else ""
            raise DescriptionError(
                f"{what} of {where} must be a known one, found {key!r}: {hint}known are "
                f"{', '.join(names)}."
            )


def text_of(
    section: Mapping[str, Any], key: str, heading: str, where: str, *, default: str | None = None
) -> str:
    value = section.get(key, default)
    if value is None:
        raise DescriptionError(
            f'{heading} of {where} must name {key}, it does not: add {key} = "...".'
        )
    if not isinstance(value, str) or not value:
        raise DescriptionError(
            f"{key} under {heading} of {where} must be text in quotes, it is not: write {key} = "
            '"...".'
        )
    return value


def optional_text(section: Mapping[str, Any], key: str, heading: str, where: str) -> str | None:
    if key in section and not isinstance(section[key], str) and hasattr(section[key], "isoformat"):
        return str(section[key].isoformat())
    return text_of(section, key, heading, where) if key in section else None


def texts_of(value: Any, key: str, heading: str, where: str) -> tuple[str, ...]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list | tuple) or not all(isinstance(item, str) for item in values):
        raise DescriptionError(
            f"{key} under {heading} of {where} must be a text or a list of texts, it is not: "
            f'write {key} = ["..."].'
        )
    return tuple(values)


def plain_name(name: str, where: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}", name):
        raise DescriptionError(
            f"A name in {where} must be letters, digits, '_', '-' and '.', found {name!r}: it "
            "becomes the name of a folder."
        )
    return name


def one_of(value: Any, known: tuple[str, ...], what: str, where: str) -> str:
    require_known([str(value)], known, what, where)
    return str(value)


def plain_identifier(name: str, where: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,39}", name):
        raise DescriptionError(
            f"A modality's name in {where} must be letters, digits and '_', found {name!r}: it "
            "becomes a column and a file name."
        )
    return name
