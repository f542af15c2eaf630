"""What the DNS of the mailboxes' domains last said about their mail."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from models.states import CLOSED_BY_ITSELF
from models.store import reason_columns
from models.store.database import clock, database, execute, fetch, rows
from reasons import Reason, Why

EVERY = timedelta(hours=24)
# After this a domain is asked again whose name servers were silent, or which lacks a record.
_SOON = timedelta(hours=1)


@dataclass(frozen=True)
class DomainFinding:
    """The latest answer about one record of a domain."""

    domain: str
    record: str  # mx, spf, dmarc
    state: str  # ok, weak, wrong, missing or unknown
    why: Why
    checked_at: datetime

    @property
    def reason(self) -> str:
        """The reason in English."""
        return str(self.why)


# The domain of an address is what follows its last @. The longest unchecked come first: every one has its turn.
DUE = f"""
SELECT its.domain FROM (
    SELECT DISTINCT regexp_replace(m.address, '^.*@', '') AS domain FROM mailbox m
    WHERE m.status = 'active' OR {CLOSED_BY_ITSELF}
) its
LEFT JOIN LATERAL (
    SELECT max(f.checked_at) AS at, bool_or(f.state IN ('unknown', 'missing')) AS is_soon
    FROM domain_finding f WHERE f.domain = its.domain
) checked ON true
WHERE checked.at IS NULL OR checked.at <= %(now)s - CASE WHEN checked.is_soon THEN %(soon)s ELSE %(every)s END
ORDER BY checked.at NULLS FIRST, its.domain LIMIT %(most)s
"""  # noqa: S608  # only our own words


def due(most: int) -> list[str]:
    """Domains to be checked now: of active mailboxes, and of those closed because of missing records."""
    values = {"now": clock(), "soon": _SOON, "every": EVERY, "most": most}
    return [domain for (domain,) in fetch(DUE, values)]


# Silence is no answer: missing_since stays as it was. The previous version does not keep it up to date, so it counts
# only with the state that it belongs to.
KEEP = """
INSERT INTO domain_finding AS f (domain, record, state, reason, reason_code, reason_values, missing_since)
VALUES (%(domain)s, %(record)s, %(state)s, %(reason)s, %(reason_code)s, %(reason_values)s,
        CASE WHEN %(state)s = 'missing' THEN clock_timestamp() END)
ON CONFLICT (domain, record) DO UPDATE
SET state = excluded.state, reason = excluded.reason, reason_code = excluded.reason_code,
    reason_values = excluded.reason_values, checked_at = clock_timestamp(),
    missing_since = CASE
        WHEN excluded.state NOT IN ('missing', 'unknown') THEN NULL
        WHEN f.state IN ('missing', 'unknown') THEN COALESCE(f.missing_since, excluded.missing_since)
        ELSE excluded.missing_since END
"""


def keep(domain: str, found: Iterable[tuple[str, str, Reason]]) -> None:
    """Keep what was found about a domain. found: record, state, reason."""
    with database.atomic():
        for record, state, reason in found:
            values = {"domain": domain, "record": record, "state": state}
            execute(KEEP, {**values, **reason_columns.for_sql(reason, "reason")})


FOUND = """
SELECT domain, record, state, reason, reason_code, reason_values, checked_at FROM domain_finding
WHERE domain = ANY(%s) ORDER BY domain, array_position('{mx,spf,dmarc}', record)
"""


@dataclass(frozen=True)
class _Row:
    domain: str
    record: str
    state: str
    reason: str
    reason_code: str | None
    reason_values: dict[str, Any] | None
    checked_at: datetime


def of_addresses(addresses: Iterable[str]) -> dict[str, list[DomainFinding]]:
    """Address -> what was found about its domain; empty if it was not checked yet."""
    domains = {address: address.rpartition("@")[2] for address in addresses}
    found: defaultdict[str, list[DomainFinding]] = defaultdict(list)
    for row in rows(_Row, FOUND, (sorted(set(domains.values())),)):
        why = reason_columns.read(row.reason, row.reason_code, row.reason_values) or row.reason
        found[row.domain].append(DomainFinding(row.domain, row.record, row.state, why, row.checked_at))
    return {address: found[domain] for address, domain in domains.items()}
