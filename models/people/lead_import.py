"""A campaign's leads: staged in a temporary table, looked at there, and written by a few statements at once.

What is staged belongs to this session. Nobody waits for it, and it is gone with the session.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime
from io import StringIO

from models.people import forgotten
from models.store.counting import counted_at, counts
from models.store.database import FAILURES, copy_rows, execute, fetch, row, rows

_LONGEST_STATEMENT_SECONDS = 1800.0  # of an import of millions; rows of others are locked far shorter
_LOOKED_AT_ONCE = 10_000
LEGAL_BASIS = ("legal_basis", "legal_basis_source", "legal_basis_date")
_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}  # the backslash first


@dataclass(frozen=True)
class NewLead:
    address: str  # as the owner wrote it
    normalised: str
    fields: Mapping[str, str]
    legal_basis: str | None
    legal_basis_source: str | None = None
    legal_basis_date: date | None = None


STAGE = """
CREATE TEMPORARY TABLE IF NOT EXISTS staged_lead (
    line int NOT NULL, address text NOT NULL, normalised text NOT NULL, fields jsonb NOT NULL,
    legal_basis text, legal_basis_source text, legal_basis_date date
)
"""


@contextmanager
def staging() -> Iterator[None]:
    """Provide an empty stage for one import. Call it outside a transaction: filling it may take long."""
    execute(f"SET statement_timeout = {round(_LONGEST_STATEMENT_SECONDS * 1000)}")
    _empty_stage()
    try:
        yield
    finally:
        with suppress(*FAILURES):  # the session may be gone, and the table with it
            execute("DROP TABLE IF EXISTS staged_lead; RESET statement_timeout")


def _empty_stage() -> None:
    execute(STAGE)
    execute("TRUNCATE staged_lead")


def stage(leads: Iterable[tuple[int, NewLead]]) -> None:
    """leads: each with its line in the file, once, in this order."""
    lines = StringIO()
    for number, it in leads:
        basis = map(_cell, (it.legal_basis, it.legal_basis_source, it.legal_basis_date))
        fields = json.dumps(it.fields, ensure_ascii=False)
        cells = (str(number), _cell(it.address), _cell(it.normalised), _cell(fields), *basis)
        lines.write("\t".join(cells) + "\n")
    lines.seek(0)
    copy_rows(f"COPY staged_lead (line, address, normalised, fields, {', '.join(LEGAL_BASIS)}) FROM STDIN", lines)


def _cell(value: str | date | None) -> str:
    if value is None:
        return "\\N"
    text = str(value)
    for character, escape in _ESCAPES.items():
        text = text.replace(character, escape)
    return text


def stage_only(leads: Iterable[NewLead]) -> None:
    """Stage these leads in place of what is staged."""
    _empty_stage()
    stage(enumerate(leads, start=1))


@dataclass(frozen=True)
class Repeated:
    """A row with the address of an earlier one, which is left out."""

    line: int
    address: str
    first_line: int


LEAVE_OUT_REPEATED = """
WITH repeated AS (
    SELECT normalised, min(line) AS first_line FROM staged_lead GROUP BY normalised HAVING count(*) > 1
), gone AS (
    DELETE FROM staged_lead s USING repeated r WHERE s.normalised = r.normalised AND s.line > r.first_line
    RETURNING s.line, s.address, r.first_line
)
SELECT count(*) OVER (), line, address, first_line FROM gone ORDER BY line LIMIT %(limit)s
"""


def leave_out_repeated(limit: int) -> tuple[int, list[Repeated]]:
    """Unstage rows that repeat an earlier row's address. Returns how many, and the first of them."""
    execute("ANALYZE staged_lead")
    found = fetch(LEAVE_OUT_REPEATED, {"limit": limit})
    return (found[0][0] if found else 0), [Repeated(*it[1:]) for it in found]


# For a row `l` of campaign_lead: whether all that was sent of its sequence has its answer, and more is to come.
_IS_OPEN = """
NOT EXISTS (
    SELECT FROM campaign_email_queue q
    WHERE q.campaign_lead_id = l.id AND NOT q.skipped AND q.status <> 'pending' AND (q.status <> 'sent' OR q.step_id = (
        SELECT s.id FROM campaign_step s
        WHERE s.campaign_id = l.campaign_id AND s.removed_at IS NULL AND (s.since IS NULL OR s.since <= q.sent_at)
        ORDER BY s.position DESC LIMIT 1)))
"""
_DIFFERS = "(l.fields <> s.fields OR l.address <> s.address)"
_KNOWN = """
FROM staged_lead s
JOIN lead p ON p.address = s.normalised
JOIN campaign_lead l ON l.campaign_id = %(campaign)s AND l.lead_id = p.id
"""


