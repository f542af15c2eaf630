"""The page on which Prometheus reads the rows."""

import base64
from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from models.health import findings
from models.owner import campaigns
from models.states import Status
from models.store import database
from models.store.tables import Campaign, Heartbeat
from models.views import gauges, overview
from models.views.overview import HOLDING
from ops.watch import metrics
from ops.watch.metrics import State
from tests import factories as make
from tests.conftest import Override
from tests.scraping import named, samples
from tests.web.conftest import the_app

STATE_NAMES = gauges.MAILBOX_STATES
STATES = [it for it in vars(metrics).values() if isinstance(it, State)]


@pytest.fixture
def client() -> FlaskClient:
    return the_app().test_client()


def scraped(client: FlaskClient) -> dict[str, float]:
    page = client.get("/metrics")
    assert page.status_code == 200, page.text
    return samples(page.text)


@pytest.mark.usefixtures("db")
class TestTheSamples:
    def test_have_a_family_for_each_state_that_is_declared_and_no_other(self, client: FlaskClient) -> None:
        make.in_status(Status.SENT)
        make.a_listening_mailbox()

        families = {it.name: it for it in text_string_to_metric_families(client.get("/metrics").text)}

        assert families.keys() == {it.name for it in STATES}
        assert {it.name: it.help for it in STATES} == {name: it.documentation for name, it in families.items()}
        for it in STATES:
            assert all(sample.labels.keys() == set(it.labels) for sample in families[it.name].samples)
            assert families[it.name].samples

    def test_of_campaigns_are_what_the_rows_say(self, client: FlaskClient) -> None:
        unknown, _ = make.in_status(Status.UNKNOWN)
        due = make.row(make.an_email(delay=90))
        Campaign.update(name='A "name" \\ with\nmore').where(Campaign.id == due.campaign_id).execute()

        page = scraped(client)

        for line in overview.campaigns(campaigns.every()):
            for status, count in line.counts.items():
                assert page[named("punktual_emails", campaign=line.id, status=status)] == count
            for gate in HOLDING:
                blocked = page[named("punktual_campaign_blocked", campaign=line.id, gate=gate)]
                assert blocked == (line.standing.gate == gate)
        assert page[named("punktual_campaign_should_send", campaign=due.campaign_id)] == 1
        assert page[named("punktual_window_open", campaign=due.campaign_id)] == 1
        assert page[named("punktual_campaign_delay_seconds", campaign=due.campaign_id)] == 90
        assert page[named("punktual_campaign_last_start_timestamp_seconds", campaign=due.campaign_id)] == 0
        begun = make.row(unknown).campaign_id
        last = Campaign.get_by_id(begun).last_start_at
        assert last is not None
        assert page[named("punktual_campaign_last_start_timestamp_seconds", campaign=begun)] == last.timestamp()
        assert page[named("punktual_campaign_info", campaign=due.campaign_id, name='A "name" \\ with\nmore')] == 1

    def test_of_mailboxes_are_what_the_reading_says(self, client: FlaskClient) -> None:
        make.in_status(Status.SENT)
        make.an_email(make.now() - timedelta(minutes=3))
        read = {it.id: it for it in gauges.read().mailboxes}

        page = scraped(client)

        for number, it in read.items():
            assert page[named("punktual_mailbox_used_emails", mailbox=number, kind="campaign")] == it.used_campaign
            assert page[named("punktual_mailbox_used_emails", mailbox=number, kind="warmup")] == it.used_warmup
            assert page[named("punktual_mailbox_limit_emails", mailbox=number)] == it.limit
            assert page[named("punktual_mailbox_gap_seconds", mailbox=number)] == it.gap_seconds
            assert page[named("punktual_mailbox_planned_emails", mailbox=number)] == it.planned
            assert page[named("punktual_due_oldest_seconds", mailbox=number)] == pytest.approx(
                it.due_oldest_seconds, abs=60
            )
            states = {name: page[named("punktual_mailbox_state", mailbox=number, state=name)] for name in STATE_NAMES}
            assert states == {name: float(name == it.state) for name in STATE_NAMES}
        assert {it.due_oldest_seconds > 0 for it in read.values()} == {True, False}

    def test_of_the_whole_are_what_the_rows_say(self, client: FlaskClient) -> None:
        make.in_status(Status.UNKNOWN)
        Heartbeat.insert(name="tick", at=make.now()).execute()
        findings.check_all()
        read = gauges.read()
        assert read.tick_completed_at
        assert read.invariants_checked_at

        page = scraped(client)

        assert page["punktual_unknown_outcomes"] == 1
        assert page["punktual_hinted_emails"] == 0
        assert page["punktual_armed"] == 1
        assert page["punktual_tick_completed_timestamp_seconds"] == read.tick_completed_at.timestamp()
        assert page["punktual_invariants_checked_timestamp_seconds"] == read.invariants_checked_at.timestamp()
        assert page[named("punktual_invariant_violations", rule="limits_held")] == 0
        assert page["punktual_scrape_seconds"] > 0

    def test_name_no_address(self, client: FlaskClient) -> None:
        make.in_status(Status.SENT)

        assert "@" not in client.get("/metrics").text


@pytest.mark.usefixtures("db")
class TestWhoMayRead:
    def test_is_anybody_on_this_machine_where_no_password_is_set(self, client: FlaskClient) -> None:
        assert client.get("/metrics").status_code == 200

    @pytest.mark.parametrize(
        ("credentials", "status"),
        [(None, 401), ("prometheus:another", 401), ("ola:s3cret", 401), ("prometheus:s3cret", 200)],
    )
    def test_is_who_gives_the_password_where_one_is_set(
        self, client: FlaskClient, settings: Override, credentials: str | None, status: int
    ) -> None:
        settings(METRICS_PASSWORD="s3cret")
        given = {"Authorization": f"Basic {base64.b64encode(credentials.encode()).decode()}"} if credentials else {}

        page = client.get("/metrics", headers=given)

        assert page.status_code == status
        assert ("punktual_armed" in page.text) == (status == 200)

    @pytest.mark.parametrize("others", [{"WEB_HOST": "0.0.0.0"}, {"WEB_BEHIND_HTTPS": True}, {}])
    def test_is_nobody_where_the_pages_ask_who_is_there_and_no_password_is_set(
        self, client: FlaskClient, settings: Override, others: dict[str, object]
    ) -> None:
        settings(WEB_TOKEN="t0ken" * 4, **others)

        assert client.get("/metrics").status_code == 401


@pytest.fixture
def no_database(postgres: str, db: None, settings: Override) -> Iterator[None]:
    settings(DATABASE_URL="postgresql://punktual:s3cret@127.0.0.1:1/nowhere")
    database.close()
    database.open_database("tests")
    yield
    settings(DATABASE_URL=postgres)
    database.open_database("tests")


def test_while_the_database_is_away_there_is_no_page_and_no_half_of_one(client: FlaskClient, no_database: None) -> None:
    page = client.get("/metrics")

    assert page.status_code == 503
    assert "punktual_" not in page.text
    assert "s3cret" not in page.text
