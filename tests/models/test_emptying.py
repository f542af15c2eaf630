"""That a test finds no row, setting or lock of the test before it, however it came about."""

import io
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg2
import pytest

import config
from models.store import database
from tests import factories as make

pytestmark = pytest.mark.usefixtures("db")
ROWS = "INSERT INTO suppression (address, reason) VALUES ('a@leads.example', 'written in a test')"


def by_this_session() -> None:
    database.execute(ROWS)


def by_another_connection() -> None:
    def write() -> None:
        database.execute(ROWS)
        database.close()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(write).result()


def by_another_process() -> None:
    program = "from models.store import database; import sys; database.open_database(); database.execute(sys.argv[1])"
    subprocess.run([sys.executable, "-c", program, ROWS], cwd=config.ROOT, check=True)


def by_copy() -> None:
    database.copy_rows("COPY suppression (address, reason) FROM STDIN", io.StringIO("a@leads.example\twhy\n"))


def past_triggers_and_constraints() -> None:
    """A row of a campaign that does not exist."""
    columns = "(address, reason, email_id)"
    with database.database.atomic():
        database.execute("SET LOCAL session_replication_role = replica")
        database.execute(f"INSERT INTO suppression {columns} VALUES ('a@leads.example', 'why', 4000000000)")
        database.execute("INSERT INTO campaign_mailbox (campaign_id, mailbox_id) VALUES (4000000000, 4000000000)")


@pytest.mark.parametrize(
    "write",
    [by_this_session, by_another_connection, by_another_process, by_copy, past_triggers_and_constraints],
    ids=lambda write: write.__name__,
)
def test_rows_are_gone_whoever_wrote_them(write: Callable[[], None]) -> None:
    write()
    assert database.fetch("SELECT address FROM suppression") == [("a@leads.example",)]

    make.nothing_left()

    assert database.fetch("SELECT FROM suppression") == []
    assert database.fetch("SELECT FROM campaign_mailbox") == []


def test_no_table_is_left_out() -> None:
    make.an_email()
    every = "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
    kept = {"installation", "letter_deletion", "schema_migration"}

    make.nothing_left()

    tables = {name for (name,) in database.fetch(every)}
    assert kept < tables
    assert {name for name in tables if database.fetch(f"SELECT FROM {name} LIMIT 1")} == kept


@pytest.mark.parametrize("rolled_back", [False, True])
def test_ids_begin_at_one_again(rolled_back: bool) -> None:
    with database.database.atomic() as transaction:
        make.an_email()
        if rolled_back:
            transaction.rollback()

    make.nothing_left()

    assert make.an_email() == 1


def test_the_migrations_that_were_applied_stay_and_keep_their_ids() -> None:
    [(last,)] = database.fetch("SELECT max(id) FROM schema_migration")

    make.nothing_left()

    query = "INSERT INTO schema_migration (name, applied) VALUES ('another', now()) RETURNING id"
    with database.database.atomic() as transaction:
        assert database.fetch(query) == [(last + 1,)]
        transaction.rollback()


class TestTheSession:
    def test_keeps_nothing_that_was_set_prepared_or_locked(self) -> None:
        first = database.fetch("SELECT current_setting('enable_seqscan'), current_setting('lock_timeout')")
        database.execute("SET enable_seqscan = off")
        database.execute("SET lock_timeout = 1")
        database.execute("PREPARE a_statement AS SELECT 1")
        database.execute("SELECT pg_advisory_lock(4)")
        database.execute("CREATE TEMPORARY TABLE suppression (address text)")
        database.execute("LISTEN a_channel")
        asked: list[int] = []
        database.once_a_session(lambda: asked.append(1))

        make.as_if_new()

        assert database.fetch("SELECT current_setting('enable_seqscan'), current_setting('lock_timeout')") == first
        assert database.fetch("SELECT FROM pg_prepared_statements") == []
        assert database.fetch("SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()") == []
        assert database.fetch("SELECT FROM pg_class WHERE relname = 'suppression' AND relpersistence = 't'") == []
        assert database.fetch("SELECT pg_listening_channels()") == []

    def test_prepares_its_statements_again(self) -> None:
        statement = database.Prepared("a_statement", "SELECT 1 AS one")
        for _ in range(2):
            assert database.packet_rows(dict[str, int], [statement], {}) == [{"one": 1}]

            make.as_if_new()

    def test_that_the_server_ended_is_another_one(self) -> None:
        [(pid,)] = database.fetch("SELECT pg_backend_pid()")
        other = psycopg2.connect(config.settings().database.url.get_secret_value())
        with other, other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 60000)", (pid,))
        other.close()

        make.as_if_new()

        assert database.fetch("SELECT pg_backend_pid()") != [(pid,)]
