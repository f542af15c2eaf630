"""A database with a million e-mails, and Postgres's query plans on it.

Filled once per run, separate from the database that all other tests empty. Nothing here measures time.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import pytest

import config
from models.store import database, migrate
from models.store.database import database as peewee
from scheduling.window import warsaw_day, warsaw_day_bounds

BIG = ("campaign_email_queue", "email_history", "attempt", "email_content", "campaign_lead", "lead", "lead_search")


@dataclass(frozen=True)
class Million:
    """The ids of its campaigns."""

    running: int = 1  # 270,000 before today, 120,000 today, 120,000 planned for tomorrow, 40,000 leads not planned yet
    in_doubt: int = 2  # 300,000 sent, two unknown: nothing else is left
    finished: int = 3  # 100,000, all with their result, and still active
    completed: int = 4  # 60,000
    draft: int = 5  # 30,000 leads
    mailboxes: int = 20
    mails: int = 970_002
    today: int = 120_000


# Without the triggers of the foreign keys, which would take longer than all the rest.
CAMPAIGNS = """
SET session_replication_role = replica;
INSERT INTO mailbox (address, smtp_host, smtp_port, smtp_security, daily_limit, gap_seconds, last_start_at)
SELECT 'mailbox' || n || '@sender.example', 'smtp.sender.example', 587, 'starttls', 20000, 1, now()
FROM generate_series(1, 20) n;
INSERT INTO campaign (name, window_start_minute, window_end_minute, weekdays, delay_seconds, daily_limit, status,
                      last_start_at)
SELECT name, 0, 1440, '{0,1,2,3,4,5,6}', 0.5, 200000, status, now()
FROM (VALUES ('running', 'active'), ('in doubt', 'active'), ('finished', 'active'), ('completed', 'completed'),
             ('draft', 'draft')) AS c (name, status);
INSERT INTO campaign_step (id, campaign_id, position, subject, text) SELECT id, id, 1, 'Hello', 'Hello' FROM campaign;
INSERT INTO campaign_mailbox (campaign_id, mailbox_id)
SELECT c, m FROM generate_series(1, 5) c CROSS JOIN generate_series(1, 20) m;
INSERT INTO lead (address) SELECT 'lead' || n || '@leads.example' FROM generate_series(1, 550000) n;
INSERT INTO campaign_lead (campaign_id, lead_id, position, address, fields)
SELECT c, n, n, 'Lead' || n || '@leads.example', '{}'
FROM (VALUES (1, 550000), (2, 300002), (3, 100000), (4, 60000), (5, 30000)) AS of (c, leads)
CROSS JOIN LATERAL generate_series(1, leads) n ORDER BY c, n;
"""
# Laid by the Warsaw day: whatever the hour, today and tomorrow are full from midnight to midnight, of the one what lies
# behind this moment is done, and 8,000 a day were sent before. A few failed, a few were tried twice, a few moved to
# the day after.
MAILS = """
INSERT INTO campaign_email_queue
    (campaign_id, campaign_lead_id, step_id, mailbox_id, status, scheduled_at, hinted_for, attempts, message_id,
     claim_token, claimed_at, worker_host, worker_pid, worker_started_at, handed_over_at, sent_at, error)
SELECT campaign_id, id, campaign_id, 1 + position %% 20, status, at, CASE WHEN begun THEN at END, begun::int,
       '<' || id || '@sender.example>', CASE WHEN begun THEN gen_random_uuid() END, CASE WHEN begun THEN at END,
       CASE WHEN begun THEN 'host' END, CASE WHEN begun THEN 1 END, CASE WHEN begun THEN 1.0 END,
       CASE WHEN status IN ('sent', 'unknown') THEN at END, CASE WHEN status = 'sent' THEN at END,
       CASE WHEN status IN ('failed', 'unknown') THEN 'no answer' END
