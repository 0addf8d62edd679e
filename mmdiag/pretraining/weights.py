"""Weights that `mmdiag pretrain` left: which of them a fit begins with, and the proof that they saw
nobody whom the fit is evaluated on.

`pretrained/<id>/<part>/<what>/` holds weights that saw no subject of that part of the split; `all`
is for the final model, which nobody judges. Beside
weights lies `pretraining.json`: whom they saw, under keys, and the SHA-256 of the weights that this
is true of.
"""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file as load_tensors
from torch import Tensor

from mmdiag.config import RANDOM, RunConfig
from mmdiag.encoders.weights import FILE
from mmdiag.errors import UsageError
from mmdiag.kinds import KINDS
from mmdiag.prepare import Preparation, read_preparations
from mmdiag.privacy.subject_keys import SubjectKeys, workspace_key
from mmdiag.workspace import Workspace, file_sha256

IMAGE, TEXT, CONTRASTIVE = "image", "text", "contrastive"
WHAT = (*(name for name, kind in KINDS.items() if kind.pretraining), CONTRASTIVE)
RECORD, MANIFEST = "pretraining.json", "manifest.json"
FINAL = "all"


@dataclass(frozen=True, slots=True)
class PretrainedInit:
    """What encoders begin with that were pretrained together.

    Args:
        preparations: The fitted state that goes with the weights.
        weights: By the names of `DiagnosisModel.encoders`.
    """

    preparations: Mapping[str, Preparation]
    weights: Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Pretraining:
    """A finished pretraining: its folder and its manifest."""

    folder: Path
    facts: Mapping[str, Any]

    @staticmethod
    def open(workspace: Workspace, identity: str) -> "Pretraining":
        """Open a pretraining by its id.

        Raises:
            UsageError: There is none of this id, or it was not finished.
        """
        folder = workspace.pretrained / identity
        if Path(identity).name != identity or not (folder / MANIFEST).is_file():
            known = sorted(path.parent.name for path in workspace.pretrained.glob(f"*/{MANIFEST}"))
            names = f"known are {', '.join(known)}"
            cure = names if known else "none is finished: start `mmdiag pretrain --cohort C.toml`"
            raise UsageError(
                "Pretrained weights are named by the id of a finished pretraining, found "
                f"{identity!r}: {cure}."
            )
        return Pretraining(folder, json.loads((folder / MANIFEST).read_text()))

    @property
    def what(self) -> tuple[str, ...]:
        """What was pretrained: of `WHAT`."""
        return tuple(self.facts["what"])

    def weights(self, part: str, what: str) -> Path:
        """Folder of the weights for a part of the split; those of the final model where a part has
        none of its own, as of another cohort.
        """
        own = self.folder / part / what
        return own if own.is_dir() else self.folder / str(self.facts["parts"][-1]) / what


def configured(config: RunConfig, workspace: Workspace, part: str) -> RunConfig:
    """A configuration with the folders of the pretrained weights that a fit of this part begins
    with.

    Raises:
        UsageError: The pretraining is not there.
    """
    if not config.pretrained:
        return config
    return naming(config, Pretraining.open(workspace, config.pretrained), part)


def naming(config: RunConfig, pretraining: Pretraining, part: str) -> RunConfig:
    """A configuration that names the weights of a pretraining of each kind; what is frozen stays
    frozen, all else is fine-tuned.
    """
    for name, kind in KINDS.items():
        if name in pretraining.what and kind.load_pretrained is not None:
            config = kind.load_pretrained(config, pretraining.weights(part, name))
    return config


