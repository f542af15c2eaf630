"""Known answers of mail servers, with sources: whether a refusal is about the recipient, the message or the sender.

The first matching row decides. An answer that matches none is unclear, and the e-mail waits: it fails only by words
clearly about this recipient or this message. The phase proves nothing: Postfix reports refusals of the client and the
sender at RCPT (smtpd_delay_reject), and providers report their limits in any phase.
"""

import re
from dataclasses import dataclass

from mail.address import domain
from mail.reply import Reply, Scope


@dataclass(frozen=True)
class Known:
    scope: Scope
    source: str  # where the answer is documented or was reported
    words: str = ""  # regular expression, searched in the reply's text, case-insensitive
    enhanced: str = ""  # regular expression that must match the whole enhanced code
    unless: str = ""  # regular expression that must not be found
    passes: bool = False  # temporary, even if the code is permanent (5xx)


# "You" is the client, whose account or domain may be off. "Your message" may still be to nobody.
_YOURS = (
    r"\byour ((e-?)?mail )?(account|ip|server|host|network|provider|reputation|quota|domain|isp|mail ?box|inbox|service"
    r"|address(?! book))"
    r"|\b(tw[oó]j\w*|wasz\w*|pa[nń]stwa) (kont[oa]|skrzyn\w+|domen\w+|us[lł]ug\w+|adresu?\b)"
    r"|\bihre?[mnrs]? (konto|postfach|mail(box|konto|adresse)|e-?mail-?(konto|adresse)|domain|adresse)"
    r"|\b(votre|ton|ta) (compte|bo[iî]te|domaine|adresse)|\b[st]u (cuenta|buz[oó]n|dominio)"
    r"|\b(tuo|tua|suo|sua|vostr[oa]) (account|casella|dominio)"
)
# Words used when a sender is accused. An answer with one of these is not clearly about the recipient.
_OF_THE_SENDER = (
    rf"{_YOURS}|sender|\bfrom\b|(return|reverse).?path|(return|bounce) address|originator|nadawc|absender"
    r"|exp[eé]diteur|[eé]metteur|remitente|mittente|afzender"
    r"|\bclient\b|\bip\b|\bptr\b|\brdns\b|reverse dns|\bhelo\b|\behlo\b|\btls\b|starttls"
    r"|block|black.?list|\brbl\b|dnsbl|spamhaus|spamcop|\blisted\b|reputation|\bbanned|zablokow|czarn"
    r"|spam|junk|\bbulk|unsolicited|phish|abus|malicious|suspicious|unusual|mass.?mail|\bcontent|tre[sś][cć]|filtered"
    r"|polic(y|ies)|polityk|not (allowed|permitted|authori[sz]ed|accepted)|den(ied|y)|prohibit|forbidden|unauthori"
    r"|\brelay(?! recipient table|=)|brak uprawnie|odmow"
    r"|limit|quota|\brates?\b|too (many|much|fast|quick|often)|exceed|throttl|przekrocz|\bper (hour|day|minute|month)"
    r"|authenti|\blog.?in\b|\bspf\b|dkim|dmarc|verif|weryfik"
    r"|later|tomorrow|allowance|temporar|\bwait|retry|slow|come back|p[oó][zź]niej|chwilow|\bhold\b|\bheld\b|review"
    r"|accept (delivery|this|your)|\b(this|your) message (was|is|has been)"
    r"|sending|send as|outgoing|outbound|submission|wychodz|wysy[lł]"
    r"|permission|privilege|password|credential|certificate|signature"
    r"|\bsmtp\b(?! address)|\b(mail|service|access) for\b|mail service|mail command|envelope|reply-to"
    r"|hosting|\bpay\b|\bbills?\b|\bbilling|op[lł]a[ctć]|abonament|wygas|rechnung|bezahl|abgelaufen|impay|paiement|factur"
    r"|doesn.?t want|subscription|payment|unpaid|invoice|faktur|expired|\btrial\b|administrator|support|zawiesz"
    r"|zalogow|angemeldet|gesperrt"
)
_PERSON = (
    r"(user(name)?|recipient|rcpt|mail ?box|mail ?drop|(e-?mail )?address|addressee|account|alias|person|destination"
    r"|customer|subscriber|local[- ]?part"
    r"|u[zż]ytkowni\w*|odbior\w*|adresat\w*|skrzynk\w*|adres\w*|kont[oa]"
    r"|empf[aä]nger|benutzer|destinataire|destinatari[oa]|usuario|utilisateur|adresse)"
)
_MISSING = (
    r"(unknown|not (be )?found|not known|not present|(does|do|did|has)(n.?t| not?)( \w+)? exists?|not exist\w*"
    r"|no longer \w+|(doesn.?t|does not) have|is (not )?(invalid|valid|local)|not (a )?(local|valid)|unavailable user"
    r"|has moved|invalid|unrouteable|not recogni[sz]ed|undeliverable"
    r"|nie istnieje|nieistniej\w*|nieznan\w*|nie znaleziono|usuni[eę]t\w*"
    r"|unbekannt|existiert nicht|inconnu\w*|n.existe pas|desconocid\w*|no existe|sconosciut\w*|inesistent\w*)"
)
# A user or an account that is closed may be the sender's own; these are the recipient's.
_CLOSED = (
    r"(recipient|rcpt|mail ?box|mail ?drop|addressee|address|alias|destination|tried to reach"
    r"|odbior\w*|adresat\w*|skrzynk\w*|adres\w*|empf[aä]nger|destinataire|destinatari[oa])\b.{0,60}"
    r"\b(disabled|deactivated|inactive|closed|not active|nieaktywn\w*)"
)
# Words allowed between such a word and its subject. With others something else is missing: a password, a permission.
_AND = (
    r"((or|such|other|illegal|unknown|invalid|inactive|existent|local|virtual|remote|known|valid|active|named|rcpt|smtp"
    r"|e-?mail|mail|user|recipient|destination|address|mailbox|forwarding|final|the|this|to|that) )"
)
_NO = (
    r"(no such|unknown|invalid|bad|illegal|inactive|non-?existent|undeliverable|unroute?able|unavailable mail"
    r"|not an? (known|valid|local|active)|no (valid )?|nie ma (tu )?(takie(go|j) )?|nie znaleziono|nieznan\w*"
    r"|nieistniej\w*|nieprawid[lł]ow\w*|brak (takie(go|j) )?|unbekannte\w*|destinataire inconnu)"
)
_NO_SUCH_PERSON = (
    rf"\b{_NO} ?{_AND}{{0,3}}{_PERSON}|\b{_PERSON}\b.{{0,60}}\b{_MISSING}|\b{_CLOSED}"
    r"|\bno one (here )?(with|by|of|at)|\bno existe|\bnessun utente|\bno mail ?box"
)
# Codes with which such words are believed: about an address, a mailbox, a route, or unspecific.
_OF_AN_ADDRESS = r"|[45]\.(0\.0|1\.(0|[1-6]|10)|2\.[01]|3\.0|4\.[0134]|5\.0)"

