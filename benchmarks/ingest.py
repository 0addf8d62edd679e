"""What reading costs: files a second in the sandbox against the bare file and against MONAI, one
worker against two, and the cost of a case as a cohort grows.

floor      the bare file: read it, find the pixels at its end, average them down to 224 x 224
direct     our reader in this process
sandbox    our reader in a process of its own, as ingestion has it: one request a series or a single
image
MONAI      LoadImage and Resize (area) in a Compose

All on the same generated files in the same run, in interleaved rounds; the median of the rounds.
Cohorts of growing size are notes and table rows, so that
what is measured is the machinery around a case: planning, contracts, shards, commit.

With --against, nothing but the same reading by another checkout, such as a `git worktree` of an
earlier commit: each in a process of its own, a few files in turn, by processor time, so that others
on the machine count little. Of the sandbox it is the time of all its processes.

With --cohort as well, the whole ingestion of a described cohort, here and there in turn, each into
a workspace of its own: the processor time of all processes and the bytes on the disk, a case.

python benchmarks/ingest.py [--json] [--cases 1000 10000 50000]
python benchmarks/ingest.py --against FOLDER [--rounds 40] [--json]
python benchmarks/ingest.py --against FOLDER --cohort cohort.toml [--rounds 3] [--json]
"""

import argparse
import inspect
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from mmdiag.sandbox import requests as sources
from mmdiag.sandbox.pool import KEEP_MEMORY, Sandbox

SIZE, ROUNDS = 224, 7
# rows and columns, files, files of a request
KINDS = {
    "CT series": (512, 96, 24),
    "CT one by one": (512, 96, 1),
    "CR": (2048, 16, 1),
}
ASKED: dict[str, Any] = {"select": {}, "size": SIZE, "window": "auto", "burned_in": "accept"}
LEAST_OF_FLOOR, LEAST_OF_MONAI, MOST_SHARE, MOST_GROWTH = 0.7, 8.0, 0.15, 1.25
MOST_SLOWER = 1.05  # of the processor time of another checkout
MOST_SLOWER_COHORT = 1.15  # of a whole ingestion
IMAGE = "image"
ROOT = Path(__file__).parent.parent


