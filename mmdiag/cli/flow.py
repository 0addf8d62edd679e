"""Start a flow: put the application (the checkout, or the folder in the wheel) on the path and call
its flow by name.
"""

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from mmdiag.application_root import application_root
from mmdiag.cli.boundary import debugging
from mmdiag.cli.context import Answer, Context
from mmdiag.cli.options import Explained, ModelChoice
from mmdiag.failures import StepFailed


def run_full(
    context: Context,
    cohort: Path,
    model: ModelChoice,
    explained: Explained,
    progress: Callable[..., None],
) -> Answer:
    """Run `flows/full.py` in this process and answer with what it returned.

    Args:
        cohort: Absolute path of the cohort.toml.
        progress: Called with the stage, the units done and the units in all.
    """
    root = str(application_root())
    if root not in sys.path:
        sys.path.insert(0, root)
    # by the environment, because Prefect stores parameters and a URL may hold a password
    os.environ["MMDIAG_LEDGER"] = context.ledger_url
    settings: Any = importlib.import_module("flows.settings")
    server: Any = importlib.import_module("flows.server")
    # before Prefect is imported, which reads its settings then
    settings.prepare(context.workspace.path, quiet=not debugging())
    with server.a_server(context.workspace.path) as ready, settings.reporting(progress):
        # takes seconds, in which the server comes up
        full: Any = importlib.import_module("flows.full")
        ready()
        try:
            answer = full.full(
                cohort=cohort,
                workspace=context.workspace.path,
                recipe=model.recipe,
                fusion=model.fusion or "",
                seed=model.seed,
                settings=dict(model.changed),
                explain=explained.explain,
                full_for=explained.full_for,
            )
        except StepFailed as failed:  # Prefect was given its kind alone
            sentence = getattr(failed, "sentence", str(failed))
            raise StepFailed(sentence, exit_code=failed.exit_code) from None
        return cast(Answer, answer)
