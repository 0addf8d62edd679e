"""How true the explanations of a model are, and what they cost.

For the newest model of each workspace: whether parts add up, the share of cases in which the parts
of a modality have its sign, how much of the contributions has no place, the effect outside of the
body or on headings, and deletion against random order with both fills (`mmdiag explain --checks`).
Beside it the CPU time of an explanation of one case, and of an answer to it, and the time of a
search for similar cases at three sizes beside one multiplication of the same matrix, the simplest
search that a user could write.

python benchmarks/explain.py --workspace DIR [--workspace DIR ...] [--cases 12] [--similar 1000 ...]
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mmdiag.explain.checks import check, chosen
from mmdiag.explain.parts import total
from mmdiag.explain.similar import Features
from mmdiag.explain.within.case import explain_within
from mmdiag.inference import score as inference
from mmdiag.inference.bundle import Bundle
from mmdiag.inference.predict import diagnose
from mmdiag.prepare.batches import prepare_samples
from mmdiag.storage.store import Store
from mmdiag.workspace import Workspace

WIDTH = 48  # features of a modality, as the default keeps
QUERIES = 20


def seconds(call: Callable[[], Any]) -> float:
    """CPU time of a call."""
    start = time.process_time()
    call()
    return time.process_time() - start


def of_workspace(folder: Path, cases: int) -> str:
    """One row of the table."""
    workspace = Workspace(folder.resolve())
    found = sorted(workspace.bundles.glob("b-*"), key=lambda path: path.stat().st_mtime)
    bundle = Bundle.load(found[-1])
    store = Store.open(workspace, bundle.cohort["name"])
    rows = chosen(store, list(bundle.kinds), cases)
    raws = inference.features_of(
        bundle, store, inference.by_bundle_columns(bundle, store), rows=rows
    )
    samples = prepare_samples(bundle.preparations, raws, rows)
    explain_within(bundle, store, rows[0], samples[0])  # what is loaded once
    placed, whole, spent = 0.0, 0.0, 0.0
    for row, sample in zip(rows, samples, strict=True):
        start = time.process_time()
        one = explain_within(bundle, store, row, sample)
        spent += time.process_time() - start
        for name, parts in one.parts.items():
            placed += abs(one.contributions[name] - total(parts))
            whole += abs(one.contributions[name])
    answer = seconds(lambda: diagnose(bundle, samples))
    facts = check(bundle, store, rows)
    deletion = [
        f"{facts['deletion'][fill]['value']:+.2f} ({facts['deletion'][fill]['low']:+.2f} to "
        f"{facts['deletion'][fill]['high']:+.2f})"
        for fill in ("null", "mean")
    ]
    return (
        f"| {store.folder.name} | {len(rows)} | {facts['completeness']:.0e} | "
        f"{facts['same_sign']:.2f} | {placed / max(whole, 1e-9):.2f} | "
        f"{facts['outside_tissue']:.3f} | {deletion[0]} | {deletion[1]} | "
        f"{facts['randomised']:+.2f} | {spent / len(rows):.2f} s | {answer / len(rows):.3f} s |"
    )


def of_search(cases: int) -> str:
    """How long a search takes, and one multiplication of the same matrix."""
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(cases, WIDTH)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    features = Features([str(i) for i in range(cases)], {"image": vectors, "note": vectors[::-1]})
    allowed, weights = np.ones(cases, bool), {"image": 1.0, "note": 1.0}
    spent = seconds(lambda: [features.similar(i, allowed.copy(), weights) for i in range(QUERIES)])
    floor = seconds(lambda: [vectors @ vectors[i] for i in range(QUERIES)])
    ratio = spent / max(floor, 1e-9)
    each = 1000 * spent / QUERIES
    return f"{cases:>9}: {each:8.1f} ms a search, {ratio:.0f} times one multiplication"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--workspace", type=Path, action="append", default=[])
    parser.add_argument("--cases", type=int, default=12)
    parser.add_argument("--similar", type=int, nargs="*", default=[1_000, 100_000, 1_000_000])
    options = parser.parse_args()
    head = (
        "cohort",
        "n",
        "completeness",
        "same sign",
        "no place",
        "outside",
        "deletion, nothing",
        "deletion, usual",
        "shuffled",
        "explain a case",
        "answer a case",
    )
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for folder in options.workspace:
        print(of_workspace(folder, options.cases), flush=True)
    for cases in options.similar:
        print(of_search(cases), flush=True)


if __name__ == "__main__":
    main()
