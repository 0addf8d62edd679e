"""Extractors: from a raw input (a stack, a note, a table row) to raw features, without any label
and without anything fitted. What each kind's is: `mmdiag.prepare.kinds`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from jaxtyping import Shaped
from numpy import ndarray

from mmdiag.config import RunConfig, digest
from mmdiag.kinds import kind_named

# raised where what is made of the same raw input changes
VERSIONS = {
    "statistics": 4,
    "texture": 3,
    "network": 1,
    "transformers": 1,
    "sentences": 3,
}


@dataclass(frozen=True, slots=True)
class Extractor:
    """A pure function of a raw input, and the key under which its results may be stored.

    Args:
        key: Changes whenever the results would; empty = cheap, never stored.
        call: Brings some raw inputs to one array each, (part, feature).
        finish: What is added to the arrays of some raw inputs, where that is cheap and not stored.
    """

    key: str
    call: Callable[[Sequence[Any]], list[Shaped[ndarray, "..."]]]
    finish: Callable[[Any, Shaped[ndarray, "..."]], Any] | None = None

    def __call__(self, raw_inputs: Sequence[Any]) -> list[Shaped[ndarray, "..."]]:
        return self.call(raw_inputs)

    def finished(self, raw_input: Any, array: Shaped[ndarray, "..."]) -> Any:
        """What is given on: the array, or what is made of it and its raw input."""
        return array if self.finish is None else self.finish(raw_input, array)


def extractor(kind: str, config: RunConfig) -> Extractor:
    """The extractor of a modality's kind.

    Raises:
        UsageError: The encoder that the configuration names is not there.
    """
    found: Extractor = kind_named(kind).extractor(config)
    return found


def feature_version(kind: str, config: RunConfig) -> str:
    """By what a kind's features are made, and its version; "" where a network reads raw inputs, or
    what is fitted says it all.
    """
    version = kind_named(kind).feature_version
    return str(version(config)) if version else ""


def version_of(name: str) -> str:
    """A way of making features, and its version."""
    return f"{name} {VERSIONS[name]}"


def feature_key(version: str, *more: str) -> str:
    """The key of stored features, which changes with whatever they depend on."""
    return digest(*version.split(), *more)[:16]
