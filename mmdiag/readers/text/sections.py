"""Finds the sections of a clinical note by its headings."""

import re
from bisect import bisect_left
from typing import NamedTuple

# fmt: off
HEADINGS: dict[str, str] = {  # normalised name -> headings in English, German, Spanish and French
    "history": "history|clinical history|clinical information|clinical details|clinical data|clinical indication|indication|indications|reason for exam|"
    "reason for examination|reason for study|history of present illness|hpi|present illness|medical history|past medical history|"
    "anamnese|klinische angaben|fragestellung|indikation|vorgeschichte|anamnesis|antecedentes|antecedentes personales|motivo de consulta|"
    "enfermedad actual|historia clínica|antécédents|indication clinique|renseignements cliniques|histoire de la maladie",
    "technique": "technique|procedure|protocol|examination|exam|scan technique|technik|untersuchungstechnik|methode|técnica|procedimiento|protocole",
    "comparison": "comparison|comparisons|prior studies|vergleich|voraufnahmen|voruntersuchung|comparación|estudios previos|comparaison",
    "findings": "findings|finding|report|results|observations|description|befund|befunde|hallazgos|resultados|descripción|exploración física|"
    "exploración|résultats|constatations|description des images",
    "impression": "impression|impressions|conclusion|conclusions|opinion|summary|assessment|interpretation|beurteilung|zusammenfassung|impresión|"
    "conclusión|conclusiones|resumen|synthèse|avis",
    "macroscopic": "macroscopic|macroscopic description|macroscopy|gross|gross description|gross examination|gross pathology|makroskopie|"
    "makroskopischer befund|descripción macroscópica|macroscopía|macroscopie|examen macroscopique",
    "microscopic": "microscopic|microscopic description|microscopy|microscopic examination|histology|histopathology|mikroskopie|mikroskopischer befund|"
    "histologie|descripción microscópica|microscopía|microscopie|examen microscopique",
    "diagnosis": "diagnosis|diagnoses|final diagnosis|final pathologic diagnosis|pathologic diagnosis|pathological diagnosis|histological diagnosis|"
    "preoperative diagnosis|postoperative diagnosis|diagnose|diagnosen|diagnóstico|diagnósticos|juicio clínico|diagnostic",
    "addendum": "addendum|addenda|amendment|supplementary report|nachtrag|adenda",
    "specimen": "specimen|specimens|specimen submitted|specimen(s) submitted|source of specimen|material|muestra|prélèvement",
    "immunohistochemistry": "immunohistochemistry|immunohistochemical findings|ihc|special stains|immunhistochemie|inmunohistoquímica|immunohistochimie",
    "molecular": "molecular|molecular findings|molecular pathology|genetic testing|molekularpathologie|estudio molecular|biologie moléculaire",
    "medications": "medications|medication|current medications|medikation|medicación|tratamiento|traitement",
    "allergies": "allergies|allergien|alergias|allergies connues",
    "examination": "physical exam|physical examination|körperlicher befund|examen físico|examen clinique",
    "plan": "plan|assessment and plan|recommendation|recommendations|therapie|procedere|plan de tratamiento|conduite à tenir",
    "comment": "comment|comments|note|kommentar|comentario|commentaire",
}
# fmt: on
_NAMES = {heading: name for name, headings in HEADINGS.items() for heading in headings.split("|")}
_KNOWN = "|".join(
    re.escape(heading).replace(r"\ ", r"[ \t]+")
    for heading in sorted(_NAMES, key=len, reverse=True)
)
_HEADING = re.compile(
    rf"^[ \t#*_]*(?:\d{{1,2}}[.)][ \t]*|[A-Z][.)][ \t]+)?(?P<known>{_KNOWN})[*_]*(?:[ "
    r"\t]*[:\u2013][*_]*|[ \t]+-[ \t]|[ \t]*$)"
    rf"|(?<=[.!?][ \n])(?P<inline>{_KNOWN}):",
    re.IGNORECASE | re.MULTILINE,
)
# a heading that is not known ends the section before it
_OTHER = re.compile(r"^[ \t]*[A-Z][A-Z /&(),-]{2,40}(?::|[ \t]*$)", re.MULTILINE)


class Section(NamedTuple):
    """One part of a note: its normalised name, where the text under its heading begins and ends,
    and where the heading itself begins (offsets into the note).
    """

    name: str
    start: int
    end: int
    heading: int


def find_sections(text: str) -> tuple[Section, ...]:
    """Find the sections of a note by headings at the start of a line, or behind the end of a
    sentence with a colon.

    Args:
        text: The note as it is stored.

    Returns:
        Sections in the order of the note; `other` under a heading in capitals that is not known.
        What precedes the first heading is in none.
    """
    marks = _known(text)
    taken = [(start, end) for start, end, _ in marks]
    for found in _OTHER.finditer(text):
        # the last heading that begins before this line ends
        before = bisect_left(taken, (found.end(), 0)) - 1
        if before < 0 or taken[before][1] <= found.start():
            marks.append((found.start(), found.end(), "other"))
    marks.sort()
    ends = [start for start, _, _ in [*marks, (len(text), 0, "")]][1:]
    return tuple(
        Section(name, *_trimmed(text, start, end), heading)
        for (heading, start, name), end in zip(marks, ends, strict=True)
    )


def known_headings(text: str) -> list[tuple[int, int]]:
    """Start and end of each heading of the list, with its colon."""
    return [(start, end) for start, end, _ in _known(text)]


def _known(text: str) -> list[tuple[int, int, str]]:
    return [
        (found.start(), found.end(), _name(found))
        for found in _HEADING.finditer(text)
        if _is_heading(found)
    ]


def _name(found: re.Match[str]) -> str:
    heading = found["known"] or found["inline"]
    return _NAMES[re.sub(r"\s+", " ", heading).lower()]


def _is_heading(found: re.Match[str]) -> bool:
    """A line that is only a word is a heading where it begins with a capital; so is a word within a
    line.
    """
    return (found["known"] or found["inline"])[0].isupper()


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    piece = text[start:end]
    first = start + len(piece) - len(piece.lstrip())
    return min(first, end), max(start + len(piece.rstrip()), min(first, end))
