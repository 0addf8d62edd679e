"""The job that explains a case in full, or answers for a changed one: `mmdiag explain` in a process
of its own, since the dashboard imports no torch. All readers share one job a question.
"""

import hashlib
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import streamlit as st

from dashboards import notes, published
from mmdiag.workspace import Workspace

MOST = 2  # at once: each holds a model in memory
TAIL = 2000  # bytes of a log whose last line is shown
POLL = 1.0  # seconds
Key = tuple[str, ...]  # bundle, case, version, and how the case would be another


@dataclass(frozen=True, slots=True)
class Job:
    """A process that explains a case, and where it says what it does.

    Args:
        answer: What it answered for a changed case, in memory alone.
    """

    process: "subprocess.Popen[bytes]"
    log: Path
    answer: list[bytes] = field(default_factory=list)

    @property
    def running(self) -> bool:
        """Whether it is at work."""
        return self.process.poll() is None

    def last_line(self) -> str:
        """What it said last."""
        try:
            text = self.log.read_bytes()[-TAIL:].decode("utf-8", "replace")
        except OSError:
            return ""
        lines = [line.strip() for line in text.replace("\r", "\n").split("\n")]
        return next((line for line in reversed(lines) if line), "")


@dataclass(slots=True)
class Jobs:
    """The jobs of this server."""

    of: dict[Key, Job] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def running(self) -> int:
        """How many are at work."""
        return sum(job.running for job in self.of.values())


@st.cache_resource(show_spinner=False)
def jobs() -> Jobs:
    """The jobs that all sessions share."""
    return Jobs()


def command(
    workspace: Workspace, cohort: str, case_id: str, bundle_id: str, change: Sequence[str] = ()
) -> list[str]:
    """What explains a case of a cohort, whose key others may have: with the model that answered,
    that of a fold too, where it is at hand.

    Args:
        change: Options by which the case would be another.
    """
    there = (workspace.bundles / bundle_id).is_dir() or workspace.bundle(bundle_id) is not None
    bundle = ["--bundle", bundle_id] if there else []
    place = ["--workspace", str(workspace.path), f"--cohort-name={cohort}", *bundle, "--json"]
    return [sys.executable, "-P", "-m", "mmdiag", "explain", *place, *change, "--", case_id]


def start(key: Key, cohort: str) -> bool:
    """Begin a job, where none of this case is at work; False where too many are."""
    bundle_id, case_id, version, *change = key
    found, workspace = jobs(), published.workspace()
    with found.lock:
        known = found.of.get(key)
        if known is not None and known.running:
            return True
        if found.running() >= MOST:
            return False
        name = hashlib.sha256("\n".join((case_id, version, *change)).encode()).hexdigest()[:16]
        log = workspace.logs / f"explain-{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as written:
            process = subprocess.Popen(
                command(workspace, cohort, case_id, bundle_id, change),
                stdin=subprocess.DEVNULL,
                # an explanation lies in the workspace, the answer for a changed case nowhere
                stdout=subprocess.PIPE if change else subprocess.DEVNULL,
                stderr=written,
                start_new_session=True,
            )
        found.of[key] = job = Job(process, log)
        if process.stdout is not None:
            threading.Thread(target=_hear, args=(job, process.stdout), daemon=True).start()
    return True


def _hear(job: Job, stdout: IO[bytes]) -> None:
    with stdout:
        job.answer.append(stdout.read())


def panel(key: Key, cohort: str) -> None:
    """The button that begins the job, what it does, or why it failed."""
    job = jobs().of.get(key)
    if job is not None and job.running:
        progress(key, "The full explanation is being made.")
        return
    if job is not None:
        failed(job, "The explanation was not made")
    pressed = st.button(
        "Make the full explanation",
        key="explain",
        icon=":material/neurology:",
        help="Regions, words and genes: seconds to minutes. You may go on meanwhile.",
    )
    if pressed:
        if start(key, cohort):
            st.rerun()
        st.info(f"{MOST} explanations are being made: wait for one of them.")


def failed(job: Job, what: str) -> None:
    """Why a job gave nothing, and where its log is."""
    st.error(
        f"{what} (exit {job.process.returncode}). {notes.plain(job.last_line())} The whole log is "
        f"{notes.code(job.log.relative_to(published.workspace().path))}.",
        icon=":material/error:",
    )


@st.fragment(run_every=POLL)
def progress(key: Key, what: str) -> None:
    """What a job does; the page is drawn anew when it is over."""
    job = jobs().of[key]
    if not job.running:
        st.rerun()
    st.info(f"{what} {notes.plain(job.last_line())}", icon=":material/hourglass_top:")
