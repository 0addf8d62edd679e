"""Checkpoints of a training: one after every epoch, the last two kept, each whole or not there;
safetensors with JSON in its header, no pickle.
"""

import json
import zlib
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mmdiag.workspace import atomic_path

KEPT = 2


class Checkpoints:
    """The checkpoints in a folder. A thread writes them, so that nothing waits for the disk.

    The writing of an epoch ends before that of the next begins: a training that is killed at any
    moment repeats at most one complete epoch.

    Args:
        folder: Where they lie.
        owner: What a checkpoint has to be of; one of another configuration is no beginning for this
            training.
        writes: Whether this process writes; with several, one does.
    """

    def __init__(self, folder: Path, owner: str, *, writes: bool = True) -> None:
        self.folder, self.owner, self.writes = folder, owner, writes
        self._thread = ThreadPoolExecutor(1)
        self._writing: Future[None] | None = None

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._thread.shutdown(wait=True)
        if self._writing is not None and kind is None:
            self._writing.result()

    def save(
        self, epoch: int, tensors: Mapping[str, Mapping[str, Tensor]], facts: Mapping[str, Any]
    ) -> None:
        """Keep the state after an epoch.

        Args:
            tensors: Groups of named tensors.
            facts: What JSON holds.
        """
        if not self.writes:
            return
        if self._writing is not None:
            self._writing.result()
        packed = {
            f"{group}.{kind}": values
            for group, named in tensors.items()
            for kind, values in _pack(named).items()
        }
        self._writing = self._thread.submit(
            self._write, epoch, packed, json.dumps({"owner": self.owner, "epoch": epoch, **facts})
        )

    def last(
        self, like: Mapping[str, Mapping[str, Tensor]]
    ) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]] | None:
        """The newest state that is whole and this training's own; None = begin at the beginning.

        Args:
            like: Tensors of the names, shapes and kinds that are wanted, in groups.
        """
        for path in sorted(self.folder.glob("checkpoint-*.safetensors"), reverse=True):
            try:
                with safe_open(path, "pt") as file:
                    packed = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                    text = file.metadata()["facts"]
            except (SafetensorError, OSError, ValueError, KeyError, TypeError):  # torn or empty
                continue
            if path.stem.rsplit("-", 1)[-1] != _digest(packed, text):
                continue
            facts = json.loads(text)
            if facts["owner"] == self.owner:
                groups = {
                    group: {
                        kind.split(".", 1)[1]: v
                        for kind, v in packed.items()
                        if kind.startswith(f"{group}.")
                    }
                    for group in like
                }
                return {
                    group: _unpack(groups[group], named) for group, named in like.items()
                }, facts
        return None

    def clear(self) -> None:
        """Remove them, once what they led to is safe."""
        if self.writes:
            _remove(self.folder.glob("checkpoint*"))
            _remove(self.folder.glob(".checkpoint*.tmp"))

    def _write(self, epoch: int, packed: Mapping[str, Tensor], facts: str) -> None:
        with atomic_path(
            self.folder / f"checkpoint-{epoch:05d}-{_digest(packed, facts)}.safetensors"
        ) as temporary:
            save_file(dict(packed), temporary, {"facts": facts})
        _remove(sorted(self.folder.glob("checkpoint-*.safetensors"))[:-KEPT])


def moments_of(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The moments of AdamW by the number of their parameter: zero, as at their beginning, where no
    gradient ever came.
    """
    moments: dict[str, Tensor] = {}
    for number, parameter in enumerate(
        p for group in optimizer.param_groups for p in group["params"]
    ):
        state = optimizer.state.get(parameter) or {
            "step": torch.zeros(()),
            "exp_avg": torch.zeros_like(parameter),
            "exp_avg_sq": torch.zeros_like(parameter),
        }
        moments |= {f"{number}.{name}": value for name, value in state.items()}
    return moments


def restore_optimizer(
    optimizer: torch.optim.Optimizer,
    moments: Mapping[str, Tensor],
    groups: Iterable[Mapping[str, Any]],
) -> None:
    """Put an optimiser back to where `moments_of`, and the groups of its state, were taken."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in moments.items():
        number, name = key.split(".", 1)
        state.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": list(groups)})


def _pack(named: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """All tensors of a kind end to end: one long tensor is written many times faster than a hundred
    short ones.
    """
    by_kind: dict[str, list[Tensor]] = {}
    for tensor in named.values():
        by_kind.setdefault(str(tensor.dtype).removeprefix("torch."), []).append(
            tensor.detach().reshape(-1).cpu()
        )
    return {kind: torch.cat(parts) for kind, parts in by_kind.items()}


def _unpack(packed: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    start = dict.fromkeys(packed, 0)
    found = {}
    for name, tensor in like.items():
        kind = str(tensor.dtype).removeprefix("torch.")
        found[name] = (
            packed[kind][start[kind] : start[kind] + tensor.numel()].view(tensor.shape).clone()
        )
        start[kind] += tensor.numel()
    return found


def _digest(packed: Mapping[str, Tensor], facts: str) -> str:
    """Tells a file that was changed on the disk; nobody is kept from changing it on purpose."""
    found = zlib.crc32(facts.encode())
    for name in sorted(packed):
        found = zlib.crc32(packed[name].numpy().data, found)
    return f"{found:08x}"


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
