"""Patterns of identifiers in German notes, for folded text: dates, postcodes, streets, towns,
hospitals, numbers and people as they are written in Germany, Austria and Switzerland.
"""

import importlib
import re
from functools import lru_cache
from typing import Final

from mmdiag.privacy.identifier_pattern import COUNTED, NO_UNIT, IdentifierPattern, pattern
from mmdiag.privacy.normalise import fold

# fmt: off
I = re.IGNORECASE  # noqa: E741 - as in re
_DAY, _MONTH_NUMBER = r"(?:0?[1-9]|[12]\d|3[01])", r"(?:0?[1-9]|1[0-2])"
_YEAR = r"(?:(?:19|20)\d{2}|\d{2})"
_GAP = r"\.[ \t]?"
_CAP = r"[A-Z][\w'-]{1,30}"
_OF = r"(?:an der|an den|am|im|in der|in den|bei|ob der|vor der|auf der|unter|a\.[ ]?d\.|a\.|i\.)"
_BEFORE_TOWN = r"(?:Bad|St\.|Sankt|Schwabisch|Bergisch|Wiener|Markt|Maria|Hohen|Gross|Klein|Ober|Unter|Deutsch|Kloster)"
TOWN = rf"(?:{_BEFORE_TOWN}[ \t-])?[A-Z][a-z]{{2,25}}(?:-[A-Z][a-z]{{2,20}})?(?:[ \t]{_OF}[ \t]?[A-Z][a-z]{{1,20}})?(?:[ \t]?\([A-Z][A-Za-z]{{1,15}}\))?"
_NUMBER = r"\d{1,3}(?:[ \t]?[a-z]\b)?(?:[ \t]?[-/][ \t]?\d{1,3}[a-z]?){0,3}(?![\d.,]\d)"
_ROAD = (
    "strasse|str\\.|weg|platz|allee|gasse|ufer|damm|ring|steig|stieg|markt|graben|kai|chaussee|promenade|grund|acker|winkel|zeile|rain|pfad|brucke"
    "|halde|matt|wall|anger|lande"
)
_ROAD_WORD = r"(?:Strasse|Str\.|Weg|Platz|Allee|Gasse|Ring|Ufer|Damm|Steig|Markt|Graben|Kai|Chaussee|Promenade|Park|Hof)"
_TO = r"(?:Am|An[ \t](?:der|den|dem)|Im|In[ \t](?:der|den|dem)|Auf[ \t](?:der|den|dem)|Unter[ \t](?:der|den|dem)|Zum|Zur|Bei[ \t](?:der|den|dem)|Beim|Hinter[ \t](?:der|den|dem)|Vor[ \t](?:der|den|dem))"
_CLINIC = r"(?:Universitatsklinik(?:um)?|Universitatsspital|Uniklinik(?:um)?|Klinikum|Kliniken|Klinik|Krankenhaus|Spital|Hospital|Landesklinikum|Landeskrankenhaus|Kantonsspital|Kreisklinik|Kreiskrankenhaus|Stadtspital|Bezirkskrankenhaus|Bundeswehrkrankenhaus|Fachklinik|Privatklinik|Rehaklinik|Sanatorium|LKH|AKH|KH|UKH|MVZ|BKH)"
_OF_CLINIC = r"(?:(?:rechts|links)[ \t]der|am|an[ \t]der|im|in[ \t]der|der|des|zum|zu|St\.|Sankt|vom)"
_DEPARTMENT = (
    r"(?!(?:Innere|Medizin|Allgemein|Chirurgi|Radiolog|Neurolog|Urolog|Kardiolog|Onkolog|Padiatri|Gynakolog|Orthopad|Unfall|Dermatolog|Augen|Psychiatr|Anasth"
    r"|Nuklear|Strahlen|Und|Fur|Zur|Patient|Behandlung|Verlegung|Aufnahme|Entlass|Abteilung|Befund|Notaufnahme|Ambulanz|Herr|Frau|Dr|Dort|Bei|Nach|Am|Im|Es|Die|Der)[a-z]*\b)"
)
_PROPER = rf"(?:{_OF_CLINIC}[ \t]+)?(?:{_OF_CLINIC}[ \t]+)?{_DEPARTMENT}[A-Z][\w'-]{{1,30}}"
# compounds of a department or of no place, which identify nobody
_GENERIC = "augen|haut|frauen|kinder|zahn|tages|poli|unfall|reha|rehabilitations|fach|privat|notfall|nerven|schlaf|universitats|uni|stadt|kreis|landes|kantons|lungen|herz|akut|spezial|stammklinik|heimat|schmerz|medizin|bezirks|plan|haupt|gesamt|bundeswehr|psychiatrie|lehr|partner|geburts|therapie|strahlen|sucht|mutter|hals|ohren|hno|tier"
_TITLED = r"(?:(?:Univ\.-|Ao\.[ ]?|a\.o\.[ ]?)?Prof\.|Priv\.-Doz\.|PD|Doz\.|OA|OA\.|Oberarzt|Oberarztin|CA|Chefarzt|Chefarztin|FA|Facharzt|AA|Ass\.-Arzt|Ass\.-Arztin|Assistenzarzt|Prim\.|Primar|Dipl\.-Med\.|Dr\.|Dres\.|DDr\.|MR|med\.|univ\.|phil\.|habil\.|rer\.|nat\.|dent\.|h\.c\.)"
_PERSON = rf"(?:(?:von|van|vom|de|der|den|dem)[ \t]+){{0,3}}{_CAP}"
_NAME = rf"(?:(?:[A-Z]\.-?[ \t]?){{1,2}})?{_PERSON}(?:[ \t]+{_PERSON})?"
_ROLE = r"(?:Ehefrau|Ehemann|Ehegatte|Tochter|Sohn|Mutter|Vater|Bruder|Schwester|Lebensgefahrtin|Lebensgefahrte|Enkelin|Enkel|Betreuerin|Betreuer|Nichte|Neffe|Schwiegertochter|Schwiegersohn|Partnerin|Partner)"
_WHEN = r"(?:am|vom|bis|ab|seit|zum|den|dem|von|der|des|zuletzt|nach|vor|Datum:?|Mo|Di|Mi|Do|Fr|Sa|So|(?:Mon|Diens|Donners|Frei|Sams|Sonn)tag|Mittwoch)\.?,?"
_ENDINGS = re.compile(r"(?:burg|stadt|stadtt|heim|dorf|furt|hausen|kirchen|hofen|ingen|bruck|brucken|weiler|roda|walde|hagen|munde|kirch|brunn|stetten|felden|lingen|reuth|bronn|hafen|leben|linburg|fels|bach|berg|feld|thal|tal|au)$")
_NO_TOWN = frozenset(re.findall(r"\w+", "meningen schlingen klingen dingen bedingungen sitzberg bergau aufbau abbau umbau einbau muskelaufbau stau taubau anbau knochenaufbau knochenabbau grau blau rau schau ubersichtsbild fortbildungen feld gesichtsfeld lungenunterfeld unterfeld oberfeld mittelfeld umfeld vorfeld spital tal bach berg mittelbach querbach"))
# fmt: on

