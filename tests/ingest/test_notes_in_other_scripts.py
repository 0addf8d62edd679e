"""A patient's name in a header of any script, and in the note of the same case in the hospital's own
writing, does not come into the store.
"""

import re

import numpy as np
import pytest
from dicom_builders import make_slice

import mmdiag

# case -> character set of the header, name there, note, what of it must not be stored
PEOPLE = {
    "japanese7": (
        ["", "ISO 2022 IR 87"],
        "Suzuki^Ichirou=鈴木^一郎=すずき^いちろう",
        "患者 鈴木一郎 様。肺に結節。スズキ イチロウ。Suzuki Ichiro.",
        "鈴木|一郎|スズキ|イチロウ|(?i:suzuki|ichiro)",
    ),
    "japanese8": (
        "ISO_IR 192",
        "Ito^Yuki=伊藤^由紀=いとう^ゆき",
        "伊藤由紀さんの検査。異常なし。",
        "伊藤|由紀",
    ),
    "korean": (
        ["", "ISO 2022 IR 149"],
        "Kim^Minsu=金^民洙=김^민수",
        "환자 김민수 님, 민수의 폐 결절 없음.",
        "김민수|민수",
    ),
    "chinese": (
        "GB18030",
        "Zhang^Xiaoming=张^晓明",
        "患者張曉明，男，右肺结节。张先生无咳嗽。",
        "[张張][晓先]|晓明|曉明",
    ),
    "russian": (
        "ISO_IR 144",
        "Смирнова^Елена",
        "Пациентка Смирнова Елена. СМИРНОВОЙ Елене назначено.",
        "(?i:смирнов|елен)",
    ),
    "greek": (
        "ISO_IR 126",
        "Νικολάου^Μαρία",
        "Η ασθενής ΝΙΚΟΛΑΟΥ Μαρία εξετάστηκε.",
        "(?i:νικολ)|Μαρία",
    ),
    "arabic": (
        "ISO_IR 127",
        "حداد^سمير",
        "المريض حداد سمير، لا توجد آفة. وسمير بخير.",
        "حداد|سمير",
    ),
    "hebrew": (
        "ISO_IR 138",
        "לוי^דינה",
        "המטופלת דינה לוי, ללא ממצא. ללוי אין תלונות.",
        "לוי|דינה",
    ),
    "thai": ("ISO_IR 166", "สุขใจ^มานี", "ผู้ป่วยมานี สุขใจ ไม่พบรอยโรค", "มานี|สุขใจ"),
    "german": (
        "ISO_IR 100",
        "Größler^Käthe",
        "Frau Groessler, Käthe. Fr. GRÖSSLER klagt nicht. Käthes Befund.",
        "(?i:gr(?:ö|oe)ssler|k(?:ä|ae)the)",
    ),
    "turkish": (
        "ISO_IR 148",
        "Yıldız^İpek",
        "Hasta YILDIZ İpek'in akciğerinde nodül yok.",
        "(?i:y[ıi]ld[ıi]z)|İpek",
    ),
    "undeclared": ("", "Кузнецов^Иван", "Пациент Кузнецов Иван, очагов нет.", "Кузнецов|Иван"),
}
MEDICINE = {
    "japanese7": "肺に結節", "japanese8": "異常なし", "korean": "폐 결절", "chinese": "右肺结节", "russian": "назначено",
    "greek": "εξετάστηκε", "arabic": "لا توجد آفة", "hebrew": "ללא ממצא", "thai": "ไม่พบรอยโรค", "german": "klagt nicht",
    "turkish": "akciğerinde nodül yok", "undeclared": "очагов нет",
}  # fmt: skip


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Case -> the note as it is stored."""
    folder = tmp_path_factory.mktemp("scripts")
    pixels = np.random.default_rng(0).integers(0, 4000, (32, 32)).astype(np.uint16).tobytes()
    for case, (charset, name, note, _) in PEOPLE.items():
        facts = {"Rows": 32, "Columns": 32, "PixelData": pixels, "PatientID": case}
        image = make_slice(0, SpecificCharacterSet=charset or "ISO_IR 144", **facts)
        image.PatientName = name
        image.save_as(folder / f"{case}.dcm", enforce_file_format=True)
        if not charset:
            content = (folder / f"{case}.dcm").read_bytes()
            (folder / f"{case}.dcm").write_bytes(content.replace(b"ISO_IR 144", b"ISO_IR 100"))
        (folder / f"{case}.txt").write_text(note, encoding="utf-8")
    (folder / "cases.csv").write_text("id\n" + "\n".join(PEOPLE) + "\n")
    (folder / "cohort.toml").write_text(
        '[cohort]\nname = "scripts"\n[cases]\ntable = "cases.csv"\ncase_id = "id"\n'
        '[modalities.mr]\nkind = "image"\npath = "{id}.dcm"\n'
        '[modalities.report]\nkind = "text"\npath = "{id}.txt"\n'
    )
    cohort = mmdiag.Cohort.open(folder / "cohort.toml", workspace=folder / "workspace")
    assert cohort.ingest()["cases"]["quarantined"] == 0
    return {case: cohort.note("report", case) for case in PEOPLE}


@pytest.mark.parametrize("case", PEOPLE)
def test_the_name_in_the_header_is_not_in_the_stored_note(stored, case):
    assert not re.search(PEOPLE[case][3], stored[case]), stored[case]
    assert "[NAME]" in stored[case] and MEDICINE[case] in stored[case]
