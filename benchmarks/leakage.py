"""What judging a whole cohort for leakage costs a case, at 1 000, 10 000 and 100 000 cases with two
image modalities, notes and a table.

python benchmarks/leakage.py [--json]
"""

import json
import sys
import time
from typing import Any

import numpy as np
import pandas as pd

from mmdiag.leakage.audit import audit_leakage
from mmdiag.task import Task

SIZES = (1_000, 10_000, 100_000)
LIMIT_SECONDS = 20.0  # at the largest size
COLUMNS = 50
TASK = Task(kind="binary", classes=("not oedema", "oedema"))


def measure(sizes: tuple[int, ...] = SIZES) -> dict[str, Any]:
    """Seconds and microseconds a case at each size, and the cost a case of the largest against that
    of the smallest.
    """
    seconds = {n: _seconds(n) for n in sizes}
    each = {n: taken / n * 1e6 for n, taken in seconds.items()}
    return {
        "seconds": {str(n): round(taken, 3) for n, taken in seconds.items()},
        "microseconds_a_case": {str(n): round(cost, 1) for n, cost in each.items()},
        "ratio": round(each[sizes[-1]] / each[sizes[0]], 2),
        "limit_seconds": LIMIT_SECONDS,
    }


def _seconds(n: int) -> float:
    cohort = _cohort(n, np.random.default_rng(0))
    began = time.perf_counter()
    found = audit_leakage(**cohort)
    taken = time.perf_counter() - began
    hit = {(case_id, code) for case_id, _, code, _ in found.refused}
    assert hit == {("c1", "same_image"), ("c7", "same_image")}, (
        "the pair that was planted, and no other"
    )
    return taken


def _cohort(n: int, generator: np.random.Generator) -> dict[str, Any]:
    """A sound cohort in which one image lies under two subjects. Hashes are those of smooth
    pictures: neighbouring bits agree, a third is background.
    """
    keys = np.char.add("c", np.arange(n).astype(str))
    cases = pd.DataFrame(
        {
            "case_id": keys,
            "subject_id": np.char.add("s", np.arange(n).astype(str)),
            "as_of": pd.NaT,
            "site": generator.choice(["a", "b"], n),
        }
    )
    cases = cases.assign(
        label=generator.integers(0, 2, n) * 1.0,
        time=np.nan,
        event=np.nan,
        has_ct=True,
        has_mr=True,
        has_note=True,
        has_genes=True,
    )
    prints = pd.concat([_prints(keys, name, generator) for name in ("ct", "mr")], ignore_index=True)
    prints.loc[[1, 7], "pixel_sha256"] = "f" * 64
    words = np.asarray([f"word{i}" for i in range(300)])
    notes = {
        key: " ".join(row)
        for key, row in zip(keys, words[generator.integers(0, 300, (n, 60))], strict=True)
    }
    genes = pd.DataFrame(generator.normal(size=(n, COLUMNS)).astype(np.float32), index=keys)
    return {
        "cases": cases,
        "fingerprints": prints,
        "notes": {"note": notes},
        "tables": {"genes": genes},
        "task": TASK,
    }


def _prints(keys: np.ndarray, modality: str, generator: np.random.Generator) -> pd.DataFrame:
    level = generator.random((len(keys), 2, 16, 8))
    smooth = (level + np.roll(level, 1, axis=2) + np.roll(level, 1, axis=3)) / 3
    bits = (smooth > 0.5) & ((np.arange(16) > 2) & (np.arange(16) < 13))[None, None, :, None]
    hashes = [row.tobytes().hex() for row in np.packbits(bits.reshape(len(keys), -1), axis=1)]
    return pd.DataFrame(
        {
            "case_id": keys,
            "modality": modality,
            "pixel_sha256": [f"{modality}{key:0>62}" for key in keys],
            "perceptual": hashes,
        }
    )


if __name__ == "__main__":
    found = measure()
    if "--json" in sys.argv[1:]:
        print(json.dumps({"benchmark": "leakage", **found}))
    else:
        for size, taken in found["seconds"].items():
            print(
                f"{int(size):>7} cases: {taken:7.3f} s, "
                f"{found['microseconds_a_case'][size]:6.1f} us a case"
            )
        print(
            f"A case of the largest costs {found['ratio']:.2f} times one of the smallest; limit "
            f"{LIMIT_SECONDS:.0f} s at the largest"
        )
    sys.exit(list(found["seconds"].values())[-1] > LIMIT_SECONDS)