_RFC3463 = "RFC 3463 sections 3.2 to 3.8"
_GMAIL = "https://support.google.com/a/answer/3726730 (read 2026-11)"
_EXCHANGE = "https://learn.microsoft.com, Exchange Online: non-delivery reports (read 2026-11)"
_PERIOD = r"(per.?(hour|day|minute|month)|(24|12).?h(ou)?rs?|hourly|hour|daily|monthly|godzin\w*|dob[eęy]|dzienn\w*)"

KNOWN = (
    # Must come first, because their words resemble those of later rows.
    Known(
        Scope.LEAD,
        "https://postgrey.schweikert.ch, https://www.greylisting.org (read 2026-11)",
        words=r"gr[ae]y.?list|postgrey|szar(a|ej) li[sś]t",
        passes=True,
    ),
    Known(
        Scope.CAMPAIGN,
        "RFC 1870 section 6.1; https://www.postfix.org/postconf.5.html#message_size_limit (read 2026-11)",
        enhanced=r"[45]\.3\.4",
    ),
    Known(
        Scope.CAMPAIGN,
        "PHPMailer/PHPMailer#98, exim's message_size_limit (read 2026-11)",
        words=r"(message|mail) (size|length|is|too) .{0,30}(exceeds?|large|big|long)\b.{0,40}(size|maximum|limit|$)"
        r"|message too (big|large)|zbyt du[zż]a wiadomo",
        unless=r"quota|\bper\b|mailbox|user|recipient|account",
    ),
    Known(
        Scope.CONTENT,
        _RFC3463,
        enhanced=r"[45]\.(6\.\d+|2\.3)",
        unless=r"spam|polic(y|ies)|block|reputation|sender|\bip\b",
    ),
    # The sender's limits and blocks: one such answer is enough.
    Known(
        Scope.MAILBOX,
        f"{_GMAIL}: daily and peak limits, sent too fast, sender not authenticated",
        enhanced=r"[45]\.(4\.5|7\.2[5-9]|7\.3[0-2])",
    ),
    Known(
        Scope.MAILBOX,
        f"{_EXCHANGE}: outbound sender blocked, limits, authentication, tenant blocked",
        enhanced=r"[45]\.(1\.(8|90)|7\.(57|60|64|1[38]9|(5\d\d)|7(0[0-24-9]|[1-5]\d)))",
    ),
    Known(Scope.MAILBOX, f"{_RFC3463}: bad address of the sender", enhanced=r"[45]\.1\.[78]"),
    Known(
        Scope.MAILBOX,
        "MicrosoftDocs/OfficeDocs-Support#1150, nodemailer-outlook#11: SMTP AUTH submission",
        words=r"SubmissionQuotaExceeded|OutboundSpam|SendAsDenied|sender thread limit",
    ),
    Known(
        Scope.LEAD,
        f"{_GMAIL} 4.2.1; {_EXCHANGE} 4.3.2: the recipient gets more than its server takes",
        words=r"receiving mail (too|at a rate)|recipient thread limit",
        passes=True,
    ),
    Known(
        Scope.MAILBOX,
        "gen-smtp/gen_smtp#140, go-gomail/gomail#174, deltachat/deltachat-core#647, root-io/vmail#67,"
        " zotonic/zotonic#3508, gophish/gophish#3231, freescout-help-desk/freescout#4005,"
        " https://www.iq.pl/pomoc/13/140 (read 2026-11)",
        words=r"(sending|outgoing|outbound|submission|relay) .{0,30}(limit|quota|rate)"
        r"|(limit|quota)\w* .{0,30}(sending|outgoing|outbound)"
        rf"|(limit|quota|maximum|exceed\w*|only \d+|allowed|over its|przekrocz\w*) .{{0,60}}\b{_PERIOD}"
        rf"|\b{_PERIOD}.{{0,40}}(limit|quota|maximum|exceed\w*|allowed|przekrocz\w*)"
        r"|(user|sender|account).{0,20}rate.?limit|too many (outgoing|e-?mails|messages|submissions|mails)"
        r"|limit\w* (wysy[lł]\w*|wiadomo\w*|wychodz\w*)",
        unless=r"recipient.{0,20}(mailbox|over|full)|receiving|storage|mailbox (is )?full",
    ),
    Known(
        Scope.MAILBOX,
        "mailcow/mailcow#253, splitbrain/dokuwiki-plugin-smtp#38, https://support.konto.pl/kb/a2164 (read 2026-11)",
        words=r"not owned by|does not own|sender (address )?rejected|not allowed to send (as|from|on behalf)",
        unless=r"domain not found",
    ),
    # A full mailbox is the recipient's, and temporary.
    Known(
        Scope.LEAD, f"{_RFC3463}, {_GMAIL}", enhanced=r"[45]\.2\.2", unless=r"your quota|sending|outgoing", passes=True
    ),
    Known(
        Scope.LEAD,
        "sendmail and Dovecot: 552 Quota exceeded; https://www.kei.pl/pomoc/wiadmosc-zwrotna (read 2026-11)",
        words=r"(mail ?box|mail ?dir|inbox|account|user|recipient|skrzynk\w*).{0,40}"
        r"(\bfull\b|over.?quota|exceed\w* .{0,20}(quota|storage)|out of (storage|space)|przepe[lł]nion\w*|pe[lł]na)"
        r"|przepe[lł]nion\w* skrzynk",
        enhanced=r"|[45]\.(0\.0|1\.1|2\.\d|3\.0|7\.0)",
        unless=r"your quota|sending|outgoing|per (hour|day)|sender",
        passes=True,
    ),
    # Clearly about this message.
    Known(
        Scope.CONTENT,
        f"{_GMAIL} 5.7.0 BlockedMessage; https://www.clamav.net, amavis (read 2026-11)",
        words=r"virus|malware|trojan|infected|wirus|content presents a potential security issue"
        r"|(attach\w*|file (type|name|extension)|executable|za[lł][aą]cznik\w*).{0,40}"
        r"(not (allowed|permitted)|forbidden|blocked|prohibited|rejected|banned|niedozwolon\w*)",
        # "Spam or virus" is about the sender.
        unless=r"spam|\b(account|ip|computer|client|sender|network|outgoing|outbound)\b|your (domain|host|server)",
    ),
    # Clearly about this recipient.
    Known(
        Scope.LEAD,
        f"{_EXCHANGE} 5.4.1: directory based edge blocking knows no such recipient",
        words=r"recipient address rejected: access denied.{0,10}AS\(2018",
        enhanced=r"5\.4\.1",
    ),
    Known(Scope.LEAD, _RFC3463, enhanced=r"[45]\.(1\.([1236]|10)|2\.1)", unless=_OF_THE_SENDER),
    Known(
        Scope.LEAD,
        "https://www.postfix.org/postconf.5.html#unknown_local_recipient_reject_code, exim, qmail, cPanel,"
        " https://pomoc.poczta.interia.pl, https://www.dbmailserver.com/tui-xin-address-not-exist.htm (read 2026-11)",
        words=_NO_SUCH_PERSON,
        enhanced=_OF_AN_ADDRESS,
        unless=_OF_THE_SENDER,
    ),
)

# Quoted addresses, links and hosts are removed before matching.
_QUOTED = re.compile(r"https?://\S*|<[^<>\s]*>|\S+@\S+|\b[\w-]+(?:\.[\w-]+)+\b")


def find(it: Reply) -> Known | None:
    """The first known answer that matches. None: it is unclear whom the reply is about."""
    words = " ".join(_QUOTED.sub(" ", it.text).split())
    return next((row for row in KNOWN if _fits(row, it.enhanced or "", words)), None)


def names_the_sender(it: Reply, sender: str, recipient: str) -> bool:
    """Whether the reply contains the sender's address or domain, and not the recipient's address."""
    words = it.text.lower()
    if not sender or recipient.lower() in words:
        return False
    host = domain(sender)
    name = sender if host == domain(recipient) else host
    return re.search(rf"(?<![\w.-]){re.escape(name.lower())}(?![\w-]|\.\w)", words) is not None


def _fits(row: Known, enhanced: str, words: str) -> bool:
    if (row.enhanced or not row.words) and not re.fullmatch(row.enhanced, enhanced):
        return False
    if row.words and not re.search(row.words, words, re.IGNORECASE):
        return False
    return not (row.unless and re.search(row.unless, words, re.IGNORECASE))
