"""The latent model behind a phantom: what each modality knows, what follows for the label, and how
well any model could do.

Three latents u_image, u_text, u_genes with mean 0 and deviation 1. The text's latent is the
realised one (what the note says, counted), so
that nothing is lost between the latent and the words. label ~ Bernoulli(sigmoid(logit)).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

MODALITIES = ("flair", "report", "expression")
SIGNALS = ("additive", "interaction", "redundant", "one-modality", "none")
FINDINGS = 12
STRENGTH = {"additive": 2.8, "interaction": 2.6, "redundant": 2.8, "one-modality": 2.8, "none": 0.0}
SHARED = 0.8  # variance that redundant latents share
POPULATION = 20_000  # simulated cases behind the best AUROC


@dataclass(frozen=True, slots=True)
class Latents:
    """Some simulated cases.

    Args:
        u: What each modality knows, in the order of MODALITIES.
        findings: +1 affirmed, -1 negated, 0 not mentioned.
    """

    u: Float[ndarray, "case modality"]
    findings: Int[ndarray, "case finding"]


def draw(cases: int, signal: str, generator: np.random.Generator) -> Latents:
    """Draw cases of a population."""
    wish = generator.normal(size=(cases, 3))
    if signal == "redundant":
        wish = np.sqrt(SHARED) * generator.normal(size=(cases, 1)) + np.sqrt(1 - SHARED) * wish
    wish = np.clip(wish, -2.5, 2.5)
    chance = generator.random(size=(cases, FINDINGS))
    level = 1.5 * wish[:, 1:2] + 0.8 * generator.normal(size=(cases, FINDINGS))
    findings = np.where(chance < 0.1, 0, np.where(level > 0, 1, -1))
    text = findings.sum(axis=1) / TEXT_DEVIATION
    return Latents(np.column_stack([wish[:, 0], text, wish[:, 2]]), findings)


TEXT_DEVIATION = (
    8.46  # of the count of findings, affirmed less negated, over a population (checked by a test)
)


def contributions(
    u: Float[ndarray, "case modality"], signal: str
) -> Float[ndarray, "case modality"]:
    """What each modality adds to the logit; of an interaction, its half of each product."""
    shares = {
        "additive": np.full(3, 1 / np.sqrt(3)),
        "redundant": np.full(3, 1 / 3),
        "one-modality": np.asarray([1.0, 0.0, 0.0]),
        "none": np.zeros(3),
    }
    added: np.ndarray = (
        u * (u.sum(axis=1, keepdims=True) - u) * 0.75 / np.sqrt(3)
        if signal == "interaction"
        else u * shares[signal]
    )
    return STRENGTH[signal] * added


def probability(u: Float[ndarray, "case modality"], signal: str) -> Float[ndarray, "case"]:
    """Chance of the positive label."""
    chance: np.ndarray = 1 / (1 + np.exp(-contributions(u, signal).sum(axis=1)))
    return chance


def best_auroc(
    signal: str, present: Bool[ndarray, "case modality"], generator: np.random.Generator
) -> tuple[float, dict[str, float]]:
    """The AUROC of the Bayes-optimal answer on a large population with the cohort's mix of missing
    patterns.

    Args:
        present: Which case of the cohort has which modality; its rows are drawn with replacement.

    Returns:
        The best AUROC over all patterns, and that of each pattern (names joined by `+`).
    """
    population = draw(POPULATION, signal, generator)
    label = generator.random(POPULATION) < probability(population.u, signal)
    there = present[generator.integers(len(present), size=POPULATION)]
    score = np.empty(POPULATION)
    by_pattern = {}
    for pattern in np.unique(there, axis=0):
        rows = (there == pattern).all(axis=1)
        score[rows] = _knowing(population.u[rows], pattern, signal, generator)
        everyone = _knowing(population.u, pattern, signal, generator)
        by_pattern["+".join(np.asarray(MODALITIES)[pattern])] = auroc(label, everyone)
    return auroc(label, score), by_pattern


def _knowing(
    u: np.ndarray, pattern: np.ndarray, signal: str, generator: np.random.Generator
) -> np.ndarray:
    """P(label | latents of the modalities present): the absent ones are drawn from what they could
    be.
    """
    if pattern.all():
        return probability(u, signal)
    draws = draw(200, signal, generator).u
    absent = np.flatnonzero(~pattern)
    total = np.zeros(len(u))
    for other in draws:
        filled = u.copy()
        filled[:, absent] = other[absent]
        if signal == "redundant":  # what is absent follows what is present, but for its own share
            mean = (
                u[:, pattern].mean(axis=1, keepdims=True)
                * SHARED
                / (SHARED + (1 - SHARED) / pattern.sum())
            )
            filled[:, absent] = mean + other[absent] * np.sqrt(1 - SHARED)
        total += probability(filled, signal)
    return total / len(draws)


def auroc(label: Bool[ndarray, "case"], score: Float[ndarray, "case"]) -> float:
    """Chance that a positive case scores above a negative one, ties counting half."""
    from scipy.stats import rankdata

    rank = rankdata(score)
    positive = int(label.sum())
    return float(
        (rank[label].sum() - positive * (positive + 1) / 2) / (positive * (len(label) - positive))
    )
