"""The processes of one training: their number, what they add up and what they gather from each
other. In one process nothing here does anything.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn


def rank_and_world_size() -> tuple[int, int]:
    """This process's number, and how many there are."""
    if not _several():
        return 0, 1
    import ignite.distributed as idist

    return idist.get_rank(), idist.get_world_size()


def training_device() -> torch.device:
    """What this process computes on."""
    if _several():
        import ignite.distributed as idist

        return torch.device(idist.device())
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def wrap_ddp(model: nn.Module) -> nn.Module:
    """The model, whose gradients are averaged over all processes as they come."""
    if not _several():
        return model
    import ignite.distributed as idist

    # a branch that no case of a batch has gets no gradient
    network: nn.Module = idist.auto_model(model, find_unused_parameters=True)
    return network


def mean_over_ranks(value: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The mean over processes of a sum that each has a part of."""
    return all_reduce_sum(value) / rank_and_world_size()[1]


def all_reduce_sum(value: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The sum over all processes."""
    if not _several():
        return value
    import ignite.distributed as idist

    return torch.as_tensor(idist.all_reduce(value.detach().clone()))


def all_gather(rows: Float[Tensor, "own column"]) -> Float[Tensor, "all column"]:
    """The rows of all processes, one process after another."""
    if not _several():
        return rows
    import ignite.distributed as idist

    own = torch.tensor([len(rows)], device=rows.device)
    numbers = [int(number) for number in torch.as_tensor(idist.all_gather(own)).flatten()]
    padded = torch.cat([rows, rows.new_zeros((max(numbers) - len(rows), rows.shape[1]))])
    parts = torch.as_tensor(idist.all_gather(padded)).view(len(numbers), max(numbers), -1)
    return torch.cat([part[:number] for part, number in zip(parts, numbers, strict=True)])


def _several() -> bool:
    return (
        torch.distributed.is_available()
        and torch.distributed.is_initialized()
        and torch.distributed.get_world_size() > 1
    )
