"""A follow-up never goes out past an answer that may be unread: not at its claim, and not at its hand-over."""

from datetime import timedelta
from typing import Any

import pytest

from actors.deliver import act_on_closed_gate
from actors.plan import replan
from intake import edits
from models.email import batch_moves, moves
from models.email.batch_moves import FollowUpSlot
from models.email.claims import Claim
from models.email.gates import Closed
from models.health import invariants
from models.inbox import looks, unread
from models.inbox.looks import Look
from models.owner import campaigns, mailboxes, notices
from models.owner.campaigns import CampaignInvalid, Edit
from models.owner.mailboxes import NoInbox
from models.owner.notices import Kind
from models.store import database
from models.store.tables import CampaignEmailQueue, CampaignLead, CampaignStep, EmailHistory
from reasons import Code, Reason
from tests import factories as make
from tests.actors.test_follow_ups import send

pytestmark = pytest.mark.usefixtures("db")
Q = CampaignEmailQueue

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
READ = """
INSERT INTO inbox (mailbox_id, started_at, read_at)
VALUES (%(mailbox)s, clock_timestamp() - %(ago)s, clock_timestamp() - %(ago)s)
ON CONFLICT (mailbox_id) DO UPDATE SET started_at = excluded.started_at, read_at = excluded.read_at
"""
STOP = """
WITH came AS (
    INSERT INTO incoming (mailbox_id, folder, uidvalidity, uid, digest, received_at, class, rule, read_as, sender,
                          subject, excerpt, evidence)
    VALUES (%(mailbox)s, 'INBOX', 1, 1, 'd', clock_timestamp(), 'human', 'r', 'human', 's', 's', 'e', '{}') RETURNING id
)
INSERT INTO hold (lead_id, campaign_id, incoming_id, stops, reason)
SELECT %(lead)s, NULL, id, true, 'the lead replied' FROM came
"""


def due(*, imap: bool = True, waited: timedelta = MINUTE, **campaign: object) -> CampaignEmailQueue:
    """A follow-up whose wait has just ended, and whose time has come."""
    mailbox_id = make.a_listening_mailbox() if imap else make.a_mailbox()
    campaign_id = make.a_campaign([mailbox_id], 1, follow_ups=["1 hour"], **campaign)  # type: ignore[arg-type]
    [email_id] = make.planned(campaign_id, mailbox_id, make.now())
    send(email_id)
    second = CampaignStep.get(CampaignStep.campaign == campaign_id, CampaignStep.position == 2).id
    at = make.now() - SECOND
    slot = make.slot(make.row(email_id), at)._replace(step_id=second)
    database.execute("DROP INDEX IF EXISTS campaign_email_queue_campaign_id_campaign_lead_id")
    batch_moves.follow(campaign_id, [FollowUpSlot(email_id, slot, at - waited)], "tests")
    row: CampaignEmailQueue = Q.get(Q.predecessor == email_id)
    return row


def inbox_read(row: CampaignEmailQueue, ago: timedelta) -> None:
    database.execute(READ, {"mailbox": row.mailbox_id, "ago": ago})


def an_answer_is_read(row: CampaignEmailQueue) -> None:
    lead = CampaignLead.get_by_id(row.campaign_lead_id).lead_id
    database.execute(STOP, {"mailbox": row.mailbox_id, "lead": lead})


def claim(row: CampaignEmailQueue) -> Claim | Closed:
    return moves.claim(row.id, row.scheduled_at, make.WORKER)


def gate(row: CampaignEmailQueue) -> str:
    found = claim(row)
    assert isinstance(found, Closed)
    return found.gate


