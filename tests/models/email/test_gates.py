"""The gates between a planned e-mail and its sending, asked of real rows at the moment of the claim."""

import threading
from datetime import timedelta

import pytest

import clock
import config
from models.email import facts, gates, limits, locks, moves
from models.email.claims import Claim
from models.email.gates import Action, Closed
from models.owner import campaigns, mailboxes
from models.store import database
from models.store.tables import Campaign, EmailHistory, Mailbox, Suppression
from scheduling.window import WARSAW, Window, warsaw_day
from tests import factories as make
from tests import servers
from tests.conftest import Override
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("db")


def ask(email_id: int) -> Closed:
    closed = moves.claim(email_id, make.row(email_id).scheduled_at, make.WORKER)
    assert isinstance(closed, Closed), "every gate was open"
    return closed


def closed_now() -> Window:
    """A window on other days than today's and tomorrow's, so that it cannot open while a test runs."""
    today = make.now().astimezone(WARSAW).weekday()
    return Window(0, 1440, frozenset({(today + 3) % 7}))


class TestTime:
    def test_before_its_time_it_waits_until_then(self) -> None:
        at = make.now() + timedelta(minutes=5)

        closed = ask(make.an_email(at))

        assert (closed.gate, closed.action, closed.until) == ("time", Action.WAIT, at)

    def test_a_little_late_it_still_goes(self) -> None:
        email_id = make.an_email(make.now() - timedelta(seconds=200), delay=1)

        assert isinstance(make.claimed(email_id), Claim)

    def test_later_than_the_tolerance_it_is_planned_again(self) -> None:
        closed = ask(make.an_email(make.now() - timedelta(seconds=301), delay=1))

        assert (closed.gate, closed.action) == ("downtime", Action.REPLAN)

    def test_a_slow_campaign_tolerates_two_of_its_delays(self) -> None:
        email_id = make.an_email(make.now() - timedelta(seconds=1100), delay=600)

        assert isinstance(make.claimed(email_id), Claim)


class TestTheWorkersClock:
    @pytest.mark.parametrize("seconds", [2, -2])
    def test_two_seconds_off_the_databases_it_claims_nothing(self, seconds: int) -> None:
        seen = facts.read(make.an_email(), machine=lambda: clock.now() + timedelta(seconds=seconds))

        closed = gates.workers_clock_agrees(seen, config.settings().sending)

        assert closed is not None
        assert "clock is" in closed.reason

    def test_whatever_day_it_says_it_is_the_databases_that_is_counted(self) -> None:
        """Asked at what would be its midnight, and in the middle of a lock wait, too."""
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=2)
        counted, asked = make.planned(campaign_id, mailbox_id, make.now(), make.now())
        moves.accept(make.handed_over(counted).held, make.YES)

        tomorrow = facts.read(asked, machine=lambda: clock.now() + timedelta(days=1))
        yesterday = facts.read(asked, machine=lambda: clock.now() - timedelta(days=1))

        assert [(seen.campaign_used, seen.mailbox_used) for seen in (yesterday, tomorrow)] == [(1, 1)] * 2

    def test_its_own_agrees(self) -> None:
        seen = facts.read(make.an_email())

        assert gates.workers_clock_agrees(seen, config.settings().sending) is None


class TestTheCampaign:
    @pytest.mark.parametrize("status", ["draft", "paused", "completed", "cancelled"])
    def test_only_an_active_one_sends(self, status: str) -> None:
        email_id = make.an_email()
        Campaign.update(status=status).execute()

        closed = ask(email_id)

        assert (closed.gate, closed.action) == ("campaign", Action.DROP)

    def test_a_closed_window_holds_mail_back_until_it_opens(self) -> None:
        window = closed_now()

        closed = ask(make.an_email(window=window))

        assert (closed.gate, closed.action) == ("window", Action.REPLAN)
        assert closed.until is not None
        assert window.is_open(closed.until)

    def test_two_starts_keep_at_least_four_fifths_of_the_delay_apart(self) -> None:
        first_box, second_box = make.a_mailbox(), make.a_mailbox()
        campaign_id = make.a_campaign([first_box, second_box], leads=2, delay=100)
        [first] = make.planned(campaign_id, first_box, make.now())
        [second] = make.planned(campaign_id, second_box, make.now())
        started = make.claimed(first).started_at

        closed = ask(second)

        assert (closed.gate, closed.action, closed.until) == ("pace", Action.WAIT, started + timedelta(seconds=80))


