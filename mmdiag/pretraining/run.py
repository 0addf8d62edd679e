"""A pretraining on disk: laid out, learned one part of the split after another, each of which may
be killed and run again, and finished with a manifest.

Every part of a split that judges has weights of its own, which saw none of its subjects; those of
the final model saw everybody who is not held out.
"""

import dataclasses
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int64
from numpy import ndarray

from mmdiag.cohort.labels import labelled, stratum_of
from mmdiag.cohort.splits import Split, read_or_make_split, validation_subjects
from mmdiag.config import TFIDF, RunConfig, digest, from_json, to_json
from mmdiag.description import Description
from mmdiag.encoders.weights import FILE
from mmdiag.errors import UnknownNameError, UsageError
from mmdiag.kinds import kind_named
from mmdiag.prepare import extractor, require_encoders
from mmdiag.prepare.feature_cache import raw_features
from mmdiag.prepare.sources import require_licences
from mmdiag.pretraining.loop import PretextTask, learn
from mmdiag.pretraining.weights import (
    CONTRASTIVE,
    FINAL,
    IMAGE,
    MANIFEST,
    RECORD,
    TEXT,
    WHAT,
    Pretraining,
    naming,
)
from mmdiag.privacy.subject_keys import SubjectKeys, made_workspace_key
from mmdiag.progress import Progress
from mmdiag.sandbox.tables import gene_set_columns
from mmdiag.storage.store import Store
from mmdiag.workspace import Workspace, file_sha256, write_text

REQUESTED = "asked.json"
HELD_BACK = 0.1  # share of the subjects
# cases that a part needs: below, weights learn the cases by heart
LEAST = {
    **dict.fromkeys(WHAT, 200),
    CONTRASTIVE: 100,
}
PAIR = {what: f"a {what}" for what in WHAT}
PAIR |= {IMAGE: "an image", TEXT: "a note", CONTRASTIVE: "two modalities"}


def start(
    description: Description,
    workspace: Workspace,
    config: RunConfig,
    what: Sequence[str],
    *,
    epochs: int | None = None,
) -> Path:
    """Lay out a pretraining: the same question about the same cohort is the same folder.

    Args:
        what: Of `WHAT`.
        epochs: Of each; None = what is usual for it.

    Raises:
        UsageError: The cohort has too few cases for it, not the modalities, or too few labelled
            subjects to know who is held out.
    """
    # nothing is fused without labels
    config = dataclasses.replace(config, fusion="concat").as_one_network()
    kinds = require(description, config, what)
    store = Store.open(workspace, description.name)
    parts, held_out = _parts(store, config)
    for name in kinds:
        _require_enough(store, name, parts, held_out)
    settings = {"what": kinds, "epochs": epochs, "parts": parts}
    key = digest(
        store.hash,
        to_json(config),
        json.dumps(settings),
        json.dumps(dict(sorted(held_out.items()))),
    )
    identity = f"p-{key[:12]}"
    folder = workspace.pretrained / identity
    if not (folder / REQUESTED).is_file():
        folder.mkdir(parents=True, exist_ok=True)
        _write_gene_sets(folder, description, store)
        cohort = {"name": description.name, "hash": store.hash}
        requested = {
            "id": identity,
            "cohort": cohort,
            "config": json.loads(to_json(config)),
            **settings,
            "judged": held_out,
        }
        write_text(folder / REQUESTED, json.dumps(requested, indent=1))
    return folder


def require(description: Description, config: RunConfig, what: Sequence[str]) -> list[str]:
    """What is to be learned, in order, after a look whether the description and the configuration
    allow it: before anything of the cohort is read.

    Raises:
        UsageError: They do not.
    """
    kinds = _ordered(what)
    _require_beginning(config, kinds)
    described = [modality.kind for modality in description.modalities.values()]
    for name in kinds:
        _require_kinds(described, name)
    require_encoders(config, described)
    require_licences(description, config, described)
    return kinds


def units(folder: Path) -> list[str]:
    """What is to be learned, in order: `<part that is held out>.<what>`."""
    requested = _requested(folder)
    return [f"{part}.{what}" for part in requested["parts"] for what in requested["what"]]