def measure_reading(folder: Path, kind: str, rounds: int = ROUNDS) -> dict[str, float]:
    """Files a second of each way, and their ratios."""
    side, count, _ = KINDS[kind]
    requests = _write_requests(folder, kind)
    files = [Path(file) for request in requests for file in request["files"]]
    one, two = Sandbox(1), Sandbox(2)
    monai = _monai()
    ways: dict[str, Callable[[], object]] = {
        "floor": lambda: [_floor(file, side) for file in files],
        "direct": lambda: [sources.image(**request) for request in requests],
        "sandbox": lambda: [outcome.value() for outcome in one.map(IMAGE, requests)],
        "two_workers": lambda: [outcome.value() for outcome in two.map(IMAGE, requests)],
        "monai": lambda: [monai(str(file)) for file in files[: max(4, count // 8)]],
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, call in ways.items():
            began = time.perf_counter()
            call()
            if number:  # the first round warms caches and starts workers
                taken[name].append(
                    (time.perf_counter() - began)
                    / (max(4, count // 8) if name == "monai" else count)
                )
    one.close()
    two.close()
    second = {name: statistics.median(times) for name, times in taken.items()}
    return {
        **{f"{name}_files_per_s": round(1 / value, 1) for name, value in second.items()},
        "of_floor": round(second["floor"] / second["sandbox"], 3),
        "direct_of_floor": round(second["floor"] / second["direct"], 3),
        "of_monai": round(second["monai"] / second["sandbox"], 1),
        "sandbox_share": round(1 - second["direct"] / second["sandbox"], 3),
        "two_of_one": round(second["sandbox"] / second["two_workers"], 2),
    }


def _write_requests(folder: Path, kind: str) -> list[dict[str, Any]]:
    """The files of a kind, as they are asked for."""
    side, count, together = KINDS[kind]
    files = [
        str(_write_image(folder / f"{kind}{number}.dcm", side, kind[:2], number, together))
        for number in range(count)
    ]
    return [
        {"files": files[n : n + together], "slices": together, **ASKED}
        for n in range(0, count, together)
    ]


def measure_against(folder: Path, kind: str, other: Path, rounds: int) -> dict[str, Any]:
    """Milliseconds of processor time a file, in the reader alone and in all of the sandbox, here
    and in another checkout, and their ratio: the median of the pairs, with its quartiles.
    """
    requests, found = _write_requests(folder, kind), {}
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


def _floor(file: Path, side: int) -> np.ndarray:
    content = file.read_bytes()
    plane = np.frombuffer(content, np.uint16, side * side, len(content) - 2 * side * side).reshape(
        side, side
    )
    return cv2.resize(plane, (SIZE, SIZE), interpolation=cv2.INTER_AREA)


def _monai() -> Callable[[str], object]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from monai.transforms import Compose, EnsureChannelFirst, LoadImage, Resize

    return Compose(
        [
            LoadImage(reader="PydicomReader", image_only=True),
            EnsureChannelFirst(),
            Resize((SIZE, SIZE), mode="area"),
        ]
    )


def _write_image(file: Path, side: int, kind: str, seed: int, together: int) -> Path:
    """An image with a header of ordinary length: a hundred elements, some of them private;
    `together` of them are a series.
    """
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, generate_uid()
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=[f"{seed // together}"])
    dataset.Modality, dataset.StudyDate = kind, "20240101"
    dataset.PatientID, dataset.PatientName = f"p{seed // together}", "Phantom"
    dataset.ImageType, dataset.PixelSpacing = ["ORIGINAL", "PRIMARY"], [0.5, 0.5]
    dataset.ImagePositionPatient = [0, 0, 2 * seed]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.RescaleSlope, dataset.RescaleIntercept = "1", "-1024"
    dataset.Rows = dataset.Columns = side
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    block = dataset.private_block(0x0099, "BENCHMARK", create=True)
    for number in range(75):
        block.add_new(number, "LO", f"a private value {number}")
    smooth = cv2.resize(
        np.random.default_rng(seed).integers(0, 4096, (side // 16, side // 16)).astype(np.float32),
        (side, side),
    )
    dataset.PixelData = np.clip(smooth, 0, 4095).astype(np.uint16).tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.save_as(file, enforce_file_format=True)
    return file


def measure_growth(folder: Path, cases: int) -> dict[str, float]:
    """Milliseconds a case of ingesting a cohort of notes and table rows, of finding nothing new,
    and of ten new cases.
    """
    from mmdiag import api
    from mmdiag.description import read_description
    from mmdiag.storage.ledger import Ledger
    from mmdiag.workspace import Workspace

    home = folder / f"cohort-{cases}"
    _write_cohort(home, cases)
    description = read_description(home / "cohort.toml")
    workspace = Workspace(folder / f"workspace-{cases}")
    ledger = Ledger(workspace.ledger_url)

    def ingest() -> float:
        began = time.perf_counter()
        api.ingest(description, workspace, ledger)
        return time.perf_counter() - began

    first, nothing = ingest(), ingest()
    for number in range(10):
        note = home / "notes" / f"{number:02d}" / f"C{number:06d}.txt"
        note.write_text(note.read_text() + "Addendum.\n")
    few = ingest()
    return {
        "cases": cases,
        "ms_per_case": round(1e3 * first / cases, 3),
        "nothing_new_ms_per_case": round(1e3 * nothing / cases, 3),
        "ten_new_s": round(few, 2),
    }


def _write_cohort(home: Path, cases: int) -> None:
    rng = np.random.default_rng(cases)
    words = [
        "lesion", "oedema", "stable", "marked", "enhancement", "left", "right", "frontal", "no",
        "shift", "of", "the", "midline",
    ]  # fmt: skip
    keys = [f"C{number:06d}" for number in range(cases)]
    home.mkdir()
    for folder in range(100):
        (home / "notes" / f"{folder:02d}").mkdir(parents=True)
    for number, key in enumerate(keys):
        text = " ".join(rng.choice(words, 60)) + f". Finding {number}.\n"
        (home / "notes" / f"{number % 100:02d}" / f"{key}.txt").write_text(text)
    pd.DataFrame(
        {
            "case_id": keys,
            "folder": [f"{n % 100:02d}" for n in range(cases)],
            "label": rng.integers(0, 2, cases),
        }
    ).to_csv(home / "cases.csv", index=False)
    genes = pd.DataFrame(
        rng.normal(size=(cases, 20)).round(4), columns=[f"G{n}" for n in range(20)]
    )
    genes.insert(0, "case_id", keys)
    genes.to_csv(home / "genes.csv", index=False)
    (home / "cohort.toml").write_text(
        f'[cohort]\nname = "growth-{cases}"\n[cases]\ntable = "cases.csv"\ncase_id = '
        '"case_id"\n[task]\nkind = "binary"\nlabel = "label"\npositive = "1"\n'
        '[modalities.note]\nkind = "text"\npath = '
        '"notes/{folder}/{case_id}.txt"\n[modalities.genes]\nkind = "table"\npath = '
        '"genes.csv"\nkey = "case_id"\n'
    )


def main() -> int:
    """Measure, print, and say by the exit code whether the aims are met."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--cases", type=int, nargs="*", default=[1_000, 10_000, 50_000])
    parser.add_argument("--against", type=Path, metavar="FOLDER", help="another checkout")
    parser.add_argument("--cohort", type=Path, help="what --against ingests as a whole")
    parser.add_argument("--rounds", type=int, default=40, help="of --against")
    asked = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    cv2.setNumThreads(1)
    if asked.against and asked.cohort:
        return _against_cohort(asked.cohort, asked.against, asked.rounds, asked.json)
    if asked.against:
        return _against(asked.against, asked.rounds, asked.json)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        reading = {kind: measure_reading(folder, kind) for kind in KINDS}
        growth = [measure_growth(folder, cases) for cases in asked.cases]
    if asked.json:
        print(json.dumps({"benchmark": "ingest", "reading": reading, "growth": growth}))
    if not asked.json:
        _say(reading, growth)
    grown = growth[-1]["ms_per_case"] / growth[0]["ms_per_case"] if growth else 1.0
    met = all(
        f["of_floor"] >= LEAST_OF_FLOOR
        and f["of_monai"] >= LEAST_OF_MONAI
        and f["sandbox_share"] <= MOST_SHARE
        for f in reading.values()
    )
    return int(not met or grown > MOST_GROWTH)


def _against(other: Path, rounds: int, as_json: bool) -> int:
    if not (other / "mmdiag" / "__init__.py").exists():
        sys.exit(f"--against takes a folder that holds mmdiag/, not {other}: try git worktree add.")
    with tempfile.TemporaryDirectory() as folder:
        found = {kind: measure_against(Path(folder), kind, other, rounds) for kind in KINDS}
    if as_json:
        print(json.dumps({"benchmark": "ingest", "against": found}))
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


def _against_cohort(cohort: Path, other: Path, rounds: int, as_json: bool) -> int:
    found = measure_cohort(cohort, other, rounds)
    if as_json:
        print(json.dumps({"benchmark": "ingest", "cohort": str(cohort), **found}))
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


def _say(reading: dict[str, dict[str, float]], growth: list[dict[str, float]]) -> None:
    for kind, found in reading.items():
        side = KINDS[kind][0]
        print(
            f"{kind} {side} x {side}: {found['sandbox_files_per_s']} files/s in the sandbox, "
            f"{found['floor_files_per_s']} bare files: "
            f"{found['of_floor']:.2f} of the floor (at least {LEAST_OF_FLOOR}), "
            f"{found['of_monai']:.0f} times MONAI (at least {LEAST_OF_MONAI:.0f}), "
            f"sandbox {100 * found['sandbox_share']:.0f} % of it (at most {100 * MOST_SHARE:.0f} "
            f"%), two workers {found['two_of_one']:.2f} times one"
        )
    for row in growth:
        print(
            f"{row['cases']:.0f} cases: {row['ms_per_case']:.2f} ms a case, nothing new "
            f"{row['nothing_new_ms_per_case']:.3f} ms a case, "
            f"ten new cases {row['ten_new_s']:.1f} s"
        )


if __name__ == "__main__":
    sys.exit(main())