def pretrained_init(
    config: RunConfig, workspace: Workspace, part: str, modalities: Iterable[str]
) -> PretrainedInit | None:
    """What the encoders of some modalities begin with; None where nothing was pretrained by
    contrast.

    Raises:
        UsageError: It was pretrained for other encoders, or without one of the modalities.
    """
    if not config.pretrained:
        return None
    pretraining = Pretraining.open(workspace, config.pretrained)
    if CONTRASTIVE not in pretraining.what:
        return None
    check_encoders(config, pretraining.facts["config"])
    folder, wanted = pretraining.weights(part, CONTRASTIVE), tuple(modalities)
    found = read_preparations(folder)
    lacking = [name for name in wanted if name not in found]
    if lacking:
        raise UsageError(
            "Encoders that begin pretrained must have been in the pretraining, "
            f"{', '.join(lacking)} was not in {pretraining.folder.name}: pretrain again."
        )
    return PretrainedInit({name: found[name] for name in wanted}, load_tensors(folder / FILE))


def check_encoders(config: RunConfig, pretrained: Mapping[str, Any]) -> None:
    """Check that a configuration has the encoders that were pretrained together.

    Args:
        pretrained: The configuration that the pretraining recorded.

    Raises:
        UsageError: A part of it differs.
    """
    asked = dataclasses.asdict(config)
    differing = [
        name
        for name in (*(kind.settings for kind in KINDS.values() if kind.settings), "model")
        if asked[name] != pretrained[name]
    ]
    if differing:
        raise UsageError(
            "Encoders that were pretrained by contrast are used as they were configured, "
            f"{' and '.join(differing)} of the recipe {config.recipe!r} differ from "
            f"those of {config.pretrained}: train with the recipe that it was pretrained with, "
            "or pretrain again."
        )


def records(config: RunConfig, workspace: Workspace, part: str) -> list[SubjectKeys]:
    """Whom the weights saw that a fit of this part begins with; nobody of whom something is known,
    where they come from elsewhere.

    Args:
        config: As it was asked for, or as `configured` gave it.

    Raises:
        UsageError: Weights were changed since it was recorded whom they saw.
    """
    named = configured(config, workspace, part)
    folders = [
        Path(name) for name in (named.image.weights, named.text.encoder) if name not in ("", RANDOM)
    ]
    if (
        config.pretrained
        and CONTRASTIVE in (pretraining := Pretraining.open(workspace, config.pretrained)).what
    ):
        folders.append(pretraining.weights(part, CONTRASTIVE))
    return [read_record(folder) for folder in folders if (folder / RECORD).is_file()]


def read_record(folder: Path) -> SubjectKeys:
    """Whom the weights in a folder saw.

    Raises:
        UsageError: They are not the weights that the record is about.
    """
    record = json.loads((folder / RECORD).read_text())
    if file_sha256(folder / FILE) != record["sha256"]:
        raise UsageError(
            f"Pretrained weights must be those that their record says whom they saw, {FILE} "
            f"below {folder.parent.name}/{folder.name} was changed: pretrain again."
        )
    return SubjectKeys.from_json(record["subjects"])


def require_unseen(
    config: RunConfig, workspace: Workspace, parts: Mapping[str, str], held_out: Iterable[str]
) -> None:
    """Refuse pretrained weights that saw a subject whom they are to be evaluated on.

    Args:
        parts: Subject -> part of the split.
        held_out: The parts that are held out.

    Raises:
        UsageError: They saw one, were changed, or whom they saw cannot be told without the key
            that they were pretrained with.
    """
    key = workspace_key(workspace.path)
    for part in held_out:
        evaluated = [subject for subject, own in parts.items() if own == part]
        for keys in records(config, workspace, part):
            if not keys.readable(key):
                raise UsageError(
                    "Nobody may be evaluated by weights that learned from them, and whom these "
                    "saw can be told with the key of their pretraining alone: set MMDIAG_KEY_FILE "
                    "to it, or run `mmdiag pretrain` here."
                )
            seen = sum(bool(keys.holds(subject, key)) for subject in evaluated)
            if seen:
                raise UsageError(
                    f"Nobody may be evaluated by weights that learned from them, {seen} of "
                    f"{len(evaluated)} subjects of {part} were in the pretraining of its "
                    "weights: run `mmdiag pretrain` on this cohort as it is now, and train with "
                    "the id that it answers."
                )