def pretrain(folder: Path, unit: str, progress: Progress | None = None) -> None:
    """Learn one kind of weights for one part. Does nothing where it was done before."""
    part, what = unit.split(".", 1)
    if (folder / part / what).is_dir():
        return
    for torn in (folder / part).glob(".weights-*"):  # of a process that was killed while it wrote
        shutil.rmtree(torn)
    requested, workspace = _requested(folder), Workspace(folder.parent.parent)
    store = Store.open(workspace, requested["cohort"]["name"])
    if store.hash != requested["cohort"]["hash"]:
        raise UsageError(
            "A pretraining goes on with the cohort that it began with, "
            f"{requested['cohort']['name']} was ingested anew since: begin another."
        )
    train_rows, held_rows = _rows(store, requested["judged"], part, what)
    pretext = _pretext_task(folder, requested, store, part, what, train_rows, held_rows)
    working = folder / part / f".{what}"  # checkpoints
    working.mkdir(parents=True, exist_ok=True)
    curve, best = learn(
        pretext,
        seed=_config(requested).seed,
        folder=working,
        owner=digest(requested["id"], unit),
        progress=progress,
    )
    subjects = store.cases["subject_id"].iloc[np.concatenate([train_rows, held_rows])]
    key = made_workspace_key(workspace.path)
    facts = {
        "part": part,
        "what": what,
        "cohort": requested["cohort"],
        "cases": len(train_rows),
        "held_back": len(held_rows),
        "subjects_seen": int(subjects.nunique()),
        "best_epoch": best,
        "curve": [
            {"epoch": row.epoch, "loss": row.train_loss, "held_back": row.valid_loss}
            for row in curve
        ],
    }
    _write(
        folder / part / what,
        pretext,
        facts,
        SubjectKeys.of(subjects, store.hash, key),
        _licence(_config(requested), what),
    )
    shutil.rmtree(working)


def finish(folder: Path) -> dict[str, Any]:
    """Write the manifest, once everything is learned; the answer of `mmdiag pretrain --json`.

    Returns:
        `pretrained` (id and path), `what`, and `weights`: a row each with `part`, `what`, `cases`,
        `held_back`, `epochs`, `best_epoch`, and the loss of the cases
        held back after the first and after the best epoch.
    """
    requested = _requested(folder)
    weights = [_summary(folder.joinpath(*unit.split(".", 1))) for unit in units(folder)]
    for working in folder.glob("*/.*"):
        shutil.rmtree(working)
    if not (folder / MANIFEST).is_file():
        kept = {
            key: requested[key] for key in ("id", "cohort", "config", "what", "epochs", "parts")
        }
        write_text(
            folder / MANIFEST,
            json.dumps(
                {
                    **kept,
                    "weights": weights,
                    "finished": datetime.now(UTC).isoformat(timespec="seconds"),
                },
                indent=1,
            ),
        )
    return {
        "pretrained": {"id": requested["id"], "path": str(folder)},
        "what": requested["what"],
        "weights": weights,
    }


def _ordered(what: Sequence[str]) -> list[str]:
    for name in what:
        if name not in WHAT:
            raise UnknownNameError("What is pretrained", name, WHAT)
    return [name for name in WHAT if name in what]


def _write_gene_sets(folder: Path, description: Description, store: Store) -> None:
    """The columns of each gene set, as they are now: a cohort's files may be gone later."""
    for name, modality in description.modalities.items():
        if modality.gene_sets:
            columns = gene_set_columns(description.root, modality, store.columns(name))
            write_text(folder / f"gene_sets_{name}.json", json.dumps(columns))


def _require_beginning(config: RunConfig, what: Sequence[str]) -> None:
    """Refuse a configuration that a pretraining cannot begin with."""
    if config.pretrained:
        raise UsageError(
            "A pretraining begins from a recipe alone, found one that names "
            f"{config.pretrained!r}: leave `pretrained` out."
        )
    if TEXT in what and config.text.encoder == TFIDF:
        raise UsageError(
            f"Pretraining by {TEXT} goes on from a transformer, the recipe {config.recipe!r} has "
            f"{TFIDF}: choose another recipe, or --what."
        )


def _parts(store: Store, config: RunConfig) -> tuple[list[str], dict[str, str]]:
    """The parts that need weights of their own, the final model's last, and which part judges each
    subject; nobody is held out in a cohort without labels.
    """
    known = labelled(store.cases, store.task.kind)
    if not known.any():
        return [FINAL], {}
    cases = store.cases.assign(stratum=stratum_of(store.cases, store.task).where(known))
    path, survival = store.folder / "split.json", store.task.survival
    split = read_or_make_split(path, cases, config.evaluation, survival=survival)
    if not split.folds:
        judged = {subject: part for subject, part in split.part.items() if part == "test"}
        return ["test"], {**judged, **_beside(cases, split, "test")}
    folds = [f"fold-{i}" for i in range(split.folds)]
    beside = [_beside(cases, split, fold) for fold in folds]
    return [*folds, FINAL], {**split.part, **dict(pair for one in beside for pair in one.items())}


def _beside(cases: pd.DataFrame, split: Split, part: str) -> dict[str, str]:
    """Subjects that are kept together with those whom a part judges, labelled or not."""
    inside = (split.of_units(cases) == part).to_numpy()
    return dict.fromkeys(cases.loc[inside, "subject_id"], part)


