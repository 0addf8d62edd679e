"""Cases that are like one, earlier ones where there are any: exact search on the features that a
model has of each modality, among the cases whose outcome is known.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32
from numpy import ndarray

from mmdiag.cohort.splits import read_split
from mmdiag.explain.kept import features_path, later, may_be_shown
from mmdiag.inference import score as inference
from mmdiag.inference.bundle import Bundle
from mmdiag.model.ensemble import EnsembleModel
from mmdiag.prepare.batches import prepare_samples
from mmdiag.storage.store import Store
from mmdiag.workspace import Workspace, atomic_path

MOST = 5
TEST = "test"
PART = 256  # cases that are prepared together


@dataclass(frozen=True, slots=True)
class Features:
    """What a model sees of the cases of a cohort.

    Args:
        keys: Case and version of each row.
        vectors: Modality -> a vector of length 1 a case; zeros where it is absent.
    """

    keys: Sequence[str]
    vectors: Mapping[str, Float32[ndarray, "case feature"]]

    def similar(
        self,
        row: int,
        allowed: Bool[ndarray, "case"],
        weights: Mapping[str, float],
        most: int = MOST,
    ) -> list[tuple[int, float, str]]:
        """The cases that are most like one: row, similarity from -1 to 1 (the mean of the cosines
        of the modalities that both have, as the model weighs them), and the modality in which they
        are alike most.

        Args:
            allowed: Which cases may be found; the case itself never is.
        """
        names = [name for name, vectors in self.vectors.items() if vectors[row].any()]
        total = np.zeros(len(self.keys))
        weight = np.zeros(len(self.keys))
        cosines = {}
        for name in names:
            cosines[name] = self.vectors[name] @ self.vectors[name][row]
            there = self.vectors[name].any(axis=1) * max(weights.get(name, 0.0), 1e-3)
            total += there * cosines[name]
            weight += there
        chosen = allowed & (weight > 0)
        chosen[row] = False
        rows = np.flatnonzero(chosen)
        score = total[rows] / weight[rows]
        best = rows[np.argsort(-score, kind="stable")[:most]]
        return [
            (
                int(other),
                float(total[other] / weight[other]),
                max(names, key=lambda n: float(cosines[n][other])),
            )
            for other in best
        ]


def similar_cases(
    bundle: Bundle, store: Store, features: Features, row: int
) -> list[dict[str, Any]]:
    """`case_id`, `similarity` and `alike_in` of the earlier cases that are most like one; of later
    ones where no earlier one is alike.

    Args:
        features: Of the cohort, by `features_of_cohort`.
    """
    allowed, weights = may_be_found(store, row, _held_out(store)), _weights(bundle)
    before = features.similar(row, allowed & ~later(store.cases, row), weights)
    earlier = [one for one in before if one[1] > 0]
    keys = store.cases["case_id"]
    return [
        {"case_id": str(keys.iloc[other]), "similarity": round(score, 4), "alike_in": name}
        for other, score, name in earlier or features.similar(row, allowed, weights)
    ]


def _held_out(store: Store) -> list[str]:
    """Subjects of the test of a cohort that has one."""
    file = store.folder / "split.json"
    if not file.is_file():
        return []
    return [subject for subject, part in read_split(file).part.items() if part == TEST]


def _weights(bundle: Bundle) -> dict[str, float]:
    """How much the model counts each modality; of one that does not say all alike."""
    if not isinstance(bundle.model, EnsembleModel):
        return dict.fromkeys(bundle.kinds, 1.0)
    return dict(zip(bundle.model.modalities, bundle.model.weight.tolist(), strict=False))


def may_be_found(store: Store, row: int, held_out: Sequence[str]) -> Bool[ndarray, "case"]:
    """Cases with a known outcome, of other subjects, and none of a held-out test.

    Args:
        held_out: Subjects of the test.
    """
    held = store.cases["subject_id"].isin(list(held_out)).to_numpy()
    found: ndarray = may_be_shown(store.cases, row) & ~held
    return found


def features_of_cohort(bundle: Bundle, store: Store, workspace: Workspace) -> Features:
    """The features of every case, made once and kept in a file."""
    file = features_path(workspace, bundle.id, store.folder.name)
    keys = [
        f"{case} {version}"
        for case, version in zip(store.cases["case_id"], store.cases["version"], strict=True)
    ]
    kept = _read(file, keys)
    if kept is not None:
        return kept
    aligned = inference.by_bundle_columns(bundle, store)
    raws = inference.features_of(bundle, store, aligned, rows=None)
    rows: dict[str, list[ndarray | None]] = {name: [] for name in bundle.kinds}
    for start in range(0, len(keys), PART):
        part = range(start, min(start + PART, len(keys)))
        for sample in prepare_samples(bundle.preparations, raws, list(part)):
            for name, found in rows.items():
                found.append(_vector(sample[name]) if name in sample else None)
    vectors = {name: _stacked(found) for name, found in rows.items()}
    with atomic_path(file) as temporary, temporary.open("wb") as handle:
        arrays: dict[str, Any] = {f"of_{name}": array for name, array in vectors.items()}
        np.savez(handle, keys=np.asarray([_digest(keys)]), **arrays)
    return Features(keys, vectors)


def _read(file: Path, keys: Sequence[str]) -> Features | None:
    try:
        with np.load(file) as arrays:
            if arrays["keys"].tolist() != [_digest(keys)]:
                return None
            return Features(
                keys, {n.removeprefix("of_"): arrays[n] for n in arrays.files if n != "keys"}
            )
    except (OSError, ValueError, KeyError, EOFError):
        return None


def _digest(keys: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(keys).encode()).hexdigest()


def _vector(arrays: Mapping[str, ndarray]) -> ndarray:
    """A summary where there is one, else what the parts are in the mean."""
    if "summary" in arrays:
        return np.asarray(arrays["summary"], np.float32)
    first = next(iter(arrays.values())).astype(np.float32)
    return first if first.ndim == 1 else first.reshape(len(first), -1).mean(axis=0)


def _stacked(found: Sequence[ndarray | None]) -> Float32[ndarray, "case feature"]:
    width = next((len(one) for one in found if one is not None), 1)
    rows = np.stack([np.zeros(width, np.float32) if one is None else one for one in found])
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: ndarray = rows / np.maximum(length, 1e-9)
    return scaled.astype(np.float32)
