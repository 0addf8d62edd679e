"""When a note was written, as it says itself: dates behind words such as `Date of report` or
`Electronically signed on`, in a line of their own, or in its title.

What is planned (`next visit on ...`), and when a person was born, says nothing of that.
"""

import re
from bisect import bisect_right
from datetime import date
from itertools import islice
from typing import Final, NamedTuple

from mmdiag.readers.recorded import latest
from mmdiag.readers.text.date_forms import FoundDate, find_dates

NEAR: Final = 90  # characters before a date in which the word lies that says what it is
TITLE: Final = 3  # lines of a note that may be its title
LONGEST_TITLE: Final = 100  # characters

# fmt: off
_DONE: Final = (  # English
    r"(?:electronically|digitally|e-?|co-?|counter)?[\s-]?sign(?:ed|ature|[\s-]?off|[\s-]?out)|report(?:ed)?|dictat(?:ed|ion)|transcri(?:bed|ption)|typed|"
    r"verified|authenticated|authori[sz]ed|finali[sz]ed|approved|validated|released|attested|amend(?:ed|ment)|corrected|addend(?:ed|um|a)|"
    r"revised|updated|edited|entered|created|written|received|accessioned|collected|performed|completed|resulted|interpreted|reviewed|read|seen|"
    r"examined|evaluated|admitted|discharged|presented|acquired|scanned|imaged|obtained|filed|issued|documented|recorded|compar(?:ed|ison)|prior|"
    r"previous|dated|since|as of|taken"
)
_LABELS: Final = (  # English, and French `date`
    r"date|datetime|date/time|d\.?o\.?s\.?|d/t|dd|dt|[dtr](?=:)|time stamp|timestamp"
)
_DONE_ELSEWHERE: Final = (  # German, Spanish, French, Italian, Portuguese, Dutch, Scandinavian, Slavic, Greek, Turkish
    r"\w*datum|\w*datums?|dat\.|(?:elektronisch\s+)?(?:signiert|unterschrieben|unterzeichnet)|(?:ab)?gezeichnet|freigegeben|freigabe|vidiert|vidierung|"
    r"validiert|erstellt|diktiert|diktat|geschrieben|befundet|verfasst|aufgenommen|entlassen|entlassung|aufnahme|untersucht|durchgeführt|erfolgte?|"
    r"eingegangen|eingang|ausgang|nachtrag|korrigiert|ergänzt|vorgestellt|stattgehabt|vom|seit|stand|den|"
    r"fecha(?:do)?|firmad[oa]|firma|validad[oa]|informad[oa]|emitid[oa]|realizad[oa]|redactad[oa]|dictad[oa]|transcrit[oa]|ingres[oó]|ingresad[oa]|alta|"
    r"atendid[oa]|vist[oa]|recibid[oa]|adenda|electrónicamente|desde|"
    r"daté|signée?|validée?|dictée?|rédigée?|fait|effectuée?|réalisée?|hospitalisée?|vue?|entrée|sortie|additif|compte[\s-]rendu|électroniquement|depuis|"
    r"firmat[oa]|refertat[oa]|referto|validat[oa]|eseguit[oa]|redatt[oa]|dimess[oa]|ricoverat[oa]|visitat[oa]|data(?=\s*(?:[:.]|de[li]|d'|d[oa]))|in data|"
    r"assinad[oa]|laudad[oa]|laudo|liberad[oa]|em(?=\s*\d)|"
    r"ondertekend|geautoriseerd|uitgevoerd|verslag\w*|gedicteerd|opgenomen|ontslagen|gezien|dato|signerad|signeret|underskrevet|godkjent|utförd|udført|"
    r"podpisan[oy]|wykonano|opisano|dnia|podepsáno|provedeno|dne|дата|подписано?|выполнено|описано|от|ημερομηνία|υπογράφηκε|tarihi?|imzalandı|onay\w*"
)
_DONE_EAST: Final = (  # no blank parts words in Chinese and Japanese
    r"日付|日期|时间|時間|報告|报告|検査|检查|檢查|检验|作成|記載|署名|签名|簽名|承認|审核|審核|签发|撮影|実施|入院|退院|出院|일자|날짜|보고|검사|작성|판독|서명|승인"
)
_NOT: Final = (
    r"(?:date|day|year) of birth|birth\s?(?:date|day)?|born|d\.?o\.?b\.?|age|"
    r"(?:next|follow[\s-]?up|return|due|expected|estimated|anticipated|planned|target|proposed|renewal|refill|expir\w*|expiry|expiration|stop|end)(?:\s+\w+)?\s+date|"
    r"next|follow(?:[\s-]?up|s|ing)?|f/u|appointment|appt\.?|scheduled?|planned?|planning|until|through|due|expected|estimated|anticipated|return|rtc|expir\w*|"
    r"valid|booked|upcoming|recall|repeat|recommend\w*|(?:will|shall|to|should|would|may|must|can)\s+(?:be|get|have|undergo)(?:\s+\w+){0,3}|will|"
    r"geburts\w*|geb\.(?:[\s-]*dat(?:um|\.))?|geb|geboren|\*|termin\w*|kontroll\w*|wiedervorstellung\w*|geplant\w*|vorgesehen\w*|nächste\w*|bis|gültig\w*|"
    r"(?:ablauf|verfalls|wiedervorstellungs)datum|"
    r"(?:fecha de )?nac(?:imiento|id[oa])|f\.?\s?nac\.?|próxim[oa]|cita|programad[oa]|previst[oa]|hasta|caduca\w*|revisión|"
    r"(?:date de )?naissance|née?|prochaine?|rendez-vous|rdv|prévue?|jusqu\w*|"
    r"(?:data di )?nascita|nat[oa]|prossim[oa]|appuntamento|fino|controllo|(?:data de )?nascimento|nascid[oa]|até|consulta marcada|retorno|"
    r"geboorte\w*|afspraak|volgende|tot|urodz\w*|następn\w*|narozen\w*|příšt\w*|рожд\w*|следующ\w*|γέννησ\w*|doğum\w*"
)
_NOT_EAST: Final = r"生年月日|出生(?:日期|年月日)?|生日|생년월일|次回|下次|预约|預約|予約|다음|예약"
_MADE: Final = (  # when a copy was made, not when the note was
    r"(?:date\s+)?print(?:ed|[\s-]?out|ing)?(?:\s+date)?|export(?:ed)?|download(?:ed)?|fax(?:ed)?|"
    r"(?:aus|ge)druckt?|(?:aus)?druckdatum|impres[oa]|imprimée?|stampat[oa]|afgedrukt|印刷|打印|出力|인쇄"
)
# fmt: on
_CUE: Final = re.compile(
    rf"(?<![^\W_])(?:(?P<made>{_MADE})|(?P<no>{_NOT})|(?P<yes>{_DONE}|{_LABELS})"
    rf"|(?P<elsewhere>{_DONE_ELSEWHERE}))(?![^\W\d_])"
    rf"|(?P<no_east>{_NOT_EAST})|(?P<yes_east>{_DONE_EAST})|印刷|打印|出力|인쇄",
    re.IGNORECASE,
)
_SENTENCE_END: Final = re.compile(r"(?<=[^\W\d_]{4})[.!?]\s|;")
_CLOCK: Final = r"(?:[T,\s]*(?:at|um|à|a las|alle|kl\.?)?\s*\d{1,2}[:.h]\d{2}(?:[:.]\d{2})?[\d.]*)?"
_ZONE: Final = r"(?:\s?(?:[AP]\.?M\.?|Uhr|Z|UTC|[A-Z]{2,4}T|[+-]\d\d:?\d\d|h|hrs?))?"
# what may stand beside a date in a line of its own: a place, a day of the week, a time
_BEFORE_ALONE: Final = re.compile(
    r"[\W_]*(?:[^\W\d_][^\n,\d]{1,40},\s*)?(?:[^\W\d_]{1,12}\.?,?\s*)?", re.IGNORECASE
)
_AFTER_ALONE: Final = re.compile(rf"{_CLOCK}{_ZONE}[\W_]*г?\.?[\W_]*", re.IGNORECASE)
_ENTRY: Final = re.compile(rf"{_CLOCK}{_ZONE}\s*[:\-\u2013\u2014|\]]", re.IGNORECASE)


