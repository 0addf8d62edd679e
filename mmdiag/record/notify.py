"""`MMDIAG_NOTIFY=COMMAND`: somebody is told where a night failed, a decision is held, or a batch is
unlike the training.
"""

import json
import os
import shlex
import subprocess
from collections.abc import Mapping

VARIABLE = "MMDIAG_NOTIFY"
TIMEOUT_S = 60
FAILED, HELD, UNLIKE = KINDS = ("failed", "held", "unlike")


def notify(kind: str, cohort: str, counts: Mapping[str, int | float | str]) -> bool | None:
    """Run the command that MMDIAG_NOTIFY names, without a shell, with one JSON document on stdin:
    `kind`, `cohort`, `counts`. What it says and whether it fails changes nothing here.

    Args:
        kind: `failed`, `held` or `unlike`.
        counts: Numbers and names of the machine; no patient's value.

    Returns:
        Whether it ended well; None where nobody is to be told.
    """
    command = shlex.split(os.environ.get(VARIABLE, ""))
    if not command:
        return None
    document = json.dumps({"kind": kind, "cohort": cohort, "counts": dict(counts)})
    try:
        done = subprocess.run(  # the operator's own command
            command,
            input=document.encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
