"""The subject's own name does not stay in a note: whatever script, order, case, spelling and
inflection it is written in.
"""

import pytest
from faker import Faker
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mmdiag.privacy.mask import mask_note
from mmdiag.privacy.normalise import fold

ALPHABETS = {
    "latin": "abcdefghijklmnopqrstuvwxyzäöüåæøéèñçłśźżčřůőűğşß",
    "cyrillic": "абвгдеёжзийклмнопрстуфхцчшщъыьэюяіїєґћђљњџў",
    "greek": "αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊϋ",
    "armenian": "աբգդեզէըթժիլխծկհձղճմյնշոչպջռսվտրցւփքօֆ",
}
LOCALES = {
    "Latin": ("de_DE", "pl_PL", "cs_CZ", "tr_TR", "fi_FI", "hu_HU", "es_ES"),
    "Cyrillic": ("ru_RU", "uk_UA", "bg_BG"),
    "Greek": ("el_GR",),
    "Arabic": ("ar_SA", "fa_IR"),
    "Hebrew": ("he_IL",),
    "Thai": ("th_TH",),
    "Japanese": ("ja_JP",),
    "Korean": ("ko_KR",),
    "Chinese": ("zh_CN", "zh_TW"),
}


def masked(text, *own):
    return mask_note(text, own, names=False).text


@given(
    st.sampled_from([*ALPHABETS.values()]).flatmap(
        lambda letters: st.text(letters, min_size=1, max_size=12)
    )
)
def test_words_that_differ_in_case_alone_are_folded_to_words_that_differ_in_case_alone(word):
    assert fold(word.upper()).text.casefold() == fold(word).text.casefold()


@pytest.mark.parametrize("script", LOCALES)
def test_a_name_of_each_script_is_found_in_each_order_case_and_separator(script):
    for locale in LOCALES[script]:
        fake = Faker(locale)
        fake.seed_instance(7)
        for _ in range(12):
            family, given = fake.last_name(), fake.first_name()
            joined = "" if script in ("Japanese", "Korean", "Chinese", "Thai") else " "
            note = (
                f"1: {family}, {given}. 2: {family}{joined}{given}; 3: {given} {family.upper()}\n"
                f"4: {family.upper()} {given}, 5: {given.upper()} 6"
            )
            left = masked(note, f"{family}^{given}")
            assert left == "1: [NAME]. 2: [NAME]; 3: [NAME]\n4: [NAME], 5: [NAME] 6", (
                locale,
                family,
                given,
                left,
            )


INFLECTED = {
    "Кузнецова^Тамара^Ивановна": "Кузнецовой Кузнецову Тамаре Тамарой Ивановны Ивановне КУЗНЕЦОВУ",
    "Достоевский^Фёдор": "Достоевского Достоевскому Достоевским Федора Фёдором",
    "Соловей^Лев": "Соловья Соловью Соловьём Льва Львом",
    "Иванов^Андрей": "Иванова Ивановым Иванову Андрея Андрею Андреем",
    "Коваленко^Ольга": "Коваленка Коваленку Коваленком Ользі Ольги Ольгою",
    "Wiśniewska^Agnieszka": "Wiśniewskiej Wiśniewską Agnieszki Agnieszce Agnieszką WIŚNIEWSKIEJ",
    "Kowalski^Marek": "Kowalskiego Kowalskiemu Kowalskim Marka Markiem Markowi",
    "Wójcik^Barbara": "Wójcika Wójcikiem Wójcikowa Barbarze Barbary Barbarą",
    "Němec^Zdeněk": "Němce Němcovi Němcem Němcová Zdeňka Zdeňkem",
    "Novák^Lenka": "Nováka Novákem Nováková Novákové Lence Lenku Lenkou",
    "Müller^Jörg": "Müllers Muellers Müller's Jörgs Joergs MÜLLERS",
    "Virtanen^Pekka": "Virtasen Virtaselle Virtasta Pekan Pekalle Pekkaa",
    "Kovács^Ágnes": "Kovácsnak Kováccsal Kovácsné Ágnest Ágnesnek Ágnessel",
    "Yılmaz^Ayşe": "Yılmaz'ın Yılmaza YILMAZ Ayşe'nin Ayşenin AYŞE",
    "İnan^Işık": "İnan'ın inan INAN IŞIK'ın Işıkın ışık",
    "Παπαδόπουλος^Γιώργος": "Παπαδόπουλου ΠΑΠΑΔΟΠΟΥΛΟΥ Παπαδοπούλου Γιώργου Γιώργο ΓΙΩΡΓΟΣ",
    "Kazlauskas^Jonas": "Kazlausko Kazlauskui Kazlauskienė Jono Jonui",
    "Bērziņš^Jānis": "Bērziņa Bērziņam Bērziņu Jāņa Jāni",
    "Popescu^Maria": "Popesculeni Mariei",
    "קבאני^משה": "לקבאני שקבאני ולמשה",
    "قباني^نزار": "للقباني والقباني ونزار لنزار القبّاني",
    "Smith^Jane": "Smith's Smiths' Jane's SMITH",
}


