"""PET: of two times of a scan the earlier counts, zones and midnight count, and what is not known is
refused.
"""

from datetime import datetime, timedelta

import pytest
from dicom_builders import make_pet, write
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from mmdiag.errors import ReadError
from mmdiag.readers.dicom.series import read_series
from mmdiag.sandbox.requests import image

F18 = 6588.0
AN_HOUR = 1000 * 70_000 / (3.5e8 * 2 ** (-3600 / F18))  # SUV of 1000 Bq/ml an hour after


def injection(**facts):
    item = Dataset()
    known = {"RadionuclideTotalDose": "3.5e8", "RadionuclideHalfLife": "6588"}
    for keyword, value in (known | facts).items():
        setattr(item, keyword, value)
    return {"RadiopharmaceuticalInformationSequence": Sequence([item])}


AT_NINE = injection(RadiopharmaceuticalStartTime="090000")


def suv(folder, *clocks, **facts):
    """SUV of 1000 Bq/ml, and of each slice when it was acquired."""
    clocks = clocks or (None,)
    slices = [
        make_pet(n, **({} if clock is None else {"AcquisitionTime": clock}), **facts)
        for n, clock in enumerate(clocks)
    ]
    volume = read_series(write(folder, slices), {}).volume
    assert volume.min() == volume.max(), "all slices are corrected to one time"
    return float(volume[0, 0, 0])


def test_of_series_and_acquisition_the_earlier_time_counts(tmp_path):
    assert suv(tmp_path / "same", "100000") == pytest.approx(AN_HOUR, rel=1e-5)
    later = suv(tmp_path / "later", "100000", "100000", SeriesTime="130000")
    assert later == pytest.approx(AN_HOUR, rel=1e-5), "it was reconstructed again"
    beds = suv(tmp_path / "beds", "102000", "100000", "101000", SeriesTime="130000")
    assert beds == pytest.approx(AN_HOUR, rel=1e-5), "values are corrected to the first bed"
    early = suv(tmp_path / "early", "101000", "102000")
    assert early == pytest.approx(AN_HOUR, rel=1e-5)
    whole = suv(tmp_path / "dt", SeriesTime="130000", AcquisitionDateTime="20240301100000.000")
    assert whole == pytest.approx(AN_HOUR, rel=1e-5)


def test_a_scan_after_midnight_is_not_a_day_before_its_injection(tmp_path):
    night = {"SeriesDate": "20240302", "SeriesTime": "003000", "AcquisitionDate": "20240302"}
    full = injection(RadiopharmaceuticalStartDateTime="20240301233000")
    assert suv(tmp_path / "full", "003000", **night, **full) == pytest.approx(AN_HOUR, rel=1e-5)
    clock = injection(RadiopharmaceuticalStartTime="233000.000")
    assert suv(tmp_path / "clock", "003000", **night, **clock) == pytest.approx(AN_HOUR, rel=1e-5)


@pytest.mark.parametrize(
    ("zone", "injected"),
    [
        ("+0200", "20240301070000+0000"),
        ("+0200", "20240301090000+0200"),
        ("+0200", "20240301090000"),
        ("-0500", "20240301140000+0000"),
        ("+0530", "20240301033000+0000"),
    ],
)
def test_time_zones_count(tmp_path, zone, injected):
    facts = injection(RadiopharmaceuticalStartDateTime=injected)
    found = suv(tmp_path / "s", "100000", TimezoneOffsetFromUTC=zone, **facts)
    assert found == pytest.approx(AN_HOUR, rel=1e-5)
    clock = suv(tmp_path / "c", "100000", TimezoneOffsetFromUTC=zone, **AT_NINE)
    assert clock == pytest.approx(AN_HOUR, rel=1e-5), "a time of the day is one of the same zone"


@settings(max_examples=60, deadline=None)
@given(
    injected=st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)),
    waited=st.integers(0, 9 * 3600),
    reconstructed=st.integers(0, 40 * 3600),
    hours=st.integers(-12, 14),
    other=st.integers(-12, 14),
)
def test_any_two_moments_give_the_decay_between_them(
    tmp_path_factory, injected, waited, reconstructed, hours, other
):
    injected = injected.replace(microsecond=0)
    scan = injected + timedelta(seconds=waited, hours=hours)
    series = scan + timedelta(seconds=reconstructed)
    elsewhere = injected + timedelta(hours=other)
    facts = {
        "TimezoneOffsetFromUTC": f"{hours:+03d}00",
        "AcquisitionDate": f"{scan:%Y%m%d}",
        "SeriesDate": f"{series:%Y%m%d}",
        "SeriesTime": f"{series:%H%M%S}",
    }
    start = f"{elsewhere:%Y%m%d%H%M%S}{other:+03d}00"
    facts |= injection(RadiopharmaceuticalStartDateTime=start)
    found = suv(tmp_path_factory.mktemp("s"), f"{scan:%H%M%S}", **facts)
    assert found == pytest.approx(1000 * 70_000 / (3.5e8 * 2 ** (-waited / F18)), rel=1e-4)