FROM (
    SELECT *, status <> 'pending' AS begun FROM (
        SELECT *, CASE WHEN position > done THEN 'unknown' WHEN at > now() THEN 'pending'
                       WHEN position %% 100 = 0 THEN 'failed' ELSE 'sent' END AS status
        FROM (
            SELECT l.*, done, CASE WHEN position <= before
                THEN %(today)s - (before - position + 1) * interval '10.8 seconds'
                WHEN position <= before + %(full)s
                THEN %(today)s + (%(tomorrow)s - %(today)s) * (position - before - 1) / %(full)s
                ELSE %(tomorrow)s + (%(after)s - %(tomorrow)s) * (position - before - %(full)s - 1) / %(full)s
            END AS at
            FROM (VALUES (1, 270000, 510000, 510000), (2, 300002, 300000, 300002), (3, 100000, 100000, 100000),
                         (4, 60000, 60000, 60000)) AS of (c, before, done, planned)
            JOIN campaign_lead l ON l.campaign_id = c AND l.position <= planned
        ) placed
    ) told
) mails ORDER BY campaign_id, position;
INSERT INTO email_history (email_id, at, move, to_status, scheduled_to, mailbox_id, by)
SELECT id, scheduled_at, 'plan', 'pending', scheduled_at, mailbox_id, 'planner' FROM campaign_email_queue;
INSERT INTO attempt (email_id, claim_token, mailbox_id, outcome, phase, scope, code, started_at, ended_at)
SELECT id, claim_token, mailbox_id,
       CASE status WHEN 'sent' THEN 'accepted' WHEN 'failed' THEN 'refused' ELSE 'unanswered' END, 'dot',
       CASE WHEN status = 'failed' THEN 'lead' END,
       CASE status WHEN 'sent' THEN 250 WHEN 'failed' THEN 550 END, scheduled_at, scheduled_at
FROM campaign_email_queue WHERE status <> 'pending';
INSERT INTO email_history (email_id, at, move, from_status, to_status, reason, scheduled_from, scheduled_to, mailbox_id,
                           claim_token, by)
SELECT id, scheduled_at, CASE status WHEN 'sent' THEN 'accept' WHEN 'failed' THEN 'reject' ELSE 'doubt' END, 'sending',
       status, error, scheduled_at, scheduled_at, mailbox_id, claim_token, 'worker'
FROM campaign_email_queue WHERE status <> 'pending';
INSERT INTO email_history (email_id, at, move, from_status, to_status, reason, scheduled_from, scheduled_to, mailbox_id,
                           by)
SELECT id, scheduled_at, 'replan', 'pending', 'pending', 'downtime', scheduled_at - interval '1 day', scheduled_at,
       mailbox_id, 'planner'
