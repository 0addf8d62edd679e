"""What work costs in processor time: a busy machine lengthens the clock's time, not this."""

import time
from collections.abc import Callable

TIMES = 4  # how much larger the larger input is: work in proportion costs 4 times as much, ...
MOST = 8  # ... work with the square 16 times; between the two


def seconds_of(work: Callable[[], object]) -> float:
    """Processor time of this process in a call."""
    began = time.process_time()
    work()
    return time.process_time() - began


def grows_in_proportion(work: Callable[[int], object], size: int, *, tries: int = 5) -> bool:
    """Whether an input of `size` costs about 4 times one of a fourth of it, rather than 16 times;
    the least of several tries counts, because others may have emptied the caches.
    """
    work(size // TIMES)  # what is made once is made before anything is measured
    small = min(seconds_of(lambda: work(size // TIMES)) for _ in range(3))
    return any(seconds_of(lambda: work(size)) < MOST * small for _ in range(tries))
