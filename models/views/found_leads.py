"""Finds leads by a part of their address or of a field, such as their name or company, in any case and spelling."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from models.people import lead_search
from models.states import Status
from models.store.database import by_indexes, fetch, rows

SHORTEST = 3  # characters of a word that the index finds
# Leads who are not in the index yet, read one by one: those of a small import are found at once.
_FRESH = 10_000


@dataclass(frozen=True)
class FoundLead:
    """A lead's place in a campaign."""

    campaign_lead_id: int
    address: str  # as the owner wrote it
    fields: Mapping[str, str]
    campaign_id: int
    campaign: str
    status: Status | None  # of its latest e-mail; None: none is planned
    scheduled_at: datetime | None


@dataclass(frozen=True)
class Found:
    leads: list[FoundLead]  # by address
    more: bool  # than could be returned
    behind: bool  # a large import is still being made searchable


# The planner believes that frequent trigrams come together, and would read everything: see by_indexes().
_FOUND = """
WITH found AS (
    (SELECT s.campaign_lead_id AS id FROM lead_search s
     WHERE search_grams(s.words) @> %(grams)s::text[] AND s.words LIKE ALL(%(words)s::text[])
       AND (%(campaign)s::bigint IS NULL OR EXISTS (
           SELECT FROM campaign_lead l WHERE l.id = s.campaign_lead_id AND l.campaign_id = %(campaign)s))
     LIMIT %(limit)s)
    UNION
    (SELECT fresh.id FROM (
         SELECT l.* FROM lead_search_backlog b
         CROSS JOIN LATERAL (
             SELECT l.id, l.campaign_id, l.address, l.fields FROM campaign_lead l
             WHERE l.id BETWEEN b.first_id AND b.last_id
               AND NOT EXISTS (SELECT FROM lead_search s WHERE s.campaign_lead_id = l.id)
             ORDER BY l.id LIMIT %(fresh)s
         ) l LIMIT %(fresh)s
     ) fresh
     WHERE (%(campaign)s::bigint IS NULL OR fresh.campaign_id = %(campaign)s)
       AND lead_words(fresh.address, fresh.fields) LIKE ALL(%(words)s::text[])
     LIMIT %(limit)s)
)
"""
FIND = f"""
{_FOUND}
SELECT l.id AS campaign_lead_id, l.address, l.fields, c.id AS campaign_id, c.name AS campaign,
       latest.status, latest.scheduled_at
FROM found JOIN campaign_lead l ON l.id = found.id JOIN campaign c ON c.id = l.campaign_id
LEFT JOIN LATERAL (
    SELECT q.status, q.scheduled_at FROM campaign_email_queue q
    WHERE q.campaign_lead_id = l.id ORDER BY q.scheduled_at DESC, q.id DESC LIMIT 1
) latest ON true
ORDER BY l.address, c.id LIMIT %(limit)s
"""  # noqa: S608  # only our own words


def find(text: str, campaign_id: int | None = None, limit: int = 100) -> Found | None:
    """Leads who have every word of the text, or a part of a word. None: no word of it is long enough."""
    words = fetch("SELECT search_text(%s)", (text.replace("\0", ""),))[0][0].split()
    grams = [word[start : start + SHORTEST] for word in words for start in range(len(word) - SHORTEST + 1)]
    if not grams:
        return None
    patterns = ["%" + re.sub(r"([\\%_])", r"\\\1", word) + "%" for word in words]
    values = {"grams": grams, "words": patterns, "campaign": campaign_id, "limit": limit + 1, "fresh": _FRESH}
    with by_indexes():
        found = rows(FoundLead, FIND, values)
    return Found(found[:limit], len(found) > limit, lead_search.waiting() > _FRESH)


def places(text: str, campaign_id: int | None = None, limit: int = 1000) -> list[int]:
    """The ids of find()'s leads in their campaigns."""
    found = find(text, campaign_id, limit)
    return [it.campaign_lead_id for it in found.leads] if found else []
