"""Display names for the words in rows. Translated when shown; a test checks that each has a translation."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from babel import dates
from flask_babel import get_locale, gettext, ngettext

from messages import Message, Said
from models.views import conversation_lines
from models.views.conversations import Conversation
from models.views.responses import Responses
from reasons import Code, gettext_noop
from scheduling.providers import PROVIDERS
from scheduling.waits import Unit, Wait
from web.language import duration_of_seconds, in_words, number, sentence, word

STATUSES = {
    "pending": gettext_noop("planned"),
    "sending": gettext_noop("being sent"),
    "sent": gettext_noop("sent"),
    "failed": gettext_noop("failed"),
    "unknown": gettext_noop("unknown"),
    "cancelled": gettext_noop("cancelled"),
    "draft": gettext_noop("draft"),
    "active": gettext_noop("active"),
    "paused": gettext_noop("paused"),
    "completed": gettext_noop("completed"),
    "closed": gettext_noop("closed"),
}

MEANINGS = {
    "pending": gettext_noop("It is planned. Sending has not started."),
    "sending": gettext_noop("A worker is sending it now."),
    "sent": gettext_noop("The server accepted it."),
    "failed": gettext_noop("It was certainly not accepted, and will not be tried again."),
    "cancelled": gettext_noop("It will not be sent."),
    "unknown": gettext_noop(
        "It was handed over, and no answer was recorded: nobody knows whether the server"
        " accepted it. It is never sent again automatically."
    ),
}

MOVES = {
    "plan": gettext_noop("planned"),
    "claim": gettext_noop("claimed by a worker"),
    "hand_over": gettext_noop("handed over to the server"),
    "accept": gettext_noop("accepted"),
    "reject": gettext_noop("refused"),
    "retry": gettext_noop("to be tried again"),
    "release": gettext_noop("released, not sent"),
    "doubt": gettext_noop("no answer from the server"),
    "cancel": gettext_noop("cancelled"),
    "replan": gettext_noop("moved"),
    "settle": gettext_noop("decided by a person"),
    "recover": gettext_noop("found in a machine's hand-over log"),
    "reopen": gettext_noop("reopened, to be tried again"),
}

# What a message that came back is, and what judging it so leads to.
KINDS = {
    "address": gettext_noop("the address does not exist"),
    "policy": gettext_noop("refused by the recipient's server"),
    "temporary": gettext_noop("not delivered for a reason that passes"),
    "gone": gettext_noop("the person has left"),
    "receipt": gettext_noop("it was delivered or displayed"),
}

# Value of the button -> its text, and what follows.
JUDGEMENTS = {
    "human": (gettext_noop("A reply"), gettext_noop("the lead gets no further e-mails of this campaign")),
    "automatic": (gettext_noop("Automatic"), gettext_noop("the lead gets nothing for some days")),
    "unsubscribe": (gettext_noop("Wants no e-mails"), gettext_noop("the address is suppressed")),
    "bounce:address": (gettext_noop("Hard bounce"), gettext_noop("the address is suppressed")),
    "other": (gettext_noop("No answer"), gettext_noop("e-mails to the lead go on")),
}

RESPONSES: dict[str, Callable[[int], str]] = {
    "replied": lambda count: ngettext("%(num)d replied", "%(num)d replied", count),
    "automatic": lambda count: ngettext("%(num)d automatic reply", "%(num)d automatic replies", count),
    "unclear": lambda count: ngettext("%(num)d unclear", "%(num)d unclear", count),
    "bounced_address": lambda count: ngettext("%(num)d hard bounce", "%(num)d hard bounces", count),
    "bounced_policy": lambda count: ngettext("%(num)d blocked", "%(num)d blocked", count),
    "bounced_temporary": lambda count: ngettext("%(num)d soft bounce", "%(num)d soft bounces", count),
    "unsubscribed": lambda count: ngettext("%(num)d unsubscribed", "%(num)d unsubscribed", count),
    "complained": lambda count: ngettext("%(num)d spam complaint", "%(num)d spam complaints", count),
    "held": lambda count: ngettext("%(num)d on hold", "%(num)d on hold", count),
    "stopped": lambda count: ngettext("%(num)d stopped", "%(num)d stopped", count),
}

# The same as headings.
RESPONSE_NAMES = {
    "replied": gettext_noop("replied"),
    "automatic": gettext_noop("automatic reply"),
    "unclear": gettext_noop("unclear"),
    "bounced_address": gettext_noop("hard bounce"),
    "bounced_policy": gettext_noop("blocked"),
    "bounced_temporary": gettext_noop("soft bounce"),
    "unsubscribed": gettext_noop("unsubscribed"),
    "complained": gettext_noop("spam complaint"),
    "held": gettext_noop("on hold"),
    "stopped": gettext_noop("stopped"),
}
# The class of the messages behind a number; the others have none.
RESPONSE_CLASSES = {
    "replied": "human",
    "automatic": "automatic",
    "unclear": "unclear",
    "complained": "complaint",
    "bounced_address": "bounce",
    "bounced_policy": "bounce",
    "bounced_temporary": "bounce",
}

# What a calibration mail shows.
RECORDS = {
    "arrival": gettext_noop("Arrival"),
    "spf": "SPF",
    "dkim": "DKIM",
    "dmarc": "DMARC",
    "one_click": gettext_noop("One-click unsubscribing"),
    "message_id": "Message-ID",
    "sent_copy": gettext_noop("Copy in the Sent folder"),
}

# Of a cause of notices: what is wrong, and where more of it stands.
NEEDS: dict[str, tuple[str, str]] = {
    "mailbox": (gettext_noop("The mailbox %(name)s does not work"), "/mailboxes#mailbox-{subject}"),
    "campaign": (gettext_noop("The campaign %(name)s paused itself"), "/campaigns/{subject}"),
    "disarmed": (gettext_noop("Sending is blocked"), "/"),
    "complaint": (
        gettext_noop("Leads marked e-mails from %(name)s as spam: %(count)d"),
        "/incoming?class=complaint",
    ),
    "consent": (
        gettext_noop("The OAuth2 authorization of %(name)s ends soon"),
        "/mailboxes#mailbox-{subject}",
    ),
    "inbox": (gettext_noop("The inbox of %(name)s cannot be read"), "/mailboxes#mailbox-{subject}"),
    "calibration": (
        gettext_noop("The calibration mail of %(name)s shows problems: %(count)d"),
        "/mailboxes#mailbox-{subject}",
    ),
    "follow_ups": (
        gettext_noop("Follow-ups wait for the mailbox %(name)s: %(count)d"),
        "/mailboxes#mailbox-{subject}",
    ),
    "records": (gettext_noop("The mailbox %(name)s is closed"), "/mailboxes#mailbox-{subject}"),
    "domain": (
        gettext_noop("DNS records of %(name)s are missing or wrong: %(count)d"),
        "/mailboxes#mailbox-{subject}",
    ),
}

VERBS = {
    "add": gettext_noop("added"),
    "start": gettext_noop("started"),
    "pause": gettext_noop("paused"),
    "resume": gettext_noop("resumed"),
    "edit": gettext_noop("changed"),
    "cancel": gettext_noop("cancelled"),
    "complete": gettext_noop("completed"),
    "retry": gettext_noop("active again, to retry failed e-mails"),
    "add_leads": gettext_noop("leads added"),
    "freeze": gettext_noop("frozen"),
    "unfreeze": gettext_noop("freezes taken back"),
    "authorize": gettext_noop("authorized with OAuth2"),
    "record warm-up": gettext_noop("warm-up recorded"),
}

COLUMNS = {
    "window_start_minute": gettext_noop("window opens"),
    "window_end_minute": gettext_noop("window closes"),
    "weekdays": gettext_noop("weekdays"),
    "delay_seconds": gettext_noop("delay"),
    "daily_limit": gettext_noop("daily limit"),
    "send_on_holidays": gettext_noop("sends on holidays"),
    "last_day": gettext_noop("last day"),
    "stop_in_all_campaigns": gettext_noop("a reply stops the lead in all campaigns"),
    "stop_colleagues": gettext_noop("a reply stops the leads at the same domain"),
    "new_leads_per_day": gettext_noop("new leads a day"),
    "follow_up_share": gettext_noop("most follow-ups, in % of a mailbox's day"),
    "follow_up_without_inbox": gettext_noop("follow-ups without an inbox"),
    "leads_left_out": gettext_noop("leads that must not be written to"),
    "leads_not_followed_up": gettext_noop("leads not written to any more"),
    "leads": gettext_noop("leads"),
    "freeze": gettext_noop("no e-mails from"),
    "warmup": gettext_noop("warm-up e-mails on"),
    "smtp_host": gettext_noop("SMTP server"),
    "smtp_port": gettext_noop("SMTP port"),
    "smtp_security": gettext_noop("SMTP encryption"),
    "imap_host": gettext_noop("IMAP server"),
    "imap_port": gettext_noop("IMAP port"),
    "imap_security": gettext_noop("IMAP encryption"),
    "sent_folder": gettext_noop("Sent folder"),
    "username": gettext_noop("user name"),
    "password": gettext_noop("password"),
    "gap_seconds": gettext_noop("minimum gap"),
    "one_click": gettext_noop("one-click unsubscribing"),
    "ramp_start": gettext_noop("ramp, first day's e-mails"),
    "ramp_step": gettext_noop("ramp, more a day"),
    "ramp_from": gettext_noop("ramp, first day"),
    "leads_changed": gettext_noop("leads with new fields"),
    "name": gettext_noop("campaign name"),
    "subject": gettext_noop("subject line"),
    "text": gettext_noop("text of the letter"),
    "html": gettext_noop("HTML of the letter"),
    "mailboxes": gettext_noop("mailboxes"),
    "follow_ups_of": gettext_noop("follow-ups of"),
}

# Words that are values of reasons, in addition to the statuses above.
IN_REASONS = (
    *(
        gettext_noop("pending"),
        gettext_noop("sending"),
        gettext_noop("subject"),
        gettext_noop("text"),
        gettext_noop("html"),
        gettext_noop("name"),
    ),
    *(gettext_noop("sender address"), gettext_noop("sender name"), gettext_noop("recipient")),
)

# The name of a status after a number of e-mails.
OF_SEVERAL: dict[str, Callable[[int], str]] = {
    "pending": lambda count: ngettext("planned", "planned", count),
    "sending": lambda count: ngettext("being sent", "being sent", count),
    "sent": lambda count: ngettext("sent", "sent", count),
    "failed": lambda count: ngettext("failed", "failed", count),
    "unknown": lambda count: ngettext("unknown", "unknown", count),
    "cancelled": lambda count: ngettext("cancelled", "cancelled", count),
}

COUNTS: dict[str, Callable[[int], str]] = {
    "pending": lambda count: ngettext("%(num)d planned", "%(num)d planned", count),
    "sending": lambda count: ngettext("%(num)d being sent", "%(num)d being sent", count),
    "sent": lambda count: ngettext("%(num)d sent", "%(num)d sent", count),
    "failed": lambda count: ngettext("%(num)d failed", "%(num)d failed", count),
    "unknown": lambda count: ngettext("%(num)d unknown", "%(num)d unknown", count),
    "cancelled": lambda count: ngettext("%(num)d cancelled", "%(num)d cancelled", count),
    "forecast": lambda count: ngettext("%(num)d forecast", "%(num)d forecast", count),
}


WAITS: dict[Unit, Callable[[int], str]] = {
    Unit.SECONDS: lambda count: ngettext("after %(num)d second", "after %(num)d seconds", count),
    Unit.MINUTES: lambda count: ngettext("after %(num)d minute", "after %(num)d minutes", count),
    Unit.HOURS: lambda count: ngettext("after %(num)d hour", "after %(num)d hours", count),
    Unit.DAYS: lambda count: ngettext("after %(num)d day", "after %(num)d days", count),
    Unit.WORKING_DAYS: lambda count: ngettext("after %(num)d working day", "after %(num)d working days", count),
}


def provider(key: str) -> str:
    """A provider's name, and what it lets a mailbox send."""
    it = PROVIDERS[key]
    limits = (gettext("%(most)s in %(length)s", most=number(limit.most), length=limit.length) for limit in it.limits)
    return f"{it.name}: {', '.join(limits)}"