class TestTheMailbox:
    def test_while_it_sends_another_mail_this_one_waits(self) -> None:
        mailbox_id = make.a_mailbox()
        first, second = (make.a_campaign([mailbox_id]) for _ in range(2))
        [sending], [waiting] = (make.planned(campaign, mailbox_id, make.now()) for campaign in (first, second))
        make.claimed(sending)

        closed = ask(waiting)

        assert (closed.gate, closed.action) == ("mailbox_busy", Action.WAIT)

    def test_it_keeps_its_gap_between_two_starts_over_all_campaigns(self) -> None:
        mailbox_id = make.a_mailbox(gap_seconds=60.0)
        first, second = (make.a_campaign([mailbox_id]) for _ in range(2))
        [sent], [waiting] = (make.planned(campaign, mailbox_id, make.now()) for campaign in (first, second))
        claim = make.handed_over(sent)
        moves.accept(claim.held, make.YES)

        closed = ask(waiting)

        assert closed.gate == "mailbox_gap"
        assert closed.until == claim.started_at + timedelta(seconds=60)

    def test_a_paused_one_sends_nothing(self) -> None:
        email_id = make.an_email()
        mailboxes.pause(make.row(email_id).mailbox_id, "tests")

        closed = ask(email_id)

        assert (closed.gate, closed.action) == ("mailbox", Action.REPLAN)

    def test_one_closed_after_faults_says_why_and_until_when(self) -> None:
        email_id = make.an_email()
        until = mailboxes.close(
            make.row(email_id).mailbox_id, "535 wrong password", lambda faults: timedelta(minutes=5)
        )

        closed = ask(email_id)

        assert closed.gate == "mailbox"
        assert closed.until is not None
        assert abs(closed.until - until) < timedelta(milliseconds=1)
        assert "535 wrong password" in closed.reason

    def test_an_accepted_mail_forgets_its_faults(self) -> None:
        email_id = make.an_email()
        mailbox_id = make.row(email_id).mailbox_id
        mailboxes.close(mailbox_id, "421 busy", lambda faults: timedelta(0))
        claim = make.handed_over(email_id)

        moves.accept(claim.held, make.YES)

        row = Mailbox.get_by_id(mailbox_id)
        assert (row.faults, row.closed_until, row.closed_reason) == (0, None, None)

    def test_a_stalled_provider_does_not_take_every_worker(self, settings: Override) -> None:
        settings(SENDING_SMTP_HOST_CONCURRENCY=2)
        ids = [make.an_email() for _ in range(3)]
        make.claimed(ids[0])
        make.claimed(ids[1])

        closed = ask(ids[2])

        assert (closed.gate, closed.action) == ("smtp_host", Action.WAIT)


class TestTheLead:
    def test_a_suppressed_one_is_never_written_to(self) -> None:
        email_id = make.an_email(leads=["anna@leads.example"])
        # Not yet noticed by anything that would cancel the mail.
        Suppression.insert(address="anna@leads.example", reason="she asked us to").execute()

        closed = ask(email_id)

        assert closed.action is Action.CANCEL
        assert "she asked us to" in closed.reason

    def test_without_a_legal_basis_it_is_not_written_to_where_one_is_required(self, settings: Override) -> None:
        settings(SENDING_REQUIRE_LEGAL_BASIS="true")

        assert ask(make.an_email()).action is Action.CANCEL


