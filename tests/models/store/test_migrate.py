"""The schema that the migrations build."""

import math
import threading
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from peewee import IntegrityError

from actors.plan import plan_new
from models.audit import changes
from models.email import batch_moves, locks, moves
from models.email.claims import Held
from models.health import invariants
from models.owner import mailboxes
from models.states import Status
from models.store import database, migrate, tables
from scheduling.planner import Slot
from tests import factories as make
from tests import servers, version_before
from tests.waiting import BOUND, until

COLUMNS = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
       replace(pg_get_expr(d.adbin, d.adrelid), %(schema)s || '.', '')
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid AND c.relkind = 'r'
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE c.relnamespace = %(schema)s::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
  AND c.relname <> 'schema_migration'
ORDER BY 1, 2
"""
CONSTRAINTS = """
SELECT r.relname, c.conname, replace(pg_get_constraintdef(c.oid, true), %(schema)s || '.', '')
FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid
WHERE c.connamespace = %(schema)s::regnamespace AND c.contype <> 'n' AND r.relname <> 'schema_migration'
ORDER BY 1, 2
"""
INDEXES = """
SELECT tablename, indexname, replace(indexdef, %(schema)s || '.', '')
FROM pg_indexes WHERE schemaname = %(schema)s AND tablename <> 'schema_migration' ORDER BY 1, 2
"""
# Columns that the models do not have any more: see 0020_campaign_step.
FOR_THE_VERSION_BEFORE = {("campaign", "subject"), ("campaign", "text"), ("campaign", "html")}
WITHOUT_COMMENT = """
SELECT c.conname FROM pg_constraint c
WHERE c.connamespace = 'public'::regnamespace AND c.contype = 'c' AND obj_description(c.oid, 'pg_constraint') IS NULL
UNION ALL
SELECT i.relname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid
WHERE i.relnamespace = 'public'::regnamespace AND NOT x.indisprimary AND t.relname <> 'schema_migration'
  AND obj_description(i.oid, 'pg_class') IS NULL