# words that German notes have, in folded text
GERMAN_SIGNS: Final = re.compile(
    r"\b(?:und|der|des|dem|mit|bei|vom|ohne|keine?|nicht|wurde|geb|gez|Herrn?|Frau|Hr|Fr|Pat|Beurteilung|Befunde?|Untersuchung|Diagnosen?|Klinikum|Spital|wohnhaft|Krankenhaus)\b"
    r"|\b(?:lebt|wohnt|seit|im|zur|zum|LKH|AKH|MVZ)\b|\b(?:Am|An|Auf|Unter)[ \t](?:der[ \t])?[A-Z]"
    r"|strasse\b|str\.|gasse\b|klinik\b|[a-z](?:hospital|spital)\b"
)
_LARGEST: Final = re.findall(
    r"[\w. -]+",
    """
Aachen, Augsburg, Basel, Bern, Bergisch Gladbach, Biel, Bielefeld, Bochum, Bonn, Bottrop, Bozen,
Braunschweig, Bregenz, Bremen, Bremerhaven, Chemnitz, Chur, Cottbus, Darmstadt, Dortmund,
Dornbirn, Dresden, Duisburg, Duren, Dusseldorf, Eisenstadt, Emden, Erfurt, Erlangen, Essen,
Esslingen, Feldkirch, Flensburg, Frankfurt, Freiburg, Furth, Fulda, Gelsenkirchen, Genf, Gera,
Giessen, Gottingen, Graz, Greifswald, Gutersloh, Hagen, Halle, Hamburg, Hamm, Hanau, Hannover,
Heidelberg, Heilbronn, Herne, Hildesheim, Ingolstadt, Innsbruck, Jena, Kaiserslautern, Karlsruhe,
Kassel, Kempten, Kiel, Klagenfurt, Koblenz, Koln, Konstanz, Krefeld, Kufstein, Landshut, Lausanne,
Leipzig, Leoben, Leverkusen, Linz, Lubeck, Ludwigsburg, Ludwigshafen, Luneburg, Luzern, Magdeburg,
Mainz, Mannheim, Marburg, Meran, Minden, Moers, Monchengladbach, Mulheim, Munchen, Munster,
Neubrandenburg, Neumunster, Neuss, Nurnberg, Oberhausen, Offenbach, Oldenburg, Olten, Osnabruck,
Paderborn, Passau, Pforzheim, Plauen, Potsdam, Ratingen, Recklinghausen, Regensburg, Remscheid,
Reutlingen, Rosenheim, Rostock, Saarbrucken, Salzburg, Salzgitter, Schaffhausen, Schwerin, Siegen,
Solingen, Speyer, St. Gallen, St. Polten, Stendal, Steyr, Straubing, Stuttgart, Suhl, Thun, Trier,
Tubingen, Ulm, Villach, Weimar, Wels, Wien, Wiesbaden, Winterthur, Wismar, Witten, Wolfsberg,
Wolfsburg, Worms, Wuppertal, Wurzburg, Zug, Zurich, Zwickau""",
)


