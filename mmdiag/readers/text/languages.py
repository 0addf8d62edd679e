"""What tells the languages of old code pages apart: their letters beyond a to z, and words that
every text of some length has.
"""

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Language:
    """A language in Latin letters.

    Args:
        letters: Those beyond a to z, in small form.
        words: Frequent words in small letters.
        elides: Whether an apostrophe stands within words.
        borrows: Whether letters beyond a to z stand in names and foreign words alone.
    """

    letters: frozenset[str]
    words: frozenset[str]
    elides: bool
    borrows: bool


def _language(letters: str, words: str, *, elides: bool = False, borrows: bool = False) -> Language:
    return Language(frozenset(letters), frozenset(re.findall(r"\S+", words)), elides, borrows)


# fmt: off
WESTERN: Final = {  # of Windows-1252
    "English": _language("éèêëïçñöüäå", "the of and to in with no is was for at on by or from are an patient left right normal seen stable nodule mass lesion findings impression history evidence chest", elides=True, borrows=True),
    "German": _language("äöüßé", "der die das und in mit von zu im den des dem ein eine kein keine ist bei am an auf als auch links rechts nach ohne zum zur nicht nicht sich wird wurde war sind oder aber noch nur mehr es hat haben er sie keinen keiner keinem durch über vor unter zwischen sowie bzw ca kann befund beurteilung patient patientin unauffällig für läsion"),
    "French": _language("àâæçéèêëîïôœùûü", "le la les de des du et un une en dans par pour sur au aux avec sans est pas ou ce cette son sa ses plus qui que ne se dont été était il elle entre sous gauche droite droit à conclusion patient patiente lésion taille contrôler normal", elides=True),
    "Spanish": _language("áéíóúüñ", "el la los las de del y en un una con sin por para al se no es que su lo izquierda izquierdo derecha derecho paciente lesión años presenta más está"),
    "Portuguese": _language("áâãàçéêíóôõú", "o a os as de do da dos das e em no na um uma com sem por para ao não esquerda esquerdo direita direito paciente lesão"),
    "Italian": _language("àèéìíòóùú", "il lo la i gli le di del della dei delle e in un una con senza per al alla si non è sinistra sinistro destra destro paziente lesione referto", elides=True),
    "Catalan": _language("àçèéíïòóúü", "el la els les de del i en un una amb sense per al es no que dreta dret esquerra esquerre pacient lesió", elides=True),
    "Dutch": _language("éèëïóöüäáç", "de het een en van in op met voor zonder bij is er geen links rechts te aan patiënt patiënte niet naar", elides=True),
    "Swedish": _language("åäöé", "och i att en ett det som på är av för med till den har inte utan vid om vänster höger patienten ingen inga"),
    "Danish": _language("æøåé", "og i at en et det som på er af for med til den har ikke uden ved om venstre højre patienten ingen"),
    "Norwegian": _language("æøåéòôóü", "og i at en et det som på er av for med til den har ikke uten ved om venstre høyre pasienten ingen"),
    "Finnish": _language("äöå", "ja on ei että se oli joka sekä myös tai kanssa ilman vasen oikea vasemmalla oikealla potilas potilaan"),
    "Icelandic": _language("áéíóúýþæðö", "og í að er á sem til við um en ekki með fyrir vinstri hægri sjúklingur frá var"),
}
OTHERS: Final = {  # of Windows-1250, 1254 and 1257, and the DOS and Macintosh pages
    "Polish": _language("ąćęłńóśźż", "w z i na do nie się jest oraz po bez od przy o za prawej lewej prawy lewy lewym prawym płuca płata zmian zmiana pacjent pacjentka wniosek stan średnicy"),
    "Czech": _language("áčďéěíňóřšťúůýž", "a v na je se s z do bez po při od u pro vlevo vpravo pacient pacientka závěr nález není jsou ložisko"),
    "Slovak": _language("áäčďéíĺľňóôŕšťúýž", "a v na je sa s z do bez po pri od u pre vľavo vpravo pacient pacientka záver nález nie sú ložisko"),
    "Hungarian": _language("áéíóöőúüű", "a az és egy nem van volt hogy is bal jobb beteg nélkül oldali tüdő elváltozás méretű vélemény lelet"),
    "Croatian": _language("čćđšž", "i u je na se s za od do bez nije lijevo desno pacijent pacijentica nalaz kod te sa lijevom desnom zaključak promjena"),
    "Romanian": _language("ăâîşţșț", "şi și de la în cu pe nu este fără din stâng drept stângă dreaptă pacient pacientul leziune concluzie"),
    "Turkish": _language("âçğıîöşü", "ve bir ile da de bu yok var sol sağ olan için hasta hastanın lezyon izlendi sonuç izlenmedi akciğerde"),
    "Lithuanian": _language("ąčęėįšųūž", "ir su be į iš kad nėra yra kairėje dešinėje pacientas išvada pakitimų ne"),
    "Latvian": _language("āčēģīķļņšūž", "un ar bez no uz ir nav kreisajā labajā pacients pacienta slēdziens"),
    "Estonian": _language("äõöüšž", "ja on ei et see oli ning ka koos ilma vasak parem vasakul paremal patsient"),
    "Albanian": _language("çë", "dhe në e të i me pa nga një për është nuk majtë djathtë pacienti"),
    "Vietnamese": _language("ăâđêôơưàáảãạằắẳẵặầấẩẫậèéẻẽẹềếểễệìíỉĩịòóỏõọồốổỗộờớởỡợùúủũụừứửữựỳýỷỹỵ", "và của không có bên phổi trái phải bệnh nhân"),
}
# fmt: on
