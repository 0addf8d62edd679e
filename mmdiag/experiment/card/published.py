"""The model of an evaluated run becomes the bundle that people are given: with the card that says
how it was judged.
"""

import dataclasses
import json
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from mmdiag.evaluation.judged import Judged
from mmdiag.experiment.card.facts import card_facts
from mmdiag.experiment.card.text import card_text
from mmdiag.experiment.run import Run, RunData
from mmdiag.inference.bundle import Bundle
from mmdiag.workspace import write_text


def publish_bundle(
    run: Run,
    data: RunData,
    judged: Judged,
    held_out: pd.DataFrame,
    metrics: Sequence[Mapping[str, Any]],
    availability: Sequence[Mapping[str, Any]],
) -> None:
    """Put the run's bundle, with its card, among those of the workspace; fit.json then names it.
    Leaves one alone that is there already, whoever evaluates its run again.

    The card is among the files that a bundle's id is of, and nothing in it is of the moment: what
    was killed half-way gives the same bundle again.

    Args:
        judged: What the fused models said of the held-out cases of `held_out`.
        metrics, availability: What is known of them.
    """
    folder = run.bundle_folder(run.final)
    if folder.parent == run.workspace.bundles:
        return
    bundle = Bundle.load(folder)
    facts = card_facts(run, data, bundle, judged, held_out, metrics, availability)
    carded = dataclasses.replace(bundle, card=card_text(facts), card_facts=facts)
    identity, where = carded.save(run.workspace.bundles)
    place = {"bundle_id": identity, "bundle": str(where.relative_to(run.workspace.path))}
    file = run.fit_folder(run.final) / "fit.json"
    write_text(file, json.dumps(run.fitted(run.final) | place, indent=1))
    shutil.rmtree(folder, ignore_errors=True)  # as large as the bundle, and nothing names it now
