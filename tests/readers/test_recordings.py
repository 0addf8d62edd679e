"""EDF, BDF, WFDB and DICOM waveforms: the samples that another reader gives, under the names and in
the unit that a cohort asks for, or a refusal that says why.
"""

import gzip
import itertools
import socket
from datetime import date

import numpy as np
import pyedflib
import pytest
from recording_builders import FORMS, multiplex, packed_wfdb, write_edf, write_waveform, write_wfdb

from mmdiag.errors import ReadError
from mmdiag.readers.signals.leads import lead_of
from mmdiag.readers.signals.recording import check_recording, read_signal, the_signal
from mmdiag.readers.signals.stored import MISSING, Signal, to_stored_signal
from mmdiag.reasons import REASONS

RNG = np.random.default_rng(7)
LEADS = ("I", "II", "V1")


def read(file, channels=LEADS, *, seconds=3.0, unit="mV"):
    return read_signal(file, channels, rate_hz=None, seconds=seconds, unit=unit)


def walk(shape, size=300, largest=2000):
    """Whole numbers that wander, at most so large."""
    steps = np.cumsum(RNG.integers(-size // 20, size // 20 + 1, shape), axis=0)
    return np.clip(steps, -largest, largest)


def by_pyedflib(file):
    """Label -> physical samples."""
    with pyedflib.EdfReader(str(file), annotations_mode=0) as reader:
        return {
            reader.getLabel(number).strip(): reader.readSignal(number)
            for number in range(reader.signals_in_file)
        }


def test_an_edf_or_bdf_has_the_samples_that_pyedflib_reads(tmp_path):
    forms = itertools.product(
        ("edf", "bdf"), ("1", "0.5", "2"), (("-5", "5"), ("3.2", "-3.2")), ("mV", "uV")
    )
    for number, (form, record_s, physical, unit) in enumerate(forms):
        per_record = int(100 * float(record_s))
        records = int(4 / float(record_s))
        digital = [walk(records * per_record).reshape(records, per_record) for _ in LEADS]
        span = (-32768, 32767) if form == "edf" else (-8388608, 8388607)
        span = (-2048, 2047) if number % 3 == 0 else span
        file = write_edf(
            tmp_path / f"r{number}.{form}",
            digital,
            labels=["I", "V1", "II"],
            units=[unit] * 3,
            physical=physical,
            span=span,
            record_s=record_s,
        )
        found, other = read(file), by_pyedflib(file)
        factor = 1e-3 if unit == "uV" else 1
        expected = np.stack([other[lead] * factor for lead in LEADS], axis=1)
        assert found.rate_hz == 100 and found.seconds == 4 and found.missing == ()
        assert np.allclose(found.samples, expected[:301], rtol=1e-6, atol=1e-9), file.name
    assert number >= 20


def test_annotations_of_an_edf_are_no_channel_and_channels_of_two_rates_come_at_the_higher(
    tmp_path,
):
    digital = [walk(400).reshape(4, 100), walk(200).reshape(4, 50), np.zeros((4, 8), int)]
    tal = np.frombuffer("".join(f"+{n}\x14\x14".ljust(16, "\0") for n in range(4)).encode(), "<i2")
    digital[2] = tal.reshape(4, 8)
    file = write_edf(
        tmp_path / "r.edf", digital, labels=["I", "II", "EDF Annotations"], reserved="EDF+C"
    )
    found, other = read(file, ("I", "II")), by_pyedflib(file)
    assert found.rate_hz == 100 and np.allclose(found.samples[:, 0], other["I"][:301], atol=1e-6)
    assert np.allclose(found.samples[::2, 1][5:-5], other["II"][:151][5:-5], atol=1e-4)
    alone = write_edf(
        tmp_path / "one.edf",
        [digital[0], digital[2]],
        labels=["I", "EDF Annotations"],
        reserved="EDF+C",
    )
    assert read(alone, ()).samples.shape == (301, 1)
    with pytest.raises(ReadError, match="signal_channels"):
        read(alone, ("EDF Annotations",))


WFDB_FORMS = ("16", "61", "80", "160", "24", "32", "212")


def test_a_wfdb_record_has_the_samples_that_were_stored_by_its_format(tmp_path):
    variants = itertools.product(
        WFDB_FORMS, (("200(0)/mV", 200, 0, 1), ("0.5(-20)/uV", 0.5, -20, 1e-3), ("100", 100, 0, 1))
    )
    for number, (form, (gain, times, base, factor)) in enumerate(variants):
        digital = walk((401, 3), size=40, largest=100)
        file = write_wfdb(
            tmp_path / f"r{number}.hea",
            digital,
            labels=["V1", "II", "I"],
            form=form,
            gain=gain,
            offset=24 if number % 2 else 0,
            data=f"r{number}.mat" if number % 2 else "",
        )
        found = read(file)
        expected = (digital[:301, [2, 1, 0]] - base) / times * factor
        assert found.rate_hz == 100 and found.seconds == pytest.approx(4.01)
        assert np.allclose(found.samples, expected, atol=1e-6), (form, gain)
    assert number >= 20


def test_a_channel_with_several_samples_a_frame_comes_at_its_own_rate(tmp_path):
    digital = walk((200, 3))  # of each frame two samples of I, then one of II
    (tmp_path / "r.dat").write_bytes(digital.astype("<i2").tobytes())
    lines = ["r 2 100 200", "r.dat 16x2 200/mV 16 0 0 0 0 I", "r.dat 16 200/mV 16 0 0 0 0 II"]
    (tmp_path / "r.hea").write_text("\n".join(lines) + "\n")
    found = read(tmp_path / "r.hea", ("I", "II"), seconds=1.0)
    assert found.rate_hz == 200 and found.seconds == 2
    assert np.allclose(found.samples[:, 0], digital[:, :2].ravel()[:201] / 200, atol=1e-6)
    assert np.allclose(found.samples[10:190:2, 1], digital[5:95, 2] / 200, atol=2e-3)


def test_a_channel_that_nobody_asks_for_may_be_slow(tmp_path):
    digital = [walk(400).reshape(4, 100), walk(4).reshape(4, 1)]
    file = write_edf(tmp_path / "r.edf", digital, labels=["I", "Temp"], record_s="2")
    assert read(file, ("I",)).rate_hz == 50
    with pytest.raises(ReadError, match=r"signal_rate: .*0\.5 samples"):
        read(file, ("Temp",))


def interrupted(file, onsets):
    """An EDF+D whose records begin at some seconds."""
    tal = b"".join(f"+{onset}\x14\x14".ljust(16, "\0").encode() for onset in onsets)
    digital = [walk(400).reshape(4, 100), np.frombuffer(tal, "<i2").reshape(4, 8)]
    return write_edf(file, digital, labels=["I", "EDF Annotations"], reserved="EDF+D")


def test_an_interrupted_edf_is_refused_where_it_is_interrupted(tmp_path):
    assert read(interrupted(tmp_path / "whole.edf", (0, 1, 2, 3)), ("I",)).seconds == 4
    with pytest.raises(ReadError, match="signal_segments"):
        read(interrupted(tmp_path / "gap.edf", (0, 1, 7, 8)), ("I",))


def test_a_record_says_when_it_began_and_who_it_is_of_and_reaches_no_network(tmp_path, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("a reader asked the network")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    file = write_wfdb(
        tmp_path / "mitdb.hea",
        walk((301, 1)),
        labels=["II"],
        day="02/03/2021",
        comments="# Name: Jane Doe\n",
    )
    found = read(file, ("II",))
    assert found.recorded == date(2021, 3, 2)
    assert found.patient == {"PatientName": ("Jane Doe",)} and "Doe" not in repr(found)


def test_a_dicom_waveform_has_the_samples_of_its_sensitivity_and_baseline(tmp_path):
    forms = itertools.product(
        FORMS,
        (False, True),
        (("0.005", "mV", "0", "1", 0.005, 0), ("2.5", "uV", "10", "2", 0.005, 0.01)),
    )
    for number, (
        form,
        implicit,
        (sensitivity, unit, baseline, correction, times, base),
    ) in enumerate(forms):
        stored = walk((400, 3), size=40, largest=100)
        stored = stored - stored.min() if form[0] == "U" else stored
        group = multiplex(
            stored,
            ["Lead V1", "Lead I", "Lead II"]
            if number % 2
            else ["V1", "I (Einthoven)", "MDC_ECG_LEAD_II"],
            form=form,
            sensitivity=sensitivity,
            unit=unit,
            baseline=baseline,
            correction=correction,
            labels=number % 3 == 0,
        )
        file = write_waveform(tmp_path / f"w{number}.dcm", [group], implicit=implicit)
        found = read(file)
        expected = stored[:301, [1, 2, 0]] * times + base
        assert np.allclose(found.samples, expected, atol=1e-6), (form, unit)
        assert found.recorded == date(2021, 3, 2) and found.rate_hz == 100 and found.seconds == 4
    assert number >= 20


def test_of_several_groups_the_recorded_one_with_the_leads_is_read(tmp_path):
    rhythm, median, strip = walk((400, 3)), walk((60, 3)), walk((900, 1))
    groups = [
        multiplex(median, LEADS, WaveformOriginality="DERIVED", MultiplexGroupLabel="MEDIAN BEAT"),
        multiplex(rhythm, LEADS),
        multiplex(strip, ["II"]),
    ]
    file = write_waveform(tmp_path / "w.dcm", groups)
    assert np.allclose(read(file).samples, rhythm[:301] * 0.005, atol=1e-6)
    assert read(file, ("II",)).seconds == 9


def test_the_same_ecg_is_stored_alike_from_four_forms(tmp_path):
    from mmdiag.sandbox.signal_request import signal

    microvolts = walk((400, 3), largest=1600)
    wave = microvolts / 1000
    digital = [
        np.rint((wave[:, i] + 5) / 10 * 65535 - 32768).astype(int).reshape(4, 100) for i in range(3)
    ]
    lines = [",".join(LEADS), *(",".join(map(str, row)) for row in wave.tolist())]
    (tmp_path / "r.csv").write_text("\n".join(lines) + "\n")
    files = [
        tmp_path / "r.csv",
        write_edf(tmp_path / "r.edf", digital, labels=["ECG I", "Lead II", "V1"]),
        write_wfdb(tmp_path / "r.hea", microvolts, labels=LEADS, gain="1(0)/uV"),
        write_waveform(
            tmp_path / "r.dcm", [multiplex(microvolts, LEADS, sensitivity="1", unit="uV")]
        ),
    ]
    stored = []
    for file in files:
        reply, arrays = signal(str(file), LEADS, 100.0, 250.0, 4.0, 2.0)
        stored.append(arrays["samples"].astype(int))
        assert reply["facts"]["n_channels"] == 3 and reply["facts"]["n_missing"] == 0
    step = 10 / 65535 / 2.0 * 32767  # of the coarsest file
    assert stored[0].shape == (1000, 3) and stored[0].std() > 100
    assert all(np.abs(one - stored[0]).max() <= step + 1 for one in stored)


@pytest.mark.parametrize(
    ("name", "lead"),
    [
        *(
            (alias, "II")
            for alias in (
                "II",
                "MLII",
                "Lead II",
                "ECG II",
                "DII",
                "D2",
                "ecg_lead_ii",
                "Lead II (Einthoven)",
                "MDC_ECG_LEAD_II",
                "EKG II",
                "lead-II",
                "ECG - II",
            )
        ),
        *((alias, "aVR") for alias in ("AVR", "avr", "Lead aVR", "ECG AVR", "aVR (Goldberger)")),
        *((alias, "V1") for alias in ("V1", "C1", "Lead V1", "ECG V1")),
        *((alias, "") for alias in ("-aVR", "Resp", "", "ECG", "V10", "Pleth")),
        *((alias, "") for alias in ("ECG -aVR", "MDC_ECG_LEAD_-AVR", "Lead (-aVR)", "aVR (-)")),
        *((alias, "") for alias in ("aVR-", "I-II", "ECG II-I", "I I")),
    ],
)
def test_a_lead_is_one_whatever_a_system_calls_it(name, lead):
    assert lead_of(name) == lead


def test_a_lead_of_another_name_and_a_missing_one_are_said(tmp_path):
    digital = walk((400, 2))
    file = write_wfdb(tmp_path / "r.hea", digital, labels=["MLII", "Resp"])
    found = read(file, ("V1", "II"))
    assert found.renamed == {"II": "MLII"} and found.missing == ("V1",)
    assert np.isnan(found.samples[:, 0]).all() and np.allclose(
        found.samples[:, 1], digital[:301, 0] / 200
    )
    kept = to_stored_signal(found, rate_hz=250.0, seconds=3.0, full_scale=10.0)
    assert (kept.samples[:, 0] == MISSING).all() and (kept.samples[:, 1] > MISSING).all()
    assert kept.share_clipped == 0 and kept.samples.shape == (752 - 2, 2)
    same = write_wfdb(tmp_path / "s.hea", digital, labels=["MLII", "Lead II"])
    with pytest.raises(ReadError, match="signal_channels: 2 channels"):
        read(same, ("II",))


def test_a_model_sees_what_is_usual_where_a_lead_is_missing():
    from mmdiag.prepare.signal import fit_channels, signal_statistics

    whole = walk((200, 2)).astype(np.int16)
    lacking = whole.copy()
    lacking[:, 1] = MISSING
    fitted = fit_channels([whole, lacking])
    assert np.allclose(fitted.center[1], whole[:, 1].mean(), rtol=1e-4)
    assert (fitted(lacking)[:, 1] == 0).all() and fitted(lacking)[:, 0].any()
    statistics = signal_statistics(lacking)
    assert np.isnan(statistics[1]).all() and np.isfinite(statistics[0]).all()


def edf(file, **how):
    how = {"labels": ["I"], **how}
    return write_edf(file, [walk(400).reshape(4, 100)], **how)


def wfdb(file, **how):
    how = {"labels": ["I"], **how}
    return write_wfdb(file, walk((400, 1), largest=2000), **how)


def dicom(file, **how):
    facts = {key: how.pop(key) for key in ("implicit",) if key in how}
    return write_waveform(file, [multiplex(walk((400, 1)), ["I"], **how)], **facts)


def torn(write, end, by):
    def cut(file):
        write(file)
        torn = file.with_suffix(end)
        torn.write_bytes(torn.read_bytes()[:-by])
        return file

    return cut


def rewritten(write, old, new):
    def change(file):
        write(file)
        file.write_text(file.read_text().replace(old, new))
        return file

    return change


@pytest.mark.parametrize(
    ("code", "name", "write"),
    [
        ("truncated", "r.edf", torn(edf, ".edf", 9)),
        ("truncated", "r.bdf", torn(edf, ".bdf", 9)),
        ("truncated", "r.edf", lambda f: edf(f, records=9)),
        ("truncated", "r.edf", lambda f: edf(f, records=-1)),
        ("truncated", "r.edf", lambda f: edf(f, records=99999999)),
        ("unreadable", "r.edf", lambda f: edf(f, tail=bytes(40))),
        ("unreadable", "r.edf", lambda f: edf(f, fields={184: b"99999   "})),
        ("unreadable", "r.edf", lambda f: edf(f, fields={252: b"9999"})),
        ("unreadable", "r.edf", lambda f: edf(f, record_s="1e9999")),
        ("unreadable", "r.edf", lambda f: edf(f, span=(5, 5))),
        ("signal_unit", "r.edf", lambda f: edf(f, physical=("1", "1"))),
        ("signal_unit", "r.edf", lambda f: edf(f, units=["mmHg"])),
        ("signal_unit", "r.edf", lambda f: edf(f, units=[""])),
        ("signal_unit", "r.edf", lambda f: edf(f, units=["MV"])),
        ("signal_channels", "r.edf", lambda f: edf(f, labels=["II"])),
        ("not_a_signal", "r.edf", lambda f: f.write_bytes(bytes(900)) and f),
        ("not_a_signal", "r.edf", lambda f: f.write_bytes(gzip.compress(bytes(2**20))) and f),
        ("not_a_signal", "r.edf", lambda f: edf(f, record_s="0")),
        ("truncated", "r.hea", torn(wfdb, ".dat", 9)),
        ("truncated", "r.hea", lambda f: wfdb(f, length=10**15)),
        ("signal_unit", "r.hea", lambda f: wfdb(f, gain="0")),
        ("signal_unit", "r.hea", lambda f: wfdb(f, gain="200/mmHg")),
        ("signal_rate", "r.hea", lambda f: wfdb(f, rate="0")),
        ("signal_segments", "r.hea", rewritten(wfdb, "r 1", "r/3 1")),
        ("unreadable", "r.hea", rewritten(wfdb, " 16 200", " 516 200")),
        ("unreadable", "r.hea", rewritten(wfdb, "r 1", "r 2")),
        ("unreadable", "r.hea", rewritten(wfdb, "r 1", "r 99999")),
        ("not_a_signal", "r.hea", lambda f: f.write_bytes(bytes(90)) and f),
        ("not_a_signal", "r.hea", lambda f: f.write_text("# nothing\n") and f),
        ("missing_data", "r.hea", rewritten(wfdb, "r.dat", "s.dat")),
        ("outside_root", "r.hea", rewritten(wfdb, "r.dat", "../secret.dat")),
        ("outside_root", "r.hea", rewritten(wfdb, "r.dat", "/etc/passwd")),
        ("outside_root", "r.hea", rewritten(wfdb, "r.dat", "https://physionet.org/a.dat")),
        ("outside_root", "r.hea", rewritten(wfdb, "r.dat", "link.dat")),
        ("too_large", "r.hea", lambda f: f.write_bytes(b"#" * (2**20 + 9)) and f),
        ("truncated", "r.dcm", lambda f: dicom(f, NumberOfWaveformSamples=401)),
        ("too_large", "r.dcm", lambda f: dicom(f, NumberOfWaveformSamples=2**31)),
        ("unreadable", "r.dcm", lambda f: dicom(f, NumberOfWaveformSamples=300)),
        ("unreadable", "r.dcm", lambda f: dicom(f, NumberOfWaveformChannels=2)),
        ("unreadable", "r.dcm", lambda f: dicom(f, WaveformBitsAllocated=12)),
        ("signal_rate", "r.dcm", lambda f: dicom(f, rate=0)),
        ("signal_unit", "r.dcm", lambda f: dicom(f, sensitivity=None)),
        ("signal_unit", "r.dcm", lambda f: dicom(f, unit="mmHg")),
        ("truncated", "r.dcm", torn(dicom, ".dcm", 90)),
        ("not_a_signal", "r.dcm", lambda f: write_waveform(f, [])),
        ("not_a_signal", "r.dcm", lambda f: f.write_bytes(bytes(400)) and f),
    ],
)
def test_a_torn_lying_or_uncalibrated_recording_is_refused_with_the_reason(
    tmp_path, code, name, write
):
    folder = tmp_path / "data"
    folder.mkdir()
    (tmp_path / "secret.dat").write_bytes(bytes(900))
    (folder / "link.dat").symlink_to(tmp_path / "secret.dat")
    with pytest.raises(ReadError) as refusal:
        read(write(folder / name), ("I",))
    assert refusal.value.code == code and code in REASONS and "secret" not in str(refusal.value)


def test_samples_without_a_value_are_a_gap_and_a_channel_without_any_is_missing(tmp_path):
    digital = walk((400, 2))
    digital[50, 0] = -32768  # of format 16 that means no value
    with pytest.raises(ReadError, match=r"signal_gap: r.hea has 1 samples"):
        read(write_wfdb(tmp_path / "r.hea", digital, labels=["I", "II"]), ("I", "II"))
    digital[:, 0] = -32768
    found = read(write_wfdb(tmp_path / "s.hea", digital, labels=["I", "II"]), ("I", "II"))
    assert found.missing == ("I",)
    padded = multiplex(np.where(np.arange(400)[:, None] == 9, -999, walk((400, 1))), ["I"])
    padded.add_new(0x5400100A, "OW", np.asarray([-999], "<i2").tobytes())
    with pytest.raises(ReadError, match="signal_gap"):
        read(write_waveform(tmp_path / "w.dcm", [padded]), ("I",))


def test_names_in_headers_are_for_masking_alone(tmp_path):
    file = write_edf(
        tmp_path / "r.edf",
        [walk(400).reshape(4, 100)],
        labels=["I"],
        patient="MCH-0234567 F 02-MAY-1951 Haagse_Harry",
        recording="Startdate 02-MAR-2021 EMG561 BK_JOP Sony.",
        reserved="EDF+C",
    )
    found = read(file, ("I",))
    assert found.recorded == date(2021, 3, 2)
    assert found.patient["PatientID"] == ("MCH-0234567",)
    assert found.patient["PatientName"] == ("Haagse Harry",)
    assert "Harry" not in repr(found) and "0234567" not in repr(found)
    plain = write_edf(
        tmp_path / "s.edf", [walk(400).reshape(4, 100)], labels=["I"], patient="Harry Haagse"
    )
    assert read(plain, ("I",)).patient == {"PatientName": ("Harry Haagse",)}
    assert read(plain, ("I",)).recorded == date(2021, 3, 2)


def test_the_recording_of_a_folder_is_the_header_and_not_its_data_or_annotations(tmp_path):
    header = wfdb(tmp_path / "r.hea")
    (tmp_path / "r.atr").write_bytes(b"x")
    files = sorted(tmp_path.iterdir())
    assert the_signal(files) == header and len(files) == 3
    with pytest.raises(ReadError, match="2 files"):
        the_signal([*files, edf(tmp_path / "r.edf")])


def test_a_recording_is_checked_whatever_its_channels(tmp_path):
    for file in (
        edf(tmp_path / "r.edf", units=[""]),
        wfdb(tmp_path / "r.hea"),
        dicom(tmp_path / "r.dcm"),
    ):
        check_recording(file)


def test_what_is_stored_of_a_short_signal_is_not_padded():
    kept = to_stored_signal(
        Signal(np.zeros((50, 2), np.float32), 100.0, 0.5),
        rate_hz=100.0,
        seconds=3.0,
        full_scale=1.0,
    )
    assert kept.samples.shape == (50, 2) and len(packed_wfdb(np.zeros(3), "212")) == 6