class TestTheClaim:
    def test_needs_a_look(self) -> None:
        assert gate(due()) == "inbox"

    def test_needs_one_that_began_after_the_wait(self) -> None:
        row = due(waited=MINUTE)
        inbox_read(row, 2 * MINUTE)

        assert gate(row) == "inbox"

    def test_needs_one_of_the_last_five_minutes(self) -> None:
        row = due(waited=timedelta(hours=1))
        inbox_read(row, 6 * MINUTE)

        assert gate(row) == "inbox"

    def test_by_a_recent_look_after_the_wait_says_which_it_was(self) -> None:
        row = due(waited=timedelta(hours=1))
        inbox_read(row, 2 * MINUTE)

        found = claim(row)

        assert isinstance(found, Claim)
        [(read_at,)] = database.fetch("SELECT read_at FROM inbox")
        assert make.row(row.id).looked_at == read_at

    def test_from_a_mailbox_without_imap_needs_its_owners_word(self) -> None:
        assert gate(due(imap=False)) == "inbox"
        assert isinstance(claim(due(imap=False, follow_up_without_inbox=True)), Claim)

    def test_with_imap_looks_although_its_owner_would_send_without(self) -> None:
        assert gate(due(follow_up_without_inbox=True)) == "inbox"

    def test_after_an_answer_was_read_is_refused_for_good(self) -> None:
        row = due()
        inbox_read(row, SECOND)
        an_answer_is_read(row)

        assert gate(row) == "lead"

    def test_of_a_worker_that_does_not_know_this_rule_is_refused_by_the_database(self) -> None:
        row = due()
        values = "claim_token = gen_random_uuid(), claimed_at = now(), worker_host = 'h', worker_pid = 1"

        with pytest.raises(database.FAILURES, match="follow_up_is_not_blind"):
            database.execute(
                f"UPDATE campaign_email_queue SET status = 'sending', {values}, worker_started_at = 1 WHERE id = %s",
                (row.id,),
            )

    def test_of_a_first_email_needs_no_look(self) -> None:
        mailbox_id = make.a_listening_mailbox()
        [email_id] = make.planned(make.a_campaign([mailbox_id], follow_ups=["1 hour"]), mailbox_id, make.now())

        assert isinstance(claim(make.row(email_id)), Claim)


class TestTheHandOver:
    def claimed(self) -> tuple[CampaignEmailQueue, Claim]:
        row = due(waited=timedelta(hours=1))
        inbox_read(row, 4 * MINUTE)
        found = claim(row)
        assert isinstance(found, Claim)
        return row, found

    def test_asks_again_whether_the_look_is_recent(self) -> None:
        row, held = self.claimed()
        inbox_read(row, 6 * MINUTE)

        closed = moves.hand_over(held.held, b"")

        assert closed is not None
        assert closed.gate == "inbox"

    def test_after_an_answer_that_was_read_since_the_claim_is_refused(self) -> None:
        row, held = self.claimed()
        an_answer_is_read(row)

        closed = moves.hand_over(held.held, b"")

        assert closed is not None
        assert closed.gate == "lead"

    def test_before_an_answer_that_is_read_a_moment_later_is_final(self) -> None:
        row, held = self.claimed()

        assert moves.hand_over(held.held, b"Subject: hello\r\n\r\n") is None

        an_answer_is_read(row)
        assert moves.accept(held.held, make.YES)


class TestAnInboxThatCannotBeRead:
    def overdue(self) -> CampaignEmailQueue:
        row = due(waited=timedelta(hours=1))
        make.age(row.id, unread.PATIENCE + MINUTE)
        return make.row(row.id)

    def test_puts_its_follow_ups_off_and_says_why(self) -> None:
        row = self.overdue()
        before = row.scheduled_at

        replan()

        after = make.row(row.id)
        assert after.scheduled_at > before + timedelta(minutes=50)
        last = EmailHistory.select().where(EmailHistory.email == row.id).order_by(EmailHistory.id.desc()).first()
        assert (last.move, last.reason_code) == ("replan", "inbox_not_read")

    def test_puts_nothing_off_that_may_go(self) -> None:
        row = self.overdue()
        inbox_read(row, MINUTE)

        assert unread.put_off_unread("tests") == 0

    def test_lets_a_follow_up_wait_at_its_time_for_the_look_that_was_asked_for(self) -> None:
        row = due()

        replan()

        assert make.row(row.id).scheduled_at == row.scheduled_at


class TestALook:
    def test_is_due_when_a_follow_up_is(self) -> None:
        row = due()
        inbox_read(row, 2 * MINUTE)

        assert looks.any_due()
        found = looks.claim_due()
        assert found is not None
        assert found.mailbox_id == row.mailbox_id

    def test_is_not_due_again_after_one_that_was_complete(self) -> None:
        row = due()
        inbox_read(row, 2 * MINUTE)
        found = looks.claim_due()
        assert found is not None
        looks.end(found, complete=True)

        assert not looks.any_due()

    def test_that_failed_is_not_repeated_at_once(self) -> None:
        row = due()
        inbox_read(row, 2 * MINUTE)
        found = looks.claim_due()
        assert isinstance(found, Look)
        looks.fail(found, "connect", "no")

        assert not looks.any_due()

    def test_is_not_due_before_the_wait_has_ended(self) -> None:
        row = due()
        inbox_read(row, timedelta(0))
        Q.update(wait_ends_at=make.now() + MINUTE, scheduled_at=make.now() + MINUTE).where(Q.id == row.id).execute()

        assert not looks.any_due()

    def test_is_asked_for_by_the_worker_that_finds_it_missing(self) -> None:
        row = due()
        inbox_read(row, 2 * MINUTE)
        closed = claim(row)
        assert isinstance(closed, Closed)

        act_on_closed_gate(closed, row.id, row.scheduled_at)

        assert database.fetch("SELECT asked_at IS NOT NULL FROM inbox") == [(True,)]


