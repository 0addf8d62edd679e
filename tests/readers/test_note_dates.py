"""When a note was written: labels, positions and forms of dates in several languages; what is planned
and when a person was born is none of it.
"""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from processor_time import grows_in_proportion

from mmdiag.readers.text.date_forms import find_dates
from mmdiag.readers.text.note_dates import note_dates

DAYS = st.dates(date(1990, 1, 1), date(2025, 12, 31))
DAY = date(2024, 6, 15)
MONTHS = {
    "en": "January February March April May June July August September October November December",
    "en short": "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "pt": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
    "nl": "januari februari maart april mei juni juli augustus september oktober november december",
    "pl": "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia",
    "ru": "января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
}


@given(DAYS, st.sampled_from(list(MONTHS)), st.booleans())
def test_a_date_with_the_month_as_a_word_is_found_in_each_language(day, language, upper):
    month = MONTHS[language].split()[day.month - 1]
    month = month.upper() if upper else month
    for form in (
        f"{day.day} {month} {day.year}",
        f"{day.day:02d}-{month}-{day.year}",
        f"{day.day}. {month} {day.year}",
        f"{day.day} de {month} de {day.year}",
        f"{month} {day.day}, {day.year}",
        f"{month}. {day.day} {day.year}",
        f"{day.year} {month} {day.day}",
        f"{day.day:02d}{month}{day.year}",
    ):
        found = list(find_dates(f"Lesion, {form}: 12 mm."))
        assert [one.days for one in found] == [(day,)], form


@given(DAYS)
def test_a_date_of_numbers_is_found_in_each_order_and_form(day):
    for form in (
        f"{day}",
        f"{day:%Y/%m/%d}",
        f"{day:%Y%m%d}",
        f"{day}T10:15:00Z",
        f"{day:%d.%m.%Y}",
        f"{day:%d.%m.%y}",
        f"{day:%d. %m. %Y}",
        f"{day.day}.{day.month}.{day.year}",
        f"{day.year}年{day.month}月{day.day}日",
        f"{day.year}년 {day.month}월 {day.day}일",
    ):
        assert [one.days for one in find_dates(f"x {form} y")] == [(day,)], form
    for form in (f"{day:%d/%m/%Y}", f"{day:%m/%d/%Y}", f"{day:%m-%d-%y}", f"{day:%d-%m-%y}"):
        (found,) = find_dates(form)
        assert day in found.days and len(found.days) <= 2
    (month,) = find_dates(f"{day:%m/%Y}")
    assert month.days[0].month == day.month and month.days[0] >= day


@pytest.mark.parametrize(
    "text",
    [
        "12 mm",
        "3.5.2",
        "120/80",
        "1.2.840.10008.5",
        "14 Aug 12:30",
        "99.99.2024",
        "2024",
        "room 0615",
    ],
)
def test_other_numbers_are_no_dates(text):
    assert list(find_dates(text)) == []


OWN = """Date of report: {us}
Date: {us}
DATE OF SERVICE: {us}
Report date: {iso}T14:00:00Z
Exam Date/Time: {us} 2:02 PM
Electronically signed on {us} 14:02
Electronically signed by: Dr. Jane Doe, MD on {us} at 14:02
Signed: 15-Jun-2024
Dictated: {us}  Transcribed: {us}
D: 06/14/2024 T: {us}
Addendum {us}: lesion of 3 mm.
Compared with the CT of {us}.
Last seen on {us}.
Datum: 15.06.24
Befunddatum: 15. Juni 2024
Untersuchungsdatum 15.6.2024
Geb.-Datum: 01.02.1950, Aufnahmedatum: 15.06.2024
Elektronisch signiert am 15.06.2024 um 14:02 Uhr
Vidiert von Dr. Huber am 15.06.2024
Entlassungsbrief vom 15.06.2024
Berlin, den 15.06.2024
Wien, 15. Juni 2024
Fecha: 15/06/2024
Fecha de nacimiento: 1/2/1950. Fecha del informe: 15/06/2024
Firmado electrónicamente por la Dra. Ruiz el 15/06/2024
Madrid, a 15 de junio de 2024
Date de l'examen : 15/06/2024
Paris, le 15 juin 2024
Signé électroniquement le 15/06/2024
Data del referto: 15/06/2024
Firmato digitalmente il 15 giugno 2024
Assinado eletronicamente em 15/06/2024
Ondertekend op 15-06-2024
Data badania: 15.06.2024
Дата исследования: 15.06.2024
报告日期\uff1a2024年6月15日
検査日 2024/06/15
판독일: 2024-06-15
Saturday, June 15, 2024
{us} 14:02 - Progress note""".splitlines()


@pytest.mark.parametrize("line", [*OWN, "Date of report:\n{us}"])
@pytest.mark.parametrize("place", ["head", "end"])
def test_the_date_that_a_note_gives_itself_is_found_wherever_it_stands(line, place):
    line = line.format(us="06/15/2024", iso="2024-06-15")
    filling = "\n" + "No change of the other findings. " * 90 + "\n"
    text = f"{line}{filling}" if place == "head" else f"Lesion.{filling}{line}"
    assert note_dates(text).written == DAY


PLANNED = """Next visit on 06/15/2024.
Follow-up date: 06/15/2024
Return to clinic 06/15/2024.
Date of next appointment: 06/15/2024
To be seen again 06/15/2024.
Will be admitted on 06/15/2024.
Repeat MRI in June 2024.
Date of birth: 06/15/2024
DOB 06/15/2024
Valid until 06/15/2024
Kontrolle am 15.06.2024 empfohlen.
Nächster Termin: 15.06.2024
Wiedervorstellung am 15.06.2024.
Geburtsdatum: 15.06.2024
Próxima cita: 15/06/2024
Fecha de nacimiento: 15/06/2024
Prochain rendez-vous : 15/06/2024
Né le 15/06/2024
Data di nascita: 15/06/2024
Дата рождения: 15.06.2024
生年月日 2024/06/15""".splitlines()


@pytest.mark.parametrize("line", PLANNED)
def test_what_is_planned_and_when_a_person_was_born_is_no_date_of_the_note(line):
    text = f"CT of the chest\nLesion of 12 mm.\nNo oedema.\nStable.\n{line}"
    assert note_dates(text) == (None, ())


def test_the_latest_date_counts_and_a_printout_only_where_nothing_else_is_said():
    assert note_dates("Date: 2024-01-05\nLesion.\nAddendum 2024-06-15: none.").written == DAY
    assert note_dates("Date: 2024-06-15\nLesion.\nPrinted: 2025-01-05").written == DAY
    assert note_dates("Lesion.\nNo oedema.\nStable.\nPrinted: 2024-06-15").written == DAY


def test_an_order_that_nothing_tells_stays_open():
    pair = (date(2024, 2, 3), date(2024, 3, 2))
    assert note_dates("Date: 02/03/2024\nLesion.") == (None, (pair,))
    assert note_dates("Date: 02/03/2024\nCompared: 25/02/2024").written == pair[1]
    assert note_dates("Date: 02/03/2024\nCompared: 01/25/2024").written == pair[0]
    assert note_dates("Fecha: 02/03/2024\nLesión.").written == pair[1]
    assert note_dates("Datum: 02.03.2024").written == pair[1]


@pytest.mark.parametrize("piece", ["06/15/2024 ", "Date: ", "1. ", "June ", "15.", "May 1 ", "\n1"])
def test_no_text_makes_the_search_slow(piece):
    assert grows_in_proportion(lambda size: note_dates(piece * (size // len(piece))), 100_000)
