"""Claims whose worker does not report any more, and what a person may rule on."""

import threading
from datetime import timedelta

import pytest

from models.email import hints, stuck
from models.owner import campaigns, settlement
from models.states import Status
from models.store import database
from models.store.tables import Campaign, CampaignEmailQueue
from tests import factories as make
from tests.waiting import BOUND, until

pytestmark = pytest.mark.usefixtures("db")
Q = CampaignEmailQueue


class TestExpiredLeases:
    def test_a_claim_without_a_hand_over_goes_back_to_pending(self) -> None:
        claim = make.claimed(make.an_email())
        make.age(claim.held.email_id, timedelta(seconds=301))

        assert stuck.settle_expired("tests") == 1
        assert make.row(claim.held.email_id).status == Status.PENDING

    def test_a_hand_over_without_an_answer_becomes_unknown_and_keeps_its_token(self) -> None:
        claim = make.handed_over(make.an_email())
        make.age(claim.held.email_id, timedelta(seconds=901))

        assert stuck.settle_expired("tests") == 1
        row = make.row(claim.held.email_id)
        assert (row.status, row.claim_token) == (Status.UNKNOWN, claim.held.token)

    def test_within_its_lease_nobody_interferes(self) -> None:
        claimed, handed_over = make.claimed(make.an_email()), make.handed_over(make.an_email())
        make.age(claimed.held.email_id, timedelta(seconds=290))
        make.age(handed_over.held.email_id, timedelta(seconds=890))

        assert stuck.settle_expired("tests") == 0


class TestDeadProcesses:
    def test_what_they_held_is_ruled_on_at_once_by_how_far_it_got(self) -> None:
        claimed, handed_over = make.claimed(make.an_email()), make.handed_over(make.an_email())

        stuck.settle_dead(make.WORKER.host, lambda worker: False, "tests")

        assert make.row(claimed.held.email_id).status == Status.PENDING
        assert make.row(handed_over.held.email_id).status == Status.UNKNOWN

    def test_another_hosts_and_the_livings_are_left_alone(self) -> None:
        mine, others = make.claimed(make.an_email()), make.claimed(make.an_email(), make.ANOTHER_WORKER)

        stuck.settle_dead(make.WORKER.host, lambda worker: worker == make.WORKER, "tests")

        assert {make.row(claim.held.email_id).status for claim in (mine, others)} == {Status.SENDING}


class TestAPersonsDecision:
    def test_sent_ends_it(self) -> None:
        email_id, _ = make.in_status(Status.UNKNOWN)

        settlement.sent(email_id, "seen in the Sent folder", "ola")

        assert make.row(email_id).status == Status.SENT

    def test_again_makes_it_pending_under_no_token(self) -> None:
        email_id, _ = make.in_status(Status.UNKNOWN)
        make.age(email_id, timedelta(seconds=901))

        settlement.again(email_id, "the provider lost it", "ola")

        row = make.row(email_id)
        assert (row.status, row.claim_token) == (Status.PENDING, None)

    def test_again_is_refused_while_its_worker_may_still_be_answered(self) -> None:
        email_id, _ = make.in_status(Status.UNKNOWN)

        with pytest.raises(settlement.SettlementRefused, match="may still get"):
            settlement.again(email_id, "impatience", "ola")

    def test_again_is_refused_after_its_campaign_has_ended(self) -> None:
        email_id, _ = make.in_status(Status.UNKNOWN)
        make.age(email_id, timedelta(seconds=901))
        Campaign.update(status="cancelled").execute()

        with pytest.raises(settlement.SettlementRefused, match="has ended"):
            settlement.again(email_id, "no", "ola")

    @pytest.mark.parametrize("status", [status for status in Status if status is not Status.UNKNOWN])
    def test_only_an_unknown_can_be_ruled_on(self, status: Status) -> None:
        email_id, _ = make.in_status(status)

        with pytest.raises(settlement.SettlementRefused, match="only an unknown"):
            settlement.sent(email_id, "a mistake", "ola")

    def test_it_needs_a_reason(self) -> None:
        email_id, _ = make.in_status(Status.UNKNOWN)

        with pytest.raises(settlement.SettlementRefused, match="reason"):
            settlement.sent(email_id, " ", "ola")


class TestNotifications:
    def test_one_that_listens_hears_who_notifies_from_another_connection(self) -> None:
        heard = threading.Event()

        def listen() -> None:
            next(database.notifications("a_channel"))
            heard.set()
            database.close()

        thread = threading.Thread(target=listen)
        thread.start()
        listener = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND query = 'LISTEN a_channel'"
        until(lambda: database.fetch(listener), "the listener")

        database.notify("a_channel")

        assert heard.wait(BOUND)
        thread.join()


class TestHints:
    def test_what_is_due_soon_needs_one_until_it_is_marked(self) -> None:
        soon = make.an_email(make.now() + timedelta(minutes=14))
        make.an_email(make.now() + timedelta(minutes=16))

        due = hints.due()
        hints.mark(due)

        assert [hint.email_id for hint in due] == [soon]
        assert hints.due() == []

    def test_what_is_due_within_minutes_can_be_asked_for(self) -> None:
        overdue, soon = (make.an_email(make.now() + timedelta(minutes=minutes)) for minutes in (-2, 1))
        make.an_email(make.now() + timedelta(minutes=10))

        assert [hint.email_id for hint in hints.soon()] == [overdue, soon]
        assert [hint.email_id for hint in hints.soon([make.row(soon).campaign_id])] == [soon]

    def test_what_is_due_later_needs_none_behind_a_mail_that_is_too_late(self) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=3)
        ahead = [make.now() + timedelta(minutes=minutes) for minutes in (1, 10)]
        soon, _ = make.planned(campaign_id, mailbox_id, *ahead)
        [other] = make.planned(make.a_campaign([mailbox_id], leads=1), mailbox_id, ahead[1])
        make.planned(campaign_id, mailbox_id, make.now() - timedelta(hours=1))

        assert [hint.email_id for hint in hints.soon()] == [soon]
        assert [hint.email_id for hint in hints.due()] == [other]

    def test_a_moved_mail_needs_another(self) -> None:
        email_id = make.an_email(make.now() + timedelta(minutes=1))
        hints.mark(hints.due())
        Q.update(scheduled_at=Q.scheduled_at + timedelta(minutes=1)).execute()

        assert [hint.email_id for hint in hints.due()] == [email_id]

    def test_an_overdue_mail_is_hinted_at_again(self) -> None:
        email_id = make.an_email(make.now() - timedelta(minutes=2))
        hints.mark(hints.due())

        assert [hint.email_id for hint in hints.lost()] == [email_id]

    def test_a_paused_campaigns_mails_are_not_hinted_at(self) -> None:
        email_id = make.an_email()
        campaigns.pause(make.row(email_id).campaign_id, "tests")

        assert hints.due() == []

    def test_a_broker_that_forgets_forgets_the_marks_too(self) -> None:
        make.an_email()
        hints.mark(hints.due())

        hints.forget()

        assert len(hints.due()) == 1
