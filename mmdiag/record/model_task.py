"""What a model answers, and of whom it has learned: a cohort's description may be edited after it
was trained, and an answer still means what it meant. Imports no torch.
"""

import json
from functools import lru_cache
from pathlib import Path

from mmdiag.errors import UsageError
from mmdiag.privacy.subject_keys import SubjectKeys
from mmdiag.task import Task
from mmdiag.workspace import Workspace


def task_of(workspace: Workspace, bundle_id: str, cohort: Task) -> Task:
    """The task of a model in the cohort's present words; that of the cohort where the model is not
    at hand.
    """
    own = _own(workspace, bundle_id)
    return cohort if own is None else own.in_words_of(cohort)


def require_same_question(own: Task, cohort: Task, bundle_id: str, name: str) -> None:
    """See that a cohort still asks what a model that was trained on it answers.

    Args:
        own, cohort: The model's task, and the cohort's as it is described now.
        name: Of the cohort.

    Raises:
        UsageError: It calls another value positive, or asks for another label, than then.
    """
    if not own.asks_as(cohort):
        raise UsageError(
            f"A model answers what its cohort asked when it was trained, [task] of {name} asks "
            f"for something else now than {bundle_id} answers: train a model for it, or set the "
            "description back."
        )


def learned_by(workspace: Workspace, bundle_id: str) -> tuple[SubjectKeys, ...]:
    """The subjects that a model has learned from; none where the model is not at hand."""
    folder = workspace.bundle(bundle_id)
    return () if folder is None else _learned(folder)


def _own(workspace: Workspace, bundle_id: str) -> Task | None:
    folder = workspace.bundle(bundle_id)
    return None if folder is None else _said(folder)


@lru_cache(maxsize=256)
def _said(folder: Path) -> Task | None:
    """What a bundle, which never changes, says of its task."""
    try:
        return Task.from_facts(json.loads((folder / "config.json").read_text())["task"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


@lru_cache(maxsize=256)
def _learned(folder: Path) -> tuple[SubjectKeys, ...]:
    try:
        said = json.loads((folder / "config.json").read_text())
        learned = (said["trained_on"], *said.get("pretrained_on", ()))
        return tuple(map(SubjectKeys.from_json, learned))
    except (OSError, ValueError, KeyError, TypeError):
        return ()
