"""Patterns of identifiers in notes: English first, Spanish and French where their words are known;
German ones are in `patterns_german`.

Reference:
    HIPAA Safe Harbor, 45 CFR 164.514(b)(2): its eighteen kinds of identifier. A year that stands
        alone and an age up to 89 may stay.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Final

from mmdiag.privacy.identifier_pattern import (
    COUNTED,
    NO_UNIT,
    IdentifierPattern,
    Needs,
    Searched,
    needs_of,
    pattern,
)
from mmdiag.privacy.names import name_lists
from mmdiag.privacy.normalise import fold
from mmdiag.privacy.patterns_german import EUROPEAN, GERMAN, GERMAN_SIGNS
from mmdiag.privacy.patterns_spanish import SPANISH, SPANISH_SIGNS
from mmdiag.readers.text.dates import MONTHS

# fmt: off
NUMBER_WORDS = r"(?:\s*(?:number|no\.?|nr\.?|num\.?|n[uo]mero|#|is|id|es|:|\.|=|-))*\s*"
_CAP = r"(?:[A-Z]\.|(?:[OD]'|Ma?c)?[A-Z][\w'-]{0,30}\w|[A-Z])"
_LINK = r"(?:(?:de|la|las|los|del|van|von|der|den|da|dos|di|el|al|bin|y|und|zu)[ \t]+){0,3}"
_CHAIN = rf"{_LINK}{_CAP}(?:[ \t]+{_LINK}{_CAP}){{0,4}}"
_COMMA_CHAIN = rf"{_CHAIN}(?:,[ \t]*{_CHAIN})?"
_MONTH = "|".join(sorted({re.escape(fold(name).text) for name in MONTHS}, key=len, reverse=True))
_CODE = r"(?=[\w/.-]{0,20}\d)[A-Za-z0-9](?:[\w/.-]{0,28}\w)?"  # at least one digit
_STREET_WORDS = re.findall(
    r"\w+",
    "street st road rd avenue ave lane ln drive dr court ct way boulevard blvd close row alley place pl square sq terrace ter crescent cres highway hwy "
    "parkway pkwy circle cir trail loop mews grove gardens hill walk quay pike",
)
_STREET = "|".join([*map(str.title, _STREET_WORDS), *(word.upper() for word in _STREET_WORDS if len(word) > 3), "ST", "RD", "AVE"])
_FLOOR = (  # the number of a house in Spain, its floor and door
    r"[ ,.]{0,3}(?:n(?:o|\.|um\.?){1,2}[ \t]?)?(?:\d{1,4}[oa]?(?:-\d{1,4}[oa]?|,\d{1,3}\b)?(?:[ ,.-]{1,3}(?:P?\d{1,2}[oa]?[A-Z]?|[A-E]|izq\w*|dcha|dch|bajo)\b){0,4}|s/n)"
)
_TITLE = (
    r"(?:Dr|DR|Drs|Prof|Mr|MR|Mrs|MRS|Mx|Ms|Miss|Sir|Dame|Rev|Herr|Herrn|Frau|Sra?|Srta|Dra?|D\xaa|Dna|Don|Dona|Mme|Mlle|Monsieur|Madame|Doctor|"
    r"Doctora|Professor|Nurse|Sister)\b[.:]?(?![ \t]*(?:Univ|Priv|Ass|Prim|OA|CA|PD|FA|Dr|Prof)\b)"
)
_ROLE = (
    r"(?:patient|pt|"
    r"(?:referring|attending|ordering|requesting|primary care|consulting|reporting)(?:[ \t]+(?:physician|doctor|provider|radiologist|pathologist|clinician))?|"
    r"physician|radiologist|pathologist|surgeon|assistant|anesthesiologist|consultant|provider|clinician|pcp|"
    r"(?:electronically[ \t]+)?signed(?:[ \t]+out)?(?:[ \t]+by)?|(?:dictated|transcribed|reported|reviewed|verified|approved|authori[sz]ed"
    r"|prepared|read|seen|referred|performed)[ \t]+by|"
    r"next of kin|emergency contact|guardian|cc|attn|paciente|medico(?:[ \t]+responsable)?|responsable(?:[ \t]+clinico)?|remitido por|arzt|medecin)"
)
_NAME_LABEL = (
    r"(?:(?:patient'?s?[ \t]+|pt[ \t]+|first[ \t]+|last[ \t]+|family[ \t]+|given[ \t]+|full[ \t]+)?name|name of patient|surname|"
    r"nombre(?:[ \t]+y[ \t]+apellidos)?|apellidos|nachname|vorname|patientenname|nom|prenom)"
)
# fmt: on


def find_identifiers(text: str) -> Iterator[tuple[int, int, str]]:
    """Start, end and kind of everything in folded text that has the form of an identifier; they may
    overlap.
    """
    searched = Searched(text)
    patterns = [*_with_needs("everywhere")]
    for language, signs in (("german", GERMAN_SIGNS), ("spanish", SPANISH_SIGNS)):
        if searched.may_have(_needs_of_signs(language)) and signs.search(text):
            patterns += _with_needs(language)
    for (kind, expression, accept), needs in patterns:
        if not searched.may_have(needs):
            continue
        for found in expression.finditer(text):
            start, end = found.span("hit") if "hit" in expression.groupindex else found.span()
            if accept is not None:
                within = accept(text[start:end])
                if within is None:
                    continue
                start, end = start + within[0], start + within[1]
            if start < end:
                yield start, end, kind


@cache
def _with_needs(group: str) -> tuple[tuple[IdentifierPattern, Needs], ...]:
    """The patterns of a group of notes, each with what it needs; read once a process."""
    groups = {"everywhere": (*PATTERNS, *EUROPEAN), "german": GERMAN, "spanish": SPANISH}
    return tuple((one, needs_of(one.expression)) for one in groups[group])


@cache
def _needs_of_signs(language: str) -> Needs:
    return needs_of({"german": GERMAN_SIGNS, "spanish": SPANISH_SIGNS}[language])


def _people(chain: str) -> tuple[int, int] | None:
    """A chain of capitalised words without the words at its end that are no names."""
    words = list(re.finditer(r"[\w'.-]{1,60}", chain))
    lists = name_lists()
    while words and _no_name(words[-1].group(), lists.is_word, lists.is_listed):
        words.pop()
    if not words or all(len(word.group().strip(".")) < 2 for word in words):
        return None
    if len(words) == 1 and not lists.stands_alone(words[0].group().lower()):
        return None
    return words[0].start(), words[-1].end()


def _titled(chain: str) -> tuple[int, int] | None:
    """Behind a title the first word is a name, whatever else it means, unless it is an address:
    Herr Kollege.
    """
    words = list(re.finditer(r"[\w'.-]{1,60}", chain))
    if words[0].group().lower() in _ADDRESSED:
        return None
    lists = name_lists()
    while len(words) > 1 and _no_name(words[-1].group(), lists.is_word, lists.is_listed):
        words.pop()
    return words[0].start(), words[-1].end()


def _labelled(chain: str) -> tuple[int, int] | None:
    """Behind `Name:` a word that is no name is left, such as Unknown."""
    first = re.match(r"[\w'-]{1,30}", chain)
    lists = name_lists()
    if first is None or (
        lists.is_word(first.group().lower()) and not lists.is_listed(first.group().lower())
    ):
        return None
    return _titled(chain)


_ADDRESSED: Final = frozenset(
    (
        "kollege",
        "kollegin",
        "kollegen",
        "kolleginnen",
        "doktor",
        "professor",
        "patient",
        "patientin",
    )
)


def _no_name(word: str, is_word: Callable[[str], bool], is_listed: Callable[[str], bool]) -> bool:
    name = word.strip(".").lower()
    if name in (
        "md",
        "dr",
        "ca",
        "oa",
        "phd",
        "rn",
        "np",
        "pa",
        "do",
        "dob",
        "mrn",
        "id",
        "ssn",
        "age",
        "sex",
        "ct",
        "mri",
        "pet",
        "and",
    ):
        return True
    return len(name) > 1 and is_word(name) and not is_listed(name.removesuffix("'s"))


def _not_words(chain: str) -> tuple[int, int] | None:
    """Two capitalised words of which at least one is a name."""
    lists = name_lists()
    within = _people(chain)
    if within is None:
        return None
    words = [word.strip(".").lower() for word in chain[within[0] : within[1]].split()]
    return within if any(not lists.is_word(word) and len(word) > 1 for word in words) else None


def _is_ip(hit: str) -> tuple[int, int] | None:
    try:
        ipaddress.ip_address(hit)
    except ValueError:
        return None
    return 0, len(hit)


def _is_card(hit: str) -> tuple[int, int] | None:
    """ISO/IEC 7812, the check digit after Luhn."""
    digits = [int(letter) for letter in reversed(hit) if letter.isdigit()]
    total = sum(digits[::2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return (0, len(hit)) if total % 10 == 0 else None


def _is_iban(hit: str) -> tuple[int, int] | None:
    """ISO 13616, the check after ISO 7064 mod 97."""
    code = re.sub(r"\s", "", hit).upper()
    number = "".join(str(int(letter, 36)) for letter in code[4:] + code[:4])
    return (0, len(hit)) if int(number) % 97 == 1 else None


def _is_nhs(hit: str) -> tuple[int, int] | None:
    """NHS number, the check digit mod 11."""
    digits = [int(letter) for letter in hit if letter.isdigit()]
    check = (
        11
        - sum(digit * weight for digit, weight in zip(digits, range(10, 1, -1), strict=False)) % 11
    )
    return (0, len(hit)) if check % 11 == digits[9] else None


# fmt: off
I = re.IGNORECASE  # noqa: E741 - as in re
PATTERNS: Final[tuple[IdentifierPattern, ...]] = (
    pattern("email", r"\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}\b"),
    pattern("url", r"\b(?:https?://|ftp://|www\.)[^\s<>\")\]]{2,200}[^\s<>\")\],.;:]", flags=I),
    pattern("url", r"\b[\w-]{2,40}(?:\.[\w-]{2,40}){0,3}\.(?:com|org|net|edu|gov|info|biz|io|co\.uk)\b(?:/(?:[^\s<>\")]{0,100}[^\s<>\"),.;:])?)?", flags=I),
    pattern("ip", r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])", _is_ip),
    pattern("ip", r"(?<![\w:])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{1,4}(?![\w:])", _is_ip, I),
    pattern("id", r"\b(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}\b", flags=I),
    pattern("id", r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", flags=I),
    pattern("id", r"(?<![\d.])[0-2](?:\.\d{1,39}){6,}(?![\d.])"),  # a UID of DICOM
    # telephone and fax
    pattern("fax", r"\b(?:tele)?fax\b" + NUMBER_WORDS + r"(?P<hit>\+?\(?\d[\d\s()./-]{4,20}\d)", flags=I),
    pattern(
        "phone",
        r"\b(?:tel(?:e(?:phone|fono|fon))?|tfno|tlf|phone|mobile|cell(?:ular)?|movil|handy|pager|beeper|ph|call|contact|portable)\b"
        + NUMBER_WORDS
        + r"(?:at\s+)?(?P<hit>\+?\(?\d[\d\s()./-]{4,20}\d(?:\s?(?:x|ext\.?)\s?\d{1,6})?)",
        flags=I,
    ),
    pattern("phone", r"\b(?:ext|extension)\b\.?" + NUMBER_WORDS + r"(?P<hit>\d{2,6})\b", flags=I),
    # numbers of people, records, accounts, licences and devices
    pattern("id", r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])"),  # United States' social security
    pattern("id", r"\b(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]\b"),  # national insurance
    pattern("id", r"(?<![\w.-])\d{3}[ -]?\d{3}[ -]?\d{4}(?![\w-])", _is_nhs),
    pattern("id", r"(?<![\w-])(?:\d[ -]?){12,18}\d(?![\w-])", _is_card),
    pattern("id", r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b", _is_iban),
    pattern("id", r"(?<![\w.-])(?:[XYZ]-?)?\d{7,8}-?[A-HJ-NP-TV-Z](?![\w-])"),  # Spanish identity card
    pattern("id", r"\b[A-Z]{1,4}\d{2}-\d{3,7}\b"),  # an accession of pathology
    pattern("id", r"(?<![\w.,-])\d{7,}(?![\w.,]?\d|\w)"),
    pattern("id", r"\bTCGA-\w{2}-\w{4}(?:-\w+)*"),
    pattern(
        "id",
        r"\b(?:mrn|medical record|med rec|record|hospital|chart|accession|acc(?=\s?#|\s?no)|case|specimen|lab|encounter|visit|account|acct|policy|insurance|"
        r"member|subscriber|claim|group|passport|driver'?s licen[cs]e|driving licen[cs]e|licen[cs]e|npi|dea|ssn|social security|nhs|nss|nass|nhc"
        r"|cipa?|dni|nie|nif|pasaporte|"
        r"historia(?: clinica)?|n\.?o? ?de historia|colegiado|afiliacion|fallnummer|patientennummer|pat\.?-?nr|versichertennummer|"
        r"(?:device|serial|model|lot|implant)(?= (?:number|no|id|serial|#)|[:#])|sn(?=[:#])|vin|(?:licen[cs]e )?plate|vehicle|imei|study id"
        r"|patient id|subject id|id(?=[:# ]))\b"
        + NUMBER_WORDS
        + rf"(?P<hit>{_CODE})",
        lambda hit: (0, len(hit)) if sum(map(str.isdigit, hit)) >= 3 else None,
        I,
    ),
    pattern(
        "id",
        r"\b(?:nass|nss|nhc|cipa?|n\.?o? ?col(?:egiado)?|mrn|record|account|policy|ssn|nhs)\b\.?" + NUMBER_WORDS + r"(?P<hit>[\d]{1,12}(?:[ /-]\d{1,12}){1,4})(?!\d)",
        flags=I,
    ),
    # telephone numbers without a label
    pattern("phone", r"(?<![\w.])(?:\+|00)\d{1,3}[\s./-]?(?:\(\d{1,5}\)[\s./-]?)?\d(?:[\s./-]?\d){5,12}(?![\w-])"),
    pattern("phone", r"(?<![\w.-])(?:\+?1[\s.-]?)?\(\d{2,5}\)[\s.-]?\d{2,4}(?:[\s.-]\d{2,5}){0,3}(?:\s?(?:x|ext\.?)\s?\d{1,6})?(?![\w-])"),
    pattern("phone", r"(?<![\w.-])(?:\+?1[\s.-])?\d{3}[\s.-]\d{3}[\s.-]\d{4}(?:\s?(?:x|ext\.?)\s?\d{1,6})?(?![\w-])"),
    pattern("phone", r"(?<![\w.-])\d{3}[.-]\d{4}(?:\s?(?:x|ext\.?)\s?\d{1,6})(?![\w-])"),
    pattern("phone", r"(?<![\w./-])0\d{1,4}[\s./-]\d{2,4}(?:[\s.-]?\d{2,4}){1,3}(?![\w-])", lambda hit: (0, len(hit)) if sum(map(str.isdigit, hit)) >= 9 else None),
    pattern("phone", r"(?<![\w.-])[69]\d{2}[\s-]?\d{2,3}[\s-]\d{2,3}(?:[\s-]\d{2,3})?(?![\w-])"),
    # dates: a date of birth, then any date finer than a year
    pattern(
        "birth",
        r"\b(?:dob|d\.o\.b\.?|date of birth|birth ?date|born(?: on)?|birthday|geb(?:oren)?(?: am)?|geburtsdatum|nacid[oa](?: el)?|"
        r"(?:fecha|f\.?) ?(?:de )?nac(?:imiento)?|nee? le|date de naissance)\b[\s:.]*"
        rf"(?P<hit>\d{{1,4}}[\s./-]+(?:\d{{1,2}}|(?:de )?(?:{_MONTH})\.?)[\s./-]+(?:de )?\d{{2,4}}|(?:{_MONTH})\.? \d{{1,2}},? \d{{2,4}}|\d{{8}})(?!\d)",
        flags=I,
    ),
    pattern("date", r"(?<![\d./-])\d{4}[-/.](?:0?[1-9]|1[0-2])[-/.](?:0?[1-9]|[12]\d|3[01])(?:[T ]\d{2}:\d{2}(?::\d{2})?(?:\.\d+)?(?:Z|[+-]\d{2}:?\d{2})?)?(?!\d)"),
    pattern("date", r"(?<![\d./-])(?:0?[1-9]|[12]\d|3[01])([./-])(?:0?[1-9]|1[0-2])\1(?:1[89]|20)\d{2}(?!\d)"),
    pattern("date", r"(?<![\d./-])(?:0?[1-9]|1[0-2])([./-])(?:0?[1-9]|[12]\d|3[01])\1(?:1[89]|20)\d{2}(?!\d)"),
    pattern("date", r"(?<![\d./-])(?:0?[1-9]|[12]\d|3[01])([/-])(?:0?[1-9]|[12]\d|3[01])\1\d{2}(?![\d/-]|\.\d)" + NO_UNIT),
    pattern("date", r"(?<![\d./-])(?:0[1-9]|[12]\d|3[01])\.(?:0[1-9]|1[0-2])\.\d{2}(?![\d/-]|\.\d)" + NO_UNIT),
    pattern("date", r"(?<![\d.])(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?!\d)"),
    pattern("date", r"(?<![\d./-])(?:0?[1-9]|1[0-2])/(?:19|20)\d{2}(?!\d)"),
    pattern(
        "date",
        rf"(?<![\d./-])\d{{1,2}}(?:st|nd|rd|th|er|\.|o)?(?:\s(?:of|de|del))?[\s-]{{0,2}}(?:{_MONTH})\b\.?,?(?:[\s-](?:de|del))?(?:[\s-]{{1,2}}'?(?:\d{{4}}|\d{{2}}(?=\W|$)))?(?!\d)",
        lambda hit: None if re.fullmatch(r"\d+\s*(?:may|mar|set|sept|dic|ago|dec|oct|mai)", hit, re.IGNORECASE) and not re.search("[A-Z]", hit) else (0, len(hit)),
        I,
    ),
    pattern(
        "date",
        rf"\b(?:{_MONTH})\b\.?\s(?:\d{{1,2}}(?:st|nd|rd|th)?(?![\d/]|\.\d|\s?(?:mg|mm|cm|ml|%)),?(?:\s'?\d{{4}})?|'?\d{{4}})(?!\d)",
        lambda hit: (0, len(hit)) if hit[0].isupper() else None,
        I,
    ),
    pattern("date", rf"\b(?:{_MONTH})\.?,?\s(?:19|20)\d{{2}}(?!\d)", flags=I),
    pattern("date", rf"\b(?:{_MONTH})\b,?\s(?:de\s|del\s)(?P<year>\d{{4}})(?!\d)", flags=I),
    pattern("date", r"\b(?:on|dated?|since|from|of)\s(?P<hit>(?:0?[1-9]|1[0-2])/(?:0?[1-9]|[12]\d|3[01]))(?![\d/])", flags=I),
    # ages that Safe Harbor counts with dates
    pattern("age", r"(?<![\d.])(?P<hit>9\d|1[0-2]\d)[\s-]?(?:years?|yrs?|y\.?o\.?|y/o|yo|anos|jahre|jahrige?r?|ans)\b", flags=I),
    pattern("age", r"\b(?:aged?|edad)[\s:]{1,3}(?:of\s)?(?P<hit>9\d|1[0-2]\d)\b(?!\s?(?:days?|weeks?|months?|%))", flags=I),
    # places finer than a state
    pattern(
        "address",
        rf"(?<![\w.])\d{{1,5}}[A-Za-z]?,?[ \t]+(?:(?:[A-Z][\w'-]{{0,30}}|[NSEW]\.|St\.|Mt\.|\d{{1,3}}(?:st|nd|rd"
        rf"|th))[ \t]+){{1,4}}(?:{_STREET})\b\.?(?:[ \t]+\d{{1,5}}\b)?(?:[ ,\n]+(?i:apt|apartment|suite|ste|unit|floor|flat"
        rf"|#)\.?[ \t]*#?\w{{1,6}})?(?:[ ,\n]+(?:[A-Z][\w'-]{{1,30}}[ \t]?){{1,3}},?[ \t]+[A-Z]{{2}}[ \t]+\d{{5}}(?:-\d{{4}})?)?",
    ),
    pattern("address", r"\b(?:P\.?\s?O\.?|Post Office)[ \t]+Box[ \t]+\d{1,6}\b", flags=I),
    pattern(
        "address",
        r"\b(?i:(?:home |street |mailing )?address|domicilio|direccion|anschrift|adresse)[ \t]*:[ \t]*(?P<hit>[^\n]{4,120}?)(?=[.;]?[ \t]*(?:\n|$)"
        r"|[.;][ \t]+[A-Z])",
    ),
    pattern(
        "address",
        r"\b(?i:address is|lives at|resid(?:es|ing) at)[ \t]+(?P<hit>(?:\w+[ \t]+)?\d[^.;\n]{4,80}"
        r"|[A-Z][^.;\n\d]{2,60}\d{1,6}[^.;\n]{0,60})",
    ),
    pattern("address", r"\b(?:Apt|Apartment|Suite|Ste|Unit)\b\.?[ \t]*#?\d{1,5}[A-Z]?\b|\bPSC \d{1,5}, Box \d{1,5}(?:\s+[AFD]PO A[AEP] \d{5})?"),
    pattern(
        "address",
        rf"\b(?i:c/|calle|avda\.?|av\.|avenida|plaza|paseo|p\xba|pza\.?|carretera|ctra\.?|ronda|camino)[ \t.]*(?:(?:de|del|la|los|las|el|y"
        rf"|n)[ \t]+){{0,3}}[A-Za-z][^:;\n\d]{{2,50}}?{_FLOOR}",
    ),
    pattern("address", r"\b[A-Z][a-z]{2,20}(?:strasse|str\.|weg|platz|allee|gasse|ufer|damm)[ \t]+\d{1,4}[a-z]?\b"),
    pattern("address", r"\b\d{1,4},?[ \t]+(?:rue|avenue|boulevard|place|impasse|chemin|quai|allee)[ \t]+(?:(?:de|du|des|la|le|les)[ \t]+|[dl]'){0,3}[A-Z][\w' -]{2,30}"),
    pattern(
        "address",
        r"\b(?:(?:zip(?: code)?(?: is)?|postal code|post ?code|c\.?p\.?|codigo postal|plz|code postal)[\s:.]{1,3})(?P<hit>\d{4,5}(?:-\d{4})?"
        r"|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2})\b", flags=I,
    ),
    pattern(
        "address",
        r"\b(?:A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|PA|RI|S[CD]|T[NX]|UT|V[AT]"
        r"|W[AIVY])[ \t]+\d{5}(?:-\d{4})?\b",
    ),
    pattern("address", r"\b(?:GIR ?0AA|[A-PR-UWYZ](?:\d{1,2}|[A-HK-Y]\d(?:\d|[A-HJKPSTUW])?|\d[A-HJKPSTUW]) \d[ABD-HJLNP-UW-Z]{2})\b"),
    pattern("address", r"\b[ABCEGHJ-NPRSTVXY]\d[A-Z] \d[A-Z]\d\b"),
    pattern("address", r"(?:^|[,.;:(\n][ \t]?|\b[EDF]-|\d\w{0,2},?[ \t]|s/n,?[ \t])(?P<hit>\d{5},?[ \t]+(?!" + COUNTED + r")[A-Z][a-z]{3,}(?:[ \t]+\([A-Z][a-z]+\))?)", _not_words),
    pattern(
        "address",
        r"\b(?i:localidad|provincia|poblacion|municipio|ciudad|wohnort|city|town|county|place of birth"
        r"|lugar de nacimiento)[ \t]*:[ \t]*(?:/[ \t]*\w+:[ \t]*)?(?P<hit>[A-Z][\w', ()-]{2,60})",
    ),
    pattern(
        "institution",
        r"\b(?:(?:[A-Z][\w'-]{1,30}|of|St\.)[ \t]+){1,5}(?:Hospitals?|Clinic|Infirmary|Medical Cent(?:er|re)|Health Cent(?:er|re)|Klinikum"
        r"|Krankenhaus)\b(?![ \t]+(?:[A-Z]|de\b))", _not_words,
    ),
    pattern(
        "institution",
        r"\b(?:Hospital|Clinica|Centro de Salud|Klinikum|Hopital|Instituto|Comple[jx]o (?:Hospitalario|Asistencial)|Fundacion)(?:[ \t]+(?:(?:de|del"
        r"|la|las|los|el|y|i|of)[ \t]+){0,3}\"?(?:[A-Z][\w'-]{1,30}|Dr\.|St\.)\"?){1,6}",
    ),
    # people
    pattern("name", rf"\b{_TITLE}(?:[ \t]+(?:med|Med|phil|Ing|{_TITLE}))*\.?[ \t]*(?:\n[ \t]*)?(?P<hit>{_CHAIN})", _titled),
    pattern(
        "name",
        rf"\b(?P<hit>{_CHAIN}),?[ \t]+(?:M\.?D\.?|D\.?O\.?|R\.?N\.?|Ph\.?D\.?|P\.?A\.?-?C?|N\.?P\.?|F\.?R\.?C\.?\w+|F\.?A\.?C\.?\w+|M\.?B\.?B\.?S"
        rf"|D\.?D\.?S\.?)(?=[\s,.;)]|$)", _people,
    ),
    pattern("name", rf"(?i:\b{_NAME_LABEL})[ \t]*[:=][ \t]*(?:{_TITLE}[ \t]+)?(?P<hit>{_COMMA_CHAIN})", _labelled),
    pattern("name", rf"(?i:\b{_ROLE})[ \t]*[:=][ \t]*(?:{_TITLE}[ \t]+)?(?P<hit>{_COMMA_CHAIN})", _people),
    pattern(
        "name",
        rf"(?i:\b(?:patient(?:'s name is)?|pt|signed by|dictated by|my name is|named|called|i am|i'm|by|seen by|discussed with|spoke (?:with|to)"
        rf"|per))[ \t]+(?P<hit>{_CAP}(?:[ \t]+{_CAP}){{1,3}})", _not_words,
    ),
    pattern(
        "name",
        rf"(?i:\b(?:wife|husband|son|daughter|mother|father|brother|sister|mom|dad|partner|friend|niece|nephew|spouse|grandson|granddaughter"
        rf"|my name is|named|hijo|hija|esposa|esposo)),?[ \t]+(?P<hit>{_CAP}(?:[ \t]+{_CAP}){{0,2}})", _not_words,
    ),
    pattern("name", r"\b(?P<hit>[A-Z]{3,}(?:-[A-Z]{3,})?,[ \t]*[A-Z]{3,}(?:[ \t]+[A-Z]\b\.?)?)(?=[ \t]*(?:\(|MRN|DOB|\d))"),
    pattern("name", r"\b(?P<hit>[A-Z][\w'-]{1,30}\^[A-Z][\w'-]{1,30}(?:\^[A-Za-z][\w'-]{0,30})*)"),
)
# fmt: on
