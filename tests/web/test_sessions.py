"""The database's sessions of the pages: kept from request to request, and as good as new."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from flask.testing import FlaskClient

from models.owner import campaigns
from models.store import database
from tests import factories as make
from tests.waiting import until
from tests.web.conftest import the_app, token_of

# What would outlast a request. The settings of a transaction end with it, also where they are still said to be set.
LEFT_BEHIND = """
SELECT name FROM pg_settings WHERE source = 'session' AND name NOT IN ('transaction_isolation', 'transaction_read_only')
UNION ALL SELECT relname FROM pg_class WHERE relpersistence = 't'
UNION ALL SELECT 'a lock' FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()
UNION ALL SELECT 'a channel' FROM pg_listening_channels()
"""
READ = [
    *("/", "/?show=hour", "/campaigns", "/campaigns/1?lead=lead", "/campaigns/1/emails.csv", "/campaigns/1/report"),
    *("/campaigns/1/calendar", "/campaigns/1/edit", "/emails/1", "/mailboxes", "/unknown", "/find?address=lead"),
    *("/needs-you", "/incoming", "/suppressions", "/metrics", "/health/ready", "/api/today", "/api/campaigns/1"),
    "/campaigns/77",
]


def session() -> int:
    """The process of Postgres that serves this thread; 0: none."""
    return 0 if database.database.is_closed() else int(database.fetch("SELECT pg_backend_pid()")[0][0])


def is_over(pid: int) -> bool:
    return not database.fetch("SELECT FROM pg_stat_activity WHERE pid = %s", (pid,))


class TestASession:
    def test_is_kept_from_request_to_request(self, browser: FlaskClient) -> None:
        found = set()
        for path in ("/", "/campaigns", "/mailboxes", "/health/ready", "/nowhere"):
            browser.get(path)
            found.add(session())

        assert len(found) == 1
        assert 0 not in found

    def test_belongs_to_one_thread(self, db: None) -> None:
        def asked(_: int) -> int:
            assert the_app().test_client().get("/campaigns").status_code == 200
            return session()

        with ThreadPoolExecutor(3) as threads:
            found = set(threads.map(asked, range(30)))
            for _ in threads.map(lambda _: database.close(), range(30)):
                pass

        assert len(found) <= 3
        assert session() not in found

    def test_that_the_server_ended_is_replaced_by_the_next_request(self, browser: FlaskClient) -> None:
        assert browser.get("/campaigns").status_code == 200
        ended = session()
        with ThreadPoolExecutor(1) as beside:
            beside.submit(database.execute, "SELECT pg_terminate_backend(%s)", (ended,)).result()
            until(lambda: beside.submit(is_over, ended).result(), "the session's end")
            beside.submit(database.close).result()

        assert browser.get("/campaigns").status_code == 200

        assert session() not in (0, ended)

    @pytest.mark.parametrize("path", READ)
    def test_is_as_good_as_new_after_what_reads(self, browser: FlaskClient, path: str) -> None:
        make.an_email()
        database.close()  # what was made has left a table in it

        browser.get(path)

        assert session()
        assert database.fetch(LEFT_BEHIND) == []

    def test_is_closed_after_what_writes(self, browser: FlaskClient) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()])

        answer = browser.post(f"/campaigns/{campaign_id}/pause", data={"csrf_token": token_of(browser)})

        assert answer.status_code == 303
        assert session() == 0
        assert campaigns.get(campaign_id).status == "paused"
