"""Masking: the subject's own identifiers in every spelling, what has the form of an identifier,
people of lists, and nothing of the medicine.
"""

import numpy as np
import pytest
from deidentify_builders import as_header
from processor_time import grows_in_proportion

from mmdiag.deidentify.header import identifiers_of
from mmdiag.phantom.identifiers import header_of, make_person, sentence_of
from mmdiag.privacy.mask import PLACEHOLDERS, mask_note


def masked(text, *own, names=True):
    return mask_note(text, own, names=names).text


@pytest.mark.parametrize("number", range(25))
def test_every_identifier_that_the_phantom_plants_is_masked(number):
    person = make_person(number, np.random.default_rng(number))
    own = identifiers_of(as_header(header_of(person)))
    assert len(own) >= 4
    text = (
        f"FINDINGS: no mass effect. {sentence_of(person)}IMPRESSION: "
        f"{person['family'].upper()}, {person['record'][3:]}: stable."
    )
    result = mask_note(text, own)
    for value in [
        *person.values(),
        person["record"][3:],
        person["family"].upper(),
        person["telephone"].replace(" ", ""),
    ]:
        assert value not in result.text
    assert "no mass effect" in result.text and "stable" in result.text


@pytest.mark.parametrize(
    "written",
    [
        "Brzeczyszcz",
        "BRZECZYSZCZ",
        "brzeczyszcz",
        "Brzęczyszcz",
        "Brz\u200beczyszcz",
        "Brz\u0435czyszcz",
        "Brzeczy-\nszcz",
        "Brzeczyszcz's",
        "Wrona-Brzeczyszcz",
        "_Brzeczyszcz_",
    ],
)
def test_the_subjects_name_is_found_however_it_is_spelt(written):
    text = masked(f"seen: {written} today", "Brzęczyszcz^Zofia", names=False)
    assert (
        "szcz" not in text.lower().replace("\u0435", "e").replace("\n", "")
        and text.startswith("seen: ")
        and "today" in text
    )


@pytest.mark.parametrize(
    "written",
    [
        "1964-12-26",
        "26.12.1964",
        "12/26/1964",
        "26/12/64",
        "26 December 1964",
        "Dec 26, 1964",
        "26-Dec-1964",
        "19641226",
        "26. Dezember 1964",
        "26 de diciembre de 1964",
    ],
)
def test_the_date_of_birth_is_found_in_every_format(written):
    assert masked(f"x {written} y", "19641226") == "x [DATE] y"


@pytest.mark.parametrize(
    "written",
    [
        "+44 7700 904097",
        "+447700904097",
        "07700 904 097",
        "(07700) 904-097",
        "0044 7700 904097",
        "7700.904.097",
    ],
)
def test_the_telephone_number_is_found_in_any_grouping(written):
    assert masked(f"call {written}, no oedema", "+44 7700 904097") == "call [PHONE], no oedema"


@pytest.mark.parametrize(
    "written",
    ["MRN377046480", "MRN 377046480", "377046480", "377-046-480", "mrn:377046480", "0377046480"],
)
def test_the_record_number_is_found_with_and_without_its_letters(written):
    assert "377" not in masked(f"number {written}.", "MRN377046480")


def test_a_name_that_is_a_word_as_well_is_masked_with_a_capital_only():
    assert (
        masked("Brown came. A brown lesion may be seen.", "Brown^May")
        == "[NAME] came. A brown lesion may be seen."
    )


def test_a_name_with_an_apostrophe_a_particle_or_an_umlaut_is_found_in_its_other_spellings():
    assert masked("O Brien, OBRIEN and o'brien", "O'Brien^Pat", names=False).count("[NAME]") >= 1
    assert "rien" not in masked("O Brien and OBRIEN and o'brien", "O'Brien^Xu", names=False).lower()
    assert "ller" not in masked("x Mueller, x Müller, x MULLER", "Müller^Ute", names=False).lower()
    assert "Berg" not in masked("seen with van den Berg", "van den Berg^Jan", names=False)
    assert masked("山田太郎 stable", "Yamada^Tarou=山田^太郎").count("山田") == 0