def test_values_that_are_corrected_to_the_injection_need_no_time(tmp_path):
    facts = injection() | {"DecayCorrection": "ADMIN", "SeriesTime": ""}
    assert suv(tmp_path / "s", **facts) == pytest.approx(1000 * 70_000 / 3.5e8, rel=1e-6)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"SeriesTime": ""}, "SeriesTime"),
        ({"SeriesDate": "", "StudyDate": ""}, "SeriesDate"),
        (injection(), "RadiopharmaceuticalStartTime"),
        (
            injection(RadiopharmaceuticalStartDateTime="20240301"),
            "RadiopharmaceuticalStartDateTime",
        ),
        (injection(RadiopharmaceuticalStartDateTime="20240301070000+0000"), "zone"),
        (injection(RadiopharmaceuticalStartTime="100500"), "half-lives before the scan"),
        (injection(RadiopharmaceuticalStartDateTime="20240229090000"), "half-lives before"),
        (
            injection(RadiopharmaceuticalStartTime="090000", RadionuclideHalfLife="282240"),
            "later day",
        ),
        (injection(RadiopharmaceuticalStartTime="090000", RadionuclideHalfLife="109.8"), "half-l"),
        (
            injection(RadiopharmaceuticalStartTime="090000", RadionuclideTotalDose="350"),
            "not in Bq",
        ),
        ({"RadiopharmaceuticalInformationSequence": Sequence([])}, "one injection"),
        (
            {
                "RadiopharmaceuticalInformationSequence": Sequence(
                    [*AT_NINE["RadiopharmaceuticalInformationSequence"]] * 2
                )
            },
            "one injection",
        ),
        ({"DecayCorrection": "NONE"}, "DecayCorrection"),
        ({"DecayCorrection": ""}, "DecayCorrection"),
        ({"CorrectedImage": ["ATTN"]}, "CorrectedImage"),
        ({"PatientWeight": "70000"}, "kg"),
        ({"Units": "GML", "SUVType": "LBM"}, "SUVType"),
        ({"Units": "CNTS"}, "Units"),
    ],
)
def test_what_is_not_known_is_refused_by_its_name(tmp_path, facts, said):
    with pytest.raises(ReadError, match=f"no_suv: .*{said}"):
        suv(tmp_path / "s", **(AT_NINE | facts))


def test_a_window_of_the_header_is_one_of_becquerels(tmp_path):
    ramp = bytes(n % 256 for n in range(160))
    facts = {"WindowCenter": "2000", "WindowWidth": "3000", "PixelData": ramp}
    files = [str(file) for file in write(tmp_path / "s", [make_pet(0, **facts)])]
    reply, arrays = image(files, {}, 10, 1, "voi", "accept")
    assert (reply["facts"]["low"], reply["facts"]["high"]) == (500, 3499)
    assert 0 < arrays["stack"].mean() < 255


def philips(**elements):
    """What Philips says of a count: (7053,xx00) to SUV, (7053,xx09) to Bq/ml."""
    header = Dataset()
    block = header.private_block(0x7053, "Philips PET Private Group", create=True)
    for name, value in elements.items():
        block.add_new({"suv": 0x00, "activity": 0x09}[name], "LO", value)
    return header


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({"suv": "0.0025", "activity": "0.5"}, 2.5),
        ({"suv": "0", "activity": "0.5"}, AN_HOUR / 2),
        ({"activity": "0.5"}, AN_HOUR / 2),
    ],
)
def test_counts_of_philips_have_the_factor_that_its_block_states(tmp_path, elements, expected):
    slices = [make_pet(n, Units="CNTS") for n in range(2)]
    for header in slices:
        header.update(philips(**elements))
    volume = read_series(write(tmp_path, slices), {}).volume
    assert volume == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("elements", [{}, {"suv": "0"}, {"suv": "none"}, {"suv": "-1"}])
def test_counts_without_a_factor_are_no_suv(tmp_path, elements):
    header = make_pet(0, Units="CNTS")
    header.update(philips(**elements))
    with pytest.raises(ReadError, match="neither BQML nor GML") as refusal:
        read_series(write(tmp_path, [header]), {})
    assert refusal.value.code == "no_suv"