class NoteDates(NamedTuple):
    """What a note says of when it was written.

    Args:
        written: The latest day; None where it says none, or none that can mean one day only.
        open: Pairs of days of which one is meant: 02/03/2024.
    """

    written: date | None
    open: tuple[tuple[date, date], ...] = ()


def note_dates(text: str) -> NoteDates:
    """The dates on which a note says that it was written, signed or added to, and on which what it
    reports was done; the latest counts.

    When it was printed counts only where it says nothing else. The order of day and month is told
    by the numbers, by full stops, by the language of the word before, or by another date of the
    note; else it stays open.
    """
    found = list(find_dates(text))
    if not found:
        return NoteDates(None)
    lines = _Lines(text)
    kinds = [_kind(one, lines) for one in found]
    orders = {one.day_first for one in found} - {None}
    told = orders.pop() if len(orders) == 1 else None
    for wanted in ("written", "made"):
        days = [
            _ordered(one.days, True if day_first else told)
            for one, (kind, day_first) in zip(found, kinds, strict=True)
            if kind == wanted
        ]
        if days:
            pairs = {(min(pair), max(pair)) for pair in days if len(pair) > 1}
            return NoteDates(latest(pair[0] for pair in days if len(pair) == 1), (*sorted(pairs),))
    return NoteDates(None)


