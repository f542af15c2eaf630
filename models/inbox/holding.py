"""Holds leads, puts their e-mails off or cancels them, and takes that back.

The caller holds the locks of the campaigns concerned, so that no e-mail is handed over meanwhile.
"""

from collections import defaultdict
from collections.abc import Collection
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple

import config
from models.email import batch_moves, facts, holds, locks, moves, recipients
from models.owner import campaigns
from models.planning import plans, refusals
from models.store import reason_columns, tick_request
from models.store.database import clock, database, execute, fetch, rows
from reasons import Code, Reason, Why
from scheduling.planner import Email

_AT_ONCE = 1000
# Shared by everybody: who writes from the same one is no colleague.
PUBLIC_DOMAINS = frozenset(
    {
        *("gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "live.com", "msn.com", "yahoo.com", "ymail.com"),
        *("icloud.com", "me.com", "mac.com", "aol.com", "gmx.com", "gmx.net", "gmx.de", "web.de", "proton.me", "pm.me"),
        *(
            "protonmail.com",
            "tutanota.com",
            "mail.com",
            "zoho.com",
            "yandex.com",
            "mail.ru",
            "hotmail.pl",
            "outlook.pl",
        ),
        *(
            "wp.pl",
            "o2.pl",
            "tlen.pl",
            "go2.pl",
            "onet.pl",
            "onet.eu",
            "op.pl",
            "poczta.onet.pl",
            "vp.pl",
            "autograf.pl",
        ),
        *("interia.pl", "interia.eu", "interia.com", "poczta.fm", "gazeta.pl", "buziaczek.pl", "amorki.pl", "home.pl"),
        *("yahoo.pl", "gmail.pl", "neostrada.pl", "spoko.pl", "prokonto.pl", "int.pl", "vip.onet.pl", "t-online.de"),
        *("onet.com.pl", "interia.com.pl", "live.pl", "orange.pl", "poczta.pl", "plusnet.pl", "republika.pl"),
        *(
            "interiowy.pl",
            "hotmail.de",
            "outlook.de",
            "live.de",
            "yahoo.de",
            "gmx.at",
            "gmx.ch",
            "freenet.de",
            "arcor.de",
        ),
        *(
            "hotmail.co.uk",
            "yahoo.co.uk",
            "btinternet.com",
            "hotmail.fr",
            "yahoo.fr",
            "orange.fr",
            "laposte.net",
            "free.fr",
        ),
        *("libero.it", "seznam.cz", "fastmail.com", "comcast.net"),
    }
)

HOLD = """
INSERT INTO hold (lead_id, campaign_id, incoming_id, stops, until, domain, reason, reason_code, reason_values)
VALUES (%(lead)s, %(campaign)s, %(incoming)s, %(stops)s, %(until)s, %(domain)s, %(reason)s, %(reason_code)s,
        %(reason_values)s)
"""


def stop(lead_id: int, campaign_id: int | None, incoming_id: int, reason: Reason, by: str) -> None:
    """Stop writing to the lead, and cancel what is planned. campaign_id: None for all campaigns."""
    _add(lead_id, campaign_id, incoming_id, reason, stops=True)
    recipients.cancel_stopped(by, lead_id)


def stop_colleagues(lead_id: int, campaign_id: int | None, incoming_id: int, reason: Reason, by: str) -> None:
    """Stop all leads at this lead's domain, and those who come later. Does nothing at domains of public mailboxes."""
    if domain := _domain(lead_id):
        _add(lead_id, campaign_id, incoming_id, reason, stops=True, domain=domain)
        recipients.cancel_stopped(by, lead_id)


def _domain(lead_id: int) -> str | None:
    domain: str = fetch(DOMAIN, {"lead": lead_id})[0][0]
    return None if domain in PUBLIC_DOMAINS else domain


def hold(lead_id: int, incoming_id: int, until: datetime | None, reason: Reason, by: str) -> None:
    """Write to the lead later, from any campaign. until: None holds the lead until a person has decided."""
    _add(lead_id, None, incoming_id, reason, stops=False, until=until)
    put_off_held(by, lead_id)


def _add(
    lead_id: int,
    campaign_id: int | None,
    incoming_id: int,
    reason: Reason,
    *,
    stops: bool,
    until: datetime | None = None,
    domain: str | None = None,
) -> None:
    of = {"lead": lead_id, "campaign": campaign_id, "incoming": incoming_id, "domain": domain}
    execute(HOLD, {**of, "stops": stops, "until": until, **reason_columns.for_sql(reason, "reason")})
    tick_request.ask_for_tick()


class _ToPutOff(NamedTuple):
    """A row of holds.TO_PUT_OFF."""

    email_id: int
    until: datetime | None
    is_open: bool  # one of its holds has no end


def put_off_held(by: str, lead_id: int | None = None) -> int:
    """Give the pending e-mails of held leads times after the hold. Returns how many. lead_id: None for all leads."""
    count = 0
    for it in rows(_ToPutOff, holds.TO_PUT_OFF, {"lead": lead_id, "at_once": _AT_ONCE}):
        with suppress(ValueError), database.atomic():  # settings that cannot be used: see usable.problems()
            locks.lock_around(it.email_id)
            seen = facts.read_pending([it.email_id]).get(it.email_id)
            if seen is None or seen.hold is None:
                continue
            later = clock() + timedelta(days=config.settings().imap.hold_days)
            not_before = max(it.until or later, later) if it.is_open or it.until is None else it.until
            moment = refusals.retry_moment(it.email_id, not_before=not_before)
            count += moves.put_off(it.email_id, moment, not_before, Reason(Code.HELD, because=seen.hold.because), by)
    return count


LIFT = """
UPDATE hold SET lifted_at = clock_timestamp() WHERE incoming_id = %(incoming)s AND lifted_at IS NULL
"""
# Pending e-mails that were put off for a hold that no longer stands.
FREE = f"""
SELECT q.id FROM campaign_lead cl JOIN campaign_email_queue q ON q.campaign_lead_id = cl.id
WHERE cl.lead_id = ANY(%(leads)s) AND q.status = 'pending' AND q.not_before > clock_timestamp()
  AND NOT EXISTS (SELECT FROM {holds.STRONGEST} standing)
ORDER BY q.mailbox_id, q.id
"""  # noqa: S608  # only our own words
# Cancelled since then for a stop or a suppression, of leads that may be written to again.
TO_REOPEN = f"""
SELECT q.campaign_id, q.campaign_lead_id AS lead_id, q.step_id, q.mailbox_id FROM campaign_lead l
JOIN campaign_email_queue q ON q.campaign_lead_id = l.id
JOIN campaign c ON c.id = q.campaign_id AND c.status <> 'cancelled'
WHERE l.lead_id = ANY(%(leads)s) AND q.status = 'cancelled' AND q.error_code = ANY(%(codes)s)
  AND {recipients.MAY_BE_WRITTEN_TO}
  AND EXISTS (SELECT FROM email_history h WHERE h.email_id = q.id AND h.move = 'cancel' AND h.at >= %(since)s)
ORDER BY q.campaign_id, q.scheduled_at, l.position
"""  # noqa: S608


class _ToReopen(NamedTuple):
    campaign_id: int
    lead_id: int
    step_id: int
    mailbox_id: int


_CODES = ["stopped", "suppressed", "suppressed_domain"]


def lift(incoming_id: int) -> set[int]:
    """End the holds of a message. Returns the leads whom it held or stopped."""
    found = held_by(incoming_id)
    execute(LIFT, {"incoming": incoming_id})
    return found


def bring_back(lead_ids: Collection[int], since: datetime, reason: Why, by: str) -> None:
    """Plan the e-mails again that wait or were cancelled since then, where nothing holds their leads any more."""
    for (email_id,) in fetch(FREE, {"leads": list(lead_ids)}):
        locks.lock_around(email_id)
        moves.put_off(email_id, refusals.retry_moment(email_id, not_before=clock()), None, reason, by)
    values = {**recipients.rules(), "leads": list(lead_ids), "codes": _CODES, "since": since}
    found: defaultdict[int, dict[Email, int]] = defaultdict(dict)
    for it in rows(_ToReopen, TO_REOPEN, values):
        found[it.campaign_id][Email(it.lead_id, it.step_id)] = it.mailbox_id
    for campaign_id, mailboxes in found.items():
        if batch_moves.reopen(campaign_id, plans.behind(campaign_id, mailboxes), reason, by):
            campaigns.reactivate(campaign_id, by, _reason(reason))
    tick_request.ask_for_tick()


def _reason(why: Why) -> Reason:
    return why if isinstance(why, Reason) else Reason(Code.ANSWER, answer=why)


CONCERNED = """
SELECT DISTINCT campaign_id FROM campaign_lead WHERE lead_id = ANY(%s)
"""


def lock_campaigns_of(lead_ids: Collection[int]) -> None:
    ids = [campaign_id for (campaign_id,) in fetch(CONCERNED, (list(lead_ids),))]
    locks.lock_campaigns(ids)


HELD_BY = f"""
SELECT lead_id FROM hold h WHERE h.incoming_id = %(incoming)s AND h.lifted_at IS NULL AND h.domain IS NULL
UNION
SELECT p.id FROM hold h JOIN lead p ON {holds.DOMAIN_OF_LEAD.format(p="p")} = h.domain
WHERE h.incoming_id = %(incoming)s AND h.lifted_at IS NULL
"""  # noqa: S608  # only our own words


def held_by(incoming_id: int) -> set[int]:
    """The leads that a message holds or has stopped."""
    return {lead_id for (lead_id,) in fetch(HELD_BY, {"incoming": incoming_id})}


DOMAIN = f"SELECT {holds.DOMAIN_OF_LEAD.format(p='p')} FROM lead p WHERE p.id = %(lead)s"  # noqa: S608
AT_DOMAIN = f"SELECT p.id FROM lead p WHERE {holds.DOMAIN_OF_LEAD.format(p='p')} = %(domain)s"  # noqa: S608


def colleagues(lead_id: int) -> set[int]:
    """The leads at the same domain, this one included. None at a domain of public mailboxes."""
    domain = _domain(lead_id)
    return {found for (found,) in fetch(AT_DOMAIN, {"domain": domain})} if domain else set()
