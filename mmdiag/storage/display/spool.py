"""Display stacks of a shard while its sources are read: each goes to the disk as it comes, into a
file without a name, so that memory holds one and a killed ingestion leaves nothing.
"""

import json
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import pandas as pd
from jaxtyping import UInt8
from numpy import ndarray

from mmdiag.storage.display.stack import CONTENT, INDEX

Key = tuple[str, str]  # case and modality


class DisplaySpool:
    """What was read so far.

    Args:
        folder: Of the disk on which the shard will lie.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, IO[bytes]] = {}
        self._kept: dict[Key, tuple[int, int, Mapping[str, Any]]] = {}

    def __enter__(self) -> "DisplaySpool":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for file in self._files.values():
            file.close()

    def keep(
        self, case_id: str, modality: str, facts: Mapping[str, Any], content: UInt8[ndarray, "byte"]
    ) -> None:
        """Take the encoded slices of one image."""
        if modality not in self._files:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._files[modality] = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115
        file = self._files[modality]
        self._kept[case_id, modality] = (file.tell(), len(content), facts)
        file.write(content.data)

    def write(self, shard: Path, versions: Mapping[str, str], accepted: Iterable[Key]) -> None:
        """Write the stacks of the images that were accepted, and the list of them.

        Args:
            shard: Folder that is being written.
            versions: Case -> version.
        """
        rows, ends = [], dict.fromkeys(self._files, 0)
        for case_id, modality in accepted:
            if (case_id, modality) not in self._kept:
                continue
            start, length, facts = self._kept[case_id, modality]
            source = self._files[modality]
            source.seek(start)
            with (shard / f"{modality}{CONTENT}").open("ab") as file:
                _copy(source, file, length)
            rows.append(
                {
                    "case_id": case_id,
                    "version": versions[case_id],
                    "modality": modality,
                    "start": ends[modality],
                    "facts": json.dumps(facts, allow_nan=False),
                }
            )
            ends[modality] += length
        if rows:
            pd.DataFrame(rows).to_parquet(shard / INDEX, index=False)


def _copy(source: IO[bytes], target: IO[bytes], length: int) -> None:
    """The next bytes of a file, into another."""
    while length:
        content = source.read(min(length, 2**20))
        target.write(content)
        length -= len(content)
