"""Start a flow: put the application (the checkout, or the folder in the wheel) on the path and call
its flow by name.
"""

import importlib
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from mmdiag.application_root import application_root
from mmdiag.cli.boundary import debugging
from mmdiag.cli.context import Answer, Place


def run_full(
    place: Place,
    cohort: Path,
    recipe: str,
    fusion: str,
    seed: int,
    changed: Mapping[str, Any],
    progress: Callable[..., None],
) -> Answer:
    """Run `flows/full.py` in this process and answer with what it returned.

    Args:
        cohort: Absolute path of the cohort.toml.
        changed: Fields of the recipe, with their values.
        progress: Called with the stage, the units done and the units in all.
    """
    root = str(application_root())
    if root not in sys.path:
        sys.path.insert(0, root)
    os.environ["MMDIAG_LEDGER"] = (
        place.ledger_url
    )  # by the environment, because Prefect stores parameters and a URL may hold a password
    settings: Any = importlib.import_module("flows.settings")
    server: Any = importlib.import_module("flows.server")
    settings.prepare(
        place.workspace.path, quiet=not debugging()
    )  # before Prefect is imported, which reads its settings then
    with server.a_server(place.workspace.path) as ready, settings.reporting(progress):
        full: Any = importlib.import_module(
            "flows.full"
        )  # takes seconds, in which the server comes up
        ready()
        return cast(
            Answer,
            full.full(
                cohort=cohort,
                workspace=place.workspace.path,
                recipe=recipe,
                fusion=fusion,
                seed=seed,
                settings=dict(changed),
            ),
        )
