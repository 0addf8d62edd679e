"""Small trainings for tests; called as a program, one training whose weights' SHA-256 goes to
stdout: `training_builders.py EPOCHS FOLDER`.
"""

import dataclasses
import hashlib
import sys
from pathlib import Path

import numpy as np
from model_builders import BINARY, make_batches, make_preparations, make_raws


def make_config(fusion="concat", *, plain=False, **training):
    """A configuration; a plain one draws nothing at random in its steps."""
    from mmdiag.config import RunConfig

    config = RunConfig(fusion=fusion, seed=3)
    if plain:
        config = dataclasses.replace(config, model=dataclasses.replace(config.model, dropout=0.0))
        training = {"modality_dropout": 0.0} | training
    return dataclasses.replace(config, training=dataclasses.replace(config.training, **training))


def fit(
    config,
    folder,
    *,
    cases=120,
    progress=None,
    attach=None,
    task=BINARY,
    label=None,
    score=None,
    change=None,
):
    """Train on the first 80 of some cases; `change(raws)` may spoil them before anything is
    fitted.
    """
    from mmdiag.training.loop import train
    from mmdiag.training.validation import score_of

    raws, known = make_raws(cases, missing=0.2)
    if change:
        change(raws)
    label = known if label is None else label(known)
    prepared = make_preparations({name: raws[name][:80] for name in raws}, config)
    rows, held = np.arange(80), np.arange(80, cases)
    folder.mkdir(parents=True, exist_ok=True)
    size = config.training.batch_size if config.training.batch_size != 32 else 16
    return train(
        make_batches(raws, label, prepared, rows, shuffle=True, seed=config.seed, batch_size=size),
        make_batches(raws, label, prepared, held),
        prepared,
        task,
        config,
        score=score or score_of(task.kind, config.training.early_stopping),
        folder=folder,
        progress=progress,
        attach=attach,
    )


class Told(list):
    """Collects the epochs that progress tells, and its last text."""

    def __call__(self, done, *rest):
        self.append(done)
        self.text = rest[-1]


def weights(trained):
    return {name: value.numpy() for name, value in trained.model.state_dict().items()}


def digest(trained):
    return hashlib.sha256(
        b"".join(value.tobytes() for value in weights(trained).values())
    ).hexdigest()


if __name__ == "__main__":
    sys.stdout.write(
        digest(fit(make_config(max_epochs=int(sys.argv[1])), Path(sys.argv[2]))) + "\n"
    )
