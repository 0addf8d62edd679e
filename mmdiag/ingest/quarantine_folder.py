"""The quarantine as files: what was refused, why, and what to do about it."""

import shutil
from pathlib import Path

import pandas as pd

from mmdiag.workspace import write_text


def show_quarantine(folder: Path, quarantine: pd.DataFrame) -> None:
    """A folder view of what is refused: `<code>/<case>[.<modality>].txt` with rule, fact and cure;
    what is no longer refused goes.
    """
    wanted: dict[Path, str] = {}
    for row in quarantine.to_dict("records"):
        name = (
            f"{row['case_id']}.{row['modality']}.txt"
            if row["modality"]
            else f"{row['case_id']}.txt"
        )
        lines = (
            f"case: {row['case_id']}",
            f"modality: {row['modality'] or 'the whole case'}",
            f"code: {row['code']}",
            f"rule: {row['rule']}",
        )
        wanted[folder / str(row["code"]) / name] = "\n".join(
            (*lines, f"fact: {row['detail'] or 'see the code'}", f"cure: {row['cure']}", "")
        )
    for old in folder.glob("*/*.txt"):
        if old not in wanted:
            old.unlink()
    for path, text in wanted.items():
        if not path.is_file() or path.read_text() != text:
            write_text(path, text)
    for code in folder.glob("*"):
        if code.is_dir() and not any(code.iterdir()):
            shutil.rmtree(code)
