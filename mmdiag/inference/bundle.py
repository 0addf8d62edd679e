"""A bundle: one folder with all that scoring needs. Weights and fitted state are safetensors, the
rest JSON; there is no pickle anywhere.
"""

import importlib.metadata
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file as load_tensors
from safetensors.torch import save_file as save_tensors

from mmdiag.config import RunConfig, from_json, to_json
from mmdiag.errors import BundleError, UsageError
from mmdiag.inference.manifest import (
    CARD_FACTS,
    FILES,
    FORMAT,
    MANIFEST,
    WEIGHTS,
    bundle_id,
    damaged,
    read_json_object,
    read_manifest,
)
from mmdiag.model.ensemble import EnsembleModel, make_model
from mmdiag.model.network import DiagnosisModel
from mmdiag.model.undrawn import form_of
from mmdiag.prepare import Preparation, read_preparations, write_preparations
from mmdiag.privacy.subject_keys import SubjectKeys
from mmdiag.task import Task
from mmdiag.workspace import file_sha256, write_text

PACKAGES = ("mmdiag", "torch", "monai", "transformers", "numpy", "scikit-learn")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A fitted model, ready to score.

    Args:
        id: `b-` and twelve hexadecimal digits of the SHA-256 over its files; empty before it is
            saved.
        folder: Where it was read from.
        task: What it predicts.
        kinds: Kind of each modality, in the model's order.
        cohort: Name and hash of the cohort it was fitted on.
        patterns: Which modalities were at hand together in cases that it was trained or calibrated
            on; empty = not recorded.
        trained_on: The subjects it learned from, as keyed hashes: whether a case is new can be
            asked with the key, who was in it cannot be read.
        pretrained_on: The subjects whose inputs, though not their labels, its pretrained weights
            learned from, where these were pretrained by `mmdiag pretrain`.
        card: card.md.
        card_facts: card.json, of a model that a run published; else empty, and there is no file.
    """

    config: RunConfig
    model: DiagnosisModel | EnsembleModel
    preparations: Mapping[str, Preparation]
    task: Task
    kinds: Mapping[str, str]
    cohort: Mapping[str, str]
    trained_on: SubjectKeys
    patterns: frozenset[frozenset[str]] = frozenset()
    pretrained_on: tuple[SubjectKeys, ...] = ()
    card: str = ""
    card_facts: Mapping[str, Any] = field(default_factory=dict)
    id: str = ""
    folder: Path | None = None

    def learned_from(self, subject_id: str, key: bytes | None) -> bool | None:
        """Whether this subject was among those that the model was fitted on, or that its weights
        were pretrained on.

        Args:
            key: Of the workspace, see `mmdiag.privacy.subject_keys.workspace_key`.

        Returns:
            None where that cannot be told, because the model was made with another key.
        """
        found = [keys.holds(subject_id, key) for keys in self.subjects]
        return True if True in found else None if None in found else False

    @property
    def subjects(self) -> tuple[SubjectKeys, ...]:
        """All subjects that it learned from."""
        return (self.trained_on, *self.pretrained_on)

    def met(self, modalities: Iterable[str]) -> bool:
        """Whether cases with exactly these modalities were among those that the model was trained
        or calibrated on.
        """
        return not self.patterns or frozenset(modalities) in self.patterns

    def save(self, parent: Path) -> tuple[str, Path]:
        """Write the bundle below `parent`, in a folder named by its id; the folder appears whole or
        not at all.

        Returns:
            The id and the folder.
        """
        parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".bundle-", dir=parent))
        self._write(temporary)
        names = [*FILES, *([CARD_FACTS] if self.card_facts else [])]
        hashes = {name: file_sha256(temporary / name) for name in names}
        identity = bundle_id(hashes)
        manifest = {
            "id": identity,
            "files": hashes,
            "cohort": dict(self.cohort),
            "versions": versions(),
            "format": FORMAT,
        }
        write_text(temporary / MANIFEST, json.dumps(manifest, indent=1, sort_keys=True))
        folder = parent / identity
        if folder.exists():
            shutil.rmtree(temporary)
        else:
            temporary.replace(folder)
        return identity, folder

    def _write(self, folder: Path) -> None:
        save_tensors(
            {name: value.contiguous() for name, value in self.model.state_dict().items()},
            folder / WEIGHTS,
        )
        described = {
            "run": json.loads(to_json(self.config)),
            "task": self.task.facts(),
            "kinds": dict(self.kinds),
            "cohort": dict(self.cohort),
            "trained_on": self.trained_on.to_json(),
            "patterns": sorted(sorted(pattern) for pattern in self.patterns),
            "pretrained_on": [keys.to_json() for keys in self.pretrained_on],
        }
        write_text(folder / "config.json", json.dumps(described, indent=1, sort_keys=True))
        write_preparations(folder, self.preparations)
        write_text(folder / "card.md", self.card)
        if self.card_facts:
            write_text(folder / CARD_FACTS, json.dumps(self.card_facts, indent=1))

    @staticmethod
    def load(
        folder: Path | str, known: Callable[[str], Mapping[str, str] | None] | None = None
    ) -> "Bundle":
        """Read a bundle, after checking every file against the manifest, and every number.

        Args:
            known: The hashes that the ledger recorded for an id, if it knows it.

        Raises:
            BundleError: A file is missing or was changed, the bundle is of another format, or
                holds what no training could have written.
        """
        folder = Path(folder)
        manifest = read_manifest(folder, known)
        described = read_json_object(folder, "config.json")
        try:
            config = from_json(json.dumps(described["run"]))
            task = Task.from_facts(described["task"])
            return Bundle(
                config=config,
                task=task,
                **_facts(described),
                **_fitted(folder, config, task, described["kinds"]),
                card=(folder / "card.md").read_text(encoding="utf-8"),
                card_facts=read_json_object(folder, CARD_FACTS)
                if CARD_FACTS in manifest.files
                else {},
                id=manifest.id,
                folder=folder,
            )
        except BundleError:
            raise
        except UsageError as error:  # a name or a value that no configuration has
            raise BundleError(
                f"{damaged(folder, 'is a configuration that is none')} {error}"
            ) from None
        except (KeyError, TypeError, ValueError, AttributeError, AssertionError) as error:
            fact = str(error) if type(error) is ValueError else "config.json lacks what it needs"
            raise damaged(folder, fact) from None


def _facts(described: Mapping[str, Any]) -> dict[str, Any]:
    """What config.json says beside the configuration and the task."""
    return {
        "kinds": {str(name): str(kind) for name, kind in described["kinds"].items()},
        "cohort": {
            "name": str(described["cohort"]["name"]),
            "hash": str(described["cohort"]["hash"]),
        },
        "trained_on": _subjects(described["trained_on"], str(described["cohort"]["hash"])),
        "patterns": frozenset(
            frozenset(map(str, pattern)) for pattern in described.get("patterns", ())
        ),
        "pretrained_on": tuple(
            SubjectKeys.from_json(found) for found in described.get("pretrained_on", ())
        ),
    }


def _subjects(found: Any, salt: str) -> SubjectKeys:
    """The subjects of the training; a version before 0.2 wrote a list that no key protects."""
    if isinstance(found, list):
        return SubjectKeys(salt, frozenset(map(str, found)))
    return SubjectKeys.from_json(found)


def _fitted(
    folder: Path, config: RunConfig, task: Task, kinds: Mapping[str, Any]
) -> dict[str, Any]:
    """The model and the preparations, whose every number was looked at."""
    preparations = read_preparations(folder)
    if {name: found.kind for name, found in preparations.items()} != dict(kinds):
        raise damaged(folder, "the modalities differ from those that were prepared")
    try:
        weights = load_tensors(folder / WEIGHTS)
        _require_shapes(folder, weights, config, preparations, task)
        with torch.random.fork_rng():
            model = make_model(config, preparations, task)
        model.load_state_dict(weights)
    except (SafetensorError, RuntimeError, MemoryError) as error:
        raise BundleError(
            f"The weights of a bundle must fit its configuration, those of {folder.name} do "
            f"not ({type(error).__name__}): train again."
        ) from None
    return {"model": model.eval(), "preparations": preparations}


def _require_shapes(
    folder: Path,
    weights: Mapping[str, torch.Tensor],
    config: RunConfig,
    preparations: Mapping[str, Preparation],
    task: Task,
) -> None:
    """Compare the weights with a network of the same form that takes no memory, so that sizes which
    are not the weights' are found before anything of that size is made; and look at every number.
    """
    form = form_of(lambda: make_model(config, preparations, task))
    if {name: value.shape for name, value in form.items()} != {
        name: value.shape for name, value in weights.items()
    }:
        raise damaged(folder, "the weights have other names or shapes than the configuration")
    for name, value in weights.items():
        if value.dtype != form[name].dtype:
            raise damaged(folder, "the weights are of another precision than the configuration's")
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise damaged(folder, "weights are no finite numbers")


def versions() -> dict[str, str]:
    """What a bundle is made with."""
    return {name: _version(name) for name in PACKAGES}


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
