"""`cohort.toml` as frozen dataclasses: a cohort is described, not coded.

Every mistake is a `DescriptionError` that names the file, the word and the nearest known one;
nothing is written before the description is right.
"""

from mmdiag.description.cohort import Description
from mmdiag.description.modality import ModalityDescription
from mmdiag.description.read import read_description
from mmdiag.description.task import TASKS, TaskDescription

__all__ = [
    "TASKS",
    "Description",
    "ModalityDescription",
    "TaskDescription",
    "read_description",
]
