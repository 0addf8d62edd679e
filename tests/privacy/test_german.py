"""German notes: dates, postcodes, streets, towns, hospitals and people in the forms of Germany,
Austria and Switzerland are masked, and the medicine is left.
"""

import importlib.util
import re

import pytest
from repository import ROOT

from mmdiag.privacy.mask import mask_note

FORMS = {
    "Untersuchung vom 12.3.19.": "Untersuchung vom [DATE].",
    "CT vom 12. 03. 2019 nativ": "CT vom [DATE] nativ",
    "Z. n. Nephrektomie 03/19": "Z. n. Nephrektomie [DATE]",
    "Kontrolle am 12.3. um 9 Uhr": "Kontrolle am [DATE] um 9 Uhr",
    "stationär vom 3. bis 7.4.": "stationär vom [DATE] bis [DATE]",
    "seit 11/2018 Husten, seit Jänner 2020 Fieber": "seit [DATE] Husten, seit [DATE] Fieber",
    "wohnhaft in A-1010 Wien": "wohnhaft in [ADDRESS]",
    "Lindenweg 7, 97070 Würzburg": "[ADDRESS], [ADDRESS]",
    "Am Alten Markt 12a, CH-8400 Winterthur": "[ADDRESS], [ADDRESS]",
    "An der Mühle 3\n3100 St. Pölten": "[ADDRESS]\n[ADDRESS]",
    "Er lebt in Buxtehude.": "Er lebt in [ADDRESS].",
    "Verlegung in das Klinikum rechts der Isar.": "Verlegung in das [INSTITUTION].",
    "im Marienhospital Bottrop operiert": "im [INSTITUTION] operiert",
    "LKH Graz, AKH Wien": "[INSTITUTION], [INSTITUTION]",
    "OA Dr. Kaltenegger": "OA Dr. [NAME]",
    "gez. J. Quast, Olten, 12.3.19": "gez. [NAME], [ADDRESS], [DATE]",
    "Hr. Thißen klagt nicht.": "Hr. [NAME] klagt nicht.",
    "Sozialversicherungsnummer 1234 010180": "Sozialversicherungsnummer [ID]",
    "AHV 756.1234.5678.97": "AHV [ID]",
    "Tel.: 01/40400 DW 12": "Tel.: [PHONE]",
    "Histologie H19/12345": "Histologie [ID]",
}


@pytest.mark.parametrize("text", FORMS)
def test_a_german_form_is_masked(text):
    assert mask_note(text, []).text == FORMS[text]


@pytest.mark.parametrize(
    "text",
    [
        "Hb 11.2 g/dl, CRP 4.5. Zyklus 3/6, Tag 8. Lymphknoten 0/12, Gleason 3+4=7, RR 145/90.",
        "Rundherd 14 x 12 mm im Segment 6, unverändert. LVEF 55 %. Th5/6 bis Th8/9. L1 mit Einbruch.",
        "Sehr geehrte Frau Kollegin, sehr geehrter Herr Kollege, wir danken für die Zuweisung.",
        "Leber homogen, Milz 11 x 4 cm, Harnblase glatt begrenzt. Kein Aszites. Muskelaufbau empfohlen.",
        "Die Mutter ist gesund, der Vater verstarb am Herzinfarkt. Im Herbst Kontrolle.",
        "Augenklinik und Frauenklinik im Haus. 12000 Leukozyten, Stadium IIIB nach Ann Arbor.",
    ],
)
def test_german_medicine_is_left_as_it_is(text):
    assert mask_note(text, []).text == text


@pytest.mark.parametrize("forms", ["FORMS", "HELD_OUT"])
def test_nine_tenths_of_the_identifiers_in_german_letters_are_found_and_hardly_anything_else(forms):
    spec = importlib.util.spec_from_file_location(
        "german_notes", ROOT / "benchmarks/german_notes.py"
    )
    letters = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(letters)
    found = marked = words = touched = 0
    for text, spans, own in letters.german_letters(getattr(letters, forms), count=60, seed=1):
        masked = mask_note(text, own)
        covered = {p for s in masked.spans for p in range(s.start_in_original, s.end_in_original)}
        gold = {place for start, end, _ in spans for place in range(start, end)}
        marked += len(spans)
        found += sum(
            all(p in covered for p in range(start, end) if text[p].isalnum())
            for start, end, _ in spans
        )
        for word in re.finditer(r"\w+", text):
            if not gold.intersection(range(*word.span())):
                words += 1
                touched += bool(covered.intersection(range(*word.span())))
        for start, end, kind in spans:
            assert kind != "NAME_PATIENT" or covered.issuperset(
                p for p in range(start, end) if text[p].isalnum()
            ), "the patient's own name"
    assert found >= 0.9 * marked and touched <= 0.01 * words, (found / marked, touched / words)
