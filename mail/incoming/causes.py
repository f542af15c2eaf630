"""Why a letter was not delivered: the address, a policy, or something that passes.

Decided from the status code and the server's words, by the rules of mail/answers.py that are used for the answers of
our own conversations. Only what is plainly about the address is an address bounce: it is never written to again.
"""

import re
from dataclasses import dataclass

from mail import answers
from mail.incoming.result import Kind
from mail.incoming.words import plain
from mail.reply import Reply, Scope

_STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
_CODE = re.compile(r"(?<![\d.-])([45]\d\d)(?=[\s-])")

# Status codes that tell by themselves (RFC 3463, and what Exchange and Gmail document).
_ADDRESS = re.compile(r"5\.(1\.([1236]|10|12|13|20)|2\.1)|5\.0\.[12]")
_TEMPORARY = re.compile(r"4\.\d+\.\d+|5\.2\.2|5\.4\.(300|7)|5\.3\.1")
_POLICY = re.compile(r"5\.(7\.\d+|1\.[789]|3\.[45]|6\.\d+|5\.\d+|2\.[34])")

# Words, compared without diacritics, for those who give no status or a vague one.
_FULL = re.compile(
    r"over ?quota|quota (is )?(exceeded|reached|full)|exceed\w* (the |its |his |storage |mailbox |disk )*(quota"
    r"|limit of space)"
    r"|mail ?box.{0,40}\bfull\b|\bfull mail ?box|(inbox|mail ?dir|account) (is )?full|out of (storage|space)"
    r"|insufficient (system |disk )?storage"
    r"|not enough (storage|space|room)|storage (limit|allocation)|disk quota"
    r"|przepeln|pelna skrzynk|skrzynk\w+ (odbiorcy |adresata |pocztow\w+ )*(jest )?pelna|brak (wolnego )?miejsca"
    r"|przekroczon\w+ (limit|pojemnosc|quota)"
    r"|limit (pojemnosci|miejsca)|zapelnion"
)
_GREYLIST = re.compile(r"gr[ae]y-?list|szar\w+ list")
_LATER = re.compile(
    r"delivery time expired|retry time(out)? (not reached|exceeded)|message expired|queue(d)? (too long|lifetime"
    r"|expired)|could not be delivered for (more than )?\d+"
    r"|has been in the queue|unable to deliver .{0,40}(for|within|after) \d+ (day|hour)|giving up on .{0,40}timed? ?out"
    r"|(connect|connection|host|session|operation|lookup) .{0,60}(timed out|refused|reset)|no route to host"
    r"|network is unreachable"
    r"|(4\d\d[ -]|temporar|chwilow|czasow\w+ (niedostepn|problem)|try again|sprobuj ponownie|ponown\w+ prob"
    r"|will (be )?(retry|retried|keep trying|continue))"
    r"|delayed|opozn|uplynal (limit )?czas|przekroczono czas|nie odpowiada"
)
_NO_DOMAIN = re.compile(
    r"\bdomain \S{1,80} (does not|doesn.t) exist|name or service not known|host or domain name not found"
    r"|domain (name )?(does not exist|not found|has no mail)|host (unknown|not found)"
    r"|unknown (host|domain)|no such domain"
    r"|unrouteable (mail )?(address|domain)|nxdomain|name service error .{0,80}(not found|nxdomain)|does not resolve"
    r"|dns error.{0,40}(domain|nxdomain)"
    r"|couldn'?t find any host|domain .{0,60}couldn'?t be found|null mx|does not accept mail|nie ma takiej domeny"
    r"|mx records point to non-?existent hosts|mx or srv record indicated no smtp service"
    r"|domena .{0,60}nie istnieje|nieznana domena"
)
_NO_PERSON = re.compile(
    r"no such (user|recipient|mailbox|person|account|address|local)|(user|recipient|mailbox|account|address|person"
    r"|addressee)( name| address| email)? (is |was )?(unknown|not found|invalid|disabled|inactive|suspended|closed"
    r"|deleted|deactivated|not available here)"
    r"|unknown (user|recipient|mailbox|account|address|local)|invalid (recipient|mailbox|user|address)|(user"
    r"|recipient|mailbox|account|address|email account).{0,60}(does ?n.t exist|does not exist|doesn.t have|not exist"
    r"|no longer|not exists)"
    r"|(address|mailbox|recipient|user)( (that )?you (entered|typed|specified|gave))?"
    r" (couldn.t|could not|wasn.t|was not|cannot) (be )?(found|located)"
    r"|not a (valid|known) (user|mailbox|recipient|address)|no mailbox here|recipientnotfound|bad destination"
    r"|not our customer|wasn.t found at|isn.t (a valid|recogni)"
    r"|adresse konnte nicht gefunden werden|impossible de trouver l.adresse|no se (ha )?encontr(o|ado) la direccion"
    r"|does not have (an|a) \S+ account|doesn.t have (an|a) \S+ account|no account by that name"
    r"|account (has been )?(disabled|discontinued|terminated)|not listed in"
    r"|(uzytkownik|konto|adres|skrzynka|odbiorca|adresat)\w*( (odbiorcy|adresata|pocztow\w+|e-?mail|o (podanym"
    r"|tym) adresie|docelow\w+|[^\s@]+@\S+))*( (jest|juz|tam|zostal\w*|tu))* (nie istnieje|nieistniej|nieznan\w*"
    r"|nie zostal\w* (znalezion\w*|odnalezion\w*)|nieaktywn\w*|usuniet\w*|zablokowan\w* na stale|niepoprawn\w*"
    r"|nieprawidlow\w*|wygas)"
    r"|(nie ma|brak|nie znaleziono|nie odnaleziono) (tu |tam |na serwerze )?(takiego |takiej |takich |podanego "
    r"|wskazanego |tego )?(uzytkownik|kont|adres|skrzynk|odbiorc)|nieznany (uzytkownik|odbiorca|adresat|adres)"
    r"|nieistniejac\w+ (adres|kont|skrzynk|uzytkownik|odbiorc)|(bledny|nieprawidlowy|niepoprawny) adres (odbiorcy"
    r"|e-?mail|adresata)"
)
_REFUSED = re.compile(
    r"spam|blocked|black.?list|\brbl\b|dnsbl|spamhaus|reputation|policy|dmarc|\bspf\b|dkim|not authori[sz]ed"
    r"|unauthenticated|denied|rejected (due|because|for|by)|prohibited"
    r"|relay|too large|size (limit|exceed)|maximum (message )?size|virus|malware|content|unsolicited|restricted"
    r"|permission|allow"
    r"|zablokowan|czarn\w+ list|polityk|odrzucon|niedozwolon|zbyt duz|wirus|reputacj"
)

