"""The randomness of an epoch."""

import torch


def begin_randomness(seed: int) -> None:
    """What `torch.manual_seed` does. Without a GPU torch keeps each call and its stack for the day
    on which there is one; an epoch of a small network costs less without.
    """
    if torch.cuda.is_available():
        torch.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)
