"""A cohort of which few cases have a label, a recipe whose encoders can be pretrained, and single
units of a pretraining.
"""

import dataclasses
import json
from pathlib import Path

import pandas as pd

CASES, UNLABELLED = 30, 8


class Killed(Exception):
    """Stands for a SIGKILL between two epochs."""


def make_config(**changes):
    from mmdiag.recipes import classical

    config = dataclasses.replace(classical(fusion="concat", seed=1), **changes)
    return dataclasses.replace(
        config, training=dataclasses.replace(config.training, max_epochs=4, probe_epochs=2)
    )


def parts_of(cohort):
    return json.loads((cohort.store.folder / "split.json").read_text())["part"]


def learn_unit(folder, unit, progress=None):
    from mmdiag.pretraining import run

    run.pretrain(folder, unit, progress)
    return folder.joinpath(*unit.split("."))


def train_config(aligned, **changes):
    return make_config(pretrained=aligned.name, **changes)


def forget_labels(folder: Path, rows) -> None:
    table = pd.read_csv(folder / "cases.csv", dtype=str)
    table.loc[list(rows), "label"] = ""
    table.to_csv(folder / "cases.csv", index=False)