def _town(hit: str) -> tuple[int, int] | None:
    """A town of the lists, or a word that ends like one."""
    name = hit.lower()
    first = re.sub(
        r"^(?:bad|st\.|sankt|schwabisch|wiener)[ \t]",
        "",
        re.split(r"[ \t]?\(|[ \t](?:an|am|im|in|bei|ob|a\.)\b", name)[0],
    )
    known = name in towns() or first in towns() or name.startswith(("bad ", "st. ", "sankt "))
    return (0, len(hit)) if known or (first not in _NO_TOWN and _ENDINGS.search(first)) else None


@lru_cache(maxsize=1)
def towns() -> frozenset[str]:
    """Towns of Germany, Austria and Switzerland that Faker knows, folded and in small letters."""
    names: set[str] = set()
    for country in ("de_DE", "de_AT", "de_CH"):
        provider = importlib.import_module(f"faker.providers.address.{country}").Provider
        for attribute in ("cities", "city_names", "cantons"):
            values = getattr(provider, attribute, ())
            names.update(value if isinstance(value, str) else value[-1] for value in values)
    names.update(_LARGEST)
    folded = (fold(name).text.lower().strip() for name in names)
    return frozenset(name for name in folded if len(name) > 3 or name in ("ulm", "hof", "zug"))