FORMS = {
    "Seen by Dr. Quagmirelli for review.": "Seen by Dr. [NAME] for review.",
    "Patient: Zeb Quagmirelli, well.": "Patient: [NAME], well.",
    "Read by Tomasz Quagmirelli, MD.": "Read by [NAME], MD.",
    "MRN: 4711-0815": "MRN: [ID]",
    "Accession #A12345": "Accession #[ID]",
    "SSN 123-45-6789.": "SSN [ID].",
    "NHS number 943 476 5919": "NHS number [ID]",
    "Born 3 May 1950.": "Born [DATE].",
    "Seen on 14 March 2026 and 03/15/2026.": "Seen on [DATE] and [DATE].",
    "Operated in March 2019, again in 2021.": "Operated in [DATE], again in 2021.",
    "A 93-year-old man, a 64-year-old woman.": "A [AGE]-year-old man, a 64-year-old woman.",
    "Tel. 555-010-0199, fax: 555 010 0200": "Tel. [PHONE], fax: [PHONE]",
    "Mail a.b@c.org, www.example.org/x, 10.1.2.3": "Mail [EMAIL], [URL], [IP]",
    "Lives at 12 Gossamer Lane, Springfield": "Lives at [ADDRESS], Springfield",
    "Device serial number: XK-99812": "Device serial number: [ID]",
    "Dr. med. Quagmirelli, geb. 03.05.1950, wohnhaft": "Dr. med. [NAME], geb. [DATE], wohnhaft",
    "Médico: Ignacio Navarro. NHC: 368503.": "Médico: [NAME]. NHC: [ID].",
}


@pytest.mark.parametrize("text", FORMS)
def test_what_has_the_form_of_an_identifier_is_masked_without_knowing_the_subject(text):
    expected = (
        FORMS[text].replace(", Springfield", "").replace("Lives at [ADDRESS]", "Lives at [ADDRESS]")
    )
    assert masked(text).replace(", Springfield", "") == expected


def test_people_of_the_lists_are_masked_and_words_that_are_names_as_well_need_company():
    assert (
        masked("Discussed with Kowalski. Then Mark Young called.")
        == "Discussed with [NAME]. Then [NAME] called."
    )
    assert masked("Kowalski agreed.", names=False) == "Kowalski agreed."


@pytest.mark.parametrize(
    "text",
    [
        "Hodgkin lymphoma, Gleason 3+4=7, Parkinson disease, Graves disease, Crohn's disease, "
        "Bell palsy, Foley catheter, Babinski sign.",
        "Brown discoloration. Will follow up. May be seen. Young patient. Grade II, Ki-67 of 5 "
        "%, WHO grade 3.",
        "Nodule of 12 x 14 mm at L4/5; BP 120/80; 3/5 strength; T1/T2; 1.5 mg/dl; 2/6 murmur; "
        "CD34, EMA, CEA negative.",
        "FINDINGS: LUNGS CLEAR. NO PLEURAL EFFUSION. IMPRESSION: STABLE POST SURGICAL CHANGES, "
        "WHITE MATTER LESIONS.",
        "IDH1 R132H mutant, 1p/19q codeletion, MGMT methylated, TERT C228T. Series 4, image 112. "
        "Follow-up in 3 months.",
        "Wilson disease with Kayser-Fleischer rings; Meckel diverticulum; Virchow node; "
        "Swan-Ganz catheter; Glasgow coma scale 15.",
        "The patient is 45 years old and 172 cm. Ejection fraction 55-60 %. Hemoglobin 13.2, "
        "platelets 250000.",
        "Nodes of 10-12-14 mm, 3/4/05 cm and 10.12.14mm; insulin 10-12-14 units, 8/10/12 IU; "
        "shares of 20-30-25 %.",
    ],
)
def test_the_medicine_is_left_as_it_is(text):
    assert masked(text) == text


WORDED = [
    "3 luglio 1951",
    "3 lutego 1951",
    "3. února 1951",
    "3 februari 1951",
    "3. helmikuuta 1951",
    "3 Şubat 1951",
    "3 февраля 1951",
    "1951. február 3",
    "3 februarie 1951",
    "3. veljače 1951",
    "3 лютого 1951",
    "3 февруари 1951",
    "3. фебруара 1951",
    "3 Φεβρουαρίου 1951",
    "3 فبراير 1951",
    "3. veebruar 1951",
    "3 fevereiro de 1951",
    "1951年2月3日",
    "1951년 2월 3일",
]
OWN = ("1951 m. vasario 3", "1951. gada 3. februaris", "3 בפברואר 1951", "03/II/1951", "3 II 1951")


