"""Progress on stderr: a bar a stage in a terminal, a line a stage elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

Report = Callable[..., None]


@contextmanager
def stages() -> Iterator[Report]:
    """Give a function `report(stage, done, total, detail="")` that draws how far each stage is."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(console)
        return
    columns = (
        TextColumn("{task.description:>12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[detail]}"),
    )
    with Progress(*columns, console=console) as progress:
        yield _bars(progress)


def _bars(progress: Progress) -> Report:
    tasks: dict[str, TaskID] = {}

    def report(stage: str, done: int, total: int, detail: str = "") -> None:
        if stage not in tasks:
            tasks[stage] = progress.add_task(stage, total=total, detail=detail)
        progress.update(tasks[stage], completed=done, total=total, detail=detail)

    return report


def _lines(console: Console) -> Report:
    began: dict[str, float] = {}

    def report(stage: str, done: int, total: int, detail: str = "") -> None:
        began.setdefault(stage, time.monotonic())
        if done >= total:
            seconds = time.monotonic() - began[stage]
            console.print(
                f"{stage}: {done} of {total}, {seconds:.0f} s{', ' + detail if detail else ''}",
                highlight=False,
            )

    return report