@pytest.mark.parametrize("name", INFLECTED)
def test_every_inflected_form_of_the_subjects_name_is_masked(name):
    for form in INFLECTED[name].split():
        assert masked(f"1 {form} 2", name).strip("'") in ("1 [NAME] 2", "1 [NAME]' 2"), form


SPELT = {
    "Mueller^Hans": ["Müller", "MÜLLER", "Mueller", "Muller"],
    "Strauß^Ute": ["Strauss", "STRAUSS", "Strauß"],
    "Sørensen^Åge": ["Soerensen", "Sorensen", "Aage", "Age"],
    "Yamada^Tarou=山田^太郎=やまだ^たろう": [
        "山田太郎",
        "山田　太郎",
        "山田 太郎",
        "ヤマダ",
        "ﾔﾏﾀﾞ ﾀﾛｳ",
        "Tarō",
        "Taro",
        "YAMADA",
    ],
    "Hong^Gildong=洪^吉洞=홍^길동": ["홍길동", "길동", "Gil-Dong", "Gil Dong", "洪吉洞"],
    "Wang^XiaoDong=王^小东": ["王小东", "小东", "王小東", "Xiao Dong", "Xiaodong", "Xiao-dong"],
    "王小东": ["王小东", "小东"],
    "Kuznetsova, Tamara": ["Tamara Kuznetsova", "TAMARA", "kuznetsova"],
    "Кузнецова Тамара": ["Кузнецова Т.И.", "Т. И. Кузнецова", "Kузнецова", "кузнецова"],
    "Cергей": ["Сергей", "Сергея"],
    "Müller^Eva": [
        "M&uuml;ller",
        "M&#252;ller",
        "Mu\u0308ller",
        "M\u00fc\u00adller",
        "M\ufffdller",
        "M?ller",
    ],
    "مصطفى^علي": ["مصطفي", "مُصطفى", "مصـطفى"],
    "שרה^כהן": ["שָׂרָה", "כהן"],
}


@pytest.mark.parametrize("name", SPELT)
def test_other_spellings_of_the_subjects_name_are_masked(name):
    for written in SPELT[name]:
        assert masked(f"1: {written}; 2", name) == "1: [NAME]; 2", written


KEPT = {
    "王^小东": "国王 高密度 王冠",
    "홍^길동": "홍반 있음",
    "Кузнецова^Вера": "У пациентки верно",
    "Wolf^Marta": "Martinslust",
    "Li^Na": "Na 140 mmol/l, Li 0.8",
    "Brown^May": "A brown lesion may be seen.",
    "علي^نزار": "لا توجد آفة على اليسار",
    "Winter^Ute": "in winters",
}


@pytest.mark.parametrize("name", KEPT)
def test_words_that_resemble_the_subjects_name_are_left(name):
    assert masked(KEPT[name], name) == KEPT[name]


@pytest.mark.parametrize(
    "written",
    [
        "1964年12月26日",
        "1964년 12월 26일",
        "昭和39年12月26日",
        "S39.12.26",
        "26/12/2507",
        "٢٦/١٢/١٩٦٤",
        "２６．１２．１９６４",
    ],
)
def test_the_date_of_birth_is_found_in_the_forms_of_asia(written):
    assert masked(f"x {written} y", "19641226") == "x [DATE] y"


# what a header says where it says no name
NO_NAMES = ("text", "unknown", "none", "anonymous", "anonymized", "male", "female", "other")


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted({x for alphabet in ALPHABETS.values() for x in [alphabet]})).flatmap(
        lambda letters: st.text(letters, min_size=4, max_size=10)
    ),
    st.text("ab .,\n-", max_size=6),
    st.booleans(),
)
def test_a_name_of_any_letters_does_not_stay(name, beside, upper):
    assume(name not in NO_NAMES)
    written = name.upper() if upper else name.title()
    left = masked(f"{beside} {written} {beside}", name)
    assert "[NAME]" in left and written.casefold() not in left.casefold()
    if not set(beside.lower()) & set(name.lower()) - set(" "):  # else more than the name is like it
        assert left.count("[NAME]") == 1
