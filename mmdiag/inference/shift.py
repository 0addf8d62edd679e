"""Whether a batch of cases is like those of the training: one test a modality over all of them."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors import safe_open

from mmdiag.ensemble.typicality import Calibration
from mmdiag.inference.manifest import CARD_FACTS, WEIGHTS, read_json_object
from mmdiag.inference.prediction_table import ATYPICAL
from mmdiag.spelling import fold

TAIL = 0.1  # share of cases like those of the training whose p-value is at most that
HALF = 0.5  # and of those that are more typical than half of them
SURE = 0.001  # level of the test of a batch, shared among the modalities
CALIBRATED = re.compile(r"typicality\..+_\.quantiles")


def abstained_by_reason(table: pd.DataFrame) -> dict[str, int]:
    """Reason of an abstention -> cases."""
    if "abstained_because" not in table:
        return {}
    reasons = table.loc[table["abstained"].astype(bool), "abstained_because"].fillna("pattern")
    return {str(reason): int(count) for reason, count in reasons.value_counts().items()}


def new_sites(sites: pd.Series, folder: Path | None) -> dict[str, int] | None:
    """How many cases are of sites of which the model has learned from no case, and how many such
    sites there are; None where the model's card does not tell its sites.

    Args:
        sites: Of the cases; what has none counts for no site.
        folder: The model's bundle.
    """
    if folder is None or not (folder / CARD_FACTS).is_file():
        return None
    learned = read_json_object(folder, CARD_FACTS).get("learned_from")
    known = learned.get("sites") if isinstance(learned, dict) else None
    if not isinstance(known, list) or not known:
        return None
    new = sites.dropna().astype(str)
    new = new.map(fold)
    new = new[~new.isin({fold(str(site)) for site in known})]
    return {"cases": len(new), "sites": int(new.nunique())}


def usual_halves(folder: Path | None) -> dict[str, float]:
    """Modality -> the share of cases like those of the training that a model finds more typical
    than half of these: one half, but more where many are alike; nothing of an earlier version.

    Args:
        folder: The model's bundle.
    """
    if folder is None or not (folder / WEIGHTS).is_file():
        return {}
    found: dict[str, float] = {}
    with safe_open(folder / WEIGHTS, framework="numpy") as weights:
        names = [str(name) for name in weights.keys()]  # noqa: SIM118 (it is no mapping)
        for name in (name for name in names if CALIBRATED.fullmatch(name)):
            quantiles = weights.get_tensor(name).astype(float)
            cases = int(weights.get_tensor(f"{name.removesuffix('quantiles')}cases"))
            modality = name.removeprefix("typicality.").removesuffix("_.quantiles")
            found[modality] = Calibration(quantiles, cases).above(HALF)
    return found


def shift_of(
    table: pd.DataFrame, usual: Mapping[str, float] | None = None
) -> dict[str, dict[str, Any]]:
    """Modality -> how many cases have it, the share among the least typical tenth of the training,
    the p-value of so many of them, or of so many of its more typical half, by chance, and whether
    that says that the batch is unlike the training: all of one kind lie closer together than a
    mixture that the kind was no part of. Cases of the training itself are left out.

    Args:
        usual: What `usual_halves` says of the model; None = one half of every modality.
    """
    if "role" in table:
        table = table[table["role"] != "train"]
    columns = [name for name in table.columns if name.startswith(ATYPICAL)]
    found: dict[str, dict[str, Any]] = {}
    for column in columns:
        values = pd.to_numeric(table[column]).dropna()
        if not len(values):
            continue
        name, low = column.removeprefix(ATYPICAL), int((values <= TAIL).sum())
        half = max(HALF, (usual or {}).get(name, HALF))
        chance = min(
            1.0,
            2 * _at_least(low, len(values), TAIL),
            2 * _at_least(int((values > HALF).sum()), len(values), half),
        )
        found[name] = {
            "cases": len(values),
            "share": round(low / len(values), 4),
            "p": chance,
            "unlike": chance < SURE / len(columns),
        }
    return found


def _at_least(number: int, cases: int, share: float) -> float:
    """How probable it is by chance that so many of the cases are among a share of all: a binomial
    test, from the ratios of neighbouring terms (scipy takes longer to load than all else here).
    """
    if not number or share >= 1:
        return 1.0
    before = np.arange(cases)
    ratios = np.log((cases - before) / (before + 1) * (share / (1 - share)))
    logarithms = cases * math.log1p(-share) + np.cumsum(ratios)  # of exactly 1, 2 ... cases
    return min(1.0, float(np.exp(logarithms[number - 1 :]).sum()))
