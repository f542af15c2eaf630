"""Whether a reply asks not to be written to any more. Only its new text is looked at."""

import re
from enum import Enum, auto

from mail.incoming.words import plain

# Where a line ends a sentence without a full stop.
_NEW_SENTENCE = re.compile(r"\n\s*\n|\n(?=\s*[A-ZĄĆĘŁŃÓŚŹŻ])")
_FEW_WORDS = 300  # characters


class Request(Enum):
    ASKED = auto()
    UNSURE = auto()  # it may ask for that, or for something else besides


# All that a line says.
_COMMAND = re.compile(
    r"^(please |prosze |pls |plz |bitte |kindly )?(stop|stopp|stop all|stopall|stop (the )?spam(ming)?"
    r"|unsubscribe|unsub|unsubscribe me|remove"
    r"|(remove|delete) ((me|us)|(my|our|this) (e-?mail|mail|address|e-?mail address))( now| immediately)?"
    r"|remove (me |us )?from (the |your |this )?(mailing )?(list|database)"
    r"|opt ?-?out|cancel subscription|take me off|no more( e-?mails?| mails?)?"
    r"|nie (wysylac|wysylaj|wysylajcie|przysylac|przesylac|spamowac|spamuj|spamujcie)( wiecej| juz)?"
    r"|wypisz|wypisz mnie|wypis|wypisac|wypisanie|wypisuje|wypisuje sie|wypisz nas|wypiszcie mnie|prosze o wypis"
    r"|odsubskryb(uj|ujcie|owac|owanie)( mnie| nas)?|wyrejestr(uj|ujcie|owac)( mnie| nas)?"
    r"|usun|usun mnie|usuniecie|usunac|(s|wy)kasuj( mnie| nas)?|rezygnuje|rezygnacja|rezygnujemy"
    r"|nie pisz|nie pisz do mnie|nie pisac"
    r"|(newsletter )?(abmelden|austragen|abbestellen)|loe?schen|keine (weiteren )?(e-?mails?|mails?|werbung)( mehr)?"
    r"|desabonner|koniec|dosc)(,? (please|pls|plz|prosze|dziekuje|dzieki|thanks|thank you|bitte|danke))?$"
)
# These are also said of something else than mail: "Stop! What does it cost?"
_WEAK = re.compile(
    r"^(stop|stopp|koniec|dosc|remove|usun|usunac|(s|wy)kasuj|loe?schen|usuniecie|rezygnuj\w*|rezygnacja)$"
)
# The same, in words that leave out whom or what it is about.
_BARE = re.compile(
    r"^(((bardzo |uprzejmie |pilnie )?(prosze|prosimy|prosilbym|prosilabym|poprosze|prosba)"
    r"( bardzo| uprzejmie| pilnie)? o (usuniecie|(s|wy)kasowanie)|(prosze |prosimy )?(usuncie|(s|wy)kasujcie))"
    r"( prosze| dziekuje| pilnie)?|(can|could|would|will) you (please |kindly )?stop( please)?\??"
    r"|(please |kindly )?(do not|don.?t|dont) (contact|e-?mail|write)( please)?)$"
)
_REFUSAL = (
    r"((bo |gdyz |poniewaz |because )?((my |ja )?nie (jestem|jestesmy) (tym |tematem |oferta )?(w ogole |zupelnie )?"
    r"zainteresowan\w{1,3}|nie zainteresowan\w{1,3}"
    r"|(nas |mnie )?(to )?(nas |mnie )?nie (interesuje|dotyczy)( nas| mnie)?( to)?"
    r"|(brak|nie mam|nie mamy) zainteresowania|nie (chce|chcemy|potrzebuje|potrzebujemy)( tego)?"
    r"|((sorry )?(i am|i'm|im|we are|we're) )?(really |absolutely )?not (at all )?interested"
    r"( at all| in (this|it|that))?"
    r"|no interest|(wir haben |ich habe )?kein interesse))"
)
_COURTESY = (
    r"((dzien dobry|witam|witajcie|czesc|hej|hi|hello|dear \w{1,20}|szanowni panstwo|szanowny panie|szanowna pani"
    r"|panie \w{1,20}|pani \w{1,20}|guten tag)( panie \w{1,20}| pani \w{1,20})?|ok|okay|nie|no|sorry|przepraszam"
    r"|(no |nie )?(thanks|thank you|many thanks|thx|dzieki|dziekuje|dziekujemy|danke|bardzo dziekuje)( bardzo)?"
    r"( (for|za) \w{1,20}( \w{1,20})?)?|prosze|please|pozdrawiam|regards)"
)
_NO_MATTER = re.compile(rf"^({_REFUSAL}|{_COURTESY})( please| prosze)?$")
_REFUSES = re.compile(rf"^{_REFUSAL}( please| prosze)?$")
# What a correspondent may want removed or stopped.
_THINGS = re.compile(
    r"\b(blad|bled|uster|literow|tabel|slajd|wiersz|kolumn|produkt|wpis|akapit|zdani|cen(a|y|e|ie)\b|dat(a|y|e|ie)\b"
    r"|plik|ofer|mistakes?\b|errors?\b|typos?\b|slides?\b|tables?\b|columns?\b|rows?\b|files?\b|prices?\b|offers?\b)"
)
# The other way to reach the person, who may want that: "Don't write. Call me."
_CALL = re.compile(r"\b(call|ring|phone|zadzwon\w*|dzwon\w*|ruf(en)?|anrufen)\b")
_CLAUSE_ENDS = re.compile(r"[.!,;:]| - | (?:but|so|and|ale|wiec|dlatego|i) ")
_MAIL = (
    r"(wiadomosc\w*|mail\w*|e-?mail\w*|ofert\w*|newsletter\w*|reklam\w*|spam\w*|korespondenc\w*|materialow"
    r"|informacj\w* (handlow|marketing|reklam)\w*|tego typu|takich|tych|od (was|panstwa|pani|pana|ciebie))"
)
_ADDRESS = r"(moj|moje|nasz|nasze|ten|tego|mojego|naszego|mnie|nas|nasza|moja)"
_REQUESTS = [
    # "Proszę (o) …", "żądam …", with what is asked for.
    # What is struck off is a person or an address, and not an item of an offer.
    (
        r"\b(prosze|prosimy|prosilbym|prosilabym|poprosze|prosba|zadam|zadamy|domagam sie|uprzejmie prosze|wnosze"
        r"|wnioskuje)\b.{0,30}\b(wypisa\w*|wykresl\w*|skresl\w*|wyrejestrowa\w*)"
        r"(?=$|[.,!;:)-]| (mnie|nas|sie|moj\w*|nasz\w*|te[ng]\w*|adres\w*|e-?mail\w*|dan\w+|prosze|dziekuj\w+|pilnie"
        r"|natychmiast\w*|pozdraw\w+)\b(?! ze? (kopi|dw|cc|umow|ofert|zamowien))"
        r"| ze? (?!umow|ofert|faktur|cennik|zamowien|projekt|kopi|dw\b|cc\b))"
    ),
    (
        r"\b(mnie|nas|moj\w*|nasz\w*)( adres\w*| e-?mail\w*| dan\w+)? (usunac|wykreslic|skreslic|wypisac) ze?"
        r" (tej |tego )?(list|baz|mailing|wasz|panstwa|newsletter)\w*"
    ),
    r"\bjak (moge |mozemy |mozna )?(sie )?wypisac( sie)?\b(?! z umowy)",
    r"\bhow (do|can|to|could) (i |we )?(un|de-?)subscribe\b",
    r"\b(dosc|koniec) (tego |juz |z |tych )*(spam\w*|maili|e-?maili|wiadomosci)\b|\bzrezygnuj\w* z (wysyl|przesyl)\w+",
    (
        rf"\b(prosze|prosimy|prosilbym|prosilabym|poprosze|prosba|zadam|zadamy|domagam sie|wnosze"
        rf"|wnioskuje)\b.{{0,20}}\b(usun|usuwa|(s|wy)kasowa|wymaza)\w*(?! (bled|uster|pozycj|punkt|zalacz|literow))"
        rf" .{{0,15}}\b({_ADDRESS}\b|adres|e-?mail|danych|dane|z (bazy"
        rf"|listy|waszej|panstwa))"
    ),
    (
        r"\b(prosze|prosimy|prosilbym|prosilabym|poprosze|zadam|zadamy)( bardzo| uprzejmie| pilnie)?"
        r" (mnie|nas) (usunac|(s|wy)kasowac|skreslic|wykreslic)\b"
    ),
    (
        r"\b(adres\w*|e-?mail\w*|dan(e|ych)|kontakt\w*|numer\w*)\b.{0,80}\b(prosze|prosimy|zadam|zadamy)( o)?"
        r" (jego|jej|je|ich|go) (usun|(s|wy)kasowa)\w*"
    ),
    (
        r"\b(prosze|prosimy|prosil[ae]m|prosilbym|prosilabym|zadam|zadamy|domagam sie|prosba)\b.{0,25}"
        r"\b(zaprzesta\w*|przesta\w*(?=$|[.,!]| (juz|do|mnie|mi|nam|nas|pisa|wysyl|przesyl|przysyl"
        r"|spam|nek|kontakt|sla|zasyp))"
        r"|nie ?(wysyla|przesyla|przysyla|kontaktowa|pisa|nagabywa|spamowa|neka)ni\w+)"
    ),
    (
        r"\b(prosze|prosimy|prosilbym|prosilabym|prosba)\b.{0,25}\bnie"
        r" (pisac|wysylac|przesylac|przysylac|kontaktowac(?! sie z (?!(mna|nami)\b))"
        r"|spamowac|nekac|zasmiecac|slac|nachodzic|niepokoic)\b(?! (jeszcze|teraz|narazie|na razie)\b)"
    ),
    (
        r"\b(wypisz|wypiszcie|wykresl|wykreslcie|skresl|skreslcie|wyrejestruj|usun|usuncie|(s|wy)kasuj(cie)?)\b"
        r" (prosze )?(mnie|nas|moj"
        r"|nasz|ten adres|moje|nasze)\b"
    ),
    (
        r"\b(chce|chcialbym|chcialabym|chcemy|pragne|wole)\b.{0,20}\b(sie wypisac|wypisac sie"
        r"|zrezygnowac z (otrzymywania|subskrypcji|newslettera|korespondencji)|byc wypisan\w+)"
    ),
    (
        r"\b(wypisuje|wyrejestrowuje) sie\b|\brezygnuje (z (otrzymywania|subskrypcji|newslettera|korespondencji|waszych"
        r"|panstwa))"
    ),
    (
        r"\bnie (zycze|zyczymy|zyczylbym|zyczylabym) sobie"
        rf"(?=$|[.,!;]| (juz |wiecej |dalsz\w+ |zadn\w+ )*"
        rf"({_MAIL}|otrzymyw|dostaw|kontakt|tego|takie|te\b|nicz|zeby|aby|by\b"
        r"|wysyl|przesyl|przysyl|pisan|wasz|panstw|sie\b|w ten))"
    ),
    (
        rf"\bnie (chce|chcemy|chcialbym|chcialabym|zamierzam|prosilem|prosilam)\b.{{0,25}}\b(otrzymywac|dostawac"
        rf"|odbierac|widziec)\b.{{0,40}}\b{_MAIL}"
    ),
    r"\bnie (chce|chcemy) (juz |wiecej |juz wiecej )?(otrzymywac|dostawac) (wiecej|juz|nic|zadnych|tego)",
    (
        r"\bnie zgadza(m|my) sie na (otrzymyw|przesyl|przysyl|wysyl|przetwarz|kontakt(?!\w* telef))\w*"
        r"|\b(zabraniam|zabraniamy|zakazuje|zakazujemy)( \w+)? (wysyl|przesyl|przysyl|przetwarz|kontakt|pisan)\w*"
        r"|\b(wypisac|wykreslic|skreslic) (mnie|nas)\b(?! ze? (umow|ofert|zamowien|kopi|dw|cc)\w*)"
        r"|\bnie zawraca(c|j|jcie) (mi|nam) (juz |wiecej )?(glowy|gitary)"
    ),
    (
        r"\bnie (wyrazam|wyrazamy|wyrazalem|wyrazalam) (zgody|zgod)\b"
        r"(?! na (podwyz|cen|waru|zmian|plat|term|montaz|koszt))|\b(cofam|wycofuje|cofamy|odwoluje"
        r"|wycofujemy) .{0,20}zgod[eay]|\b(wnosze|zglaszam|skladam) (niniejszym )?sprzeciw"
        r"|\bsprzeciwiam sie(?! (cen|podwyz|waru|zmian|koszt))"
    ),
    (
        r"\b(nie pisz|nie piszcie|nie wysylaj|nie wysylajcie|nie przysylaj|nie przysylajcie|nie kontaktuj"
        r"|nie kontaktujcie|nie spamuj|nie spamujcie|nie slijcie)\b.{0,30}\b(do (mnie|nas)|mi|nam|wiecej|juz|sie"
        r"|na ten adres|nigdy|tego|takich|prosze)\b"
    ),
    (
        r"\b(przestan|przestancie) ((juz|do|mnie|nas|mi|nam|to|wreszcie|prosze) ){0,3}(pisac|wysylac|przysylac|spamowac"
        r"|nekac|slac|meczyc|zasypywac)"
    ),
    (
        r"^(prosze )?(nie pisac|nie wysylac|nie spamowac|nie przesylac)( wiecej| juz| do (mnie|nas)| na ten adres"
        r"| (maili|wiadomosci|ofert|reklam))"
    ),
    (
        r"\b(mog(a|liby) panstwo|moze(cie|sz)|moglibyscie|moglbys|moglabys|(moze|moglby|moglaby) pani?)"
        r" (juz |wreszcie |prosze )?przestac(?=$|[.,!?]| (juz |wreszcie |do (mnie|nas) |mi |nam )?"
        r"(pisac|wysylac|przysylac|przesylac|spamowac|slac|nas nekac|mnie nekac)(?=$|[.,!?]"
        rf"| (do (mnie|nas)|mi|nam|juz|wiecej|ciagle|na ten adres|te|to|{_MAIL})\b))"
    ),
    r"\bodczep(cie)? sie\b|\bsie odczepi(c|l|la|li)\b",
    # German.
    (
        r"\b(nehmen|streichen|loe?schen|entfernen) sie (bitte )?(alle )?(mich|uns|meine|unsere)\b.{0,60}\b(verteiler"
        r"|liste|adress\w*|daten\w*)|\bkeine (weiteren |mehr )(e-?mails?|mails?|werbung|nachrichten)\b"
        r"|\bkeine (e-?mails?|mails?|werbung|nachrichten)\b(?!.{0,60}\b(erhalten|bekommen|angekommen|eingegangen)\b)"
        r"|\b(moe?chten?|will|wollen|wue?nschen?) .{0,30}\bkeine .{0,20}\b(e-?mails?|mails?|werbung|nachrichten)\b"
        r"|\b(mich|uns) (bitte )?(nicht mehr|nie wieder) (an(zu)?schreiben|kontaktieren|zu kontaktieren)"
    ),
    (
        r"\b(kontaktieren|schreiben|mailen|belaestigen|belastigen|senden|schicken) sie (mich|mir|uns) (bitte )?"
        r"(nicht mehr|nie (mehr|wieder)|nichts mehr|keine (weiteren|werbe)|nicht (wieder|weiter))"
        r"|\b(tragen|melden) sie (mich|uns)( [^.!?]{1,60})? (aus|ab)(?=$|[.,!])"
        r"|\b(newsletter|verteiler|liste|mails)\w* ab(zu)?(melden|bestellen)\b|\b(mich|uns) abmelden(?=$|[.,!])"
        r"|\blassen sie (mich|uns)( bitte)? in ruhe\b|\bhoe?ren sie( bitte)? auf\b.{0,20}\b(mir|uns|mich)\b"
        r"|\b(loe?schen|entfernen|streichen) sie (bitte )?(mich|uns)(?=$|[.,!])"
        r"|\bnicht mehr (an)?(schreiben|kontaktieren)(?=$|[.,!])"
        r"|\b(moe?chten?|will|wollen) [^.!?]{0,30}\bnichts? mehr (erhalten|bekommen)\b"
        r"|\bwiderspreche\b.{0,30}\b(verarbeitung|nutzung|verwendung|speicherung)\b"
        r"|\b(unterlassen sie|sehen sie von)\b.{0,20}\b(weiteren?|e-?mails?|mails|werbung|kontakt\w*)\b"
    ),
    # English.
    (
        r"\bunsubscribe (me|us|my|our|this|from|immediately|now|please)\b"
        r"|\b(please|kindly|want to|like to|wish to|to be"
        r"|must|pls)\b.{0,20}\bunsubscribed?\b|\bunsubscribe,? please\b"
    ),
    (
        r"\b(remove|delete|take|drop|strike) (me|us|my|our|this (e-?mail )?address|this mailbox)\b.{0,60}\b(from|off"
        r"|out of|list|database|mailing|immediately|please|records|sequence)\b"
        r"|\b(please|kindly|pls) (remove|delete) (me"
        r"|us|my|our|this)\b|\bremove (me|us)( please)?$"
    ),
    (
        r"\b(delete|erase|remove) (all )?(of )?(the |my |our |any )?(personal )?(data|information|details)"
        r"( that| which)?( you \w+)? (about|on|of) (me|us)\b"
        r"|\b(delete|erase) (all )?(of )?(my|our) (personal )?(data|information|details)\b"
    ),
    r"\b(asked|want|wanted|like|wish|need|request(ed)?) to be (removed|unsubscribed|deleted|taken off)\b",
    r"\bremoved from (this|your|the) (e-?mail |mailing )?(list|database)|\bleave (me|us) alone\b",
    r"\bda(c|j|jcie) (mi|nam) (juz )?spokoj\b",
    (
        r"\bnie (chce|chcemy) (juz |wiecej |zadnych |waszych |panstwa |twoich |takich |tych )+"
        r"(maili|e-?maili|wiadomosci|ofert|kontakt(u|ow)(?! telef))"
    ),
    r"\btake (me|us) off\b(?! hold)",
    r"\bopt(ing)? ?-?(me |us )?out\b(?! (of (the )?(question|budget|scope|old)|clause|option))",
    (
        r"\b(do not|don.?t|dont|never|please no|stop)\b ?(ever )?(e-?mail(ing)?"
        r"|contact(ing)?|writ(e|ing)|messag(e|ing)|send(ing)?|spam(ming)?|bother(ing)?|pester(ing)?)\b.{0,12}\b(me"
        r"|us|to (me|us)|again|any ?more|these|this|such|any|emails?|e-?mails?|messages|mails?"
        r"|here|anything|further|your)\b"
    ),
    (
        r"\b(refrain from|discontinue)( \w+)? (e-?mail|mail|messag|contact|writ|send|spam)\w*"
        r"|\b(if you (would|could|will) (not|stop|no longer)|if you wouldn.?t|rather you (did not|didn.?t))"
        r" (e-?mail|contact|writ|messag)\w*( to)? (me|us)\b"
        r"|\b(do not|don.?t|dont|stop) follow(ing)?[ -]?up(?=$|[.,!]| (with (me|us)|again|any ?more|further|please)\b)"
        r"|\bnot (receiving|to receive) (any|further|more|such|these|your)\b"
        r"|\b(like|prefer|want|wish|ask) not to be contacted"
        r"|\b(i am|i'm|we are|we're) not (contacted|e-?mailed) (again|any ?more|further)"
        r"|\bno longer (want|wish|like|interested in)( to)? (receiv|get|hear|be (contacted|e-?mailed))"
    ),
    (
        r"\bstop (e-?mailing|contacting|spamming|messaging|harassing|bothering|writing)\b|\b(please )?stop (these|this"
        r"|the|your|all) (e-?mails?|mails?|messages|spam|mailing)"
    ),
    (
        r"\bno (more|further) (e-?mails?|mails?|messages|contact|communication|correspondence|follow-?ups?)( please)?\b"
        r"|\b(do not|don.?t|dont) (want|wish) (to )?((receive|get|see)"
        r" ((any|these|those|this|your|such|more|further|other|of) )*(e-?mails?|mails?|messages?|spam|newsletters?"
        r"|this|these|anything|offers|them|it)\b|hear (from|more)|be (contacted|e-?mailed|bothered)"
        r"|((any|these|your|such|more|further) )+(e-?mails?|mails?|messages?|spam|newsletters?))"
    ),
    (
        r"\bcease (all |any )?(further )?(and desist|contact|communications?|correspondence|e-?mails?|e-?mailing"
        r"|sending)\b"
        r"|\bquit (e-?mailing|contacting|spamming|writing|messaging)\b"
        r"|\blose (my|our) (e-?mail|address|number|contact)\b"
        r"|\b(want|get me|get us|me|us) off (of )?(this|your|the) (mailing |e-?mail |contact )?list\b"
    ),
    (
        r"\b(withdraw|revoke) (my|our) consent|\bobject to (the |any )?(processing|further"
        r"|being contacted|your)|\b(never|did not|didn.?t) (consent|agree|sign(ed)? up|subscribe|opt)\b.{0,60}\b(remove"
        r"|stop|delete|unsubscribe)"
    ),
]
_REQUEST = re.compile("|".join(f"(?:{each})" for each in _REQUESTS))
# The opposite of a request, or somebody else's.
_NOT = re.compile(
    r"\bnie (chce|chcemy|zamierzam|mam zamiaru|musi\w*|trzeba|prosze|wypisuj\w*|usuwaj\w*|chcialbym"
    r"|chcialabym) (sie |mnie |nas )?(wypis|rezygnow|usuwa|usun|wyrejestr)"
    r"|\b(do not|don.?t|dont|please don.?t|never) (want to )?(unsubscribe|remove me|take me off|delete me|opt)"
    r"|\bnie (wypisuj|wypisujcie|usuwaj|usuwajcie|wykreslaj) (mnie|nas)|\b(prosze|prosimy) (mnie "
    r"|nas )?nie (wypisywac|usuwac|wykreslac|skreslac)|\b(don.?t|do not|nie) (stop|przestawaj\w*)\b"
    r"|\b(we|i) (do not|don.?t|dont|never) (send|e-?mail|contact|spam|bother|pester|write to)\b"
    r"|\b(not|don.?t|dont|never|no reason to) object\b"
    # The footer of the lead's own mail.
    r"|\bif you (do not|don.?t|would|no longer)?( \w+)? ?(want|wish|like|prefer)( not)? to (receive|get|hear"
    r"|unsubscribe|opt)\b[^.!?]{0,80}\bclick\b[^.!?]*|\bto (unsubscribe|opt out),? (please )?click\b[^.!?]*"
    r"|\bclick (here|below|(on )?(the|this) link)( \w+){0,2} to (unsubscribe|opt out)\b[^.!?]*"
    r"|\b((jesli|jezeli) nie (chc|zycz)\w+|aby|zeby)\b[^.!?]{0,60}\b(otrzymywac|dostawac|wypisac|zrezygnowac)\b"
    r"[^.!?]{0,60}\bklikni(j|ecie)\b[^.!?]*"
)
# Who wants something besides is for a person to judge.
_WANTS = re.compile(
    r"\b(prosze|prosimy|poprosze) o (\w+ )?(ofert|propozycj|cennik|wycen|rabat|telefon|szczegol)|\brabat\b|\bpoza tym\b"
    r"|\b(zadzwonie|oddzwonie|zdzwonmy|porozmawia\w*|umowmy|spotkajmy|chetnie|czekamy na|tylko ze mna|i wpisac"
    r"|prosze pisac)\b"
    r"|\b(happy to|call me|let'?s (talk|meet|speak)|(the )?new (one|number|address) is|discount"
    r"|can you (explain|deliver))\b"
    r"|\bsend (me |us |the |an? |your )*(offer|quote|details|proposal|price)"
    r"|\b(i am|i'm|we are|we're) (very |quite |still )?interested\b|\b(haben?|besteht) interesse\b"
    r"|(?<!nie )\b((jestem|jestesmy)( \w+)? zainteresowan\w*|zamawia(m|my)|akceptuj(e|emy)|podpisz\w*)\b"
    r"|\bile (to )?koszt"
    r"|\b(can|will|ready to|do (i|we)) sign\b(?! up)|\blike to (start|order|proceed|go ahead|buy)\b"
    r"|\bhow much (would|does|do|is)\b|\bwhat (would|does|do) (it|that|they|you) (cost|charge)\b|\bplease write then\b"
)
# What else than an address or mail may be removed or not be sent, in the sentence of the request; or for how long.
_SOMETHING_ELSE = re.compile(
    r"\b(logos?|mock-?ups?|photos?|pictures?|items?|paragraph|clause|attachments?|wrong thread"
    r"|(previous|earlier|duplicate) (e-?mail|mail|message|order|quote)|invoices?|contract|insurance"
    r"|(medical|health) plan|couriers?|parcels?|samples?|before (the|we|you|our|it)|(until|till) (?!now)\w+"
    r"|vertrag|rechnung|anhang|position|bevor)\b"
    r"|\b(kurier|paczk|przesylk|towar|faktur|wizualizac|testow|zapis\b|umow|zalacznik|pozycj|punkt|zdjec|probk|dopoki"
    r"|do czasu|przed\b)|\bnie pisac do (?!(mnie|nas|tego|tej|moj\w+|nasz\w+|firmy)\b)"
)
_INSTEAD = re.compile(
    r"\b(instead|zamiast|natomiast|a na|(tylko|ale) (na|poczta|listownie|telefonicznie|do|by|via|to|through))\b"
    r"|\b(prosze|prosimy|please)( \w+)? (pisac|kontaktowac sie|kierowac|wysylac|write|contact|send|e-?mail"
    r"|use)( \w+){0,4} (na|z|do|to|at|with|us at)? ?\S+@\S+"
)
_MENTION = re.compile(
    r"\bunsubscri\w*|\bwypis(z|uj|ac|anie|uje|emy)\w*"
    r"(?! (prosze |nam |mi )?(faktur|rachun|zaswiadcz|dokument|recept|czek))"
    r"|\b(uodo|uokik)\b|\b(zglosz|zglasza)\w* (to )?(jako )?spam|\bopt ?-?out\b"
)


