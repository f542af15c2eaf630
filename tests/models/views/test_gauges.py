"""What monitoring is told of the rows: each value is what the rows, and the pages, say."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from models.email import hints, limits, locks, moves
from models.email.hints import Hint
from models.health import findings, invariants
from models.owner import arming, campaigns, mailboxes
from models.states import Status
from models.store import database
from models.store.tables import Campaign, Heartbeat
from models.views import gauges, overview
from models.views.gauges import CampaignGauge, Gauges, MailboxGauge
from scheduling.window import Window, warsaw_day
from tests import factories as make
from tests.waiting import BOUND

pytestmark = pytest.mark.usefixtures("db")
HOUR = timedelta(hours=1)


def of(campaign_id: int) -> CampaignGauge:
    return next(it for it in gauges.read().campaigns if it.id == campaign_id)


def mailbox(mailbox_id: int) -> MailboxGauge:
    return next(it for it in gauges.read().mailboxes if it.id == mailbox_id)


def closed_window() -> Window:
    """On another day of the week than today."""
    return Window(0, 24 * 60, frozenset({(warsaw_day(make.now()).weekday() + 3) % 7}))


def statements() -> int:
    """How many one reading takes."""
    run: list[object] = []
    database.database.query_hooks.append(run.append)
    try:
        gauges.read()
    finally:
        database.database.query_hooks.remove(run.append)
    return len(run)


def read_beside() -> Gauges:
    try:
        return gauges.read()
    finally:
        database.close()


class TestCampaigns:
    def test_are_those_that_are_active_or_paused(self) -> None:
        box = make.a_mailbox()
        active, paused, ended, _draft = (make.a_campaign([box], active=number < 3) for number in range(4))
        campaigns.pause(paused, "ola")
        campaigns.cancel(ended, "ola")

        found = gauges.read().campaigns

        assert [(it.id, it.is_active) for it in found] == [(active, True), (paused, False)]

    def test_count_their_mails_as_the_overview_does(self) -> None:
        for status in Status:
            make.in_status(status)

        found = gauges.read().campaigns

        assert {it.id: it.counts for it in found} == {it.id: it.counts for it in overview.campaigns(campaigns.every())}
        assert {it.id: it.name for it in found} == {row.id: row.name for row in campaigns.every()}

    def test_stand_as_the_overview_says(self) -> None:
        for status in Status:
            make.in_status(status)

        found = gauges.read().campaigns

        shown = overview.campaigns(campaigns.every())
        assert {it.id: it.standing.gate for it in found} == {it.id: it.standing.gate for it in shown}

    def test_tell_when_they_last_began_a_mail_and_at_what_pace(self) -> None:
        claim = make.claimed(make.an_email(delay=90))

        found = of(claim.campaign_id)

        assert found.last_start_at == Campaign.get_by_id(claim.campaign_id).last_start_at
        assert found.delay_seconds == 90


class TestACampaignThatShouldSend:
    def test_has_a_mail_that_is_due_and_every_gate_open(self) -> None:
        email_id = make.an_email()

        found = of(make.row(email_id).campaign_id)

        assert found.window_open
        assert found.standing.should_send

    def test_waits_for_its_pace_only(self) -> None:
        email_id = make.an_email()
        Campaign.update(last_start_at=make.now()).execute()

        found = of(make.row(email_id).campaign_id)

        assert found.standing.gate == "pace"
        assert found.standing.should_send

    def test_is_none_whose_next_mail_is_not_due(self) -> None:
        email_id = make.an_email(make.now() + HOUR)

        found = of(make.row(email_id).campaign_id)

        assert found.standing.gate == "time"
        assert not found.standing.should_send

    def test_is_none_whose_window_is_closed(self) -> None:
        email_id = make.an_email(window=closed_window())

        found = of(make.row(email_id).campaign_id)

        assert not found.window_open
        assert found.standing.gate == "window"
        assert not found.standing.should_send

    def test_is_none_that_is_paused(self) -> None:
        campaign_id = make.row(make.an_email()).campaign_id
        campaigns.pause(campaign_id, "ola")

        assert not of(campaign_id).standing.should_send


class TestAMailbox:
    def test_tells_what_counts_today_apart_from_its_warm_up(self) -> None:
        claim = make.claimed(make.an_email())
        mailboxes.record_warmup(claim.mailbox_id, warsaw_day(make.now()), 7, "tests")

        found = mailbox(claim.mailbox_id)

        assert (found.used_campaign, found.used_warmup) == (1, 7)
        assert sum(limits.mailboxes_used([claim.mailbox_id], warsaw_day(make.now())).values()) == 8
        assert (found.limit, found.gap_seconds) == (1000, 0)

    def test_tells_what_is_still_to_come_today_of_active_campaigns(self) -> None:
        box = make.a_mailbox()
        tomorrow = make.now() + timedelta(days=1, hours=1)
        make.planned(make.a_campaign([box], leads=3), box, make.now() - HOUR, make.now(), tomorrow)
        stopped = make.a_campaign([box])
        make.planned(stopped, box, make.now())
        campaigns.pause(stopped, "ola")

        assert mailbox(box).planned == 2

    def test_tells_how_long_its_oldest_due_mail_waits(self) -> None:
        email_id = make.an_email(make.now() - HOUR)

        found = mailbox(make.row(email_id).mailbox_id)

        assert found.due_oldest_seconds == pytest.approx(3600, abs=BOUND)

    def test_with_nothing_due_in_an_open_window_has_none_that_waits(self) -> None:
        later = make.row(make.an_email(make.now() + HOUR))
        at_night = make.row(make.an_email(make.now() - HOUR, window=closed_window()))

        assert mailbox(later.mailbox_id).due_oldest_seconds == 0
        assert mailbox(at_night.mailbox_id).due_oldest_seconds == 0

    def test_that_its_owner_has_paused_has_none_that_waits(self) -> None:
        overdue = make.row(make.an_email(make.now() - HOUR))
        mailboxes.pause(overdue.mailbox_id, "ola")

        assert mailbox(overdue.mailbox_id).due_oldest_seconds == 0


class TestAMailboxsState:
    @pytest.mark.parametrize(
        ("phase", "code", "state"),
        [
            ("auth", 535, "auth_failed"),
            ("auth", None, "auth_failed"),
            ("mail", 530, "auth_failed"),
            ("auth", 454, "provider_limit"),
            ("rcpt", 550, "provider_limit"),
            ("dot", 421, "provider_limit"),
            ("connect", None, "unreachable"),
            ("connect", 554, "unreachable"),
            ("tls", None, "unreachable"),
            ("body", None, "unreachable"),
            (None, None, "closed"),
        ],
    )
    def test_that_is_closed_tells_by_what(self, phase: str | None, code: int | None, state: str) -> None:
        box = make.a_mailbox()

        mailboxes.close(box, "in words of its own", lambda faults: HOUR, phase, code)

        assert mailbox(box).state == state
        assert state in gauges.MAILBOX_STATES

    def test_is_active_again_when_its_pause_is_over(self) -> None:
        box = make.a_mailbox()
        mailboxes.close(box, "421 later", lambda faults: HOUR, "dot")
        make.everything_older(2 * HOUR)

        assert mailbox(box).state == "active"

    def test_that_its_owner_paused_is_paused(self) -> None:
        box = make.a_mailbox()
        mailboxes.pause(box, "ola")

        assert mailbox(box).state == "paused"


class TestTheWhole:
    def test_of_nothing_is_nothing_that_happened(self) -> None:
        rules = {rule.slug: 0 for rule in invariants.RULES}

        assert gauges.read() == Gauges([], [], 0, 0, 0, True, None, rules, None)

    def test_counts_what_waits_for_a_person_and_what_waits_in_the_broker(self) -> None:
        make.in_status(Status.UNKNOWN)
        soon = make.row(make.an_email(make.now() + timedelta(minutes=5)))
        hints.mark([Hint(soon.id, soon.scheduled_at)])

        found = gauges.read()

        assert (found.unknown, found.hinted) == (1, 1)

    def test_tells_of_the_tick_of_the_arming_and_of_the_examination(self) -> None:
        at = make.now()
        Heartbeat.insert(name="tick", at=at).execute()
        email_id, _ = make.in_status(Status.SENT)
        arming.disarm("a backup was restored", "tests")
        database.execute("DELETE FROM email_content WHERE email_id = %s", (email_id,))
        findings.check_all()

        found = gauges.read()

        assert found.tick_completed_at == at
        assert not found.armed
        assert {rule for rule, count in found.violations.items() if count} == {"sent_has_its_content"}
        assert found.invariants_checked_at

    def test_takes_as_many_statements_for_many_campaigns_as_for_one(self) -> None:
        make.an_email()
        moves.cancel(make.an_email(), "a test", "tests")
        few = statements()

        for _ in range(9):
            make.an_email()
            moves.cancel(make.an_email(), "a test", "tests")

        assert statements() == few

    def test_is_read_beside_those_who_hold_every_lock(self) -> None:
        claim = make.claimed(make.an_email())

        with ThreadPoolExecutor(1) as pool, database.database.atomic():
            locks.lock_around(claim.held.email_id)
            found = pool.submit(read_beside).result(BOUND)

        assert found.campaigns[0].counts["sending"] == 1
