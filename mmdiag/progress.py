"""`Progress`: how a step that takes long says how far it is; the same in every package."""

from collections.abc import Callable

# (done, total, message): how many of `total` units are finished, and one line on the last of them;
# it is called from the thread that works, and names no patient
Progress = Callable[[int, int, str], None]