UNITS = {
    Unit.SECONDS: gettext_noop("seconds"),
    Unit.MINUTES: gettext_noop("minutes"),
    Unit.HOURS: gettext_noop("hours"),
    Unit.DAYS: gettext_noop("days"),
    Unit.WORKING_DAYS: gettext_noop("working days"),
}


def unit(it: Unit) -> str:
    """The name of a wait's unit, without a number."""
    return word(UNITS[it])


def wait(it: Wait) -> str:
    """How long a follow-up waits, like "after 2 days"."""
    return WAITS[it.unit](it.count)


def count(name: str, number: int) -> str:
    return COUNTS[name](number)


def status(name: str) -> str:
    return word(STATUSES.get(name, name))


def of_several(name: str, count: int = 2) -> str:
    """A status after a number of e-mails, or as a column's heading."""
    return OF_SEVERAL[name](count)


def meaning(name: str) -> str:
    return word(MEANINGS[name])


def move(name: str) -> str:
    return word(MOVES.get(name, name))


def reason(why: Said | None) -> str:
    """Our reasons in the page's language; a person's or server's words, or older sentences, unchanged."""
    return why.text(word, in_words) if isinstance(why, Message) else why or ""


def class_(name: str) -> str:
    return word(conversation_lines.CLASSES.get(name, name))