# fmt: off
# of forms that other languages write as well
EUROPEAN: Final[tuple[IdentifierPattern, ...]] = (
    # dates
    pattern("date", rf"(?<![\d.,/-]){_DAY}{_GAP}{_MONTH_NUMBER}{_GAP}{_YEAR}(?![\d/]|[.,]\d)" + NO_UNIT),
    pattern("date", rf"(?<![\d.,/-])(?P<hit>{_DAY}\.(?:[ \t]?{_MONTH_NUMBER}\.)?(?:[ \t]?{_YEAR})?)(?=[ \t]?(?:-|bis(?:[ \t]zum)?)[ \t]?{_DAY}{_GAP}{_MONTH_NUMBER}\.)"),
    pattern("date", rf"(?:-|\bbis(?:[ \t]zum)?)[ \t]?(?P<hit>{_DAY}{_GAP}{_MONTH_NUMBER}\.)(?!\d|[ \t]?\d)"),
    pattern("date", rf"\b{_WHEN}[ \t](?P<hit>{_DAY}\.[ \t]?{_MONTH_NUMBER}\.)(?!\d|[ \t]?\d)"),
    pattern("date", rf"(?P<hit>(?<![\d.,/-]){_DAY}\.{_MONTH_NUMBER}\.)(?=[ \t](?:um|gegen|ab|bis)[ \t]\d)"),
    pattern("date", r"(?<![\w.,/-])0[1-9]/\d{2}(?![\d/]|[.,]\d|[ \t]?(?:LK|Lymphknoten|Punkte|mm|cm|%))"),
    pattern("date", rf"(?<![\d.,/-]){_MONTH_NUMBER}\.[ \t]?(?:19|20)\d{{2}}(?![\d.]\d|\d)"),
    pattern("date", r"\b(?:Feber|Hornung)\b(?:[ \t](?:19|20)\d{2})?"),
    pattern("date", rf"(?<![\d.,/-]){_DAY}\.[ \t]?(?:Feber|Janner|Jan\.|Feb\.|Marz|Apr\.|Aug\.|Sept?\.|Okt\.|Nov\.|Dez\.)(?:[ \t]?{_YEAR})?(?!\d)"),
    # postcodes with their towns, and numbers that say what they are
    pattern("address", rf"(?<![\w-])(?:D|DE|A|AT|CH|FL|L|I)[- ]{{1,2}}\d{{4,5}}(?:[ \t]+{TOWN})?(?!\d)"),
    pattern("address", rf"(?<![\w.,/-])\d{{5}}[ \t]+(?!{COUNTED}){TOWN}"),
    pattern("address", rf"(?:,[ \t]?|\n[ \t]*|^|\bin[ \t]|\b(?:wohnhaft|wohnt)[ \t](?:in[ \t])?)(?P<hit>[1-9]\d{{3}}[ \t]+(?!{COUNTED}){TOWN})", flags=re.MULTILINE),
    pattern("address", rf"{_NUMBER}[ \t]*[,\n][ \t]*(?P<hit>[1-9]\d{{3,4}}[ \t]+{TOWN})"),
    pattern("phone", r"\b(?:Tel(?:efon)?|Fax|Mobil|Handy|Durchwahl|DW|Klappe|Kl|Rufnummer|Ruf)\b[.:]*[ \t]*(?:-Nr\.?)?[ \t:]*(?P<hit>\+?\(?\d[\d \t()./-]{1,20}\d(?:[ \t]?(?:DW|Kl\.|Klappe)[ \t]?\d{1,5})?)"),
    pattern("phone", r"(?<![\w.,/-])(?:\+\d{2}|00\d{2}|0)[ \t]?(?:\(0\)[ \t]?)?\d{1,5}[ \t/-]{1,3}\d{2,8}(?:[ \t-]\d{1,5}){0,3}(?:[ \t]?(?:DW|Kl\.|Klappe)[ \t]?\d{1,5})?(?![\d%]|[.,]\d)", lambda hit: (0, len(hit)) if 7 <= sum(map(str.isdigit, hit)) <= 16 else None),
    pattern("id", r"\b(?:Fall|Aufnahme|Patienten|Pat|Versicherten|Versicherungs|Kranken(?:kassen|versicherungs)?|Befund|Auftrags|Untersuchungs|Akten|Archiv|Rezept|Journal|Einsende|Proben|Sozialversicherungs|SV|KV|AHV|Renten(?:versicherungs)?|Steuer|Ausweis|Pass|Telematik|IK|BSNR|LANR|Betriebsstatten)[.-]*(?:nummer|nr|zahl|id|ID|Nr|Nummer|Zahl|ID|zeichen|Kennzeichen)\b\.?[ \t:#]*(?P<hit>[A-Z]{0,3}[ -]?\d[\w/-]{2,20}(?:[ ]\d{2,10}){0,3})", flags=I),
    pattern("id", r"\b(?:BSNR|LANR|SVNR|VSNR|AHV|IK|KVNR|eGK)\b[.:]*[ \t]*(?P<hit>[A-Z]?\d[\d ./-]{4,18}\d)"),
    pattern("id", r"(?<!\w)756\.\d{4}\.\d{4}\.\d{2}(?!\w)"),  # Switzerland's AHV number
    pattern("id", r"(?<![\w/])[A-Z]{1,2}-?\d{2}/\d{3,6}(?![\w/])|(?<![\w/])[A-Z]\d{9}(?!\w)"),
    pattern("birth", rf"\b(?:geb\.?|geboren|Geburtsdatum|Geb\.-?Dat(?:um|\.)?|\*)(?:[ \t](?:am|den))?[ \t:]*(?P<hit>{_DAY}{_GAP}{_MONTH_NUMBER}{_GAP}{_YEAR})"),
)
# for notes that `GERMAN_SIGNS`
GERMAN: Final[tuple[IdentifierPattern, ...]] = (
    # dates
    pattern(
        "date",
        r"\b(?:seit|ab|bis|im|in|von|zuletzt|ED|OP|EM|sistiert|vom|nach|rechts|links|beidseits|[a-z]{0,20}(?:tomie|plastik|ektomie|ation|ie|ter|se|fall|farkt|katheter|bruch))[ \t]"
        r"(?P<hit>(?:1[0-2]|[1-9])/\d{2})(?=[ \t](?:im|in|bei|durch|und|eine?|mit|wegen)\b|[.,;)]|[ \t]*$)",
        flags=I | re.MULTILINE,
    ),
    # streets
    pattern("address", rf"\b[A-Z][a-z]{{1,25}}(?:-[A-Z][a-z]{{1,20}}){{0,3}}-?(?i:{_ROAD})[ \t]+{_NUMBER}"),
    pattern("address", rf"\b(?:[A-Z][a-z.]{{1,25}}[ \t-]){{1,3}}{_ROAD_WORD}[ \t]+{_NUMBER}"),
    pattern(
        "address",
        rf"\b{_TO}[ \t](?!(?:Tag|Segment|Alter|Zeitpunkt|Stadium|Zyklus|Jahr|Rahmen|Grad|Level|Bereich|Median|Mittel|Lebensjahr|Monat|Niveau|Hohe)\b)(?:[A-Z][a-z]{{2,25}}[ \t-]){{1,3}}{_NUMBER}"
        r"(?=[ \t]*(?:,|\n|$|[.;]|in\b|(?:D|A|CH)?-?\d{4,5}\b))",
        flags=re.MULTILINE,
    ),
    pattern("address", rf"(?:^|,[ \t]|\n)(?P<hit>{_CAP}[ \t]{_NUMBER})(?=[ \t]*[,\n][ \t]*(?:(?:D|A|CH)-)?\d{{4,5}}[ \t]+[A-Z])", flags=re.MULTILINE),
    pattern("address", rf"(?P<hit>\b{_CAP}[ \t]{_NUMBER})(?=[ \t]*[,\n][ \t]*(?:(?:D|A|CH)-)?\d{{4,5}}[ \t]+[A-Z][a-z])"),
    # towns
    pattern("address", rf"\b(?:lebt|wohnt|wohnhaft|geboren|aufgewachsen|ansassig|beheimatet)(?:[ \t](?:allein|derzeit|seit[ \t]\d+))?[ \t](?:in|bei)[ \t](?P<hit>{TOWN})"),
    pattern("address", rf"\b(?:[A-Z][a-z]+(?:er|erin|in|ist|mann|frau)|stammt|stammend|geburtig|kommt|kommend)[ \t]aus[ \t](?P<hit>{TOWN})"),
    pattern("address", rf"\b(?:aus|in|nach|bei|von)[ \t](?P<hit>{TOWN})", _town),
    pattern("address", rf"\b{_TITLED}[ \t]*(?:{_TITLED}[ \t]*){{0,4}}{_NAME}[ \t]in[ \t](?P<hit>{TOWN})"),
    pattern("address", rf"(?:,[ \t]|^|\n)(?P<hit>{TOWN}),[ \t](?:den[ \t]|am[ \t])?(?={_DAY}\.[ \t]?(?:{_MONTH_NUMBER}\.|(?:Jan|Feb|Mar|Apr|Mai|Jun|Jul|Aug|Sep|Okt|Nov|Dez)[a-z]*\b)|(?:19|20)\d\d-\d\d)"),
    pattern("address", rf"\b{_TITLED}[ \t]*(?:{_TITLED}[ \t]*){{0,4}}{_NAME},[ \t](?P<hit>{TOWN})(?=[.,;\n]|$)"),
    # hospitals and practices
    pattern("institution", rf"\b(?:(?:St\.|Sankt)[ \t-]?{_CAP}[ \t-]|(?:Stadtisches|Stadtische|Evangelisches|Evangelische|Katholisches|Katholische|Helios|HELIOS|Asklepios|Sana|SANA|Rhon|Vivantes|Schon|Ameos|AMEOS|Agaplesion|Malteser|Johanniter|Caritas|Paracelsus|[A-Z][a-z]{{3,20}}er)[ \t-])?{_CLINIC}(?:[ \t-]+{_PROPER}){{1,2}}(?:[ \t]{_CAP}(?<=Bruder|estern))?"),
    pattern("institution", rf"\b(?:St\.|Sankt)[ \t-]?{_CAP}[ \t-]{_CLINIC}\b|\b(?:St\.|Sankt)[ \t-]?[A-Z][a-z]+-?(?:spital|krankenhaus|klinikum|klinik|hospital)\b"),
    pattern("institution", rf"\b(?:Stadtisches|Evangelisches|Katholisches|Helios|HELIOS|Asklepios|Sana|Vivantes|Schon|Ameos|Agaplesion|Malteser|Johanniter)[ \t-]{_CLINIC}\b"),
    pattern("institution", rf"\b(?!(?i:{_GENERIC})(?:klinik|spital|kranken|hospital))[A-Z][a-z-]{{2,25}}(?:klinikum|klinik|krankenhaus|spital|hospital)\b(?:[ \t]+{_PROPER})?"),
    pattern("institution", rf"\b(?i:universitats|uni|stadt|kreis|landes|kantons|bezirks)(?:klinikum|klinik|krankenhaus|spital)[ \t]+{_PROPER}"),
    pattern("institution", r"\bCharite\b|\bInselspital(?:[ \t]Bern)?\b|\bMVZ(?:[ \t][A-Z][\w-]{2,30}){1,3}|\b(?:Gemeinschaftspraxis|Praxis)[ \t](?:Dr\.[ \t]|Dres\.[ \t])[A-Z][\w.-]+(?:[ \t](?:und|&|/)[ \t][A-Z][\w.-]+)?"),
    # people
    pattern("name", rf"\b{_TITLED}[ \t]*(?:{_TITLED}[ \t]*){{0,4}}(?P<hit>{_NAME})"),
    pattern("name", rf"\b(?:Herrn?|Frau|Hr\.|Fr\.|Pat\.|Patientin|Patient|Frl\.|Fraulein)[ \t]+(?:{_TITLED}[ \t]*){{0,3}}(?P<hit>{_NAME})(?=[ \t]*,?[ \t]*(?:geb|\*|stellt|befand|lebt|wird|wurde|wohn|ist|war|hat|kam|klagt|berichtet|gibt|leidet))"),
    pattern("name", rf"\b(?:Hr\.|Fr\.|Frl\.|Pat\.)[ \t]+(?!{_TITLED})(?P<hit>{_NAME})"),
    pattern("name", rf"\b(?:[Dd]iktiert|Diktat|[Ff]reigegeben|[Vv]idiert|[Bb]efundet|[Vv]alidiert|[Uu]ntersucher(?:in)?|Befunder(?:in)?|Zuweiser(?:in)?|Einweiser(?:in)?|Hausarzt|Hausarztin|Operateur(?:in)?|Assistenz|Anasthesist(?:in)?|Schreibkraft|Sachbearbeiter(?:in)?|Ansprechpartner(?:in)?|Name|Patientenname)(?:[ \t]von)?[ \t]*:[ \t]*(?:{_TITLED}[ \t]*){{0,4}}(?P<hit>{_NAME})(?!:)"),
    pattern("name", rf"(?:^|\n|:[ \t])(?P<hit>{_PERSON},[ \t]*{_CAP})(?=[ \t]*(?:,?[ \t]*(?:geb|\*)|\n[ \t]*[A-Z][^\n]{{2,40}}[ \t]\d{{1,4}}))"),
    pattern("name", rf"\b(?:gez\.|i\.[ ]?V\.|i\.[ ]?A\.|unterzeichnet|vidiert|freigegeben(?:[ \t](?:von|durch))?)[ \t:]*(?:{_TITLED}[ \t]*){{0,4}}(?P<hit>{_NAME})"),
    pattern("name", rf"\b{_ROLE},?[ \t](?:Herrn?|Frau)?[ \t]?(?P<hit>{_PERSON}(?:[ \t]+{_PERSON})?)(?=[ \t]*[,(.;]|[ \t](?:geb|wohn|versorgt|tel))"),
)
# fmt: on
