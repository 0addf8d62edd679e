"""A sound cohort of pictures, notes and a table, which breaks no rule on leakage."""

import numpy as np
import pandas as pd

from mmdiag.task import Task

N = 80
BINARY = Task(kind="binary", classes=("not oedema", "oedema"))
SURVIVAL = Task(kind="survival", classes=())
WORDS = [
    "the",
    "lungs",
    "are",
    "clear",
    "and",
    "without",
    "consolidation",
    "today",
    "while",
    "heart",
    "size",
    "remains",
    "within",
    "usual",
    "limits",
    "for",
    "age",
]


def make_hash(seed, flipped=()):
    """64 hexadecimal digits of 256 random bits, with some turned over."""
    bits = np.random.default_rng(seed).integers(0, 2, 256)
    bits[list(flipped)] ^= 1
    return np.packbits(bits).tobytes().hex()


def make_note(seed, words=60):
    return " ".join(np.random.default_rng(seed).choice(WORDS, words))


def make_cohort(n=N, task=BINARY):
    """A sound cohort: each argument of `audit_leakage` by its name. Subject s0 has two cases, 0 and
    1.
    """
    generator = np.random.default_rng(7)
    label = np.arange(n) % 2
    cases = pd.DataFrame(
        {
            "case_id": [f"c{i}" for i in range(n)],
            "subject_id": ["s0", "s0", *(f"s{i}" for i in range(2, n))],
            "as_of": pd.NaT,
            "site": [("north", "south")[(i // 2) % 2] for i in range(n)],
            "label": label.astype(float),
            "time": generator.permutation(n) + 1.0,
            "event": label.astype(float),
            "has_scan": True,
            "has_note": [i % 5 > 0 for i in range(n)],
            "has_genes": True,
        }
    )
    if task.survival:
        cases["label"] = np.nan
    else:
        cases[["time", "event"]] = np.nan
    prints = pd.DataFrame(
        {
            "case_id": cases["case_id"],
            "modality": "scan",
            "pixel_sha256": [f"{i:064x}" for i in range(n)],
        }
    )
    genes = pd.DataFrame(
        generator.normal(size=(n, 12)), index=cases["case_id"], columns=[f"G{i}" for i in range(12)]
    )
    genes = genes.assign(
        mutated=np.where(np.arange(n) % 7 < 2, 1.0, 0.0), constant=1.0, empty=np.nan
    )
    return {
        "cases": cases,
        "fingerprints": prints.assign(
            perceptual=[make_hash(i) for i in range(n)], text_sha256=pd.NA
        ),
        "notes": {"note": {case: make_note(i) for i, case in enumerate(cases["case_id"]) if i % 5}},
        "tables": {"genes": genes},
        "task": task,
    }
