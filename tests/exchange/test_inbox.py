"""Where images arrive: lists of studies that could lead elsewhere, and a disk that is nearly
full.
"""

from pathlib import Path

import pytest
from bent_archive import below


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("study\n1.2.3\n", "column study_uid"),
        ("study_uid\n../x\n", "line 2"),
        ("study_uid,case_id\n1.2.3,c1\n1.2.4,../../x\n", "line 3"),
        ("study_uid,case_id\n1.2.3,.\n", "line 2"),
        ("study_uid\n\xff\n", "CSV in UTF-8"),
    ],
)
def test_a_list_of_studies_that_could_lead_elsewhere_is_refused(
    text: str, rule: str, tmp_path: Path
) -> None:
    from mmdiag.errors import UsageError
    from mmdiag.exchange.pacs.inbox import read_wanted

    (tmp_path / "list.csv").write_text(text, encoding="latin-1")
    with pytest.raises(UsageError, match=rule):
        read_wanted(tmp_path / "list.csv")


def test_a_disk_that_is_nearly_full_is_said_before_it_is_full(tmp_path: Path) -> None:
    from mmdiag.exchange.pacs.inbox import Arrivals, DiskNearlyFull

    arrivals = Arrivals(tmp_path / "in", reserve_bytes=2**60)
    with pytest.raises(DiskNearlyFull, match="stay free"):
        arrivals.keep(b"x", arrivals.paths("1", "2", "3"))
    assert below(tmp_path / "in") == []