def request(new_text: str, subject: str = "") -> Request | None:
    """None: it asks for nothing of the kind. subject: only of a message that is not a reply."""
    said = _without_empty(new_text.split("\n"))
    # In a few words a sentence of its own is one too: "Not interested. Unsubscribe."
    sentences = _sentences(new_text) if len(new_text) <= _FEW_WORDS else []
    if any(_COMMAND.match(each) for each in said[:6] + sentences) or (len(said) <= 3 and is_command(subject)):
        return Request.ASKED
    words = plain(_NEW_SENTENCE.sub(". ", new_text))[:3000]
    in_clauses = _in_clauses(sentences or said[:6], words)
    left = _NOT.sub(" ", words)
    if found := list(_REQUEST.finditer(left)):
        is_unsure = (
            _WANTS.search(words)
            or any(_INSTEAD.search(left[max(0, each.start() - 200) : each.end() + 200]) for each in found)
            or all(_SOMETHING_ELSE.search(_to_its_end(left, each)) for each in found)
        )
        return Request.UNSURE if is_unsure else Request.ASKED
    if in_clauses:
        is_unsure = any(it.search(words) for it in (_WANTS, _INSTEAD, _SOMETHING_ELSE))
        return Request.UNSURE if is_unsure else in_clauses
    if _MENTION.search(words) and not _NOT.search(words) and "?" not in words:
        return Request.UNSURE
    return None


