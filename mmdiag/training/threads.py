"""Threads of a computation: on stored features a step takes microseconds, and waking other threads
costs more than they bring.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread(*, when: bool = True) -> Iterator[None]:
    """Compute on one thread for a while; on a busy machine a small step is many times faster so."""
    before = torch.get_num_threads()
    if when:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
