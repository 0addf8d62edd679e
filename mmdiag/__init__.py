"""Multimodal diagnosis: does fusing images, notes and genomics pay, what does a case most likely
have, and why. For research use only.

Importing this package loads nothing heavy; torch comes with the first model.

    cohort = mmdiag.Cohort.open("cohort.toml", workspace="workspace")
    bundle = mmdiag.train(cohort, mmdiag.recipes.default())
    table = bundle.score(cohort)
"""

import os
from typing import TYPE_CHECKING, Any

# MONAI imports MLflow where it is installed, which would call its makers
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

if TYPE_CHECKING:
    from mmdiag import recipes
    from mmdiag.api import Bundle, Cohort, search, train

__all__ = ["Bundle", "Cohort", "__version__", "recipes", "search", "train"]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for."""
    import importlib

    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("mmdiag")
    if name == "recipes":
        return importlib.import_module("mmdiag.recipes")
    if name in __all__:
        return getattr(importlib.import_module("mmdiag.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
