"""Whether the explanations of a model can be relied on, by what is known to go wrong with them: do
they add up, does taking away what counts most change most, do they depend on what was learned?

References:
    Samek 2017, Evaluating the visualization of what a deep neural network has learned (deletion);
    Adebayo 2018, Sanity checks for saliency maps (parameter randomisation); Hooker 2019, A
    benchmark for interpretability methods in deep neural networks (why the fill must be varied).
"""

import copy
import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy import ndarray

from mmdiag.errors import UsageError
from mmdiag.evaluation.bootstrap import bootstrap_weights, interval
from mmdiag.evaluation.verdict import at_chance
from mmdiag.experiment.run import Run
from mmdiag.explain.headings import content_pieces, without_content
from mmdiag.explain.kept import checks_path, kept_checks
from mmdiag.explain.parts import CaseParts, Part, total
from mmdiag.explain.report.checked import COMPLETE, DEPENDS, OUTSIDE, SIGN
from mmdiag.explain.tissue import tissue_mask
from mmdiag.explain.within.case import explain_within
from mmdiag.explain.within.probe import Probe
from mmdiag.explain.within.removal import FILLS, can_remove, without
from mmdiag.inference import score as inference
from mmdiag.inference.bundle import Bundle
from mmdiag.inference.manifest import read_manifest
from mmdiag.prepare import require_same_features
from mmdiag.prepare.batches import prepare_samples
from mmdiag.progress import Progress
from mmdiag.samples import Sample
from mmdiag.storage.store import Store
from mmdiag.workspace import Workspace, write_text

CASES = 12  # that are asked about
FOLDS = 2  # models of other folds that are asked beside
BESIDE = 4  # cases of which they and a model with shuffled weights are asked
SHARES = (0.1, 0.3)  # of a modality's parts, taken away
RANDOM = 2  # orders beside that of the parts' values
LEAST = 0.01  # log-odds: the sign of a smaller contribution is not asked for
FEWEST = 5  # parts, of which an order says something
Facts = dict[str, Any]
Report = Callable[..., None]  # report(stage, done, total)


def check(
    bundle: Bundle,
    store: Store,
    rows: Sequence[int],
    others: Sequence[Bundle] = (),
    progress: Progress | None = None,
) -> Facts:
    """Ask about some cases; returns what `mmdiag explain --checks --json` shows.

    Args:
        rows: Of the cases in `store.cases`, see `chosen`.
        others: Models of other folds of the same run, for the stability.
    """
    found = _Found()
    shuffled = with_shuffled_weights(bundle)
    names = [bundle, shuffled, *others]
    samples = [_samples(one, store, rows) for one in names]
    beside = set(np.linspace(0, len(rows) - 1, BESIDE).round().astype(int).tolist())
    for number, row in enumerate(rows):
        sample = samples[0][number]
        own = explain_within(bundle, store, row, sample)
        found.completeness.append(max(own.gap.values(), key=abs, default=0.0))
        _same_sign(own, found)
        _outside(store, row, own, found)
        _deletion(Probe(bundle, sample), store, row, own, found)
        if number in beside:
            again = [
                explain_within(one, store, row, prepared[number])
                for one, prepared in zip(names[1:], samples[1:], strict=True)
            ]
            found.randomised += _agreements(own, again[0])
            found.stability += [x for one in again[1:] for x in _agreements(own, one)]
        if progress:
            progress(number + 1, len(rows), "checked")
    return found.facts(bundle)


def check_bundle(
    workspace: Workspace, folder: Path, cohort: str, progress: Report | None = None
) -> Facts:
    """Check a model on a cohort of the workspace, beside the models of the folds of its run where
    they are there, and keep what was found: for these too, which explain the cases that it learned
    from and are of the same making.

    Args:
        cohort: Its name; empty = the one that the model was trained on.

    Raises:
        UsageError: The cohort is not there, or has other modalities than the model.
    """
    bundle = Bundle.load(folder)
    require_same_features(bundle.config, bundle.preparations)
    store = Store.open(workspace, cohort or bundle.cohort["name"])
    if any(store.modalities.get(name) != kind for name, kind in bundle.kinds.items()):
        raise UsageError(
            "Explanations are checked on a cohort that has the modalities of the bundle, "
            f"{store.folder.name} has others: name another by --cohort."
        )
    report = None if progress is None else partial(_reported, progress)
    of_folds = _of_folds(workspace, bundle.id)
    others = [Bundle.load(path) for path in of_folds[:FOLDS]]
    found = check(bundle, store, chosen(store, list(bundle.kinds)), others, report)
    found["cohort"] = store.folder.name
    for name in (*(path.name for path in of_folds), bundle.id):
        write_text(checks_path(workspace, name), json.dumps(found, indent=1))
    return found