"""


@pytest.fixture
def schema_of_the_models(db: None) -> Iterator[str]:
    database.execute("CREATE SCHEMA from_models")
    database.execute("SET search_path = from_models, public")
    database.database.create_tables(tables.TABLES, safe=False)
    database.execute("SET search_path = public")
    yield "from_models"
    database.execute("DROP SCHEMA from_models CASCADE")


class TestTheSchema:
    @pytest.mark.parametrize("query", [COLUMNS, CONSTRAINTS, INDEXES], ids=["columns", "constraints", "indexes"])
    def test_the_migrations_build_what_the_models_say(self, schema_of_the_models: str, query: str) -> None:
        migrated = database.fetch(query, {"schema": "public"})
        modelled = database.fetch(query, {"schema": schema_of_the_models})

        assert [it for it in migrated if it[:2] not in FOR_THE_VERSION_BEFORE] == modelled
        assert modelled

    def test_each_check_and_index_says_in_plain_words_why_it_is_there(self, db: None) -> None:
        assert database.fetch(WITHOUT_COMMENT) == []


WAITS_FOR_MAILBOX = """
SELECT 1 FROM pg_locks JOIN pg_database ON pg_database.oid = database
WHERE datname = current_database() AND relation = 'mailbox'::regclass AND mode = 'AccessExclusiveLock' AND NOT granted
"""


# Gap and limit, as the version before took them -> what the migration records of them.
BEYOND_OF_MAILBOX: list[tuple[float, int, dict[str, Any]]] = [
    (1e300, 5, {"gap_seconds": [10**300, 86_400], "warmup 2026-11-17": [2_000_000_000, 1_000_000]}),
    (math.inf, 2**31 - 1, {"gap_seconds": ["Infinity", 86_400], "daily_limit": [2**31 - 1, 1_000_000]}),
    (math.nan, 0, {"gap_seconds": ["NaN", 86_400]}),
    (0.0, 1000, {}),
]
BEYOND_OF_CAMPAIGN: list[tuple[float, int, dict[str, Any]]] = [
    (1e12, 5, {"delay_seconds": [10**12, 604_800]}),
    (1e-9, 2_000_000, {"delay_seconds": [1e-9, 0.001], "daily_limit": [2_000_000, 1_000_000]}),
    (math.nan, 5, {"delay_seconds": ["NaN", 604_800]}),
    (60.0, 1000, {}),
]


def before_bounds() -> None:
    """The constraints as the version before had them."""
    for table, new, old, condition in (
        ("mailbox", "limits_are_bounded", "limits_are_not_negative", "daily_limit >= 0 AND gap_seconds >= 0"),
        ("campaign", "pace_is_bounded", "pace_is_positive", "delay_seconds > 0 AND daily_limit > 0"),
        ("warmup_count", "count_is_bounded", "count_is_not_negative", "count >= 0"),
    ):
        database.execute(f"ALTER TABLE {table} DROP CONSTRAINT {new}, ADD CONSTRAINT {old} CHECK ({condition})")
    database.execute("DELETE FROM schema_migration WHERE name = '0009_numbers_have_bounds'")


def recorded(found: list[changes.RecordedChange]) -> dict[str, Any]:
    """All that the migration changed of it."""
    return {name: values for it in found if it.by == "migration" for name, values in it.values.items()}


# The later ones replace an index of an earlier one.
READS_OF_A_FULL_DAY = [
    *("0013_reads_of_a_full_day", "0061_pending_with_holds", "0131_indexes_of_sequences"),
    *("0161_follow_ups_by_step", "0163_successors_beside_skipped", "0230_counts_by_their_index"),
]


class TestMigrating:
    def test_a_second_time_there_is_nothing_to_apply(self, db: None) -> None:
        assert migrate.migrate() == []
        assert migrate.missing() == []

    def test_two_processes_at_once_apply_each_migration_once(self, db: None) -> None:
        database.execute("DROP TABLE IF EXISTS schema_migration")
        database.execute("CREATE SCHEMA aside")
        for table in tables.TABLES:
            database.execute(f"ALTER TABLE {table._meta.table_name} SET SCHEMA aside")
        applied: list[list[str]] = []

        def apply() -> None:
            applied.append(migrate.migrate())
            database.close()

        threads = [threading.Thread(target=apply) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        names = sorted(path.stem for path in (migrate.FOLDER).glob("0*.py"))
        assert sorted(applied) == [[], names]
        database.execute("DROP SCHEMA aside CASCADE")

    def test_one_outside_a_transaction_that_was_interrupted_is_applied_from_its_beginning(self, db: None) -> None:
        before = database.fetch(INDEXES, {"schema": "public"})
        database.execute("DELETE FROM schema_migration WHERE name = ANY(%s)", (READS_OF_A_FULL_DAY,))
        database.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'moves_from_a_day'::regclass")

        assert migrate.migrate() == READS_OF_A_FULL_DAY

        assert database.fetch(INDEXES, {"schema": "public"}) == before
        assert database.fetch("SELECT 1 FROM pg_index WHERE NOT indisvalid") == []

    def test_lets_mail_pass_while_it_waits_for_a_table_that_a_backup_reads(self, db: None) -> None:
        before = database.fetch(INDEXES, {"schema": "public"})
        make.a_mailbox()
        again = ["0006_reads", *READS_OF_A_FULL_DAY]  # which drops an index of it again
        database.execute("DELETE FROM schema_migration WHERE name = ANY(%s)", (again,))
        reads, may_end = threading.Event(), threading.Event()
        applied: list[list[str]] = []

        def backup() -> None:
            with database.database.atomic():
                database.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
                database.fetch("SELECT count(*) FROM mailbox")
                reads.set()
                may_end.wait(BOUND)
            database.close()

        def apply() -> None:
            applied.append(migrate.migrate())
            database.close()

        threads = [threading.Thread(target=backup), threading.Thread(target=apply)]
        threads[0].start()
        reads.wait(BOUND)
        threads[1].start()
        until(lambda: database.fetch(WAITS_FOR_MAILBOX), "the migration to ask for the table")
        try:
            with database.database.atomic():
                assert locks.lock_mailboxes([1])
            assert applied == []
        finally:
            may_end.set()
            for thread in threads:
                thread.join()
        assert applied == [again]
        assert database.fetch(INDEXES, {"schema": "public"}) == before

    def test_numbers_beyond_their_bounds_are_set_to_the_nearest_and_recorded(self, db: None) -> None:
        boxes = [make.a_mailbox() for _ in BEYOND_OF_MAILBOX]
        ids = [make.a_campaign(boxes[:1]) for _ in BEYOND_OF_CAMPAIGN]
        mailboxes.record_warmup(boxes[0], date(2026, 11, 17), 5, "tests")
        mailboxes.record_warmup(boxes[1], date(2026, 11, 17), 5, "tests")
        as_it_was = {table: database.fetch(f"SELECT * FROM {table} ORDER BY 1") for table in ("campaign", "mailbox")}
        before_bounds()
        for mailbox_id, (gap, limit, _) in zip(boxes, BEYOND_OF_MAILBOX, strict=True):
            database.execute(
                "UPDATE mailbox SET gap_seconds = %s, daily_limit = %s WHERE id = %s", (gap, limit, mailbox_id)
            )
        for campaign_id, (delay, limit, _) in zip(ids, BEYOND_OF_CAMPAIGN, strict=True):
            values = (delay, limit, campaign_id)
            database.execute("UPDATE campaign SET delay_seconds = %s, daily_limit = %s WHERE id = %s", values)
        database.execute("UPDATE warmup_count SET count = 2000000000 WHERE mailbox_id = %s", (boxes[0],))

        assert migrate.migrate() == ["0009_numbers_have_bounds"]

        for mailbox_id, (_, _, changed) in zip(boxes, BEYOND_OF_MAILBOX, strict=True):
            assert recorded(changes.of_mailbox(mailbox_id)) == changed
        for campaign_id, (_, _, changed) in zip(ids, BEYOND_OF_CAMPAIGN, strict=True):
            assert recorded(changes.of_campaign(campaign_id)) == changed
        assert [row.count for row in tables.WarmupCount.select().order_by(tables.WarmupCount.mailbox)] == [1_000_000, 5]
        untouched = {table: database.fetch(f"SELECT * FROM {table} ORDER BY 1")[-1] for table in as_it_was}
        assert untouched == {table: rows[-1] for table, rows in as_it_was.items()}
        assert [it.rule for it in invariants.check() if not it.holds] == []

    def test_bounds_are_set_while_the_version_before_writes_rows(self, db: None) -> None:
        mailbox_id = make.a_mailbox()
        before_bounds()
        held, may_end = threading.Event(), threading.Event()

        def version_before() -> None:
            with database.database.atomic():
                locks.lock_mailboxes([mailbox_id])
                database.execute("UPDATE mailbox SET gap_seconds = 1e300 WHERE id = %s", (mailbox_id,))
                held.set()
                may_end.wait(BOUND)
            database.close()

        writer = threading.Thread(target=version_before)
        writer.start()
        held.wait(BOUND)
        applied: list[list[str]] = []

        def apply() -> None:
            applied.append(migrate.migrate())
            database.close()

        migration = threading.Thread(target=apply)
        migration.start()
        until(lambda: database.fetch(WAITS_FOR_MAILBOX), "the migration to ask for the table")
        may_end.set()
        writer.join()
        migration.join()

        assert applied == [["0009_numbers_have_bounds"]]
        assert tables.Mailbox.get_by_id(mailbox_id).gap_seconds == 86_400

    def test_a_database_that_lacks_one_is_refused(self, db: None) -> None:
        names: list[tuple[Any, ...]] = database.fetch("SELECT name FROM schema_migration ORDER BY id DESC LIMIT 1")
        database.execute("DELETE FROM schema_migration WHERE name = %s", names[0])

        with pytest.raises(migrate.SchemaOutdated, match=names[0][0]):
            migrate.check()

        database.execute("INSERT INTO schema_migration (name, applied) VALUES (%s, now())", names[0])


OLD_COLUMNS = """
SELECT table_name, array_agg(column_name::text ORDER BY ordinal_position) FROM information_schema.columns
WHERE table_schema = 'public' AND table_name <> 'schema_migration' GROUP BY table_name ORDER BY table_name
"""
STEPS = """
SELECT q.id, s.position, s.subject, s.text, s.html FROM campaign_email_queue q JOIN campaign_step s ON s.id = q.step_id
WHERE s.campaign_id = q.campaign_id ORDER BY q.id
"""
LETTERS = (
    "SELECT q.id, 1, c.subject, c.text, c.html FROM campaign_email_queue q JOIN campaign c ON c.id = q.campaign_id"
)
MIGRATIONS = sorted(path.stem for path in migrate.FOLDER.glob("0*.py"))
NEWER = [name for name in MIGRATIONS if name > version_before.LAST]


def rows(columns: dict[str, list[str]]) -> dict[str, list[tuple[Any, ...]]]:
    listed = {table: ", ".join(f'"{column}"' for column in of) for table, of in columns.items()}
    return {table: database.fetch(f"SELECT {of} FROM {table} ORDER BY {of}") for table, of in listed.items()}


def broken() -> list[tuple[str, str | None]]:
    return [(it.rule, it.broken_by) for it in invariants.check() if not it.holds]


# As any version does, whatever other columns it knows.
LOCKED = "SELECT FROM campaign_email_queue WHERE id = %s FOR NO KEY UPDATE"


class TestADatabaseOfTheVersionBefore:
    """One with rows in every state."""

    @pytest.fixture
    def ids(self, postgres: str) -> Iterator[dict[str, int]]:
        with version_before.installed(postgres):
            yield version_before.filled()

    def test_keeps_every_row_and_breaks_no_rule(self, ids: dict[str, int]) -> None:
        columns = dict(database.fetch(OLD_COLUMNS))
        before = rows(columns)

        assert migrate.migrate() == NEWER

        assert rows(columns) == before
        assert {row.status for row in tables.CampaignEmailQueue.select()} == set(Status)
        assert {row.status for row in tables.Campaign.select()} == set(version_before.CAMPAIGN_STATES)
        assert broken() == []

    def test_gives_every_campaign_its_letter_as_a_step_and_every_email_that_step(self, ids: dict[str, int]) -> None:
        letters = database.fetch(LETTERS)

        migrate.migrate()

        assert database.fetch(STEPS) == letters
        assert tables.CampaignStep.select().count() == tables.Campaign.select().count()

    def test_goes_on_under_the_new_version_from_every_state(self, ids: dict[str, int]) -> None:
        migrate.migrate()

        for state, accepts in (("handed over", True), ("unknown", True), ("sent", False), ("claimed", False)):
            held = Held(ids[state], version_before.token_of(ids[state]), "host:42")
            if state == "claimed":
                assert moves.release(held, "a test")
            else:
                assert moves.accept(held, make.YES) is accepts
        tables.Campaign.update(last_start_at=None).execute()
        assert make.claimed(ids["pending"]).subject == "Of the active"
        plan_new()
        planned = make.row(newest_email())
        assert planned.step_id == make.step_of(planned.campaign_id)
        assert broken() == []

    @pytest.mark.parametrize("applied", [version_before.LAST, *NEWER])
    def test_lets_the_version_before_go_on_after_each_migration(self, ids: dict[str, int], applied: str) -> None:
        version_before.up_to(applied)
        campaign_id = version_before.a_campaign(html="<p>Hi</p>")
        lead_id = version_before.a_lead(campaign_id)

        assert version_before.plans(campaign_id, lead_id) == 1
        assert version_before.plans(campaign_id, lead_id) == 0
        migrate.migrate()

        email_id = newest_email()
        assert version_before.letter(email_id) == ("Of the active", "Hello", "<p>Hi</p>")
        step = tables.CampaignEmailQueue.get_by_id(email_id).step
        assert (step.subject, step.text, step.html, step.position) == ("Of the active", "Hello", "<p>Hi</p>", 1)
        assert broken() == []

    def test_is_read_and_planned_by_the_version_before_beside_the_new_one(self, ids: dict[str, int]) -> None:
        migrate.migrate()
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=2)
        [email_id] = make.planned(campaign_id, mailbox_id, make.now())
        leads = tables.CampaignLead.select().where(tables.CampaignLead.campaign == campaign_id)
        first, second = (row.id for row in leads.order_by(tables.CampaignLead.position))
        slot = Slot(campaign_id, second, make.step_of(campaign_id), mailbox_id, make.now())

        assert version_before.letter(email_id) == ("Hello {{ name }}", "Dear {{ name }}, how are you?", None)
        assert [version_before.plans(campaign_id, it) for it in (first, second)] == [0, 1]
        assert batch_moves.plan(campaign_id, [slot], "tests") == 0

    def test_has_one_letter_whichever_version_changes_it(self, ids: dict[str, int]) -> None:
        migrate.migrate()

        tables.CampaignStep.update(subject="By the new one").execute()
        assert version_before.letter(ids["pending"]) == ("By the new one", "Hello", None)
        database.execute("UPDATE campaign SET text = 'By hand', html = '<p>By hand</p>'")
        assert {(it.subject, it.text, it.html) for it in tables.CampaignStep.select()} == {
            ("By the new one", "By hand", "<p>By hand</p>")
        }

    def test_gets_its_steps_while_mails_are_on_their_way(self, ids: dict[str, int]) -> None:
        version_before.up_to("0021_email_has_a_step")
        holds, may_end = threading.Event(), threading.Event()

        def claims() -> None:
            with database.database.atomic():
                database.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
                database.execute(LOCKED, (ids["sent"],))
                holds.set()
                may_end.wait(BOUND)
            database.close()

        def migrates() -> None:
            migrate.migrate()
            database.close()

        threads = [threading.Thread(target=claims), threading.Thread(target=migrates)]
        threads[0].start()
        holds.wait(BOUND)
        threads[1].start()
        until(lambda: servers.lock_waits() > 0, "the migration to wait for the mail")
        try:
            with database.database.atomic():
                assert database.execute(LOCKED, (ids["unknown"],)) == 1
            assert version_before.plans(1, version_before.a_lead(1)) == 1
        finally:
            may_end.set()
            for thread in threads:
                thread.join()

        assert migrate.missing() == []
        assert broken() == []

    def test_gets_its_steps_however_many_mails_it_has(self, ids: dict[str, int]) -> None:
        version_before.up_to("0021_email_has_a_step")
        database.execute(MANY, {"campaign": version_before.a_campaign()})
        database.execute("UPDATE campaign_email_queue SET step_id = NULL WHERE id %% 3 > 0")

        migrate.migrate()

        assert tables.CampaignEmailQueue.select().count() > 12_000
        assert database.fetch("SELECT id FROM campaign_email_queue WHERE step_id IS NULL") == []


MANY = """
WITH person AS (
    INSERT INTO lead (address) SELECT n || '@leads.example' FROM generate_series(1, 12000) n RETURNING id
), lead AS (
    INSERT INTO campaign_lead (campaign_id, lead_id, position, address, fields)
    SELECT %(campaign)s, id, id, 'many', '{}' FROM person RETURNING id
)
INSERT INTO campaign_email_queue (campaign_id, campaign_lead_id, mailbox_id, scheduled_at, message_id)
SELECT %(campaign)s, id, 1, now(), 'many' || id FROM lead
"""


def newest_email() -> int:
    return int(database.fetch("SELECT max(id) FROM campaign_email_queue")[0][0])


class TestWhatAnEmailFollows:
    def test_is_followed_by_one_email_at_the_most(self, db: None) -> None:
        first, second, third = (make.an_email() for _ in range(3))
        follow(second, first)

        with pytest.raises(IntegrityError, match="one_successor"):
            follow(third, first)


def follow(email_id: int, predecessor_id: int) -> None:
    Q = tables.CampaignEmailQueue
    Q.update(predecessor=predecessor_id).where(Q.id == email_id).execute()
