"""What health checks are told: that the process lives, and whether all that sending needs is there."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from models.health import heartbeats
from models.store import database, tables
from tests.conftest import Override
from tests.read_only import read_only_server
from tests.scraping import free_port
from web import health
from web.app import create_app


@pytest.fixture(autouse=True)
def nothing_is_remembered() -> Iterator[None]:
    health.latest.forget()
    yield
    health.latest.forget()


class TestReady:
    def test_it_is_when_every_check_is_ok(self, browser: FlaskClient) -> None:
        heartbeats.beat("tick")

        answer = browser.get("/health/ready")

        assert answer.status_code == 200
        ok = {"ok": True, "why": None}
        assert answer.json == {"ready": True, "checks": {"database": ok, "schema": ok, "tick": ok}}

    def test_without_any_tick_it_is_not(self, browser: FlaskClient) -> None:
        assert reasons(browser) == {"tick": "no tick has completed yet"}

    def test_nor_when_the_last_one_is_minutes_ago(self, browser: FlaskClient) -> None:
        heartbeats.beat("tick")
        age = heartbeats.LONGEST_WITHOUT_TICK + timedelta(seconds=1)
        tables.Heartbeat.update(at=tables.Heartbeat.at - age).execute()

        assert "the last tick completed 18" in reasons(browser)["tick"]

    @pytest.mark.own_servers
    def test_a_database_that_takes_no_writes_is_told_apart_from_one_that_is_away(self, db: None) -> None:
        heartbeats.beat("tick")

        with ThreadPoolExecutor(1) as beside:
            before = beside.submit(health.check_readiness).result()
            with read_only_server():
                in_its_session = beside.submit(health.check_readiness).result()
                beside.submit(database.close).result()
                in_a_new_one = beside.submit(health.check_readiness).result()
            beside.submit(database.close).result()

        found = [each["database"] for each in (before, in_its_session, in_a_new_one)]
        assert found == [None, health.READ_ONLY, health.READ_ONLY]

    def test_a_database_without_the_latest_migration_is_named(self, browser: FlaskClient) -> None:
        heartbeats.beat("tick")
        [[latest]] = database.fetch("SELECT max(name) FROM schema_migration")
        database.execute("UPDATE schema_migration SET name = 'another' WHERE name = %s", (latest,))
        try:
            found = reasons(browser)
        finally:
            database.execute("UPDATE schema_migration SET name = %s WHERE name = 'another'", (latest,))

        assert found == {"schema": f"missing migrations: {latest}"}


class TestBroker:
    def test_one_that_nobody_listens_for_is_named_and_its_password_is_not(
        self, browser: FlaskClient, settings: Override
    ) -> None:
        settings(BROKER_URL=f"amqp://someone:s3cret@127.0.0.1:{free_port()}/%2F")
        heartbeats.beat("tick")

        answer = browser.get("/health/ready")

        assert answer.status_code == 503
        assert reasons(browser) == {"broker": "RabbitMQ does not answer"}
        assert "s3cret" not in answer.text

    def test_one_that_takes_the_connection_and_says_nothing_is_given_up(
        self, browser: FlaskClient, settings: Override
    ) -> None:
        heartbeats.beat("tick")
        with socket.create_server(("127.0.0.1", 0)) as silent:
            settings(BROKER_URL=f"amqp://guest:guest@127.0.0.1:{silent.getsockname()[1]}/%2F")

            assert reasons(browser) == {"broker": "RabbitMQ does not answer"}


class TestLatest:
    def test_whoever_asks_again_within_a_second_costs_no_second_look(self) -> None:
        looks = iter(["the first look"])
        latest = health.Latest(lambda: {"look": next(looks)}, seconds=lambda: 100.0)

        assert [latest.read() for _ in range(10)] == [{"look": "the first look"}] * 10

    def test_whoever_asks_later_has_it_looked_at_again(self) -> None:
        looks, times = iter(["the first look", "the second"]), iter([100.0, 100.0, 100.5, 101.0, 101.0])
        latest = health.Latest(lambda: {"look": next(looks)}, seconds=lambda: next(times))

        assert [latest.read()["look"] for _ in range(3)] == ["the first look", "the first look", "the second"]


class TestLive:
    def test_it_says_so_also_without_a_database(self, db: None) -> None:
        database.close()

        assert create_app().test_client().get("/health/live").json == {"live": True}
        assert database.database.is_closed()


def reasons(client: FlaskClient) -> dict[str, str]:
    """Check -> why it fails, of those that fail."""
    answer = client.get("/health/ready")
    failed = {name: it["why"] for name, it in (answer.json or {})["checks"].items() if not it["ok"]}
    assert answer.status_code == (503 if failed else 200)
    return failed
