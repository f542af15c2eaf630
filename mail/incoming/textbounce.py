"""Bounces in words alone, as Exim, qmail, older Exchange servers and many providers write them."""

import re
from collections.abc import Collection

from mail.incoming import addresses, causes, reports, text
from mail.incoming.result import Kind
from mail.incoming.structure import Structure
from mail.incoming.words import plain

_SUBJECT = re.compile(
    r"^(re: )?((permanent|transient) delivery failure|notice: mail delivery status"
    r"|mail delivery (failed|failure|problem|error|subsystem)|undeliver(able|ed)|undelivered mail"
    r"|delivery (status notification|failure|has failed|failed|error|report|problem|unsuccessful|delayed)"
    r"|failure notice|returned mail|mail system error|message (undeliverable|delivery (failed|failure|delayed))"
    r"|non-?deliver|mail could not be delivered|rejected mail|could not deliver|unable to deliver|failed mail"
    r"|(warning|ostrzezenie): (message|could not send|wiadomosc|nie mozna)"
    r"|delayed mail|message status|your message .{0,60}(could not|couldn.t|was not"
    r"|wasn.t)"
    r"|(niedostarczon|niedostarczaln|nie dostarczon|niedoreczon)\w*|niemozliwe do dostarczenia"
    r"|nie (mozna|udalo sie) (dostarczyc|doreczyc|wyslac)"
    r"|blad (dostarczenia|doreczenia|dostarczania|wysylania|wysylki)|zwrot (wiadomosci|poczty|e-?mail)"
    r"|wiadomosc (nie zostala|nie moze|nie mogla|niedostarczona|zwrocona)|informacja o niedostarczeniu"
    r"|powiadomienie o (niedostarczeniu|stanie dostarczenia|niepowodzeniu)|raport (niedostarczenia|dostarczenia)"
    r"|opoznien\w+ (dostarcz|dorecz|wiadomosci)|unzustellbar|unzustellbarkeit|rapport de non|non remis\b"
    r"|echec de (la )?remise|no se (puede|pudo|ha podido) entregar|non recapitabile|onbestelbaar|mail undeliverable)"
)
_DELAY = re.compile(
    r"\bdelayed\b|warning only|has not (yet )?been delivered|not yet been delivered|(do not|don't"
    r"|no) need to (do anything|resend|send)|will (be retried|continue to (be )?(try|tried|attempt)|keep trying"
    r"|retry|try again)|still being retried|no action is required"
    r"|opoznion|opoznienie|nie ma potrzeby ponown|nie (musisz|musza panstwo|trzeba) (nic|nadawac|wysylac|ponawiac)"
    r"|(kolejne|dalsze|ponowne) prob\w+ (dostarcz|dorecz|beda|zostan|wysl)|nadal bedzie|bedziemy (nadal )?probowac"
)
_SAYS = re.compile(
    r"could ?n.?t be delivered|could not be delivered|was(n.t| not) delivered|not be delivered|unable to deliver"
    r"|failed to deliver|undeliverable|delivery .{0,30}failed|permanent (fatal )?error|returned to sender"
    r"|did not reach|wasn.t able to deliver|cannot be delivered"
    r"|(dostarczenie|dostarczanie|doreczenie) do .{0,60} nie powiodlo sie|no se (puede|pudo|ha podido) entregar"
    r"|echec de (la )?remise|konnte\w* nicht zugestellt werden"
    r"|nie (zostala|zostal|moze|mogla|moglo|udalo sie|mozna|moglismy)( jeszcze| byc| zostac| jej| wiadomosci"
    r"| jego)* (dostarczon|doreczon|dostarczyc|doreczyc|przeslan|wyslan)|nie dotarl|niedostarcz|niedorecz"
)
# The returned message begins here; its words are ours, not the server's.
_COPY = re.compile(
    r"^[-=_*\s>]{2,}.{0,30}(copy of|original message|returned message|below this line|this is a copy|message header"
    r"|headers? of|unsent message|kopia|oryginaln|tresc wiadomosci|naglowk).{0,80}$"
    r"|^(return-path|received|x-punktual-id|mime-version|dkim-signature): |^original message headers:"
    r"|^oryginalne naglowki"
)
# Our subject in its words, and what stands before it in its own.
_OUR_SUBJECT = re.compile(r"^[ \t>*]*(subject|temat|betreff):.*$", re.IGNORECASE | re.MULTILINE)
_OWN_SUBJECT = re.compile(r"^((re|warning|ostrzezenie): )?[^:]*")


def is_one(message: Structure) -> bool:
    """Whether a mail server wrote it about a letter: by its sender, and by what it says."""
    sender, subject = addresses.sender(message), plain(message.headers.get("subject"))
    by_daemon = addresses.is_daemon(sender) or _is_null(message.headers.get("return-path"))
    if by_daemon and message.headers.has("x-failed-recipients"):
        return True
    if not by_daemon and not addresses.is_no_reply(sender):
        return False
    words = plain(_words(message))
    return bool(_SUBJECT.search(subject)) or (addresses.is_daemon(sender) and bool(_SAYS.search(words)))


def failure(message: Structure, own: Collection[str], wanted: Collection[str]) -> reports.Failure:
    """own: our addresses. wanted: our letter's recipients."""
    words = _words(message)
    diagnostic = _diagnostic(words)
    said = plain(words)
    found = causes.of(None, diagnostic, words) if diagnostic else causes.of(None, "", words)
    # A warning names the last answer, which a report of a failure may name too.
    subject = _OWN_SUBJECT.match(plain(message.headers.get("subject")))
    about_delay = _DELAY.search(said) or (subject and _DELAY.search(subject[0]))
    kind = Kind.TEMPORARY if about_delay else found.kind
    return reports.Failure(
        kind, found.status, diagnostic or " ".join(words.split())[:500], _failed(message, words, own, wanted)
    )


def _is_null(return_path: str) -> bool:
    return return_path.replace(" ", "") == "<>"


def _words(message: Structure) -> str:
    """What the server says, without the message that it returns."""
    kept = []
    for line in text.body(message).split("\n")[:400]:
        if _COPY.search(plain(line)):
            break
        kept.append(line)
    return _OUR_SUBJECT.sub("", "\n".join(kept))[:8000]


_ANSWER = re.compile(
    r"(?<![\d.,/-])[45]\d\d(?:[ -]|[ :-]{1,3}#?[45]\.\d{1,3}\.\d{1,3})|(?<![\d.])#?[45]\.\d{1,3}\.\d{1,3}(?![\d.])"
)


def _diagnostic(words: str) -> str:
    """The server's answer: from its code to the end of its paragraph."""
    match = _ANSWER.search(words)
    if match is None:
        return ""
    start = words.rfind("\n", 0, match.start()) + 1
    paragraph = re.split(r"\n\s*\n", words[start:], maxsplit=1)[0]
    return " ".join(paragraph.split())[:1000]


def _failed(message: Structure, words: str, own: Collection[str], wanted: Collection[str]) -> tuple[str, ...]:
    given = [address for value in message.headers.all("x-failed-recipients") for address in addresses.in_text(value)]
    if given:
        return tuple(given)
    sender = addresses.sender(message)
    named = [
        each
        for each in addresses.in_text(words)
        if each not in own and each != sender and not addresses.is_daemon(each)
    ]
    ours = [each for each in named if each in wanted]
    return tuple(ours or named[:5])
