"""How a campaign's leads responded, and what came back to a mailbox: the only place that counts it.

Counts leads, not messages: who answers three times has replied once. Pages, API, commands and metrics show these.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields

from models.email import holds
from models.store.database import fetch, rows


@dataclass(frozen=True)
class Responses:
    """How many leads there are by what came back from them."""

    replied: int = 0  # a person answered
    automatic: int = 0
    unclear: int = 0  # waits for a person to judge it
    bounced_address: int = 0
    bounced_policy: int = 0
    bounced_temporary: int = 0
    unsubscribed: int = 0  # by mail or on the page
    complained: int = 0
    held: int = 0  # not written to for now
    stopped: int = 0  # not written to any more because of a reply

    @property
    def bounced(self) -> int:
        return self.bounced_address + self.bounced_policy + self.bounced_temporary


NAMES = tuple(field.name for field in fields(Responses))


@dataclass(frozen=True)
class _Row(Responses):
    id: int = 0

    def responses(self) -> Responses:
        return Responses(**{name: getattr(self, name) for name in NAMES})


# {of}: of {source}. {sender}: of the e-mail that brought an unsubscription. {held}: of the lead that is held.
# OFFSET 0: one row of a large table at a time, by its index, since few leads respond.
# The page of an unsubscription leaves no message, only a suppression that names the e-mail.
COUNTS = """
WITH message AS (
    SELECT {of} AS id, lead_id, class, kind FROM {source} WHERE {of} = ANY(%(ids)s) AND lead_id IS NOT NULL
), unsubscribed AS (
    SELECT id, lead_id FROM message WHERE class = 'unsubscribe'
    UNION
    SELECT {sender}, l.lead_id FROM suppression s
    CROSS JOIN LATERAL (SELECT * FROM campaign_email_queue q WHERE q.id = s.email_id OFFSET 0) q
    CROSS JOIN LATERAL (SELECT * FROM campaign_lead l WHERE l.id = q.campaign_lead_id OFFSET 0) l
    WHERE s.reason_code = 'unsubscribed' AND {sender} = ANY(%(ids)s)
), held AS (
    SELECT id, lead_id, bool_or(stops) AS stops FROM (
        SELECT {held} AS id, l.lead_id, h.stops
        FROM hold h JOIN incoming i ON i.id = h.incoming_id
        CROSS JOIN LATERAL (SELECT * FROM campaign_lead l WHERE {of_lead} OFFSET 0) l
        WHERE (h.stops OR {stands}) {within} AND {held} = ANY(%(ids)s)
        UNION ALL
        SELECT {held}, l.lead_id, true
        FROM hold h JOIN incoming i ON i.id = h.incoming_id
        CROSS JOIN LATERAL (SELECT * FROM lead p WHERE {domain_of_lead} = h.domain OFFSET 0) p
        CROSS JOIN LATERAL (SELECT * FROM campaign_lead l WHERE l.lead_id = p.id AND {of_domain} OFFSET 0) l
        WHERE h.stops {within} AND {held} = ANY(%(ids)s)
    ) it GROUP BY id, lead_id
), counted AS (
    SELECT id, lead_id, CASE class WHEN 'human' THEN 'replied' WHEN 'complaint' THEN 'complained'
                             WHEN 'bounce' THEN 'bounced_' || kind ELSE class END AS name
    FROM message WHERE class <> 'unsubscribe'
    UNION ALL SELECT id, lead_id, 'unsubscribed' FROM unsubscribed
    UNION ALL SELECT id, lead_id, CASE WHEN stops THEN 'stopped' ELSE 'held' END FROM held
)
SELECT id, {counts} FROM counted GROUP BY id
"""
_COUNTS = ", ".join(f"(count(DISTINCT lead_id) FILTER (WHERE name = '{name}'))::int AS {name}" for name in NAMES)


def of_campaigns(ids: Collection[int]) -> dict[int, Responses]:
    return _counted(ids, {}, of="campaign_id", sender="q.campaign_id", held="l.campaign_id")


def of_mailboxes(ids: Collection[int]) -> dict[int, Responses]:
    return _counted(ids, {}, of="mailbox_id", sender="q.mailbox_id", held="i.mailbox_id")


# A campaign's messages, with the step of the e-mail that each is about.
_WITH_STEP = """
(SELECT q.step_id, i.lead_id, i.class, i.kind FROM incoming i JOIN campaign_email_queue q ON q.id = i.email_id
 WHERE i.campaign_id = %(campaign)s) message_of_step
"""
_STEP_OF_MESSAGE = "(SELECT q.step_id FROM campaign_email_queue q WHERE q.id = i.email_id)"


def of_steps(campaign_id: int, ids: Collection[int]) -> dict[int, Responses]:
    """Step id -> responses, for a campaign: by the e-mail that was answered, or that held its lead."""
    return _counted(
        ids,
        {"campaign": campaign_id},
        of="step_id",
        source=_WITH_STEP,
        sender="q.step_id",
        held=_STEP_OF_MESSAGE,
        within="AND i.campaign_id = %(campaign)s AND l.campaign_id = i.campaign_id",
    )


def _counted(
    ids: Collection[int], values: Mapping[str, int], *, source: str = "incoming", within: str = "", **columns: str
) -> dict[int, Responses]:
    query = COUNTS.format(
        counts=_COUNTS,
        of_lead=holds.OF_LEAD.format(l="l"),
        of_domain=holds.OF_DOMAIN.format(l="l", p="p"),
        domain_of_lead=holds.DOMAIN_OF_LEAD.format(p="p"),
        stands=holds.STANDS,
        source=source,
        within=within,
        **columns,
    )
    found = {row.id: row.responses() for row in rows(_Row, query, {"ids": list(ids), **values})}
    return {each: found.get(each, Responses()) for each in ids}


NEEDS_A_PERSON = f"SELECT count(*)::int FROM incoming i WHERE {holds.NEEDS_A_PERSON}"  # noqa: S608  # only our own words


def count_needs_a_person() -> int:
    """Messages that a person has to judge."""
    return int(fetch(NEEDS_A_PERSON)[0][0])
