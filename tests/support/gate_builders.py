"""Champion and challenger whose true quality is known: simulated answers for the gate.

A case of class y has a score y d + noise, and its probability is the posterior of that score: it is
calibrated. d is chosen for the AUROC. The noise of the two models is partly shared, as that of two
models of one recipe is. Half of the cases are of one site, half of another.
"""

from dataclasses import replace

import numpy as np
from numpy import ndarray
from scipy.stats import norm

from mmdiag.evaluation.judged import Judged
from mmdiag.lifecycle.compare import Pair, compare, size_of
from mmdiag.lifecycle.gate import Decision, Facts, decide
from mmdiag.lifecycle.plan import ChangePlan
from mmdiag.task import Task

SHARED = 0.5  # of the noise's variance
BASE, STEP = 0.75, 0.08  # AUROC of the champion, and the difference
# scenario -> what must be decided
EXPECTED = {
    "better": "promoted",
    "equal": "held",
    "worse": "refused",
    "worse for a subgroup": "refused",
    "leak": "refused",
}
TASK = Task(kind="binary", classes=("not 1", "1"), positive="1")


def simulated(scenario: str, seed: int, n: int = 2000) -> tuple[Pair, Facts]:
    """A comparison whose right decision is known."""
    rng = np.random.default_rng(seed)
    label, site = rng.random(n) < 0.5, np.where(rng.random(n) < 0.5, "A", "B")
    shared = rng.standard_normal(n)
    champion = _answers(label, np.full(n, BASE), shared, rng)
    challenger = _answers(label, _auroc(scenario, site), shared, rng)
    subject, nothing = np.arange(n).astype(str), np.full(n, np.nan)
    judged = Judged(TASK, label.astype(float), champion, subject, nothing, nothing)
    pair = Pair(judged, challenger, {"site": site})
    cases, of_a_kind = size_of(judged)
    facts = Facts(cases=cases, of_a_kind=of_a_kind)
    if scenario == "leak":
        facts = replace(facts, new_leaks=("label_in_column of expression",))
    return pair, facts


def decided(scenario: str, seed: int, plan: ChangePlan, n: int = 2000) -> Decision:
    """What the gate says of a simulated comparison."""
    pair, facts = simulated(scenario, seed, n)
    return decide(plan, compare(pair, plan), facts)


def _auroc(scenario: str, site: ndarray) -> ndarray:
    change = {
        "better": (STEP, STEP),
        "leak": (STEP, STEP),
        "worse": (-STEP, -STEP),
        "worse for a subgroup": (STEP, -STEP),
    }.get(scenario, (0.0, 0.0))
    return BASE + np.where(site == "A", *change)


def _answers(
    label: ndarray,
    auroc: ndarray,
    shared: ndarray,
    rng: np.random.Generator,
) -> ndarray:
    own = rng.standard_normal(len(label))
    noise = np.sqrt(SHARED) * shared + np.sqrt(1 - SHARED) * own
    distance = np.sqrt(2) * norm.ppf(auroc)
    logit = distance * (label * distance + noise - distance / 2)
    answers: ndarray = 1 / (1 + np.exp(-logit))
    return answers