def _ordered(days: tuple[date, ...], day_first: bool | None) -> tuple[date, ...]:
    """Of two days the one that has the order; both where it is not known."""
    if len(days) < 2 or day_first is None:
        return days
    return days[:1] if day_first else days[1:]


class _Lines:
    """The lines of a text, by their offsets."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.starts = [0, *(match.end() for match in re.finditer("\n", text))]
        filled = (number for number in range(len(self.starts)) if self.line(number).strip())
        self.title = frozenset(islice(filled, TITLE))

    def line(self, number: int) -> str:
        end = self.starts[number + 1] if number + 1 < len(self.starts) else len(self.text)
        return self.text[self.starts[number] : end].rstrip("\n")

    def at(self, offset: int) -> tuple[int, str, int]:
        """Number and content of a line, and where in it an offset lies."""
        number = bisect_right(self.starts, offset) - 1
        return number, self.line(number), offset - self.starts[number]


def _kind(one: FoundDate, lines: _Lines) -> tuple[str, bool]:
    """What a date is: `written`, `made` or nothing; and whether a word of a language that puts the
    day first says so.
    """
    number, line, start = lines.at(one.start)
    end = start + one.end - one.start
    before = line[max(0, start - NEAR) : start]
    if not re.search(r"\w", before) and number:  # a label may stand on a line of its own
        above = lines.line(number - 1).strip()
        before = above[-NEAR:] if above.endswith((":", "\uff1a")) else before
    cue = _last_cue(_SENTENCE_END.split(before)[-1])
    if cue is not None:
        return cue
    after = line[end:]
    title = number in lines.title and len(line) <= LONGEST_TITLE
    title = title and not line.rstrip().endswith((".", "!", "?"))
    alone = _BEFORE_ALONE.fullmatch(line[:start]) and _AFTER_ALONE.fullmatch(after)
    entry = not re.search(r"\w", line[:start]) and _ENTRY.match(after)
    if (title or alone or entry) and not _plans(after):
        return "written", False
    return "", False


def _last_cue(before: str) -> tuple[str, bool] | None:
    """What the word nearest to a date says of it; None where none is there."""
    cues = list(_CUE.finditer(before))
    if not cues:
        return None
    nearest = cues[-1]
    if nearest["no"] or nearest["no_east"]:
        return "", False
    if nearest["yes"]:
        return "written", False
    if nearest["elsewhere"] or nearest["yes_east"]:
        return "written", True
    return "made", False


def _plans(after: str) -> bool:
    return any(cue["no"] or cue["no_east"] for cue in _CUE.finditer(after))