# The server asked for the sender's address back, and did not find that one.
_OF_SENDER = re.compile(
    r"(sender|callout|callback) verif|verification failed for|sender (address )?rejected|sender (address )?(does not"
    r"|doesn.t) exist"
)
# Exchange Online's directory based edge blocking, which knows no such recipient.
_EDGE = re.compile(r"recipient address rejected: access denied")


@dataclass(frozen=True)
class Cause:
    kind: Kind
    status: str | None


def of(status: str | None, diagnostic: str, more: str = "") -> Cause:
    """status: as the report gives it. diagnostic: the server's words. more: what the report says to people."""
    exact = _exact(status, diagnostic) or (None if diagnostic.strip() else _exact(None, more))
    kind = _of_words(exact, diagnostic) if diagnostic.strip() else None
    return Cause(kind or _of_status(exact) or _of_words(exact, more) or Kind.POLICY, exact)


def _exact(status: str | None, words: str) -> str | None:
    """The more telling of the report's status and that in the server's words: many reports say 5.0.0."""
    given: str | None = next(iter(_STATUS.findall(status or "")), None)
    said: str | None = next(iter(_STATUS.findall(words)), None)
    if given is None or (given.endswith(".0.0") and said is not None and said[0] == given[0]):
        return said or given
    return given


def _of_status(status: str | None) -> Kind | None:
    if status is None:
        return None
    for kind, codes in ((Kind.TEMPORARY, _TEMPORARY), (Kind.ADDRESS, _ADDRESS), (Kind.POLICY, _POLICY)):
        if codes.fullmatch(status):
            return kind
    return None


def _of_words(status: str | None, words: str) -> Kind | None:
    if (status or "").startswith("4.") or (status is None and _only_temporary(words)):
        return Kind.TEMPORARY
    said = plain(words)[:4000]
    if _FULL.search(said) or _GREYLIST.search(said):
        return Kind.TEMPORARY
    if (status or "").startswith("5.7.") or _OF_SENDER.search(said):
        return Kind.POLICY
    if _NO_DOMAIN.search(said):
        return Kind.TEMPORARY if "try again" in said else Kind.ADDRESS
    known = answers.find(Reply(_code(words), status, " ".join(words.split())[:1000]))
    if known is not None:
        if known.passes:
            return Kind.TEMPORARY
        return Kind.ADDRESS if known.scope is Scope.LEAD else Kind.POLICY
    if status == "5.4.1" and _EDGE.search(said):
        return Kind.ADDRESS
    by_status = _of_status(status)
    if by_status is not None:
        # An address that is refused for what its sender is may exist.
        return Kind.POLICY if by_status is Kind.ADDRESS and _accuses(said) else by_status
    if _NO_PERSON.search(said):
        return Kind.POLICY if _accuses(said) else Kind.ADDRESS
    if _REFUSED.search(said):
        return Kind.POLICY
    return Kind.TEMPORARY if _LATER.search(said) else None


_ACCUSING = re.compile(
    r"spam|black.?list|spamhaus|reputation|blocked using|dmarc|\bspf\b|dkim|access denied|policy|not authori[sz]ed"
    r"|sender (address )?(rejected|denied|blocked)"
)


def _accuses(said: str) -> bool:
    return _ACCUSING.search(said) is not None


def _only_temporary(words: str) -> bool:
    codes = _CODE.findall(words)
    return bool(codes) and all(code.startswith("4") for code in codes)


def _code(words: str) -> int:
    return int(next(iter(_CODE.findall(words)), "550"))