class TestLimits:
    def test_the_campaigns_limit_of_a_day_holds(self) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=3, limit=2)
        ids = make.planned(campaign_id, mailbox_id, *[make.now()] * 3)
        self.send(*ids[:2])

        assert ask(ids[2]).gate == "limit"

    def test_the_mailboxes_limit_of_a_day_holds_over_all_campaigns(self) -> None:
        mailbox_id = make.a_mailbox(daily_limit=2)
        campaign_ids = [make.a_campaign([mailbox_id]) for _ in range(3)]
        ids = [make.planned(campaign, mailbox_id, make.now())[0] for campaign in campaign_ids]
        self.send(*ids[:2])

        assert ask(ids[2]).gate == "limit"

    def test_recorded_warm_up_mails_count(self) -> None:
        mailbox_id = make.a_mailbox(daily_limit=5)
        campaign_id = make.a_campaign([mailbox_id])
        [email_id] = make.planned(campaign_id, mailbox_id, make.now())

        mailboxes.record_warmup(mailbox_id, warsaw_day(make.now()), 5, "tests")

        assert ask(email_id).gate == "limit"

    def test_saying_the_warm_up_of_a_day_twice_does_not_double_it(self) -> None:
        mailbox_id, today = make.a_mailbox(), warsaw_day(make.now())

        mailboxes.record_warmup(mailbox_id, today, 5, "tests")
        mailboxes.record_warmup(mailbox_id, today, 5, "tests")

        assert limits.mailboxes_used([mailbox_id], today) == {mailbox_id: 5}

    def test_an_unknown_counts_and_a_failed_or_returned_mail_does_not(self) -> None:
        today = warsaw_day(make.now())
        unknown, failed, returned = (make.handed_over(make.an_email()) for _ in range(3))
        moves.doubt(unknown.held, "silence")
        moves.reject(failed.held, make.no(554))
        moves.retry(returned.held, make.now(), make.later(451))

        ids = [claim.mailbox_id for claim in (unknown, failed, returned)]

        assert limits.mailboxes_used(ids, today) == {unknown.mailbox_id: 1}

    def test_yesterdays_mails_do_not_count(self) -> None:
        claim = make.handed_over(make.an_email())
        moves.accept(claim.held, make.YES)
        make.age(claim.held.email_id, timedelta(days=1))

        assert limits.mailboxes_used([claim.mailbox_id], warsaw_day(make.now())) == {}
        assert limits.mailboxes_used([claim.mailbox_id], warsaw_day(make.now() - timedelta(days=1)))

    def test_a_mail_sent_again_by_a_persons_ruling_counts_twice(self) -> None:
        claim = make.handed_over(make.an_email())
        moves.doubt(claim.held, "silence")
        moves.settle_to_send_again(claim.held.email_id, make.now(), "not in Sent", "tests")
        make.rested(claim.campaign_id)
        make.handed_over(claim.held.email_id)

        today = warsaw_day(make.now())

        assert limits.mailboxes_used([claim.mailbox_id], today) == {claim.mailbox_id: 2}
        assert limits.campaigns_used([claim.campaign_id], today) == {claim.campaign_id: 2}
        assert EmailHistory.select().where(EmailHistory.handed_over_at.is_null(False)).count() == 1

    def test_a_claim_counts_its_own_campaigns_and_its_own_mailboxes_alone(self) -> None:
        """As a page does, which counts all of them together."""
        boxes, today = [make.a_mailbox() for _ in range(2)], warsaw_day(make.now())
        asked: dict[int, int] = {}
        for number, box in enumerate(boxes, start=1):
            campaign_id = make.a_campaign([box], leads=number + 2, delay=0.001)
            *sent, asked[campaign_id] = make.planned(campaign_id, box, *[make.now()] * (number + 2))
            for email_id in sent:
                claim = make.handed_over(email_id)
                moves.doubt(claim.held, "silence")
                moves.settle_to_send_again(email_id, make.now(), "not in Sent", "tests")
                make.rested(campaign_id)
            mailboxes.record_warmup(box, today, number * 100, "tests")

        for campaign_id, email_id in asked.items():
            seen = facts.read(email_id)
            assert seen.campaign_used == limits.campaigns_used([campaign_id], today)[campaign_id]
            assert seen.mailbox_used == limits.mailboxes_used([seen.mailbox_id], today)[seen.mailbox_id]
        assert sorted(limits.mailboxes_used(boxes, today).values()) == [102, 203]

    def test_a_claim_that_waited_for_a_lock_counts_what_happened_meanwhile(self) -> None:
        """One statement that locks and counts would count with its snapshot from before the wait."""
        mailbox_id = make.a_mailbox(daily_limit=1)
        first, second = (make.a_campaign([mailbox_id]) for _ in range(2))
        [winner], [waiter] = (make.planned(campaign, mailbox_id, make.now()) for campaign in (first, second))
        results: list[Claim | Closed] = []

        def wait_for_the_lock() -> None:
            results.append(moves.claim(waiter, make.row(waiter).scheduled_at, make.ANOTHER_WORKER))
            database.close()

        thread = threading.Thread(target=wait_for_the_lock)
        with database.database.atomic():
            locks.lock_mailboxes([mailbox_id])
            thread.start()
            self.until_somebody_waits()
            claim = make.handed_over(winner)
            moves.accept(claim.held, make.YES)
        thread.join()

        assert isinstance(results[0], Closed)
        assert results[0].gate == "limit"

    def send(self, *ids: int) -> None:
        for email_id in ids:
            claim = make.handed_over(email_id)
            moves.accept(claim.held, make.YES)
            make.rested(claim.campaign_id)

    def until_somebody_waits(self) -> None:
        until(servers.lock_waits, "somebody to wait for a lock")


def test_pausing_takes_the_campaigns_lock_so_that_no_claim_passes_it() -> None:
    email_id = make.an_email()

    campaigns.pause(make.row(email_id).campaign_id, "tests")

    assert ask(email_id).gate == "campaign"
