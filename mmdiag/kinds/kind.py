"""`Kind`: everything that differs between kinds of modality, as one frozen value."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

PARTS = "parts"  # some rows of one array a case: slices, samples
ROW = "row"  # one row of an array a case; its columns have names
NOTE = "note"  # a text
LAYOUTS = (PARTS, ROW, NOTE)


@dataclass(frozen=True, slots=True)
class Function:
    """A function of a higher layer, imported when it is first called.

    Args:
        path: `module:name`.
    """

    path: str

    def resolve(self) -> Callable[..., Any]:
        """The function itself."""
        module, _, name = self.path.partition(":")
        found: Callable[..., Any] = getattr(importlib.import_module(module), name)
        return found

    def __call__(self, *arguments: Any) -> Any:
        return self.resolve()(*arguments)


# What each facet that is a function is called with; a test holds the functions to it.
ARGUMENTS = {
    "check_keys": ("values", "root", "heading", "where"),
    "read": ("reading", "pool", "cases", "name"),
    "columns": ("modality", "sources", "root", "wanted"),
    "feature_version": ("config",),
    "extractor": ("config",),
    "weights": ("config",),
    "blocks": ("raw", "widths"),
    "parts_of_features": ("raw", "config"),
    "summarise": ("features",),
    "fit": ("raws", "config", "columns", "gene_sets"),
    "encoder": ("preparation", "config"),
    "pretraining": ("store", "train_rows", "held_rows", "config", "epochs"),
    "load_pretrained": ("config", "folder"),
    "search_space": ("config",),
    "explain": ("probe", "store", "name", "row"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of modality. No facet has a default: a kind that lacks something says None.

    Args:
        name: As cohort.toml has it under `kind`.
        contract: The data contract that its facts are validated against.
        layout: How the store keeps it: `PARTS`, `ROW` or `NOTE`.
        settings: The field of `RunConfig` that holds its settings.
        drawn_as: The kind whose drawing the dashboard uses.
        keys: Keys of its section in cohort.toml besides kind, title and path -> what reads and
            checks the value.
        check_keys: Rules over several keys; raises `DescriptionError`.
        read: What each of some cases has of a modality: case -> a function that waits for it.
        columns: The names of its columns, of the layout `ROW`.
        feature_version: By what its features are made, and its version; "" where that is said by
            what is fitted.
        extractor: Brings what the store holds to raw features, without anything fitted.
        weights: The pretrained weights that its encoder is configured with, or None.
        blocks: Raw features of a case -> the named blocks that an ensemble is given.
        parts_of_features: The widths of which a row of raw features is made, where these come from
            several encoders.
        summarise: Features of its parts -> features of a case, and of each part; None where no
            projection is fitted on parts.
        fit: What is fitted on the training cases.
        encoder: The network that turns prepared arrays into tokens.
        pretraining: The objective of a pretraining without labels.
        load_pretrained: A configuration whose encoder begins with the weights in a folder.
        search_space: What a search varies of its settings.
        explain: What inside it moved the answer for one case.
    """

    name: str
    contract: str
    layout: str
    settings: str | None
    drawn_as: str
    keys: Mapping[str, Function]
    check_keys: Function | None
    read: Function
    columns: Function | None
    feature_version: Function | None
    extractor: Function
    weights: Function | None
    blocks: Function
    parts_of_features: Function | None
    summarise: Function | None
    fit: Function
    encoder: Function
    pretraining: Function | None
    load_pretrained: Function | None
    search_space: Function | None
    explain: Function
