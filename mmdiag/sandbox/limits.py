"""What tables are given beyond what any file is, by their size on the disk: a large one is read, a
small one that swells is not.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from mmdiag.errors import ReadError
from mmdiag.regular_files import require_regular

# Suffixes of files whose size says little of what is in them
COMPRESSED = (".gz", ".bgz", ".parquet", ".h5ad", ".zip", ".xlsx", ".ods", ".docx")
# for each MB on the disk, (plain, compressed); hashing the rows of 150 MB takes 30 s and 1.5 GB
SECONDS = (1.0, 10.0)
MEGABYTES = (16.0, 64.0)
SHARE = 0.75  # of the machine's memory, that no table may take more of
LITTLE = 64  # MB that are not worth a worker of its own
CELLS, CELLS_A_BYTE = 2**24, 8  # of text, that come back from a worker


def allowance(files: Iterable[Path]) -> tuple[float, int]:
    """Seconds of computing and MB of memory that some tables are given beyond those of one file."""
    seconds = megabytes = 0.0
    for file in files:
        size = file.stat().st_size / 2**20
        kind = int(file.name.lower().endswith(COMPRESSED))
        seconds += SECONDS[kind] * size
        megabytes += MEGABYTES[kind] * size
    most = SHARE * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**20
    return seconds, 0 if megabytes <= LITTLE else int(min(megabytes, most))


def require_regular_files(files: Iterable[Path]) -> None:
    """Refuse what is no regular file. Raises as `regular_files.require_regular`."""
    for file in files:
        require_regular(file)


def require_few_cells(cells: int, files: Iterable[Path]) -> None:
    """Refuse to hand on more cells of text than the size of their tables can account for.

    Raises:
        ReadError: `too_large`.
    """
    paths = list(files)
    if cells > max(CELLS, CELLS_A_BYTE * sum(file.stat().st_size for file in paths)):
        names = ", ".join(file.name for file in paths)
        raise ReadError("too_large", f"{names} has {cells} cells")
