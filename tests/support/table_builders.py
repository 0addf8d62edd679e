"""Small cohorts whose tables a test writes as text, and what came of them into the store."""

from pathlib import Path

from mmdiag import api
from mmdiag.cohort.view import CohortView
from mmdiag.description import read_description
from mmdiag.storage.ledger import Ledger
from mmdiag.workspace import Workspace

KEYS = [f"k{number:02d}" for number in range(12)]


def write_cohort(folder: Path, table: str | bytes, section: str = "", **more: object) -> Path:
    """A cohort with one shared table.

    Args:
        table: Content of the table.
        section: Further keys of its section.
        more: `name` of the table's file, `keys` of the cases, `key` column, `cases` = further
            columns of the case table as {name: cells}.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name, key = str(more.get("name", "labs.csv")), str(more.get("key", "case_id"))
    keys, columns = list(more.get("keys", KEYS)), dict(more.get("cases", {}))
    content = table if isinstance(table, bytes) else table.encode()
    (folder / name).write_bytes(content)
    rows = zip(keys, *columns.values(), strict=True)
    lines = [",".join([key, *columns]), *(",".join(map(str, row)) for row in rows)]
    (folder / "cases.csv").write_text("\n".join(lines) + "\n")
    (folder / "cohort.toml").write_text(
        f'[cohort]\nname = "hospital"\n[cases]\ntable = "cases.csv"\ncase_id = "{key}"\n'
        f'[modalities.labs]\nkind = "table"\npath = "{name}"\nkey = "{key}"\n{section}\n'
    )
    return folder / "cohort.toml"


def ingest(cohort: Path, workspace: Path, **options: object) -> tuple[dict, CohortView]:
    """The answer of an ingestion, and the cohort to look at."""
    place, description = Workspace(workspace), read_description(cohort)
    answer = api.ingest(description, place, Ledger(place.ledger_url), **options)
    return answer, CohortView.open(place, description.name)


def rows(columns: dict[str, list[str]], keys: list[str] = KEYS, separator: str = ",") -> str:
    """A table as text."""
    lines = [separator.join(["case_id", *columns])]
    lines += [separator.join(row) for row in zip(keys, *columns.values(), strict=True)]
    return "\n".join(lines) + "\n"