# By which a message that came back was read, in our own words. The others name a standard.
_RULES = {
    gettext_noop("a mail server's message that no rule knows"),
    gettext_noop("a mail server's words"),
    gettext_noop("a message that cannot be read"),
    gettext_noop("a notification from an address that takes no replies"),
    gettext_noop("a request not to write, from somebody else than the lead"),
    gettext_noop("no new text"),
    gettext_noop("none of the other rules"),
    gettext_noop("our own address"),
    gettext_noop("the words of a request not to write"),
    gettext_noop("words of a receipt that it was read"),
    gettext_noop("words that may be a request not to write"),
}


def rule(text: str) -> str:
    return word(text) if text in _RULES else text


def conversation(it: Conversation) -> list[conversation_lines.Part]:
    """The parts of a conversation's line."""
    return conversation_lines.parts(it)


def kind(name: str) -> str:
    return word(KINDS.get(name, name))


def responses(counts: Responses) -> list[tuple[str, str]]:
    """The responses above zero: name, and the number in words."""
    return [(name, say(getattr(counts, name))) for name, say in RESPONSES.items() if getattr(counts, name)]


def told(said: Said) -> str:
    """The text as a sentence of its own. The name of a file at its start keeps its case."""
    text = reason(said)
    return f"{text}." if "." in text.partition(" ")[0] else sentence(text)