@dataclass(frozen=True)
class Comparison:
    """How the staged leads differ from a campaign's. Each is counted in one of these."""

    fresh: int
    changed: int  # its fields differ, and a letter with them is still to come
    left_alone: int  # its fields differ, but an e-mail of it is on its way, or none is to come
    same: int


COMPARE = f"""
WITH known AS (
    SELECT {_DIFFERS} AS differs, {_DIFFERS} AND {_IS_OPEN} AS changes {_KNOWN}
)
SELECT ((SELECT count(*) FROM staged_lead) - count(*))::int AS fresh,
       (count(*) FILTER (WHERE changes))::int AS changed,
       (count(*) FILTER (WHERE differs AND NOT changes))::int AS left_alone,
       (count(*) FILTER (WHERE NOT differs))::int AS same
FROM known
"""  # noqa: S608  # only our own words


def compare(campaign_id: int | None) -> Comparison:
    """Compare the staged leads with the campaign's. campaign_id: None if the campaign does not exist yet."""
    found = row(Comparison, COMPARE, {"campaign": campaign_id})
    assert found is not None
    return found


@dataclass(frozen=True)
class Difference:
    line: int
    address: str
    before: dict[str, str]
    after: dict[str, str]


DIFFERENCES = f"""
SELECT s.line, s.address, l.fields AS before, s.fields AS after {_KNOWN}
WHERE {_DIFFERS} AND {_IS_OPEN} ORDER BY s.line LIMIT %(limit)s
"""  # only our own words


def differences(campaign_id: int, limit: int) -> list[Difference]:
    """The first leads whose fields would change."""
    return rows(Difference, DIFFERENCES, {"campaign": campaign_id, "limit": limit})


@dataclass(frozen=True)
class Recent:
    """A staged lead that another campaign wrote to."""

    line: int
    address: str
    campaign: str
    at: datetime


# One lead at a time, each by indexes: from its person to its places in campaigns, and from those to their e-mails.
RECENT = f"""
FROM staged_lead s
JOIN lead p ON p.address = s.normalised
CROSS JOIN LATERAL (
    SELECT c.name AS campaign, {counted_at("q")} AS at
    FROM campaign_lead l
    JOIN campaign_email_queue q ON q.campaign_lead_id = l.id
    JOIN campaign c ON c.id = l.campaign_id
    WHERE l.lead_id = p.id AND l.campaign_id IS DISTINCT FROM %(campaign)s
      AND {counts("q")} AND {counted_at("q")} > statement_timestamp() - %(days)s * interval '1 day'
    ORDER BY at DESC LIMIT 1
) latest
WHERE NOT EXISTS (SELECT FROM campaign_lead own WHERE own.campaign_id = %(campaign)s AND own.lead_id = p.id)
"""  # noqa: S608  # only our own words


def recently_mailed(campaign_id: int | None, days: float, limit: int) -> tuple[int, list[Recent]]:
    """How many leads that are new here were written to by another campaign in the last days, and the first of them."""
    values = {"campaign": campaign_id, "days": days, "limit": limit}
    found = rows(
        Recent, f"SELECT s.line, s.address, latest.campaign, latest.at {RECENT} ORDER BY s.line LIMIT %(limit)s", values
    )
    if len(found) < limit:
        return len(found), found
    return fetch(f"SELECT count(*) {RECENT}", values)[0][0], found


def leave_out_recent(campaign_id: int | None, days: float) -> int:
    """Unstage the leads that recently_mailed() finds. Returns how many."""
    query = f"DELETE FROM staged_lead gone USING (SELECT s.line {RECENT}) recent WHERE gone.line = recent.line"  # noqa: S608
    return execute(query, {"campaign": campaign_id, "days": days})


STAGED = "SELECT line, normalised FROM staged_lead WHERE line > %s ORDER BY line LIMIT %s"


@dataclass(frozen=True)
class _Staged:
    line: int
    normalised: str


def leave_out_forgotten() -> list[int]:
    """Unstage people who were forgotten; returns their lines. Raises forgotten.KeyMissing."""
    forgotten.check_keys()
    lines: list[int] = []
    if forgotten.is_anybody():
        execute("CREATE INDEX IF NOT EXISTS staged_lead_by_line ON staged_lead (line)")
        last = -1
        while page := rows(_Staged, STAGED, (last, _LOOKED_AT_ONCE)):
            gone = forgotten.among([it.normalised for it in page])
            lines += (it.line for it in page if it.normalised in gone)
            last = page[-1].line
        execute("DELETE FROM staged_lead WHERE line = ANY(%s)", (lines,))
    return lines


