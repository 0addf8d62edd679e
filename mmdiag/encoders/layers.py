"""The layers of an encoder that begins pretrained, from its output down: frozen in a linear
probe, then learning the slower the deeper they lie.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

from torch import nn

Layers = Sequence[Sequence[nn.Parameter]]
POOLER = "pooler"  # of BERT and its kin: a map on top that is never asked


@runtime_checkable
class HoldsNetwork(Protocol):
    """An encoder that holds a network, and says whether that begins pretrained."""

    network: nn.Module
    pretrained: bool


def pretrained_layers(encoder: nn.Module, *, whole: bool = False) -> list[list[nn.Parameter]]:
    """The layers of an encoder that begin pretrained, the topmost first; none where it begins at
    random.

    Args:
        whole: Whether all of it was pretrained, and not only the network that it may hold.
    """
    holds = isinstance(encoder, HoldsNetwork) and (whole or encoder.pretrained)
    below = (
        layers_from_the_top(encoder.network) if holds and isinstance(encoder, HoldsNetwork) else []
    )
    inside = {id(parameter) for layer in below for parameter in layer}
    outside = (
        [parameter for parameter in encoder.parameters() if id(parameter) not in inside]
        if whole
        else []
    )
    return [outside, *below] if outside else below


def layers_from_the_top(network: nn.Module) -> list[list[nn.Parameter]]:
    """The parameters of a network in its layers, the topmost first.

    A layer is an element of a list of blocks, else a direct part of the network. What has no matrix
    of its own (a norm), and a pooler, belong to the layer
    before them. Networks name their parts in the order in which they are passed.
    """
    named = list(network.named_parameters())
    while len({name.split(".", 1)[0] for name, _ in named}) == 1 and all(
        "." in name for name, _ in named
    ):
        named = [(name.split(".", 1)[1], parameter) for name, parameter in named]
    by_name: dict[str, list[nn.Parameter]] = {}
    for name, parameter in named:
        by_name.setdefault(_layer_of(name), []).append(parameter)
    layers: list[list[nn.Parameter]] = []
    for name, parameters in by_name.items():
        own = name != POOLER and any(parameter.ndim > 1 for parameter in parameters)
        if own or not layers:
            layers.append(parameters)
        else:
            layers[-1] += parameters
    return layers[::-1]


def freeze(layers: Layers, frozen: bool) -> None:
    """Keep layers as they are, or let them learn."""
    for layer in layers:
        for parameter in layer:
            parameter.requires_grad_(not frozen)


def keep_pretrained_state(network: nn.Module) -> None:
    """Put a pretrained network that was switched to training back where a few cases would only
    spoil it.

    A frozen network stays in evaluation as a whole; else every batch normalisation
    keeps its pretrained means and deviations.
    """
    if not any(parameter.requires_grad for parameter in network.parameters()):
        network.eval()
    for part in network.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.eval()


def depths(stacks: Iterable[Layers]) -> dict[int, int]:
    """How far below the top each pretrained parameter lies, by its `id`; those of several encoders
    side by side.
    """
    return {
        id(parameter): depth
        for layers in stacks
        for depth, layer in enumerate(layers)
        for parameter in layer
    }


def _layer_of(name: str) -> str:
    parts = name.split(".")
    block = next((number for number, part in enumerate(parts) if part.isdigit()), 0)
    return ".".join(parts[: block + 1])
