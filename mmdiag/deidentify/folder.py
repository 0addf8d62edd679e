"""De-identifies a folder: its DICOM images are rebuilt, its notes masked with what the images'
headers say of their subjects, the rest is listed.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from mmdiag.deidentify.dicom import ImageReport
from mmdiag.errors import ReadError, UsageError
from mmdiag.privacy.pseudonyms import pseudonym
from mmdiag.reasons import REASONS
from mmdiag.sandbox.functions import SECONDS_A_NOTE
from mmdiag.sandbox.pool import Outcome, shared_sandbox
from mmdiag.workspace import write_bytes

NOTES: Final = (".txt", ".text", ".md")
DICOM: Final = (".dcm", ".dicom", ".ima")
PREAMBLE: Final = 128  # bytes before the DICM prefix (PS3.10 7.1)
# subjects of a folder whose notes are masked with the identifiers of all of them, where nothing
# tells whose they are
SMALL: Final = 50
Progress = Callable[[str, int, int], None]


@dataclass(slots=True)
class FolderReport:
    """What became of the files of a folder; no value of theirs is in it, but the names of those
    that were refused.

    Args:
        dicom, notes: How many were written.
        copies: Images that are the same as one before them; they are not written again.
        blank: Notes without text, which are left out.
        subjects: Pseudonymous subjects of the images.
        attributes_kept, attributes_dropped, uids, dates, words: Sums over the images
            (`dicom.ImageReport`).
        masked: Kind -> identifiers masked in notes (`mask.PLACEHOLDERS`).
        note_words, note_words_masked: Words of all notes, and how many of them became part of a
            placeholder.
        notes_with_subject_terms: Notes that were masked with identifiers of their own subject.
        refused: `path` (below the folder), `code`, `rule`, `fact` and `cure` of each file that was
            not written.
    """

    dicom: int = 0
    notes: int = 0
    copies: int = 0
    blank: int = 0
    subjects: int = 0
    attributes_kept: int = 0
    attributes_dropped: int = 0
    uids: int = 0
    dates: int = 0
    words: int = 0
    masked: Counter[str] = field(default_factory=Counter)
    note_words: int = 0
    note_words_masked: int = 0
    notes_with_subject_terms: int = 0
    refused: list[dict[str, str]] = field(default_factory=list)


def deidentify_folder(
    source: Path,
    target: Path,
    key: bytes,
    *,
    blank_top: float = 0.0,
    progress: Progress | None = None,
) -> FolderReport:
    """De-identify every file of a folder into another; files are parsed in the sandbox.

    An image becomes `subject/series/instance.dcm`, a note `subject/note.txt`, all of them
    pseudonyms. A second run with the same key gives the same files.

    Args:
        source: A folder, or one file.
        target: Folder for the new files; outside of the source.
        key: As `pseudonyms.read_key` gives it.
        blank_top: As `dicom.rebuild`.
        progress: Called as `progress(stage, done, total)`.

    Raises:
        UsageError: One folder lies in the other, or there is nothing to read.
    """
    source, target = source.resolve(), target.resolve()
    if source == target or target.is_relative_to(source) or source.is_relative_to(target):
        raise UsageError(
            "the new files must lie outside of the old ones, found one folder within the other: "
            "name another OUT."
        )
    files = (
        sorted(file for file in source.rglob("*") if file.is_file())
        if source.is_dir()
        else [source]
    )
    if not files or not files[0].is_file():
        raise UsageError(
            f"there must be a file to de-identify, found none in {source}: is the path right?"
        )
    root = source if source.is_dir() else source.parent
    run = _Run(root, target, key, blank_top, progress or (lambda *_: None))
    run.go(files)
    return run.report


class _Run:
    """One pass over a folder: images first, because their headers say what to mask in the notes."""

    def __init__(
        self, root: Path, target: Path, key: bytes, blank_top: float, progress: Progress
    ) -> None:
        self.root, self.target, self.key, self.blank_top, self.progress = (
            root,
            target,
            key,
            blank_top,
            progress,
        )
        self.report = FolderReport()
        # patient -> what headers say of them
        self.identifiers: dict[str, dict[str, None]] = defaultdict(dict)
        # folder -> patients of the images in it or below
        self.patients_in: dict[Path, set[str]] = defaultdict(set)
        self.written: dict[Path, bytes] = {}

    def go(self, files: Sequence[Path]) -> None:
        kinds = {file: _kind(file) for file in files}
        images = [file for file in files if kinds[file] == "dicom"]
        notes = [file for file in files if kinds[file] == "note"]
        for file in files:
            if not kinds[file]:
                self._refuse(file, ReadError("unknown_kind", file.suffix or "no suffix"))
        if notes:
            self._learn(images)
        for done, (file, outcome) in enumerate(self._rebuilt(images), start=1):
            self._image(file, outcome)
            self.progress("images", done, len(images))
        for done, (file, patients, outcome) in enumerate(self._masked(notes), start=1):
            self._note(file, patients, outcome)
            self.progress("notes", done, len(notes))

    def _rebuilt(self, images: Sequence[Path]) -> Iterator[tuple[Path, Outcome]]:
        requests = (
            {"file": str(file), "key": self.key.hex(), "blank_top": self.blank_top}
            for file in images
        )
        yield from zip(images, shared_sandbox().map("deidentified_dicom", requests), strict=True)

    def _learn(self, images: Sequence[Path]) -> None:
        """What the headers say of their subjects; a header that cannot be read says nothing, and
        its file is refused later.
        """
        found = shared_sandbox().map("dicom_identifiers", ({"file": str(file)} for file in images))
        for done, (file, outcome) in enumerate(zip(images, found, strict=True), start=1):
            self.progress("headers", done, len(images))
            if outcome.code:
                continue
            patient = str(outcome.facts["patient"])
            self.identifiers[patient] |= dict.fromkeys(map(str, outcome.facts["identifiers"]))
            for folder in (parent for parent in file.parents if parent.is_relative_to(self.root)):
                self.patients_in[folder].add(patient)

    def _image(self, file: Path, outcome: Outcome) -> None:
        try:
            facts, arrays = outcome.value()
            self._write_image(file, facts, arrays["content"].tobytes())
        except ReadError as refusal:
            self._refuse(file, refusal)

    def _write_image(self, file: Path, facts: dict[str, Any], content: bytes) -> None:
        rebuilt = ImageReport(**facts)
        path = rebuilt.path
        digest = hashlib.sha256(content).digest()
        if path in self.written:
            if self.written[path] != digest:
                raise ReadError(
                    "duplicate_instance",
                    f"{file.name} holds other pixels or other words under the UID of a file "
                    "before it",
                )
            self.report.copies += 1
            return
        self.written[path] = digest
        write_bytes(self.target / path, content)
        self.report.dicom += 1
        self.report.subjects = len({written.parts[0] for written in self.written})
        self.report.attributes_kept += rebuilt.kept
        self.report.attributes_dropped += rebuilt.dropped
        self.report.uids += rebuilt.uids
        self.report.dates += rebuilt.dates
        self.report.words += rebuilt.words

    def _masked(self, notes: Sequence[Path]) -> Iterator[tuple[Path, list[str], Outcome]]:
        patients = [self._patients_of(file) for file in notes]
        requests = (
            {
                "file": str(file),
                "subject_terms": self._subject_terms(file, whose),
                "seconds": SECONDS_A_NOTE,
            }
            for file, whose in zip(notes, patients, strict=True)
        )
        yield from zip(
            notes,
            patients,
            shared_sandbox().map("masked_note", requests),
            strict=True,
        )

    def _subject_terms(self, file: Path, patients: Sequence[str]) -> list[str]:
        """What to mask in a note besides what has the form of an identifier; its file's name too,
        where that looks like a number.
        """
        named = [file.stem] if sum(map(str.isdigit, file.stem)) > 3 else []
        return [*(value for patient in patients for value in self.identifiers[patient]), *named]

    def _note(self, file: Path, patients: Sequence[str], outcome: Outcome) -> None:
        try:
            found, _ = outcome.value()
        except ReadError as refusal:
            self._refuse(file, refusal)
            return
        if found is None:
            self.report.blank += 1
            return
        subject = patients[0] if len(patients) == 1 else file.stem
        name = pseudonym(self.key, "note", str(file.relative_to(self.root)))
        write_bytes(
            self.target / pseudonym(self.key, "patient", subject) / f"{name}.txt",
            found["text"].encode(),
        )
        self.report.notes += 1
        self.report.notes_with_subject_terms += any(
            self.identifiers[patient] for patient in patients
        )
        self.report.masked.update(found["counts"])
        self.report.note_words += found["words"]
        self.report.note_words_masked += found["words_masked"]

    def _patients_of(self, file: Path) -> list[str]:
        """Whose note it is: of the images in the nearest folder around it, else of the patient or
        the folder that it is named after, else of any.
        """
        for folder in file.parents:
            if folder == self.root or not folder.is_relative_to(self.root):
                break
            if self.patients_in.get(folder):
                return sorted(self.patients_in[folder])
        named = {
            patient
            for folder, patients in self.patients_in.items()
            if folder.name == file.stem and folder != self.root
            for patient in patients
        }
        if file.stem in self.identifiers or named:
            return sorted(named | ({file.stem} & self.identifiers.keys()))
        return sorted(self.identifiers) if len(self.identifiers) <= SMALL else []

    def _refuse(self, file: Path, refusal: ReadError) -> None:
        reason = REASONS[refusal.code]
        path = str(file.relative_to(self.root))
        self.report.refused.append(
            {
                "path": path,
                "code": refusal.code,
                "rule": reason.rule,
                "fact": refusal.detail,
                "cure": reason.cure,
            }
        )


def _kind(file: Path) -> str:
    """`dicom` by content or suffix, `note` by suffix, else nothing."""
    with file.open("rb") as content:
        head = content.read(PREAMBLE + 4)
    name = file.name.lower()
    if head[PREAMBLE:] == b"DICM" or name.endswith(DICOM):
        return "dicom"
    return "note" if name.endswith(NOTES) else ""
