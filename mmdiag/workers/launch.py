"""One fit by several processes of this machine: started by torchrun, joined by Ignite; gloo on
CPUs, NCCL on GPUs.

python -m torch.distributed.run --standalone --nproc-per-node 2 -m mmdiag.workers.launch RUN_FOLDER
FIT
"""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmdiag.errors import UsageError
from mmdiag.experiment.fit import fit as fit_here
from mmdiag.experiment.fit_id import FitId
from mmdiag.experiment.run import Run, open_data
from mmdiag.failures import StepFailed, redact
from mmdiag.progress import Progress
from mmdiag.sandbox.parent import end_with_parent, own_modules


def fit(run: Run, name: FitId, processes: int, progress: Progress | None = None) -> None:
    """Fit one model of a run by several processes; does what `mmdiag.experiment.fit.fit` does.

    Args:
        processes: At least 2; on a machine with GPUs at most their number.

    Raises:
        UsageError: There are fewer GPUs than processes.
        StepFailed: One of the processes failed.
    """
    if run.done(name):
        return
    _check_devices(processes)
    # features are made and stored once, before several processes look for them
    open_data(run, name.fold)
    failed = ""
    with _torchrun(run.folder, str(name), processes, run.workspace.logs) as lines:
        for line in lines:
            message = json.loads(line)
            failed = failed or message.get("failed", "")
            if progress is not None and "done" in message:
                progress(message["done"], message["of"], message["text"])
    if failed or not run.done(name):
        raise StepFailed(
            failed
            or "Every process of a fit must end by itself, one did not: see training.log in "
            f"{run.workspace.logs}, and run again."
        )


@contextmanager
def _torchrun(folder: Path, name: str, processes: int, logs: Path) -> Iterator[Iterator[str]]:
    """Start the processes, give the lines that they write, and end them with this one, however it
    ends.
    """
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--local-addr=127.0.0.1",
        f"--nproc-per-node={processes}",
    ]
    environment = {
        "OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // processes)),
        "GLOO_SOCKET_IFNAME": "lo",
        **os.environ,
        **own_modules(),
    }
    logs.mkdir(parents=True, exist_ok=True)
    with (logs / "training.log").open("ab") as log:
        process = subprocess.Popen(
            [*command, "-m", "mmdiag.workers.launch", str(folder), name],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environment,
            preexec_fn=end_with_parent if sys.platform == "linux" else None,
        )
    try:
        yield (line for line in process.stdout or () if line.startswith("{"))
        process.wait()
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
        if process.stdout:
            process.stdout.close()


def _check_devices(processes: int) -> None:
    import torch

    found = torch.cuda.device_count()
    if found and processes > found:
        raise UsageError(
            f"Every process needs a GPU of its own, {processes} were asked for and {found} are "
            "here: lower --processes."
        )


def _work(_: int, folder: str, name: str) -> None:
    """What each process does: the same fit, of which it takes its share; the first one writes how
    far it is.
    """
    from mmdiag.training.collectives import rank_and_world_size

    def emit_if_first(done: int, of: int, text: str) -> None:
        if not rank_and_world_size()[0]:
            _emit(done=done, of=of, text=text)

    fit_here(Run.open(Path(folder)), FitId.parse(name), progress=emit_if_first)


def _emit(**facts: object) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def main(folder: str, name: str) -> int:
    """One of the processes that torchrun starts."""
    import torch
    from ignite.distributed.launcher import Parallel

    if sys.platform == "linux":
        end_with_parent()
    logging.getLogger("ignite").setLevel(logging.WARNING)
    try:
        parallel = Parallel(backend="nccl" if torch.cuda.is_available() else "gloo")
        with parallel:
            parallel.run(_work, folder, name)
    except Exception as error:  # noqa: BLE001 - a process boundary; no value is shown
        _emit(failed=str(redact(error, Run.open(Path(folder)).workspace.logs)))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