def moved_because(code: str) -> str:
    """Why e-mails were given another time: a reason's code, or older words."""
    return word(Code(code).template) if code in set(Code) else code


def verb(name: str) -> str:
    return word(VERBS.get(name, name))


def column(name: str) -> str:
    """The name of a changed setting, with the day that stands behind some names."""
    known, space, day = name.partition(" ")
    return f"{word(COLUMNS.get(known, known))}{space}{day}"


def value(name: str, given: Any) -> str:
    """A setting formatted for people."""
    show: Callable[[Any], str] | None = _VALUES.get(name)
    if given is None:
        return "–"
    return show(given) if show else str(given)


def wall_clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def weekdays(numbers: Sequence[int]) -> str:
    """Consecutive days as a range: Mon–Fri."""
    names: Mapping[int, str] = dates.get_day_names("abbreviated", locale=get_locale())
    days = sorted(numbers)
    if days == list(range(7)):
        return word(gettext_noop("every day"))
    if len(days) > 2 and all(later - earlier == 1 for earlier, later in pairwise(days)):
        return f"{names.get(days[0], days[0])}–{names.get(days[-1], days[-1])}"
    return ", ".join(names.get(each, str(each)) for each in days)


def _length(text: str) -> str:
    """The length of a long text, to show instead of it."""
    return str(ngettext("%(num)d character", "%(num)d characters", len(text)))


_VALUES: dict[str, Callable[[Any], str]] = {
    "text": _length,
    "html": _length,
    "mailboxes": ", ".join,
    "window_start_minute": wall_clock,
    "window_end_minute": wall_clock,
    "weekdays": weekdays,
    "delay_seconds": duration_of_seconds,
    "gap_seconds": duration_of_seconds,
    "daily_limit": number,
}
