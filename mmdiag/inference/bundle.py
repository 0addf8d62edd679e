"""A bundle: one folder with all that scoring needs. Weights and fitted state are safetensors, the
rest JSON; there is no pickle anywhere.
"""

import hashlib
import importlib.metadata
import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file as load_tensors
from safetensors.torch import save_file as save_tensors

from mmdiag.config import RunConfig, from_json, to_json
from mmdiag.errors import BundleError
from mmdiag.model.network import DiagnosisModel
from mmdiag.prepare import Preparation, read_preparations, write_preparations
from mmdiag.privacy.subject_keys import SubjectKeys, subject_key
from mmdiag.task import Task
from mmdiag.workspace import file_sha256, write_text

FILES = (
    "model.safetensors",
    "config.json",
    "preparation.json",
    "preparation.safetensors",
    "card.md",
)
PACKAGES = ("mmdiag", "torch", "monai", "transformers", "numpy", "scikit-learn")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A fitted model, ready to score.

    Args:
        id: `b-` and twelve hexadecimal digits of the SHA-256 over its files; empty before it is
            saved.
        task: What it predicts.
        kinds: Kind of each modality, in the model's order.
        cohort: Name and hash of the cohort it was fitted on.
        patterns: Which modalities were at hand together in cases that it was trained or calibrated
            on; empty = not recorded.
        trained_on: SHA-256 of the subjects it learned from, salted with the cohort's hash: whether
            a case is new can be asked, who was in it cannot be read.
        pretrained_on: The subjects whose inputs, though not their labels, its pretrained weights
            learned from, where these were pretrained by `mmdiag pretrain`.
    """

    config: RunConfig
    model: DiagnosisModel
    preparations: Mapping[str, Preparation]
    task: Task
    kinds: Mapping[str, str]
    cohort: Mapping[str, str]
    trained_on: frozenset[str]
    patterns: frozenset[frozenset[str]] = frozenset()
    pretrained_on: tuple[SubjectKeys, ...] = ()
    card: str = ""
    id: str = ""

    def learned_from(self, subject_id: str) -> bool:
        """Whether this subject was among those that the model was fitted on, or that its weights
        were pretrained on.
        """
        return subject_key(subject_id, self.cohort["hash"]) in self.trained_on or any(
            subject_id in keys for keys in self.pretrained_on
        )

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
        hashes = {name: file_sha256(temporary / name) for name in FILES}
        identity = (
            "b-" + hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()[:12]
        )
        manifest = {
            "id": identity,
            "files": hashes,
            "cohort": dict(self.cohort),
            "versions": {name: _version(name) for name in PACKAGES},
            "format": 1,
        }
        write_text(temporary / "manifest.json", json.dumps(manifest, indent=1, sort_keys=True))
        folder = parent / identity
        if folder.exists():
            shutil.rmtree(temporary)
        else:
            temporary.chmod(0o755)
            temporary.replace(folder)
        return identity, folder

    def _write(self, folder: Path) -> None:
        save_tensors(
            {name: value.contiguous() for name, value in self.model.state_dict().items()},
            folder / "model.safetensors",
        )
        described = {
            "run": json.loads(to_json(self.config)),
            "task": self.task.facts(),
            "kinds": dict(self.kinds),
            "cohort": dict(self.cohort),
            "trained_on": sorted(self.trained_on),
            "patterns": sorted(sorted(pattern) for pattern in self.patterns),
            "pretrained_on": [keys.to_json() for keys in self.pretrained_on],
        }
        write_text(folder / "config.json", json.dumps(described, indent=1, sort_keys=True))
        write_preparations(folder, self.preparations)
        write_text(folder / "card.md", self.card)

    @staticmethod
    def load(folder: Path | str) -> "Bundle":
        """Read a bundle, after checking every file against the manifest.

        Raises:
            BundleError: A file is missing or was changed, or the bundle is of another format.
        """
        folder = Path(folder)
        manifest = verify(folder)
        described = json.loads((folder / "config.json").read_text())
        config = from_json(json.dumps(described["run"]))
        task = Task.from_facts(described["task"])
        preparations = read_preparations(folder)
        with torch.random.fork_rng():
            model = DiagnosisModel(config, preparations, task)
        try:
            model.load_state_dict(load_tensors(folder / "model.safetensors"))
        except (SafetensorError, RuntimeError) as error:
            raise BundleError(
                f"The weights of a bundle must fit its configuration, those of {folder.name} do "
                f"not ({type(error).__name__}): train again."
            ) from None
        return Bundle(
            config=config,
            model=model.eval(),
            preparations=preparations,
            task=task,
            kinds=described["kinds"],
            cohort=described["cohort"],
            trained_on=frozenset(described["trained_on"]),
            patterns=frozenset(frozenset(pattern) for pattern in described.get("patterns", ())),
            pretrained_on=tuple(
                SubjectKeys.from_json(found) for found in described.get("pretrained_on", ())
            ),
            card=(folder / "card.md").read_text(),
            id=manifest["id"],
        )


def verify(folder: Path) -> dict[str, Any]:
    """Check a bundle's files against its manifest; returns the manifest.

    Raises:
        BundleError: As in `Bundle.load`.
    """
    if not (folder / "manifest.json").is_file():
        raise BundleError(
            f"A bundle is a folder with manifest.json, found none in {folder}: name a folder "
            "below workspace/bundles/ (`mmdiag status` lists them)."
        )
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    wrong = [
        name
        for name, expected in manifest["files"].items()
        if not (folder / name).is_file() or file_sha256(folder / name) != expected
    ]
    if wrong or set(manifest["files"]) != set(FILES):
        raise BundleError(
            "The files of a bundle must be those that were saved, changed or missing in "
            f"{folder.name}: {', '.join(wrong)}. Take it from its source again."
        )
    return manifest


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