FROM campaign_email_queue WHERE id %% 20 = 0 ORDER BY id;
"""
# The letters of the campaigns that are over, which are the oldest, and of the unknown ones.
LETTERS = """
INSERT INTO email_content (email_id, claim_token, content, recorded_at)
SELECT id, claim_token, 'Hello', claimed_at FROM campaign_email_queue
WHERE campaign_id IN (3, 4) OR status = 'unknown' ORDER BY claimed_at;
"""
# Some of the draft's leads are in the index, which takes long; those of the first campaign wait for it.
SEARCH = """
INSERT INTO lead_search (campaign_lead_id, words)
SELECT id, lead_words(address, fields) FROM campaign_lead WHERE campaign_id = 5 AND position <= 5000;
INSERT INTO lead_search_backlog (first_id, last_id) SELECT min(id), max(id) FROM campaign_lead WHERE campaign_id = 1;
"""


@pytest.fixture(scope="session")
def million_url(postgres: str) -> str:
    database.execute("CREATE DATABASE million")
    database.close()
    url = urlunsplit(urlsplit(postgres)._replace(path="/million"))
    with _working_on(url):
        migrate.migrate()
        # VACUUM takes no row for visible to all whose commit is not on the disk.
        database.execute("SET statement_timeout = 0; SET synchronous_commit = on")
        database.execute("SET maintenance_work_mem = '512MB'")
        with _indexes_made_last():
            _fill()
        database.execute("VACUUM ANALYZE")
    return url


def _fill() -> None:
    database.execute(CAMPAIGNS)
    today = warsaw_day(database.clock())
    edges = [warsaw_day_bounds(today + timedelta(days=number))[0] for number in range(3)]
    values = dict(zip(("today", "tomorrow", "after"), edges, strict=True)) | {"full": Million.today}
    database.execute(MAILS, values)
    database.execute(LETTERS)
    database.execute(SEARCH)


# But for those of constraints.
INDEXES = """
SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS definition FROM pg_index
WHERE indrelid = ANY(%s::regclass[]) AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
"""


class _Index(NamedTuple):
    name: str
    definition: str


@contextmanager
def _indexes_made_last() -> Iterator[None]:
    """Of the big tables: to add a million rows to each one by one takes longer."""
    found = database.rows(_Index, INDEXES, (list(BIG),))
    for index in found:
        database.execute(f"DROP INDEX {index.name}")
    yield
    for index in found:
        database.execute(index.definition)


@pytest.fixture
def million(million_url: str) -> Iterator[Million]:
    with _working_on(million_url):
        # How long a busy machine takes is not what is asked here.
        database.execute("SET statement_timeout = 0")
        yield Million()


@contextmanager
def _working_on(url: str) -> Iterator[None]:
    """Use another database in this process until the block ends."""
    before = os.environ["PUNKTUAL_DATABASE_URL"]
    _open(url)
    try:
        yield
    finally:
        _open(before)


def _open(url: str) -> None:
    database.close()
    os.environ["PUNKTUAL_DATABASE_URL"] = url
    config.settings.cache_clear()
    database.open_database("tests")


@dataclass(frozen=True)
class Plan:
    """The query plan with which Postgres ran one statement."""

    sql: str
    root: dict[str, Any]
    milliseconds: float  # to be looked at, never to be asserted

    def nodes(self, node: dict[str, Any] | None = None) -> Iterator[dict[str, Any]]:
        node = node or self.root
        yield node
        for child in node.get("Plans", ()):
            yield from self.nodes(child)

    @property
    def read_from_end_to_end(self) -> set[str]:
        """Left out: a scan that was planned and never begun, as of those at a domain where no domain is held."""
        scans = [node for node in self.nodes() if node["Node Type"] == "Seq Scan"]
        return {node["Relation Name"] for node in scans if node["Actual Loops"]}

    @property
    def rows_examined(self) -> int:
        """Rows read from tables, including those filtered out. Index-only reads are not counted."""
        return sum(_examined(node) for node in self.nodes() if "Relation Name" in node)

    @property
    def counts(self) -> int:
        """Entries of indexes that were counted without a look at their rows."""
        return sum(_rows(node) for node in self.nodes() if node["Node Type"] == "Index Only Scan")


def _examined(node: dict[str, Any]) -> int:
    return int(node.get("Heap Fetches", 0)) if node["Node Type"] == "Index Only Scan" else _rows(node)


def _rows(node: dict[str, Any]) -> int:
    names = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")
    return round(sum(float(node.get(name, 0)) for name in names) * int(node["Actual Loops"]))


@pytest.fixture
def plans_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], list[Plan]]:
    """Returns the plans of all statements that a callable runs, with actual row counts."""
    found: list[Plan] = []
    run: Callable[..., Any] = peewee.execute_sql

    def explained(sql: str, values: Any = None) -> Any:
        if sql.lstrip().upper().startswith(("SELECT", "WITH", "INSERT", "UPDATE", "DELETE", "EXECUTE")):
            found.append(_explain(run, sql, values))
        return run(sql, values)

    def plans(callable: Callable[[], object]) -> list[Plan]:
        found.clear()
        with monkeypatch.context() as patch:
            patch.setattr(peewee, "execute_sql", explained)
            callable()
        return list(found)

    return plans


def _explain(run: Callable[..., Any], sql: str, values: Any) -> Plan:
    """Its writes are rolled back: the statement is run for real afterwards."""
    with peewee.atomic() as transaction:
        [[[answer]]] = run(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {sql}", values).fetchall()
        transaction.rollback()
    return Plan(sql, answer["Plan"], answer["Execution Time"])