def check_once(workspace: Workspace, folder: Path, progress: Report | None = None) -> Facts:
    """What was found of a model's explanations on the cohort that it was trained on; asked now
    where nobody has, of this cohort and for all models of its run.
    """
    known = kept_checks(workspace, folder.name)
    own = json.loads(read_manifest(folder).text)["cohort"]["name"]
    whole = all(kept_checks(workspace, path.name) for path in _of_folds(workspace, folder.name))
    if known is not None and known.get("cohort") == own and whole:
        return known
    return check_bundle(workspace, folder, "", progress)


def _reported(progress: Report, done: int, total: int, _what: str) -> None:
    progress("check", done, total)


def _of_folds(workspace: Workspace, bundle_id: str) -> list[Path]:
    """The other fused models of the run that a bundle came from."""
    for file in sorted(workspace.runs.glob("*/run.json")):
        if bundle_id in file.read_text():
            run = Run.open(file.parent)
            fits = [fit for fit in run.fits if fit.fused and fit != run.final and run.done(fit)]
            return [folder for fit in fits if (folder := run.bundle_folder(fit)).is_dir()]
    return []


def chosen(store: Store, names: Sequence[str], most: int = CASES) -> list[int]:
    """The cases that are asked about: evenly among those that have most of the modalities."""
    count = np.sum([store.present(name) for name in names], axis=0)
    order = np.argsort(-count, kind="stable")
    full = np.sort(order[: max(int((count == count.max()).sum()), min(most, len(order)))])
    return [
        int(full[i]) for i in np.unique(np.linspace(0, len(full) - 1, most).round().astype(int))
    ]


@dataclasses.dataclass(slots=True)
class _Found:
    completeness: list[float] = dataclasses.field(default_factory=list)
    signs: list[bool] = dataclasses.field(default_factory=list)
    deletion: dict[str, list[float]] = dataclasses.field(
        default_factory=lambda: {fill: [] for fill in FILLS}
    )
    randomised: list[float] = dataclasses.field(default_factory=list)
    stability: list[float] = dataclasses.field(default_factory=list)
    outside: list[tuple[float, float]] = dataclasses.field(default_factory=list)

    def facts(self, bundle: Bundle) -> Facts:
        """What is said of them, and whether they can be relied on."""
        effect = np.asarray(self.outside).reshape(-1, 2).sum(axis=0)
        facts: Facts = {
            "bundle_id": bundle.id,
            "cases": len(self.completeness),
            "completeness": float(np.abs(self.completeness).max(initial=0.0)),
            "same_sign": float(np.mean(self.signs)) if self.signs else None,
            "deletion": {fill: _mean(values) for fill, values in self.deletion.items()},
            "randomised": _mean_of(self.randomised),
            "stability": _mean_of(self.stability),
            "outside_tissue": float(effect[0] / effect[1]) if effect[1] else 0.0,
        }
        reasons = list(_reasons(facts, bundle.card_facts))
        return facts | {"reliable": not reasons, "reasons": reasons}


def _mean_of(values: Sequence[float]) -> float | None:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else None


def _mean(values: Sequence[float]) -> Facts:
    """Mean with its 95 % interval over cases."""
    if not values:
        return {"value": None, "low": None, "high": None, "n": 0}
    array, cases = np.asarray(values), np.arange(len(values))
    drawn = [w @ array / w.sum(axis=1) for w in bootstrap_weights(cases, 1000, 0)]
    low, high = interval(np.concatenate(drawn), float(array.mean()))
    return {"value": float(array.mean()), "low": low, "high": high, "n": len(array)}


def _reasons(facts: Mapping[str, Any], card: Mapping[str, Any]) -> Iterator[str]:
    """Why explanations cannot be relied on."""
    if figure := at_chance(card.get("metrics", ())):
        yield f"the model is not shown to be above chance ({figure})"
    if facts["completeness"] >= COMPLETE:
        yield "the parts do not add up to the answer"
    if facts["same_sign"] is not None and facts["same_sign"] < SIGN:
        yield f"in {1 - facts['same_sign']:.1%} the parts have another sign than their modality"
    lows = [facts["deletion"][fill]["low"] for fill in FILLS]
    if max((low for low in lows if low is not None), default=1.0) <= 0:
        yield "taking away what counts most is not shown to change the answer more than chance does"
    if facts["randomised"] is not None and facts["randomised"] > DEPENDS:
        yield "a model with shuffled weights has nearly the same explanations"
    if facts["outside_tissue"] > OUTSIDE:
        yield f"{facts['outside_tissue']:.1%} of the effect lies outside of the body or on headings"