class TestTheDoctor:
    def handed_over(self) -> CampaignEmailQueue:
        row = due(waited=timedelta(hours=1))
        inbox_read(row, 2 * MINUTE)
        make.handed_over(row.id)
        return make.row(row.id)

    def broken(self) -> set[str]:
        return {it.rule for it in invariants.check() if not it.holds}

    def test_finds_nothing_wrong_with_an_answer_that_came_after_the_hand_over(self) -> None:
        an_answer_is_read(self.handed_over())

        assert not {it for it in self.broken() if "follow-up" in it}

    def test_finds_a_follow_up_that_was_handed_over_after_an_answer_was_read(self) -> None:
        row = self.handed_over()
        an_answer_is_read(row)
        database.execute("UPDATE hold SET created_at = created_at - interval '1 minute'")

        assert "no follow-up was handed over after its lead's answer was read" in self.broken()

    def test_finds_a_follow_up_that_went_without_a_look_after_its_wait(self) -> None:
        row = self.handed_over()
        Q.update(looked_at=row.wait_ends_at - SECOND).where(Q.id == row.id).execute()

        assert "each follow-up was sent after its wait and a look for an answer" in self.broken()


class TestAMailboxWithoutImap:
    """Nothing but a person's decision lets its follow-ups go, so nobody may bring this about unseen."""

    def test_whose_follow_up_waits_needs_a_person_although_its_time_moves(self) -> None:
        row = due(imap=False, waited=timedelta(days=7))
        make.age(row.id, unread.PATIENCE + MINUTE)
        assert unread.put_off_unread("tests") == 1

        [cause] = notices.causes()

        assert (cause.kind, cause.subject, cause.count) == (Kind.FOLLOW_UPS, row.mailbox_id, 1)
        assert cause.why == Reason(Code.NO_INBOX)
        campaigns.edit(row.campaign_id, "ola", Edit(follow_up_without_inbox=True))
        assert notices.causes() == []

    def test_needs_nobody_before_a_follow_ups_wait_has_ended(self) -> None:
        due(imap=False, waited=-MINUTE)

        assert notices.causes() == []

    @pytest.mark.parametrize("more", [{"follow_ups": ["1 day"], "follow_up_without_inbox": True}, {}])
    def test_is_added_to_a_campaign_that_may_follow_up_unseen_or_does_not_follow_up(self, more: dict[str, Any]) -> None:
        seen, unseen = make.a_listening_mailbox(), make.a_mailbox()
        campaign_id = make.a_campaign([seen], **more)

        assert campaigns.edit(campaign_id, "ola", Edit(mailbox_ids=[seen, unseen]))

    def test_is_not_added_to_a_campaign_that_follows_up(self) -> None:
        seen, unseen = make.a_listening_mailbox(), make.a_mailbox("jan@sender.example")
        campaign_id = make.a_campaign([seen], follow_ups=["1 day"])

        with pytest.raises(CampaignInvalid, match=r"nobody would see an answer to jan@sender\.example"):
            campaigns.edit(campaign_id, "ola", Edit(mailbox_ids=[seen, unseen]))

        assert mailboxes.used_by(unseen) == []

    def test_comes_not_about_while_a_campaign_follows_up_from_it(self) -> None:
        mailbox_id = make.a_listening_mailbox()
        campaign_id = make.a_campaign([mailbox_id], follow_ups=["1 day"])

        with pytest.raises(NoInbox, match=r"a follow-up of 'campaign \d+'"):
            mailboxes.edit(mailbox_id, "ola", mailboxes.Edit(sent_mail="nowhere"))

        assert mailboxes.get(mailbox_id).imap_host is not None
        campaigns.edit(campaign_id, "ola", Edit(follow_up_without_inbox=True))
        mailboxes.edit(mailbox_id, "ola", mailboxes.Edit(sent_mail="nowhere"))
        assert mailboxes.get(mailbox_id).imap_host is None

    def test_keeps_a_copy_of_an_ended_campaign_from_being_started(self) -> None:
        mailbox_id = make.a_listening_mailbox()
        campaign_id = make.a_campaign([mailbox_id], follow_ups=["1 day"])
        campaigns.cancel(campaign_id, "ola")
        mailboxes.edit(mailbox_id, "ola", mailboxes.Edit(sent_mail="nowhere"))
        copy_id = campaigns.copy(campaign_id, "Copy", "ola", with_leads=True)

        with pytest.raises(CampaignInvalid, match="nobody would see an answer"):
            edits.start(copy_id, "ola")