def _require_enough(
    store: Store, what: str, parts: Sequence[str], held_out: Mapping[str, str]
) -> None:
    numbers = {part: len(np.concatenate(_rows(store, held_out, part, what))) for part in parts}
    fewest = min(numbers, key=lambda part: numbers[part])
    if numbers[fewest] < LEAST[what]:
        raise UsageError(
            f"Pretraining by {what} needs at least {LEAST[what]} cases with {PAIR[what]} that "
            "are not evaluated by its weights, labelled or not, found "
            f"{numbers[fewest]} for {fewest}: add cases to the cohort (they need no label), or "
            "train without."
        )


def _require_kinds(kinds: Sequence[str], what: str) -> None:
    if (what == CONTRASTIVE and len(kinds) < 2) or (what != CONTRASTIVE and what not in kinds):
        raise UsageError(
            f"Pretraining by {what} needs cases with {PAIR[what]}, this cohort describes none: "
            "name another --what."
        )


def _rows(
    store: Store, held_out: Mapping[str, str], part: str, what: str
) -> tuple[Int64[ndarray, "train"], Int64[ndarray, "held"]]:
    """Rows to learn from, and rows by which the best epoch is chosen: never of a subject whom this
    part judges.
    """
    names = [name for name, kind in store.modalities.items() if what in (CONTRASTIVE, kind)]
    there = np.sum([store.present(name) for name in names], axis=0) >= (
        2 if what == CONTRASTIVE else 1
    )
    subjects = store.cases["subject_id"]
    allowed = there & (subjects.map(dict(held_out)) != part).to_numpy()
    alike = store.cases.assign(stratum=0)[allowed]
    held = (
        subjects.isin(validation_subjects(alike, HELD_BACK, part)).to_numpy()
        if allowed.any()
        else allowed
    )
    return np.flatnonzero(allowed & ~held), np.flatnonzero(allowed & held)


def _pretext_task(
    folder: Path,
    requested: Mapping[str, Any],
    store: Store,
    part: str,
    what: str,
    train_rows: Int64[ndarray, "train"],
    held_rows: Int64[ndarray, "held"],
) -> PretextTask:
    config, epochs = _config(requested), requested["epochs"]
    if what != CONTRASTIVE:
        pretraining = kind_named(what).pretraining
        assert pretraining is not None, f"{what} is not among WHAT"
        task: PretextTask = pretraining(store, train_rows, held_rows, config, epochs)
        return task
    from mmdiag.pretraining.contrastive import alignment

    # the weights that the features come from
    before = [name for name in requested["what"] if name != CONTRASTIVE]
    named = naming(config, Pretraining(folder, {**requested, "what": before}), part)
    raws = {
        name: raw_features(store, name, extractor(kind, named))
        for name, kind in store.modalities.items()
    }
    gene_sets = {
        path.stem.removeprefix("gene_sets_"): json.loads(path.read_text())
        for path in folder.glob("gene_sets_*.json")
    }
    return alignment(store, named, raws, gene_sets, train_rows, held_rows, epochs=epochs)


def _write(
    target: Path,
    pretext: PretextTask,
    facts: Mapping[str, Any],
    subjects: SubjectKeys,
    licence: str,
) -> None:
    """The weights, whom they saw and how it went, in a folder that appears whole or not at all."""
    temporary = Path(tempfile.mkdtemp(prefix=".weights-", dir=target.parent))
    pretext.save(temporary)
    record = {**facts, "sha256": file_sha256(temporary / FILE), "subjects": subjects.to_json()}
    write_text(temporary / RECORD, json.dumps(record, indent=1))
    card = (
        f"Pretrained without labels by mmdiag on {facts['subjects_seen']} subjects of "
        f"{facts['cohort']['name']}. Research use only; not a medical device."
    )
    write_text(
        temporary / "README.md",
        f"---\nlicense: {licence}\n---\n# {facts['what']}, for {facts['part']}\n{card}\n",
    )
    temporary.replace(target)


def _licence(config: RunConfig, what: str) -> str:
    if what != TEXT:
        return "own"
    from mmdiag.pretraining.masked_language import licence_of

    return licence_of(config.text.encoder).replace("not stated", "unknown")


def _summary(folder: Path) -> dict[str, Any]:
    record = json.loads((folder / RECORD).read_text())
    curve: list[dict[str, Any]] = record["curve"]
    best = next(row for row in curve if row["epoch"] == record["best_epoch"])
    facts = {
        name: record[name]
        for name in ("part", "what", "cases", "held_back", "sha256", "best_epoch")
    }
    return {
        **facts,
        "epochs": len(curve),
        "loss_first": curve[0]["held_back"],
        "loss_best": best["held_back"],
    }


def _requested(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / REQUESTED).read_text())
    return found


def _config(requested: Mapping[str, Any]) -> RunConfig:
    return from_json(json.dumps(requested["config"]))