@pytest.mark.parametrize("day", WORDED)
def test_a_day_whose_month_is_a_word_is_masked_in_every_language(day):
    assert masked(f"x {day} y") == "x [DATE] y"


@pytest.mark.parametrize("day", [*WORDED[1:], *OWN])
def test_the_subjects_own_date_of_birth_is_masked_in_every_language(day):
    assert mask_note(f"x {day} y", ["19510203"]).text == "x [DATE] y"


@pytest.mark.parametrize(
    "text", ["PE ruled out 2019.", "5 set 10", "Stage II 1951 revision.", "Take 3 out of 2021."]
)
def test_numbers_beside_words_are_no_days(text):
    assert masked(text) == text


REPORTS = {
    "German": "Masse 12 mm. Linke Niere groß. Magen frei. Nur wenig Erguss. Auch rechts. Hoch.",
    "French": "Masse du sein. Avant: normal. Bien. Vessie vide. Aucun nodule. Vers le bas.",
    "Spanish": "Masa de 3 cm. Corazón normal. Izquierdo: sin masas. Tos. Alta. Ayer fiebre.",
    "Italian": "Massa di 3 cm. Reni normali. Prima visita. Testa e collo. Lato destro.",
    "Dutch": "Massa van 3 cm. Groot hart. Deze week. Borst links. Boven de lever. Kort.",
    "Polish": "Brak zmian. Rak płuca. Ręka prawa. Kość udowa. Tak jak poprzednio.",
    "Czech": "Kost bez nálezu. Malý výpotek. Jen vlevo. Pak kontrola.",
    "Portuguese": "Massa de 3 cm. Bacia normal. Dor lombar. Costela fraturada.",
}


@pytest.mark.parametrize("language", REPORTS)
def test_words_that_begin_sentences_of_reports_are_nobody(language):
    assert masked(REPORTS[language]) == REPORTS[language]


def test_a_word_of_reports_is_a_name_beside_one_behind_a_title_and_of_the_subject():
    assert masked("Frau Lange kam. Herr Brust. Dr. Masse.") == (
        "Frau [NAME] kam. Herr [NAME]. Dr. [NAME]."
    )
    assert masked("Maria Corazon called.") == "[NAME] called."
    assert mask_note("Herr linke kam.", ["Linke^Peter"]).text == "Herr [NAME] kam."


@pytest.mark.parametrize("after", [", 5 mm", ": 5 mm", " M. Roe", "", "\nmm", " unit", " mmol"])
def test_three_numbers_without_a_unit_behind_them_are_a_date(after):
    assert masked(f"Seen 10/12/14{after}").startswith("Seen [DATE]") != (after == " unit")


def test_spans_lead_back_to_the_original():
    text = "Á: Dr. Kowalski saw the lesion on 14 March 2026; stable."
    result = mask_note(text, [])
    assert result.text == "Á: Dr. [NAME] saw the lesion on [DATE]; stable." and result.counts == {
        "name": 1,
        "date": 1,
    }
    for span in result.spans:
        assert result.text[span.start : span.end] == PLACEHOLDERS[span.kind]
        assert text[span.start_in_original : span.end_in_original] in ("Kowalski", "14 March 2026")


def test_masking_twice_changes_nothing():
    once = masked(
        "Patient: Zeb Quagmirelli, born 3 May 1950, MRN: 12345, 12 Gossamer Lane, Tel. "
        "555-010-0199."
    )
    assert masked(once) == once
    assert masked("Address: [PHONE]") == "Address: [PHONE]"


def test_a_value_that_identifies_nobody_masks_nothing():
    assert (
        masked("TEXT of 045Y, M, F, other", "TEXT", "045Y", "M", "F", "", "other")
        == "TEXT of 045Y, M, F, other"
    )
    assert masked("a dose of 12 mg, ID 12", "12") == "a dose of 12 mg, ID [ID]"


@pytest.mark.parametrize(
    "piece", ["1 ", "A. ", "Aa ", "aaaa", "Dr. ", "12/", "1.", "a@", "Aa-", "1-", "([", "Calle A"]
)
def test_no_text_makes_masking_slow(piece):
    own = ["Quagmirelli^Zeb", "MRN12345", "+44 7700 904097", "12 Gossamer Lane"]
    assert grows_in_proportion(lambda size: mask_note(piece * (size // len(piece)), own), 20_000)