def _samples(bundle: Bundle, store: Store, rows: Sequence[int]) -> list[Sample]:
    aligned = inference.by_bundle_columns(bundle, store)
    raws = inference.features_of(bundle, store, aligned, rows=list(rows))
    return prepare_samples(bundle.preparations, raws, rows)


def _same_sign(own: CaseParts, found: _Found) -> None:
    for name, parts in own.parts.items():
        contribution = own.contributions[name]
        if abs(contribution) >= LEAST and parts:
            found.signs.append(total(parts) * contribution > 0)


def _outside(store: Store, row: int, own: CaseParts, found: _Found) -> None:
    """Absolute effect of parts that lie outside of the body or on headings, and of all."""
    for name, parts in own.parts.items():
        kind = store.modalities[name]
        inside = {"image": _on_body, "text": _on_content}.get(kind)
        if inside is None or not parts:
            continue
        on = inside(store, name, row, parts)
        effect = np.abs([part["value"] for part in parts])
        found.outside.append((float(effect[~on].sum()), float(effect.sum())))


def _on_body(store: Store, name: str, row: int, parts: Sequence[Part]) -> ndarray:
    body = tissue_mask(store.images(name, row))
    return np.asarray(
        [
            body[
                part["slice"],
                part["row"] : part["row"] + part["height"],
                part["column"] : part["column"] + part["width"],
            ].any()
            for part in parts
        ]
    )


def _on_content(store: Store, name: str, row: int, parts: Sequence[Part]) -> ndarray:
    note = store.text(name, row)
    no_content = without_content(note)
    return np.asarray(
        [bool(content_pieces(note, part["start"], part["end"], no_content)) for part in parts]
    )


def _deletion(probe: Probe, store: Store, row: int, own: CaseParts, found: _Found) -> None:
    """How much more the answer falls where the parts that support it most are taken away than
    where as many others are.
    """
    generator = np.random.default_rng(row)
    drops: dict[str, list[float]] = {fill: [] for fill in FILLS}
    for name, parts in own.parts.items():
        if not can_remove(store, name) or len(parts) < FEWEST:
            continue
        ranked = sorted(parts, key=lambda part: -part["value"])
        removed = [ranked[: max(1, round(share * len(parts)))] for share in SHARES]
        for _ in range(RANDOM):
            order = [parts[i] for i in generator.permutation(len(parts))]
            removed += [order[: max(1, round(share * len(parts)))] for share in SHARES]
        for fill in FILLS:
            left = without(probe, store, name, row, fill, removed).reshape(1 + RANDOM, -1)
            drops[fill].append(float((left[1:].mean(axis=0) - left[0]).mean()))
    for fill, values in drops.items():
        if values:
            found.deletion[fill].append(float(np.mean(values)))


def _agreements(one: CaseParts, other: CaseParts) -> list[float]:
    """Rank correlation of what each part adds, for each modality that both tell parts of."""
    found = []
    for name in set(one.parts) & set(other.parts):
        theirs = {_place(part): part["value"] for part in other.parts[name]}
        pairs = [(part["value"], theirs.get(_place(part), 0.0)) for part in one.parts[name]]
        if len(pairs) >= FEWEST:
            ranks = np.argsort(np.argsort(np.asarray(pairs), axis=0, kind="stable"), axis=0)
            correlation: Any = np.corrcoef(ranks.T)
            found.append(float(correlation[0, 1]))
    return found


def _place(part: Part) -> tuple[Any, ...]:
    """Where a part is, without what it adds."""
    names = ("slice", "row", "column", "start", "end", "start_s", "end_s", "name")
    return tuple(part.get(name) for name in names)


def with_shuffled_weights(bundle: Bundle, seed: int = 0) -> Bundle:
    """The same model with what it has learned shuffled: within each tensor of its encoders,
    members and networks.
    """
    model = copy.deepcopy(bundle.model)
    generator = torch.Generator().manual_seed(seed)
    parts = ("encoders.", "networks.", "fusion.", "own_heads.")
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            learned = name.startswith(parts) and tensor.is_floating_point() and tensor.numel() > 1
            if learned:
                order = torch.randperm(tensor.numel(), generator=generator)
                tensor.copy_(tensor.reshape(-1)[order].reshape(tensor.shape))
    return dataclasses.replace(bundle, model=model)
