"""The form of a network without its content: names, shapes and precisions of its weights."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

# what a constructor does with a tensor that leaves its form as it is
FILLED: tuple[Any, ...] = (Tensor.normal_, Tensor.uniform_, nn.init.normal_, nn.init.uniform_)
SCALED: tuple[Any, ...] = (
    *(Tensor.__rmul__, Tensor.__mul__, Tensor.mul),
    *(Tensor.__truediv__, Tensor.div),
)


class _Undrawn(TorchFunctionMode):
    """Random numbers are neither drawn nor scaled: for tensors without content torch loads its
    compiler to do so, which takes longer than all else of a bundle.
    """

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        options = kwargs or {}
        if function is torch.randn:
            return torch.empty(*args, **options)
        if function in FILLED:
            return args[0] if args else options["tensor"]
        if function in SCALED and isinstance(args[1], int | float):
            return args[0]
        return function(*args, **options)


def form_of(make: Callable[[], nn.Module]) -> dict[str, Tensor]:
    """The state of the network that `make` makes, on tensors that take no memory."""
    with torch.device("meta"), torch.random.fork_rng(), _Undrawn():
        return make().state_dict()
