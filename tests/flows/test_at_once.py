"""Four schedulers that start the same batch at once score each case once."""

import shutil
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from repository import ROOT

KEPT = ROOT / "tests" / "kept" / "workspace-226f31c.zip"
BUNDLE = "b-381c6ffa29ea"
AT_ONCE, CASES = 4, 8


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
def test_four_flows_at_once_score_each_case_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.score import score
    from mmdiag.phantom import write_phantom

    workspace = tmp_path / "w"
    with zipfile.ZipFile(KEPT) as archive:
        archive.extractall(workspace)
    monkeypatch.setenv("MMDIAG_LEDGER", f"sqlite:///{workspace / 'ledger.db'}")
    monkeypatch.setenv("MMDIAG_WORKSPACE", str(workspace))
    cohort = write_phantom_like_the_kept_one(tmp_path / "c", write_phantom)

    def one(number: int) -> dict[str, Any]:
        out = tmp_path / f"{number}.parquet"
        return score(cohort, workspace, bundle=workspace / "bundles" / BUNDLE, out=out)

    with ThreadPoolExecutor(AT_ONCE) as schedulers:
        answers = list(schedulers.map(one, range(AT_ONCE)))
    assert sorted(answer["scored"] for answer in answers) == [0, 0, 0, CASES]
    assert sum(answer["already_scored"] for answer in answers) == CASES * (AT_ONCE - 1)
    scored = [pd.read_parquet(tmp_path / f"{number}.parquet") for number in range(AT_ONCE)]
    assert all(sorted(table["case_id"]) == sorted(scored[0]["case_id"]) for table in scored)
    assert len(set(scored[0]["case_id"])) == len(scored[0]) == CASES


def write_phantom_like_the_kept_one(folder: Path, write: Any) -> Path:
    """New cases for the kept model; gives their cohort.toml."""
    write(folder, cases=CASES, seed=77)
    shutil.rmtree(folder / "truth")
    return folder / "cohort.toml"