def any_staged() -> bool:
    return bool(fetch("SELECT EXISTS (SELECT FROM staged_lead)")[0][0])


SUPPRESSED = """
SELECT s.line FROM staged_lead s
WHERE EXISTS (SELECT FROM suppression x WHERE x.address = ANY(suppression_keys(s.normalised))) ORDER BY s.line
"""


def suppressed() -> list[int]:
    """The lines of staged leads that no campaign may write to."""
    return [line for (line,) in fetch(SUPPRESSED)]


STOPPED = """
SELECT DISTINCT s.line FROM staged_lead s LEFT JOIN lead p ON p.address = s.normalised
JOIN hold h ON h.lead_id = p.id AND h.domain IS NULL OR h.domain = split_part(s.normalised, '@', -1)
WHERE h.stops AND h.lifted_at IS NULL AND (h.campaign_id IS NULL OR h.campaign_id = %s) ORDER BY s.line
"""


def stopped(campaign_id: int | None) -> list[int]:
    """The lines of staged leads that the campaign must not write to, because they or their colleagues replied."""
    return [line for (line,) in fetch(STOPPED, (campaign_id,))]


WITHOUT_BASIS = """
SELECT s.line FROM staged_lead s LEFT JOIN lead p ON p.address = s.normalised
WHERE COALESCE(NULLIF(p.legal_basis, ''), s.legal_basis, '') = '' ORDER BY s.line
"""


def without_basis() -> list[int]:
    """The lines of staged leads for whom no legal basis is recorded, nor will be."""
    return [line for (line,) in fetch(WITHOUT_BASIS)]


# People in one order, so that two imports at once cannot wait for each other's rows.
ADD_PEOPLE = """
INSERT INTO lead (address, legal_basis, legal_basis_source, legal_basis_date)
SELECT normalised, legal_basis, legal_basis_source, legal_basis_date FROM staged_lead ORDER BY normalised
ON CONFLICT (address) DO NOTHING
"""
# A basis is kept whole, with its own source and date.
ADD_BASES = """
WITH without AS (
    SELECT p.id, s.legal_basis, s.legal_basis_source, s.legal_basis_date
    FROM staged_lead s JOIN lead p ON p.address = s.normalised
    WHERE s.legal_basis IS NOT NULL AND COALESCE(p.legal_basis, '') = ''
    ORDER BY p.address FOR NO KEY UPDATE OF p
)
UPDATE lead p
SET legal_basis = w.legal_basis, legal_basis_source = w.legal_basis_source, legal_basis_date = w.legal_basis_date
FROM without w WHERE p.id = w.id AND COALESCE(p.legal_basis, '') = ''
"""
# Two imports into one campaign at once would take the same places. The campaign itself stays unlocked, so that its
# e-mails go on being claimed.
LOCK_PLACES = "SELECT pg_advisory_xact_lock(hashtext('places of leads'), hashtext(%(campaign)s::text))"
# In the order of the file: ids rise with the places, which the planner relies on.
ADD_PLACES = """
INSERT INTO campaign_lead (campaign_id, lead_id, position, address, fields)
SELECT %(campaign)s, p.id, last.position + row_number() OVER (ORDER BY s.line), s.address, s.fields
FROM staged_lead s
JOIN lead p ON p.address = s.normalised
CROSS JOIN (SELECT COALESCE(max(position), 0) AS position FROM campaign_lead WHERE campaign_id = %(campaign)s) last
WHERE NOT EXISTS (SELECT FROM campaign_lead own WHERE own.campaign_id = %(campaign)s AND own.lead_id = p.id)
ORDER BY s.line
"""


def write_new(campaign_id: int) -> int:
    """Put the staged leads that the campaign does not have behind those that it has; returns how many.

    In the caller's transaction.
    """
    execute(ADD_PEOPLE)
    execute(ADD_BASES)
    execute(LOCK_PLACES, {"campaign": campaign_id})
    return execute(ADD_PLACES, {"campaign": campaign_id})


UPDATE = f"""
UPDATE campaign_lead known SET fields = s.fields, address = s.address {_KNOWN}
WHERE known.id = l.id AND {_DIFFERS} AND {_IS_OPEN}
"""  # noqa: S608  # only our own words


def write_changed(campaign_id: int) -> int:
    """Give leads who have a letter to come the fields that are staged; returns how many changed.

    In the caller's transaction, which has locked the campaign: no claim comes between.
    """
    return execute(UPDATE, {"campaign": campaign_id})


COUNT = "SELECT count(*)::int FROM campaign_lead WHERE campaign_id = %s"


def count(campaign_id: int) -> int:
    return int(fetch(COUNT, (campaign_id,))[0][0])
