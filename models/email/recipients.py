"""Which leads may be written to: the only place with this rule, in SQL. For what remains to be sent see remaining.py.

The claim and the hand-over check the same for one e-mail: see gates.lead_may_be_written_to.
"""

from collections.abc import Collection, Sequence

import config
from models.email import facts, gates, holds, moves
from models.email.suppressed import DOMAIN, IS_DOMAIN, IS_SUPPRESSED
from models.store.database import fetch

# Nothing, where the setting leaves it to the installation.
_BASIS_REQUIRED = "COALESCE(%(basis_required)s::boolean, (SELECT requires_legal_basis FROM installation))"
_SUPPRESSED = IS_SUPPRESSED.format(address="p.address")
# For a row `l` of campaign_lead. A scalar subquery, so that Postgres always uses the indexes, one lead at a time.
MAY_BE_WRITTEN_TO = f"""
(SELECT NOT {_SUPPRESSED} AND (NOT {_BASIS_REQUIRED} OR COALESCE(p.legal_basis, '') <> '') AND NOT {holds.STOPPED}
 FROM lead p WHERE p.id = l.lead_id)
"""  # noqa: S608  # only our own words
# Per tick; the next ticks find the rest.
_AT_ONCE = 1000

# Suppressed addresses lead to their few e-mails by indexes. Every pending e-mail is only looked at if a domain is
# suppressed, or a legal basis is required.
FORBIDDEN = f"""
SELECT id FROM (
    SELECT q.id, q.scheduled_at FROM suppression s
    JOIN lead p ON p.address = s.address
    JOIN campaign_lead l ON l.lead_id = p.id
    JOIN campaign_email_queue q ON q.campaign_lead_id = l.id
    JOIN campaign c ON c.id = q.campaign_id
    WHERE q.status = 'pending' AND c.status IN ('active', 'paused') {{of}}
    UNION
    SELECT q.id, q.scheduled_at FROM campaign_email_queue q
    JOIN campaign c ON c.id = q.campaign_id
    JOIN campaign_lead l ON l.id = q.campaign_lead_id
    WHERE ({_BASIS_REQUIRED} OR EXISTS (SELECT FROM suppression WHERE {IS_DOMAIN}))
      AND q.status = 'pending' AND c.status IN ('active', 'paused') AND NOT {MAY_BE_WRITTEN_TO} {{of}}
) found
ORDER BY scheduled_at, id LIMIT %(at_once)s
"""  # noqa: S608  # only our own words
# The e-mails that may still be sent to people; locked in the order in which everybody locks e-mails.
UNSENT = """
SELECT q.id FROM campaign_email_queue q JOIN campaign_lead l ON l.id = q.campaign_lead_id
WHERE q.status IN ('pending', 'sending') {of}
ORDER BY q.id FOR NO KEY UPDATE OF q
"""
# Of these leads.
_OF = "AND l.lead_id = ANY(%(people)s::bigint[])"
# The leads whom suppressions concern; of those of a domain only the ones with unsent e-mails.
CONCERNED = """
SELECT id FROM lead WHERE address = ANY(%(addresses)s::text[])
UNION
SELECT p.id FROM campaign_email_queue q
JOIN campaign_lead l ON l.id = q.campaign_lead_id JOIN lead p ON p.id = l.lead_id
WHERE cardinality(%(domains)s::text[]) > 0 AND q.status IN ('pending', 'sending')
  AND suppression_keys(p.address) && %(domains)s::text[]
"""


def rules() -> dict[str, bool | None]:
    """The parameters of the conditions above."""
    required = config.settings().sending.require_legal_basis
    return {"basis_required": None if required == "auto" else required}


REQUIRED = f"SELECT {_BASIS_REQUIRED}"


def is_basis_required() -> bool:
    """Whether leads need a recorded legal basis."""
    return bool(fetch(REQUIRED, rules())[0][0])


def forbidden(people: Sequence[int] | None = None) -> list[int]:
    """The pending e-mails whose leads must not be written to, the earliest first, at most _AT_ONCE.

    people: ids of leads; None for all.
    """
    query = FORBIDDEN.format(of="" if people is None else _OF)
    return [email_id for (email_id,) in fetch(query, {**rules(), "people": people, "at_once": _AT_ONCE})]


def cancel_forbidden(by: str, people: Sequence[int] | None = None) -> int:
    """Cancel the e-mails that forbidden() finds, each with the reason its claim would give. Returns how many."""
    seen = facts.read_pending(forbidden(people))
    closed = {each: gates.lead_may_be_written_to(it, config.settings().sending) for each, it in seen.items()}
    return sum(moves.cancel(each, gate.because, by) for each, gate in closed.items() if gate)


def cancel_stopped(by: str, lead_id: int | None = None) -> int:
    """Cancel pending e-mails of leads who are stopped by what came back. Returns how many.

    lead_id: only what this lead's holds stop, at its domain too; None for all.
    """
    found = [each for (each,) in fetch(holds.STOPPED_EMAILS, {"lead": lead_id, "at_once": _AT_ONCE})]
    closed = {
        each: gates.lead_may_be_written_to(it, config.settings().sending)
        for each, it in facts.read_pending(found).items()
    }
    return sum(moves.cancel(each, gate.because, by) for each, gate in closed.items() if gate)


def stop_suppressed(keys: Collection[str], by: str) -> None:
    """Stop every hand-over to people whom these suppressions concern, once the caller, who added them, commits.

    Waits for the hand-overs that are being committed. Cancels what is pending, in part if there is much: the tick does
    the rest. keys: see suppressed.py.
    """
    domains = [key for key in keys if key.startswith(DOMAIN)]
    addresses = [key for key in keys if not key.startswith(DOMAIN)]
    people = [lead_id for (lead_id,) in fetch(CONCERNED, {"addresses": addresses, "domains": domains})]
    if people:
        fetch(UNSENT.format(of=_OF), {"people": people})
        cancel_forbidden(by, people)
