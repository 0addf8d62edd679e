"""How wide the embeddings of a modality are: as most of them were at the first ingestion of what
its encoder, in its revision, made.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmdiag.cohort.cases import Case, Source
from mmdiag.description import Description, ModalityDescription
from mmdiag.ingest.embeddings.read import EMBEDDING
from mmdiag.ingest.embeddings.tables import case_vectors
from mmdiag.ingest.reports import read_report, write_report
from mmdiag.sandbox.pool import shared_sandbox

WIDTH = "embedding_width"
PROVENANCE = ("encoder", "revision", "licence")  # of what another program made


Found = Mapping[str, tuple[int, str]]  # modality -> its width, and what that is true of


def find_widths(folder: Path, description: Description, cases: Sequence[Case]) -> Found:
    """The width of every modality of embeddings of which it is not kept yet; nothing is written. It
    stays as long as its section of the description does: another encoder or revision has its own.
    """
    widths = {}
    for name, modality in description.modalities.items():
        own = [case.sources[name] for case in cases if name in case.sources]
        if modality.kind != EMBEDDING or not own:
            continue
        report, state = read_report(folder, name), _state(modality)
        if report.width and report.width_of == state:
            continue
        widths[name] = usual_width(modality, own), state
    return widths


def keep_widths(folder: Path, widths: Found) -> None:
    """Keep what was found beside the cohort."""
    for name, (width, state) in widths.items():
        write_report(folder, name, replace(read_report(folder, name), width=width, width_of=state))


def usual_width(modality: ModalityDescription, sources: Sequence[Source]) -> int:
    """The width that most cases have, of equally many the smallest; 0 where no file can be read.

    Args:
        sources: Where the embeddings of some cases lie.
    """
    if modality.key:
        table = case_vectors(sources[0].files, modality)
        keys = [str(source.key) for source in sources if str(source.key) in table.rows]
        found = [width for key in keys for width in table.widths(key)]
    else:
        pool = shared_sandbox()
        asked = [{"file": str(source.files[0]), "array": modality.column} for source in sources]
        answers = pool.map(WIDTH, asked)
        found = [int(one.facts["width"]) for one in answers if not one.code]
    counts = Counter(width for width in found if width)
    return min(counts, key=lambda width: (-counts[width], width), default=0)


def made_by(folder: Path, description: Description) -> dict[str, dict[str, Any]]:
    """Modality of embeddings -> by what they were made, under which terms, and their width."""
    return {
        name: {key: str(modality.options[key]) for key in PROVENANCE}
        | {"width": read_report(folder, name).width}
        for name, modality in description.modalities.items()
        if modality.kind == EMBEDDING
    }


def _state(modality: ModalityDescription) -> str:
    facts: Mapping[str, Any] = modality.facts()
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