def _in_clauses(said: list[str], words: str) -> Request | None:
    """Whether a part of a sentence asks for it, as in "not interested, stop". Sure if nothing else may be meant."""
    found = None
    may_be_else = "?" in words or _THINGS.search(words) or _CALL.search(words)
    are_courtesies = True  # the sentences before
    for sentence in said:
        clauses = _clauses(sentence)
        others = [each for each in clauses if not (_COMMAND.match(each) or _BARE.match(each))]
        refuses = any(_REFUSES.match(each) for each in others)
        if len(others) < len(clauses):
            is_sure = all(map(_NO_MATTER.match, others)) and (refuses or (are_courtesies and not may_be_else))
            found = Request.ASKED if is_sure else found or Request.UNSURE
        are_courtesies = are_courtesies and all(map(_NO_MATTER.match, others))
    return found


def _clauses(sentence: str) -> list[str]:
    """With a "stop" at its begin or end that no comma parts from a refusal: "not interested stop"."""
    found = []
    for each in _without_empty(_CLAUSE_ENDS.split(sentence)):
        rest = each.removesuffix(" stop").removeprefix("stop ")
        found += [rest, "stop"] if rest != each and _NO_MATTER.match(rest) else [each]
    return found


def _to_its_end(words: str, found: re.Match[str]) -> str:
    """The sentence, from where it asks."""
    return re.split(r"[.!?]", words[found.start() :], maxsplit=1)[0]


def _sentences(new_text: str) -> list[str]:
    found = _without_empty(re.split(r"[.!?\n]+", new_text))
    return [each for each in found if not ("?" in new_text and _WEAK.match(each))]


def _without_empty(pieces: list[str]) -> list[str]:
    return [words for each in pieces if (words := plain(each).strip(" .!,;:*_-\"'"))]


def is_command(subject: str) -> bool:
    words = plain(subject).strip(" .!,;:*_-\"'")
    # List-Unsubscribe addresses may have "unsubscribe" and a token as their subject (RFC 2369).
    return _COMMAND.match(words) is not None or re.match(r"^unsubscribe[ :+-][\w.+/=:-]{6,}$", words) is not None
