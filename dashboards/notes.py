"""A note with its words shaded, and text of others within our own: nothing that a patient's file
says becomes markup, and no address in it a link.
"""

import html
import re
import string
import unicodedata
from collections.abc import Sequence

from mmdiag.explain.drawn import folds, in_negated, shaded_pieces, signed
from mmdiag.explain.parts import Part

STEPS = 5  # shades of a word
STYLE = (
    "<style>.mmnote{white-space:pre-wrap;overflow-wrap:anywhere;unicode-bidi:isolate;"
    "direction:ltr;font-size:.9rem;line-height:1.5}"
    + "".join(
        f".mmnote .p{i}{{background:rgba(213,94,0,{0.12 * i + 0.06:.2f});border-bottom:2px solid "
        f"rgba(213,94,0,{0.15 * i:.2f})}}"
        f".mmnote .n{i}{{background:rgba(0,114,178,{0.12 * i + 0.06:.2f});border-bottom:2px "
        f"dotted rgba(0,114,178,{0.18 * i:.2f})}}"
        for i in range(1, STEPS + 1)
    )
    + ".mmnote summary{cursor:pointer;font-weight:600;white-space:normal}.mmnote summary i{"
    "font-style:normal;font-weight:400;opacity:.75;padding-left:.6em}"
    + '.mmnote .neg::before{content:"\\00ac";opacity:.7}'
    + ".mmabsent{border:1.5px dashed "
    "#8A9099;border-radius:8px;padding:1.6rem;text-align:center;color:#8A9099}"
    ".mmrefused{border:1.5px solid #D55E00;border-left-width:6px;border-radius:8px;"
    "padding:.7rem 1rem;overflow-wrap:anywhere}.mmrefused b{color:#D55E00}"
    ".mmrefused div{font-size:.9rem}</style>"
)
INVISIBLE = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C, 0x200B, 0xFEFF}
MARKDOWN = str.maketrans(
    {character: f"\\{character}" for character in string.punctuation if character not in "-,/%"}
)
# Streamlit's Markdown makes links of addresses after it has taken escapes away: only a character
# within them that does not show keeps them text
ADDRESS = re.compile(r"(?<=www)(?=\.)|(?<=:)(?=//)|(?=@)", re.IGNORECASE)
JOINER = "\u2060"  # a word joiner: no width, no break


def note(text: str, parts: Sequence[Part] | None) -> str:
    """A whole note as HTML, its sections folded: open are those that have a shaded word, and all
    where none has.

    Args:
        parts: `start`, `end` and `value` of words; positive values support the outcome. None where
            the case is not explained.
    """
    pieces = shaded_pieces(text, parts or [])
    told = list(zip(pieces, in_negated(text, pieces), strict=True))
    largest = max((abs(value) for _, _, value in pieces), default=0.0)

    def drawn(start: int, end: int) -> str:
        own = [one for one in told if start <= one[0][0] < end]
        spans = [(a - start, b - start, value) for (a, b, value), _ in own]
        return shaded(text[start:end], spans, [denied for _, denied in own], largest)

    found = folds(text, parts or [])
    if not found:
        return f'{STYLE}<div class="mmnote">{drawn(0, len(text))}</div>'
    inner = [drawn(0, found[0].start).rstrip()]
    for fold in found:
        open_ = not pieces or any(fold.start <= start < fold.end for start, _, _ in pieces)
        total = f"<i>{signed(fold.value)}</i>" if parts is not None else ""
        inner.append(
            f"<details{' open' if open_ else ''}><summary>{drawn(fold.start, fold.text).strip()}"
            f"{total}</summary>{drawn(fold.text, fold.end).rstrip()}</details>"
        )
    return f'{STYLE}<div class="mmnote">{"".join(inner)}</div>'


def absent(name: str) -> str:
    """The box that stands where a modality was not acquired.

    Args:
        name: How people read the modality.
    """
    return box(f"{name} not acquired")


def refused(name: str, code: str, rule: str, fact: str, cure: str) -> str:
    """The box that stands where a modality, or a case, was acquired and refused.

    Args:
        name: How people read it.
        code, rule, fact, cure: As the quarantine says them.
    """
    lines = [("Rule", rule), ("Fact", fact), ("Cure", cure)]
    inner = "".join(
        f"<div>{what}: {html.escape(visible(text))}</div>" for what, text in lines if text
    )
    title = html.escape(visible(f"{name} quarantined: {code}"))
    return f'{STYLE}<div class="mmrefused"><b>{title}</b>{inner}</div>'


def box(text: str) -> str:
    """A dashed box around what is absent."""
    return f'{STYLE}<div class="mmabsent">{html.escape(visible(text))}</div>'


def plain(text: object) -> str:
    """Text of others within Markdown of ours: it stays text."""
    lines = " ".join(visible(str(text)).split("\n"))
    return ADDRESS.sub(JOINER, lines).translate(MARKDOWN)


def code(text: object) -> str:
    """Text of others as code within Markdown of ours."""
    shown = " ".join(visible(str(text)).split("\n"))
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    pad = " " if "`" in shown else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def shaded(
    text: str,
    spans: Sequence[Sequence[float]],
    negated: Sequence[bool] | None = None,
    largest: float | None = None,
) -> str:
    """The note as HTML of our own: every character escaped, classes never made of data, invisible
    characters made visible.

    Args:
        negated: Of each span whether it stands in a negated sentence; None = none does.
        largest: Weight of the strongest shade; None = the largest of these.
    """
    largest = largest or max((abs(weight) for _, _, weight in spans), default=0.0)
    parts, end = [], 0
    told = list(zip(spans, negated or [False] * len(spans), strict=True))
    for (start, stop, weight), denied in sorted(told, key=lambda one: tuple(one[0])):
        start, stop = max(int(start), end), int(stop)
        parts.append(html.escape(visible(text[end:start])))
        step = max(round(STEPS * abs(weight) / largest), 1) if weight else 0
        inner = html.escape(visible(text[start:stop]))
        kind = f"{'p' if weight > 0 else 'n'}{step}{' neg' if denied else ''}"
        parts.append(f'<span class="{kind}">{inner}</span>' if step else inner)
        end = stop
    return "".join(parts) + html.escape(visible(text[end:]))


def visible(text: str) -> str:
    """Control and direction characters, which could make a note read otherwise than it is, as their
    code.
    """
    return "".join(
        f"␣{ord(c):04X}␣"
        if ord(c) in INVISIBLE or (unicodedata.category(c) in ("Cc", "Cf") and c not in "\n\t")
        else c
        for c in text
    )
