"""Small cohorts of embeddings that tell the label, as another program would have left them."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

WIDTH = 12
MADE = 'encoder = "made-up-encoder"\nrevision = "1"\nlicence = "MIT"\n'


def bags(cases: int, width: int = WIDTH) -> dict[str, np.ndarray]:
    """Case -> its vectors, one or a few; odd cases lie elsewhere in two of the numbers."""
    rng = np.random.default_rng(0)
    found = {}
    for number in range(cases):
        values = rng.normal(size=(1 if number % 3 == 0 else int(rng.integers(2, 6)), width))
        values[:, :2] += 2.5 * (number % 2)
        found[f"e{number:03d}"] = values.astype(np.float32)
    return found


def write_embedded(folder: Path, cases: int = 24, *, shared: bool = False, **more: str) -> Path:
    """A cohort of embeddings and a table of one number.

    Args:
        shared: Whether all lie in one Parquet; else a .npy each.
        more: `made`, `section` and `cohort`: lines of the description.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = bags(cases)
    rows = [f"{case},{number % 2},{number / 10}" for number, case in enumerate(found)]
    (folder / "cases.csv").write_text("\n".join(["id,label,x", *rows]) + "\n")
    if shared:
        write_shared(folder / "emb.parquet", found)
    else:
        (folder / "emb").mkdir(exist_ok=True)
        for case, values in found.items():  # a bag of one as a vector
            np.save(folder / "emb" / f"{case}.npy", values if len(values) > 1 else values[0])
    where = 'path = "emb.parquet"\nkey = "id"\n' if shared else 'path = "emb/{id}.npy"\n'
    (folder / "cohort.toml").write_text(
        f'[cohort]\nname = "slides"\n{more.get("cohort", "")}\n[cases]\ntable = "cases.csv"\n'
        'case_id = "id"\n[task]\nlabel = "label"\npositive = "1"\n'
        f'[modalities.slide]\nkind = "embedding"\n{where}{more.get("made", MADE)}'
        f"{more.get('section', '')}\n"
        '[modalities.lab]\nkind = "table"\npath = "cases.csv"\nkey = "id"\ncolumns = ["x"]\n'
    )
    return folder / "cohort.toml"


def write_shared(file: Path, found: dict[str, np.ndarray]) -> None:
    """One Parquet of all cases, a vector a row."""
    keys = [case for case, values in found.items() for _ in values]
    cells = [row.tolist() for values in found.values() for row in values]
    parquet.write_table(pa.table({"id": keys, "v": pa.array(cells, pa.list_(pa.float32()))}), file)
