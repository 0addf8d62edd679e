"""What the interval of an AUROC costs against a scikit-learn loop over the same resamples, in the
same run: interleaved rounds, CPU time, median.

10 000 cases with ties, 2 000 resamples. The loop is timed over a part of them and scaled; the
part's AUROCs must be the same to 1e-12. The floor is one
bincount a resample. DeLong is timed against the loop for the difference of two models.

python benchmarks/metrics_ci.py [--json]
"""

import json
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
from sklearn.metrics import roc_auc_score

from mmdiag.evaluation.bootstrap import bootstrap_weights
from mmdiag.evaluation.delong import delong
from mmdiag.evaluation.ranking import auroc

CASES, RESAMPLES, PART, ROUNDS = 10_000, 2_000, 40, 7
LEAST, LEAST_DELONG, MOST_APART = 40.0, 2_000.0, 1e-12  # times; times; AUROC


def measure(rounds: int = ROUNDS) -> dict[str, float]:
    """Median CPU seconds of each, their ratios, and how far the AUROCs of the same resamples lie
    apart.
    """
    label, score, other = make_scores()
    rows = list(np.random.default_rng(1).integers(0, CASES, (PART, CASES)))
    ours, floor, loop, pair = [], [], [], []
    for _ in range(rounds):
        ours.append(_seconds(lambda: _bootstrap(label, score)))
        floor.append(
            _seconds(lambda: [np.bincount(drawn, minlength=CASES) for drawn in rows])
            * RESAMPLES
            / PART
        )
        loop.append(
            _seconds(lambda: [roc_auc_score(label[drawn], score[drawn]) for drawn in rows])
            * RESAMPLES
            / PART
        )
        pair.append(_seconds(lambda: delong(label, score, other)))
    middle = [statistics.median(taken) for taken in (ours, floor, loop, pair)]
    return {
        "seconds": round(middle[0], 4),
        "bincount_seconds": round(middle[1], 4),
        "loop_seconds": round(middle[2], 3),
        "delong_seconds": round(middle[3], 5),
        "ratio": round(middle[2] / middle[0], 1),
        "floors": round(middle[0] / middle[1], 1),
        "delong_ratio": round(2 * middle[2] / middle[3]),
        "apart": _apart(label, score, rows),
        "least": LEAST,
        "least_delong": LEAST_DELONG,
    }


def make_scores() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels and the scores of two models, rounded so that there are ties."""
    rng = np.random.default_rng(0)
    label = (rng.random(CASES) < 0.3).astype(float)
    first, second = (
        np.round(1 / (1 + np.exp(-(shift * label + rng.normal(size=CASES)))), 3)
        for shift in (1.2, 1.1)
    )
    return label, first, second


def _bootstrap(label: np.ndarray, score: np.ndarray) -> np.ndarray:
    measured = auroc(label, score)
    return np.concatenate(
        [measured(weights) for weights in bootstrap_weights(np.arange(CASES), RESAMPLES, 0)]
    )


def _apart(label: np.ndarray, score: np.ndarray, rows: list[np.ndarray]) -> float:
    weights = np.stack([np.bincount(drawn, minlength=CASES) for drawn in rows]).astype(float)
    expected = np.asarray([roc_auc_score(label[drawn], score[drawn]) for drawn in rows])
    return float(np.abs(auroc(label, score)(weights) - expected).max())


def _seconds(call: Callable[[], object]) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started


if __name__ == "__main__":
    found = measure()
    if "--json" in sys.argv[1:]:
        print(json.dumps({"benchmark": "metrics_ci", **found}))
    else:
        print(
            f"{RESAMPLES} resamples of {CASES} cases: {found['seconds']:.2f} s, scikit-learn "
            f"loop {found['loop_seconds']:.1f} s: "
            f"{found['ratio']:.0f} times (at least {LEAST:.0f}), {found['floors']:.1f} times a "
            f"bincount alone; AUROCs at most {found['apart']:.0e} apart; "
            f"DeLong {found['delong_ratio']:.0f} times (at least {LEAST_DELONG:.0f})"
        )
    sys.exit(
        found["ratio"] < LEAST
        or found["delong_ratio"] < LEAST_DELONG
        or found["apart"] > MOST_APART
    )
