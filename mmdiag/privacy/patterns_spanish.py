"""Further patterns of identifiers in Spanish notes, for folded text: streets without their type,
postcodes and provinces, dates behind a label.
"""

import re
from typing import Final

from mmdiag.privacy.identifier_pattern import IdentifierPattern, pattern

# fmt: off
I = re.IGNORECASE  # noqa: E741 - as in re
_MONTH = r"(?:enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|setiembre|octubre|noviembre|diciembre)"
_LINK = r"(?:(?:de|del|la|las|los|el|y|i)[ \t]+){0,3}"
_WORDS = rf"(?:[A-Z][\w'.-]{{1,30}}[ \t]+{_LINK}){{0,4}}[A-Z][\w'.-]{{1,30}}"
_POSTCODE = r"(?:0[1-9]|[1-4]\d|5[0-2])\d{3}"
_PROVINCES = (
    "Alava|Albacete|Alicante|Alacant|Almeria|Asturias|Avila|Badajoz|Barcelona|Bizkaia|Vizcaya|Burgos|Caceres|Cadiz|Cantabria|Castellon|Ceuta|Ciudad[ ]Real|Cordoba|Coruna|A[ ]Coruna|La[ ]Coruna"
    "|Cuenca|Gerona|Girona|Gipuzkoa|Guipuzcoa|Granada|Guadalajara|Huelva|Huesca|Islas[ ]Baleares|Baleares|Illes[ ]Balears|Jaen|Las[ ]Palmas|Leon|Lerida|Lleida|Lugo|Madrid|Malaga|Mallorca"
    "|Melilla|Menorca|Murcia|Navarra|Orense|Ourense|Palencia|Pontevedra|La[ ]Rioja|Rioja|Salamanca|Santander|Segovia|Sevilla|Soria|Tarragona|Tenerife|Teruel|Toledo|Valencia|Valladolid|Vigo"
    "|Zamora|Zaragoza|Gijon|Oviedo|Bilbao|San[ ]Sebastian|Donostia|Pamplona|Vitoria|Elche|Cartagena|Badalona|Terrassa|Sabadell|Barakaldo|Galicia|Andalucia|Extremadura|Cataluna|Aragon"
    "|Castilla(?:[ ]y[ ]Leon|[ -]La[ ]Mancha)?|Pais[ ]Vasco|Euskadi|Gran[ ]Canaria|Bogota|Caracas|La[ ]Habana|Mexico[ ]D\\.?[ ]?F\\.?|Buenos[ ]Aires|Santiago[ ]de[ ]Compostela|Lima|Lisboa"
)
# words that Spanish notes have, in folded text
SPANISH_SIGNS: Final = re.compile(r"\b(?:el|los|las|del|con|para|paciente|calle|fecha|anos|hospital de|nombre)\b", I)


SPANISH: Final[tuple[IdentifierPattern, ...]] = (
    pattern("address", rf"\b(?:{_PROVINCES})\b(?!(?:[ \t](?:score|Score))|['-][A-Z])"),
    pattern("address", rf"(?<![\w.,/-])(?:E[- ])?{_POSTCODE}(?=[.,]?[ \t]+(?:El|La|Los|Las|San|Santa)?[ \t]?[A-Z][a-z]{{3,}})(?![.,]?[ \t]+[A-Z][a-z]+(?:citos|plaquetas)\b)"),
    pattern("address", r"(?<=\bCP)[:.]?[ \t](?P<hit>\d{2,3}[ ]?\d{3})\b"),
    pattern("address", rf"(?P<hit>\b{_WORDS},?[ \t]+(?:n[o.]{{1,2}}[ ]?)?\d{{1,4}}[A-Z]?)(?=[ ,.-]{{1,4}}(?:{_POSTCODE})[ \t,.]+[A-Z])"),
    pattern("address", rf"\b{_WORDS},?[ \t]+s/n\b"),
    pattern("address", rf"\b(?i:c/|calle|avda|urbanizacion|urb|pol(?:igono)?|barrio|callejon|travesia|paraje|glorieta|parque|rambla|via|gran via|edificio)\.?[ \t]*{_LINK}{_WORDS},?[ \t]*(?:n[o.]{{1,2}}[ ]?)?\d{{1,4}}[oa]?(?:[ ,.-]{{1,3}}(?:\d{{1,2}}[oa.]?[ ]?[A-Z]?|esc\.?[ ]?\w|[A-F]\b|izq\w*|dcha?|bajo)){{0,4}}"),
    pattern("date", r"\bfecha[ \t](?:de[ \t])?\w{3,14}[ \t]*:[ \t]*(?P<hit>\d{1,5}[/.-]\d{1,4}(?:[/.-]\d{1,4})?)(?!\d)", flags=I),
    pattern("date", rf"\b{_MONTH}(?:[ \t](?:de|del)){{0,2}}(?:[ \t]ano)?(?:[ \t]de)?[ \t]'?\d{{2,4}}(?!\d)", flags=I),
    pattern("date", rf"\bmes[ \t]de[ \t](?P<hit>{_MONTH})\b", flags=I),
    pattern("date", rf"\b(?:en|desde|hasta|de|durante)[ \t](?P<hit>{_MONTH})(?=[ \t](?:de|del)[ \t](?:ano|dicho|ese|este|mismo|\d))", flags=I),
)
# fmt: on
