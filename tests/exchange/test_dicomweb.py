"""Images from a PACS over DICOMweb: what arrives is whole, lies where it should, and is asked for
with patience.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bent_archive import SERIES, STUDY, archive, below


def fetched(url: str, out: Path, slept: list[float] | None = None, **query: Any) -> Any:
    from mmdiag.exchange.pacs.dicomweb import Query, fetch_dicomweb
    from mmdiag.exchange.pacs.dicomweb_client import open_archive
    from mmdiag.exchange.pacs.inbox import Arrivals, Wanted, cases_of

    query.setdefault("wanted", [Wanted(STUDY)])
    arrivals = Arrivals(out, cases_of(query["wanted"]), reserve_bytes=0)
    return fetch_dicomweb(
        open_archive(url, "reader", "pw"),
        Query(**query),
        arrivals,
        sleep=([] if slept is None else slept).append,
    )


def contents(files: list[Path]) -> dict[str, bytes]:
    return {f"{SERIES}.{file.name.split('-')[0]}": file.read_bytes() for file in files}


def test_what_is_fetched_is_byte_for_byte_what_the_archive_gives_and_is_fetched_once(
    make_file: Callable[..., Path], tmp_path: Path
) -> None:
    files = contents([make_file(1), make_file(2, rle=True)])
    with archive(files) as (url, asked):
        first = fetched(url, tmp_path / "in")
        second = fetched(url, tmp_path / "in")
    assert (dict(first.instances), dict(second.instances), asked["instances"]) == (
        {"new": 2},
        {"already_there": 2},
        6,
    )
    assert sorted(path.read_bytes() for path in below(tmp_path / "in")) == sorted(files.values())


def test_names_of_files_are_of_our_own_making(
    make_file: Callable[..., Path], tmp_path: Path
) -> None:
    from mmdiag.exchange.pacs.inbox import Wanted, hashed

    with archive(contents([make_file()])) as (url, _):
        fetched(url, tmp_path / "in")
        fetched(
            url,
            tmp_path / "cases",
            wanted=[Wanted(STUDY, SERIES, "c1"), Wanted(STUDY, SERIES, "c2")],
        )
    assert [str(p.relative_to(tmp_path)) for p in below(tmp_path / "in")] == [
        f"in/{hashed(STUDY)}/{hashed(SERIES)}/{hashed(SERIES + '.1')}.dcm"
    ]
    assert [p.relative_to(tmp_path / "cases").parts[0] for p in below(tmp_path / "cases")] == [
        "c1",
        "c2",
    ], "a study of two cases lies in both"


@pytest.mark.parametrize(
    "plan", [[503, 500, 200], [0, 0, 200], [429, 200], [504, 0, 502, 503, 200]]
)
def test_what_may_pass_by_itself_is_asked_again(
    plan: list[int], make_file: Callable[..., Path], tmp_path: Path
) -> None:
    slept: list[float] = []
    with archive(contents([make_file()]), plan) as (url, _):
        assert fetched(url, tmp_path / "in", slept).instances == {"new": 1}
    assert slept == [0.5, 1.0, 2.0, 4.0][: len(slept)] and len(slept) >= 1


def test_an_instance_that_the_archive_will_not_give_costs_itself_only(
    make_file: Callable[..., Path], tmp_path: Path
) -> None:
    with archive(contents([make_file(1), make_file(2)]), [404]) as (url, _):
        found = fetched(url, tmp_path / "in")
    assert dict(found.instances) == {"refused": 1, "new": 1} and dict(found.refused) == {
        "not_retrieved": 1
    }


@pytest.mark.parametrize(
    ("swap", "code"),
    [(b"<html>no image</html>", "not_dicom"), (b"", "not_dicom"), (None, "not_retrieved")],
)
def test_an_answer_that_is_not_the_image_asked_for_is_not_kept(
    swap: bytes | None, code: str, make_file: Callable[..., Path], tmp_path: Path
) -> None:
    other = make_file(2).read_bytes()
    with archive({f"{SERIES}.1": other if swap is None else swap}) as (url, _):
        assert dict(fetched(url, tmp_path / "in").refused) == {code: 1}
    assert below(tmp_path / "in") == []


def test_an_archive_that_is_down_is_said_and_a_rerun_goes_on(
    make_file: Callable[..., Path], tmp_path: Path
) -> None:
    from mmdiag.errors import MmdiagError

    files = contents([make_file(1), make_file(2)])
    with archive(files, [200, 0, 0, 0, 0, 0]) as (url, _):
        with pytest.raises(MmdiagError, match="did not in 5 attempts") as said:
            fetched(url, tmp_path / "in")
        assert said.value.exit_code == 1 and STUDY not in str(said.value)
        assert dict(fetched(url, tmp_path / "in").instances) == {"already_there": 1, "new": 1}


def test_refused_credentials_are_wrong_use_and_not_asked_again(
    make_file: Callable[..., Path], tmp_path: Path
) -> None:
    from mmdiag.errors import UsageError

    slept: list[float] = []
    with (
        archive(contents([make_file()]), [401]) as (url, _),
        pytest.raises(UsageError, match="MMDIAG_PACS_PASSWORD"),
    ):
        fetched(url, tmp_path / "in", slept)
    assert slept == []


def test_a_patient_who_was_not_asked_for_is_not_fetched(
    make_file: Callable[..., Path], tmp_path: Path
) -> None:
    from mmdiag.errors import UsageError

    with archive(contents([make_file()])) as (url, _):
        assert fetched(url, tmp_path / "in", wanted=(), patient_id="P1").studies == 1, (
            "this archive ignores the question"
        )
        assert fetched(url, tmp_path / "in", wanted=(), patient_id="P3").studies == 0
        assert fetched(url, tmp_path / "in", modality="CT").series == 0
        with pytest.raises(UsageError, match="says which studies"):
            fetched(url, tmp_path / "in", wanted=())


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x/y",
        "x",
        "http://",
        "http://u:p@host/x",
        "https://h/x?key=1",
        "http://h:99999/x",
        "http://[::1/x",
    ],
)
def test_a_url_that_is_none_or_carries_a_secret_is_refused_without_being_shown(url: str) -> None:
    from mmdiag.errors import UsageError
    from mmdiag.exchange.pacs.dicomweb_client import open_archive

    with pytest.raises(UsageError, match="archive") as said:
        open_archive(url)
    assert url not in str(said.value)


def test_the_command_fetches_and_gives_its_counts(
    make_file: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from mmdiag.cli import boundary, cli

    (tmp_path / "imaging.csv").write_text(
        f"case_id,study_uid,series_uid,modality\nc1,{STUDY},{SERIES},MR\n"
    )
    with archive(contents([make_file()])) as (url, _):
        arguments = [
            "fetch",
            "dicomweb",
            url,
            "--out",
            str(tmp_path / "in"),
            "--studies",
            str(tmp_path / "imaging.csv"),
            "--json",
        ]
        assert boundary.run(cli, [*arguments, "--user", "reader"]) == 2
        assert "MMDIAG_PACS_PASSWORD is not set" in capsys.readouterr().err
        monkeypatch.setenv("MMDIAG_PACS_PASSWORD", "pw")
        assert boundary.run(cli, [*arguments, "--user", "reader"]) == 0
        answer = json.loads(capsys.readouterr().out)
    assert (answer["studies"], answer["series"], answer["instances"]) == (1, 1, {"new": 1})
    assert below(tmp_path / "in")[0].parts[-3] == "c1"
