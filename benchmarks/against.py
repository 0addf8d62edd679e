"""What reading, or the whole ingestion of a cohort, costs beside another checkout, such as a `git
worktree` of an earlier commit, by processor time, so that others on the machine count little.

The same reading as in reading.py, each checkout in a process of its own, a few files in turn; of
the sandbox it is the time of all its processes. With --cohort the ingestion of a described cohort
instead, here and there in turn, each into a workspace of its own: the processor time of all
processes and the bytes on the disk, a case.

python benchmarks/against.py FOLDER [--rounds 40] [--json]
python benchmarks/against.py FOLDER --cohort cohort.toml [--rounds 3] [--json]
"""

import argparse
import inspect
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from reading import KINDS, write_requests

from mmdiag.sandbox.pool import KEEP_MEMORY

MOST_SLOWER = 1.05  # of the processor time of another checkout
MOST_SLOWER_COHORT = 1.15  # of a whole ingestion
ROOT = Path(__file__).parent.parent


def measure_against(folder: Path, kind: str, other: Path, rounds: int) -> dict[str, Any]:
    """Milliseconds of processor time a file, in the reader alone and in all of the sandbox, here
    and in another checkout, and their ratio: the median of the pairs, with its quartiles.
    """
    requests, found = write_requests(folder, kind), {}
    few = max(1, len(requests) // 4)
    parts = [requests[n : n + few] for n in range(0, len(requests), few)]
    sides = {"here": _answering(ROOT), "there": _answering(other)}
    for way in ("reader", "sandbox"):
        pairs = []
        for number in range(rounds + 1):
            for part in parts:
                order = list(sides) if number % 2 else list(sides)[::-1]
                taken = {name: _ask(sides[name], way, part) for name in order}
                if number and None not in taken.values():  # the first round warms caches
                    files = sum(len(request["files"]) for request in part)
                    pairs.append({name: 1e3 * float(t or 0) / files for name, t in taken.items()})
        ratios = statistics.quantiles([pair["here"] / pair["there"] for pair in pairs], n=4)
        found[way] = {
            **{f"{name}_ms": statistics.median(pair[name] for pair in pairs) for name in sides},
            "ratio": ratios[1],
            "lower": ratios[0],
            "upper": ratios[2],
            "pairs": len(pairs),
        }
    for process in sides.values():
        process.communicate()
    return found


def _answering(checkout: Path) -> "subprocess.Popen[str]":
    """A process that reads by the code of a checkout."""
    single = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    return subprocess.Popen(
        [sys.executable, "-P", "-c", inspect.getsource(answer) + "\nanswer()\n"],
        cwd=checkout,
        env={**os.environ, **single, **KEEP_MEMORY, "PYTHONPATH": str(checkout.resolve())},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _ask(process: "subprocess.Popen[str]", way: str, part: list[dict[str, Any]]) -> float | None:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(json.dumps([way, part]) + "\n")
    process.stdin.flush()
    taken: float | None = json.loads(process.stdout.readline())
    return taken


def answer() -> None:
    """Read what each line asks for, and answer with the seconds of processor time; null where a
    worker was replaced meanwhile. Runs as a program of its own, by the code of any checkout.
    """
    import importlib
    import json
    import os
    import sys
    import time
    from pathlib import Path

    cv2 = importlib.import_module("cv2")
    cv2.setNumThreads(1)
    reading, pools, name = "mmdiag.sandbox.requests", "mmdiag.sandbox.pool", "image"
    if not Path("mmdiag", "sandbox").exists():  # an old checkout
        reading, pools = "mmdiag.readers.sources", "mmdiag.readers.sandbox"
        name = f"{reading}:image"
    read = importlib.import_module(reading).image
    pool = importlib.import_module(pools).Sandbox(1)

    def children(process: int) -> set[int]:
        found = [file.read_text() for file in Path(f"/proc/{process}/task").glob("*/children")]
        below = {int(child) for text in found for child in text.split()}
        return below.union(*map(children, below))

    def spent(processes: set[int]) -> float:
        texts = [Path(f"/proc/{process}/schedstat").read_text() for process in processes]
        return time.process_time() + sum(int(text.split()[0]) for text in texts) / 1e9

    for line in sys.stdin:
        way, requests = json.loads(line)
        if way == "reader":
            began = time.process_time()
            for request in requests:
                read(**request)
            taken = time.process_time() - began
        else:
            [outcome.value() for outcome in pool.map(name, requests[:1])]
            workers = children(os.getpid())
            began = spent(workers)
            [outcome.value() for outcome in pool.map(name, requests)]
            same = children(os.getpid()) == workers
            taken = spent(workers) - began if same else None
        print(json.dumps(taken), flush=True)
    pool.close()


def measure_cohort(cohort: Path, other: Path, rounds: int) -> dict[str, Any]:
    """Seconds of processor time and bytes a case of ingesting a cohort, here and in another
    checkout, the medians; and the median of the ratios.
    """
    sides, found = {"here": ROOT, "there": other.resolve()}, []
    single = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    for number in range(rounds):
        pair = {}
        for name in list(sides)[:: 1 if number % 2 else -1]:
            done = subprocess.run(
                [sys.executable, "-P", "-c", inspect.getsource(ingest_once) + "\ningest_once()\n"],
                cwd=sides[name],
                env={**os.environ, **single, **KEEP_MEMORY, "PYTHONPATH": str(sides[name])},
                input=str(cohort.resolve()),
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            pair[name] = json.loads(done.stdout)
        found.append(pair)
    middle = {
        f"{name}_{what}": statistics.median(pair[name][what] for pair in found)
        for name in sides
        for what in ("seconds", "bytes")
    }
    ratio = statistics.median(pair["here"]["seconds"] / pair["there"]["seconds"] for pair in found)
    return {"cases": found[0]["here"]["cases"], **middle, "ratio": ratio, "rounds": rounds}


def ingest_once() -> None:
    """Ingest the cohort that is named on the first line into a workspace of its own. Runs as a
    program of its own, by the code of any checkout.
    """
    import json
    import os
    import sys
    import tempfile
    import time
    from pathlib import Path

    from mmdiag import api
    from mmdiag.description import read_description
    from mmdiag.sandbox.pool import shared_sandbox
    from mmdiag.storage.ledger import Ledger
    from mmdiag.workspace import Workspace

    def children(process: int) -> set[int]:
        found = [file.read_text() for file in Path(f"/proc/{process}/task").glob("*/children")]
        below = {int(child) for text in found for child in text.split()}
        return below.union(*map(children, below))

    def spent() -> float:
        texts = [Path(f"/proc/{one}/schedstat").read_text() for one in children(os.getpid())]
        return time.process_time() + sum(int(text.split()[0]) for text in texts) / 1e9

    cohort = sys.stdin.readline().strip()
    description = read_description(Path(cohort))
    shared_sandbox().call("note_verdict", file=cohort)  # the workers are there
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder))
        began = spent()
        found = api.ingest(description, workspace, Ledger(workspace.ledger_url))
        seconds = spent() - began
        size = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
    print(json.dumps({"seconds": seconds, "bytes": size, "cases": found["cases"]["in"]}))


def main() -> int:
    """Measure, print, and say by the exit code whether this checkout is no slower."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="another checkout")
    parser.add_argument("--cohort", type=Path, help="what is ingested as a whole")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    if not (asked.folder / "mmdiag" / "__init__.py").exists():
        parser.error(f"FOLDER holds mmdiag/, {asked.folder} does not: try git worktree add.")
    if asked.cohort:
        return _of_cohort(asked.cohort, asked.folder, asked.rounds, asked.json)
    return _of_reading(asked.folder, asked.rounds, asked.json)


def _of_reading(other: Path, rounds: int, as_json: bool) -> int:
    with tempfile.TemporaryDirectory() as folder:
        found = {kind: measure_against(Path(folder), kind, other, rounds) for kind in KINDS}
    if as_json:
        print(json.dumps({"benchmark": "against", "reading": found}))
    else:
        for kind, ways in found.items():
            for way, row in ways.items():
                print(
                    f"{kind}, {way}: {row['here_ms']:.3f} ms of processor time a file, there "
                    f"{row['there_ms']:.3f}: {row['ratio']:.3f} of it (quartiles "
                    f"{row['lower']:.3f} and {row['upper']:.3f} of {row['pairs']} pairs; "
                    f"at most {MOST_SLOWER})"
                )
    return int(any(ways["sandbox"]["ratio"] > MOST_SLOWER for ways in found.values()))


def _of_cohort(cohort: Path, other: Path, rounds: int, as_json: bool) -> int:
    found = measure_cohort(cohort, other, rounds)
    if as_json:
        print(json.dumps({"benchmark": "against", "cohort": str(cohort), **found}))
    else:
        cases = found["cases"]
        print(
            f"{cohort.name}, {cases} cases: {1e3 * found['here_seconds'] / cases:.0f} ms of "
            f"processor time a case, there {1e3 * found['there_seconds'] / cases:.0f}: "
            f"{found['ratio']:.2f} of it (at most {MOST_SLOWER_COHORT}); "
            f"{found['here_bytes'] / cases / 1e6:.2f} MB a case, there "
            f"{found['there_bytes'] / cases / 1e6:.2f}"
        )
    return int(found["ratio"] > MOST_SLOWER_COHORT)


if __name__ == "__main__":
    sys.exit(main())
