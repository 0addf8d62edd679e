"""Listed names that mean something else in a clinical text, and words of the English list that are
people there.
"""

import re
from typing import Final

# People's names that mean a disease, a sign, a score, a stain, a device or a method
EPONYMS: Final = frozenset(
    re.findall(
        r"\S+",
        """
    addison alzheimer apgar ascher asperger auer babinski baker barrett barthel bartholin
    bartonella basedow bechterew beck behcet bell bence bennett berger bethesda billroth bishop
    bosniak bowel bowen braden breslow bright broca brodmann bruton budd burkitt cajal castleman
    caucasian charcot chiari child clark cobb colles cooper coombs cori coulomb cowden craig
    crigler crohn cushing dandy darier doppler douglas down dubin dukes dupuytren ebstein eddy
    ehlers eisenmenger epstein erb ewing fallot fanconi fisher fleischner foley fontana fordyce
    fowler frank fuhrman gardner garland gaucher gehrig giemsa gilbert glasgow gleason golgi
    goodpasture gowers gram graves guillain guthrie hartmann hashimoto hassall heberden henle
    henoch hirschsprung hodgkin holmes horner hounsfield howell hunter huntington hurthle jackson
    janeway jena johnson jones kaposi karnofsky kegel kellgren kerley kernig klatskin klinefelter
    koch korsakoff krukenberg kupffer langerhans lasegue leydig lewy lhermitte lister loeffler
    lynch macburney maddrey mallory mantoux marfan masson mayo mccune mcburney meckel mendel
    meniere merkel mohs morison morton mueller muller munchausen murphy neer newton nissen
    nottingham paget papanicolaou parkinson pearson perthes peyer pott price quincke raynaud reed
    reinke reye rh ringer rinne ritalin robinson romberg rorschach roux sanger schiller schmorl
    schwann sezary shepherd sjogren spitz stanford starling stein sternberg stevens still sudeck
    swan sylvius tinel tourette traube trousseau turner valsalva virchow waldenstrom waller weber
    weil werner wernicke whipple wilms wilson wolff yates young zenker ziehl zollinger meyer
    ludwig waterhouse ishak allred wagner anderson hynes gibson blake veress hoffman hoffmann
    mcardle hamman harris benedict lowenstein jensen michaelis gutmann kikuchi fujimoto boney
    kruger bengala rosa anderson-hynes wagner-meissner ann deauville lugano spetzler hess nyha
    simpson bismuth strasberg hill sachs bankart hawkins thompson trendelenburg finkelstein phalen
    schirmer hopkins monro magendie luschka galen rosenthal willis rolando penrose jackson-pratt
    kocher whitmore haller riedel santorini wirsung oddi vater mirizzi calot gerota denonvilliers
    cooper's scarpa hesselbach mackenrodt retzius cloquet gartner nuck montgomery skene
    bartholinitis fazekas
    """,
    )
)
NO_NAMES: Final = frozenset(
    re.findall(
        r"\S+",
        """
    her his she him they them our your you the this that these those there then when where who why
    how has had was were and but for nor not with from las los una uno unos dos tres cuatro diez
    mas resto durante como este esta estos estas tras para por con sin segun desde hasta sobre
    entre asi aunque dada dado sus esa ese esas esos un orina fondo dias manos torax eco salud
    nada todo toda todos der die das ein eine und mit von bei nach aus auf les une des dans avec
    sans pour elle est son ses monday tuesday wednesday thursday friday saturday sunday american
    african asian british canadian chinese dutch english european french german greek indian irish
    israel italian japanese jewish korean latin mexican norwegian polish portuguese russian
    scottish spanish swedish turkish welsh hispanic america africa asia england france germany
    italy spain usa states united kingdom india china japan canada mexico internet covid corona
    advil tylenol aspirin medrol lasix lipitor coumadin xanax zoloft prozac allegra viagra botox
    ensure boost lantus doe via per alt tel fax mrs hx dx rx tx pt mri pet cta icu ecg ekg abd gen
    neuro psych lungs paciente mujer varon hombre dolor dolores rosario pilar consuelo remedios
    mercedes concepcion encarnacion blanco campos cruz pino prado prieto rubio moreno castano
    delgado gordo calvo bello bravo cano crespo seco valle vidal rey ramos reyes leon mayor merino
    luna marin mesa mora moral nieto pardo parra plaza ramas rico rojo roca rocha salas santos
    serrano sierra soler sola soto torres vega vera vida villa toro tapia puente ponce pena paz
    arena alba alvarado baja barba baron bosque caballero cabello cabeza casas castillo cerro
    cordero cortes costa cuello cuenca duran espinosa fuentes guerra guerrero hidalgo hierro
    iglesias lara linares lobo lopez's macho manzano medina miranda montero alto blando cirugia
    tumor linea derecha izquierda ausencia presencia grado grande leve nino bebe nodulo normal
    servicio hospital general centro clinico clinica historia cara dedo codo pie mano herr frau
    patient klein gross lang kurz kopf bein hand stark schwarz weiss roth braun neu jung fuchs
    wolf vogel berg stein sommer winter graf kaiser koch petit grand noir blanc roux leger
    marchand boucher fontaine dubois la le du herbst fruhling leber milz niere herz hals fuss nagel
    haut blut bauch arm zahn knochen rippe morgen abend freitag sonntag ernst gut frisch kraft ruhe
    sturz fall lauf schnitt stumpf stich hahn stern kern kegel sporn engel busch wald feld hammer
    steig rohr anker bruch zimmer zeh stab sand spiegel pfeiffer luft sauer noll null sie uns unter
    abdomen thorax ober mittel arzt sohn tochter mutter vater bruder schwester frauen kind eltern
    """,
    )
)
# Parts of the body, findings, sides and words of denial in German, French, Spanish, Italian,
# Portuguese, Dutch, Polish, Czech and Danish, as reports begin sentences with them
OF_REPORTS: Final = frozenset(
    re.findall(
        r"\S+",
        """
    masse magen galle mund kiefer brust lage lange linke frei scharf dunn breit hoch eisen bett
    vessie nez bas avant hile gros frere menton aine masa corazon ojo vena costilla tos izquierdo
    borde buena bueno duro redondo oscuro azul dia ayer hoy alta ingle pulgar massa reni bocca gola
    coste anca ilo buono sottile bianco nero verde noto ferro ora mattina sera prima testa lato
    borst ader spier voet steen wel boven groot grote kort smal zwart groen deze costela bacia dor
    branco perna brak rak kosc szyja reka noga guz lewa leva mal vide luce rana sila pero han vers
    jen pak
    """,
    )
)
# Words of the English list that are, in a clinical text, people all the same
NAMES_FIRST: Final = frozenset(
    re.findall(
        r"\S+",
        """
    smith john martin lee nelson carter bailey griffin graham freeman tucker warren terry wade
    barker hogan collier davenport hoover jack harry henry peter robin charlotte jenny billy bobby
    tommy jimmy johnny mike mickey molly sally peggy betty nancy kitty maria sophia timothy
    abigail josh jake davy ned guy joe louis louise marten morris nelly olive oscar philip simon
    victoria vivian garrison manning chandler singleton mercer mac hale
    """,
    )
)
