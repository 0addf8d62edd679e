"""What masking finds in notes with marked identifiers, and what it masks besides: recall by kind,
over-masking, and time, without and with the record's own.

python benchmarks/deidentify.py [--data DIR] [--limit N] [--json]

A marked identifier counts as found where every letter and digit of it is masked. Over-masking is
the share of words outside of all marked spans that were
touched. The data (`phi_notes`: presidio's synthetic sentences, MEDDOCAN's Spanish cases,
ACI-Bench's notes) is not part of this repository.
"""

import argparse
import csv
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from german_notes import HELD_OUT, german_letters

from mmdiag.privacy.mask import mask_note

DATA = Path(__file__).resolve().parents[2] / "shared/data/phi_notes"
# Marked, but no identifier by HIPAA Safe Harbor, or no part of what is sought: countries,
# organisations, sex, ages up to 89, professions
NOT_SOUGHT = {
    "GPE",
    "ORGANIZATION",
    "NRP",
    "TITLE",
    "AGE",
    "PAIS",
    "EDAD_SUJETO_ASISTENCIA",
    "SEXO_SUJETO_ASISTENCIA",
    "PROFESION",
    "INSTITUCION",
    "FAMILIARES_SUJETO_ASISTENCIA",
    "OTROS_SUJETO_ASISTENCIA",
}
# of MEDDOCAN, what a record holds of its subject
OWN = {
    "NOMBRE_SUJETO_ASISTENCIA",
    "ID_SUJETO_ASISTENCIA",
    "ID_ASEGURAMIENTO",
}


@dataclass
class Marked:
    """One text with its marked identifiers: (start, end, kind)."""

    text: str
    spans: list[tuple[int, int, str]]
    own: list[str] = field(default_factory=list)


@dataclass
class Figures:
    """What was counted over a set of texts."""

    found: Counter[str] = field(default_factory=Counter)
    marked: Counter[str] = field(default_factory=Counter)
    words: int = 0
    words_masked: int = 0
    texts: int = 0
    seconds: float = 0.0

    def row(self) -> dict[str, object]:
        """Shares of it all."""
        sought = [kind for kind in self.marked if kind not in NOT_SOUGHT]
        return {
            "texts": self.texts,
            "recall": round(
                sum(self.found[k] for k in sought) / max(1, sum(self.marked[k] for k in sought)), 4
            ),
            "over_masking": round(self.words_masked / max(1, self.words), 4),
            "milliseconds_per_text": round(1000 * self.seconds / max(1, self.texts), 1),
            "by_kind": {
                k: (round(self.found[k] / n, 3), n, "not sought" if k in NOT_SOUGHT else "")
                for k, n in self.marked.most_common()
            },
        }


def measure(texts: Sequence[Marked], *, own: bool, names: bool = True) -> Figures:
    """Mask all texts and count."""
    mask_note("warm", [])
    figures = Figures()
    for text in texts:
        began = time.perf_counter()
        masked = mask_note(text.text, text.own if own else [], names=names)
        figures.seconds += time.perf_counter() - began
        covered = {
            place
            for span in masked.spans
            for place in range(span.start_in_original, span.end_in_original)
        }
        gold = {place for start, end, _ in text.spans for place in range(start, end)}
        for start, end, kind in text.spans:
            figures.marked[kind] += 1
            figures.found[kind] += all(
                place in covered for place in range(start, end) if text.text[place].isalnum()
            )
        for word in re.finditer(r"\w+", text.text):
            if not gold.intersection(range(*word.span())):
                figures.words += 1
                figures.words_masked += bool(covered.intersection(range(*word.span())))
        figures.texts += 1
    return figures


def presidio(folder: Path) -> Iterator[Marked]:
    """Synthetic sentences of many countries."""
    for entry in json.loads(
        (folder / "presidio_synth_dataset_v2.json").read_text(encoding="utf-8")
    ):
        yield Marked(
            entry["full_text"],
            [(s["start_position"], s["end_position"], s["entity_type"]) for s in entry["spans"]],
        )


def meddocan(folder: Path) -> Iterator[Marked]:
    """Spanish clinical cases with gold spans in brat's format."""
    for file in sorted((folder / "meddocan_es_train").glob("*.ann")):
        text = file.with_suffix(".txt").read_text(encoding="utf-8")
        spans = [
            line.split("\t")[1].split()
            for line in file.read_text(encoding="utf-8").splitlines()
            if line.startswith("T")
        ]
        marked = [(int(start), int(end), kind) for kind, start, end in spans]
        yield Marked(text, marked, [text[start:end] for start, end, kind in marked if kind in OWN])


def aci_bench(folder: Path) -> Iterator[Marked]:
    """Notes of simulated visits; only the patient's name is marked, so that dates and physicians
    count as over-masking.
    """
    for part in ("train", "valid"):
        named = {
            row["encounter_id"]: [row["patient_firstname"], row["patient_familyname"]]
            for row in _rows(folder / f"aci-bench/{part}_metadata.csv")
        }
        for row in _rows(folder / f"aci-bench/{part}.csv"):
            own = [name for name in named.get(row["encounter_id"], []) if len(name) > 2]
            spans = [
                (*found.span(), "PATIENT")
                for name in own
                for found in re.finditer(rf"\b{re.escape(name)}\b", row["note"])
            ]
            yield Marked(row["note"], spans, own)


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as table:
        return list(csv.DictReader(table))


def german(folder: Path) -> Iterator[Marked]:
    """German letters that are made up (`german_notes`): they need no data."""
    del folder
    for text, spans, own in german_letters():
        yield Marked(text, spans, own)


def german_other_forms(folder: Path) -> Iterator[Marked]:
    """Letters of other forms than the patterns were made with; their misses were mended since."""
    del folder
    for text, spans, own in german_letters(HELD_OUT):
        yield Marked(text, spans, own)


SETS = {
    "german": german,
    "german, other forms": german_other_forms,
    "presidio": presidio,
    "meddocan": meddocan,
    "aci-bench": aci_bench,
}


def main() -> int:
    """Print the figures of each set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--limit", type=int, default=None, help="Texts of each set.")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    sets = SETS
    if not options.data.is_dir():
        sets = {name: read for name, read in SETS.items() if name.startswith("german")}
        print(f"only what is made up: {options.data} is not there", file=sys.stderr)
    csv.field_size_limit(10**7)
    rows = {}
    for name, read in sets.items():
        texts = list(read(options.data))[: options.limit]
        rows[name] = measure(texts, own=False).row()
        rows[f"{name}, no name lists"] = measure(texts, own=False, names=False).row()
        if any(text.own for text in texts):
            rows[f"{name}, with the record's own"] = measure(texts, own=True).row()
    if options.json:
        print(json.dumps({"benchmark": "deidentify", "sets": rows}))
        return 0
    for name, row in rows.items():
        print(
            f"{name}: {row['texts']} texts, recall {row['recall']:.1%}, over-masking "
            f"{row['over_masking']:.2%} of other words, {row['milliseconds_per_text']} ms a text"
        )
        for kind, (recall, count, remark) in row["by_kind"].items():
            print(f"    {kind:<34} {recall:>6.1%} of {count:<5} {remark}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
