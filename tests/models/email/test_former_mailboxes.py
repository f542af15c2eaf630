"""A mailbox that a campaign does not have any more: its follow-ups wait, end, or go on from another one."""

from datetime import datetime, timedelta

import pytest

from actors import deliver
from actors.plan import plan_follow_ups, replan
from models.audit import changes
from models.email import former_mailboxes, moves
from models.email.gates import Closed
from models.inbox import looks, unread
from models.owner import campaigns, mailboxes
from models.owner.campaigns import CampaignInvalid, Edit
from models.owner.mailboxes import SentMail
from models.planning import unplanned
from models.states import Status
from models.store.tables import CampaignEmailQueue, CampaignMailbox, EmailHistory, Inbox, Mailbox
from models.views import conversations, sequences, standings
from reasons import Code, Reason
from scheduling import waits
from tests import factories as make
from tests.actors.test_follow_ups import broken, follower_of

pytestmark = pytest.mark.usefixtures("db")
Q = CampaignEmailQueue
OLD, NEW = "old@sender.example", "new@sender.example"
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


def a_box(address: str, *, reads: bool = True) -> int:
    sent_mail = SentMail("127.0.0.1", 1, "none", None) if reads else None
    return make.a_mailbox(address, username="ola", sent_mail=sent_mail)


def send(email_id: int) -> datetime:
    make.rested(make.row(email_id).campaign_id)
    assert moves.accept(make.handed_over(email_id).held, make.YES)
    make.rested(make.row(email_id).campaign_id)
    at: datetime = make.row(email_id).sent_at
    return at


class Sequence:
    """Two leads, written to from one mailbox of two: the first's follow-up is planned, the second's is not yet."""

    def __init__(self, reads: bool = True) -> None:
        self.old, self.new = a_box(OLD, reads=reads), a_box(NEW)
        self.id = make.a_campaign([self.old, self.new], leads=2, follow_ups=["2 hours", "3 hours"])
        self.first, self.second = make.planned(self.id, self.old, make.now(), make.now())
        send(self.first)
        plan_follow_ups()
        self.planned = follower_of(self.first).id
        send(self.second)

    def remove(self, mailbox_id: int) -> None:
        its = {it.mailbox_id for it in CampaignMailbox.select().where(CampaignMailbox.campaign == self.id)}
        assert campaigns.edit(self.id, "ola", Edit(mailbox_ids=sorted(its - {mailbox_id})))

    def tick(self) -> None:
        replan()
        plan_follow_ups()
        replan()

    def decide(self, mailbox_id: int, goes_on_from: int | None) -> None:
        assert campaigns.edit(self.id, "ola", campaigns.decision(self.id, mailbox_id, goes_on_from))
        self.tick()

    @property
    def standing(self) -> standings.Standing:
        return standings.standing(campaigns.get(self.id))


@pytest.fixture
def it() -> Sequence:
    found = Sequence()
    found.remove(found.old)
    found.tick()
    return found


def come_due(it: "Sequence", email_id: int, hours: int = 4) -> None:
    """Its wait is over, and it is due now."""
    make.everything_older(hours * HOUR)
    make.rested(it.id)
    Q.update(scheduled_at=make.now()).where(Q.id == email_id).execute()


def read(*mailbox_ids: int) -> None:
    """Both inboxes were read to the end a moment ago."""
    for mailbox_id in mailbox_ids:
        Inbox.insert(mailbox=mailbox_id).on_conflict_ignore().execute()
        Inbox.update(started_at=make.now(), read_at=make.now()).where(Inbox.mailbox == mailbox_id).execute()


class TestUntilAPersonDecides:
    def test_follow_ups_wait_and_that_is_said(self, it: Sequence) -> None:
        before = make.row(it.planned)

        it.tick()

        assert Q.select().count() == 3
        assert (make.row(it.planned).mailbox_id, make.row(it.planned).scheduled_at) == (it.old, before.scheduled_at)
        [told] = former_mailboxes.waiting([it.id])
        assert (told.leads, told.is_removed, told.address) == (2, True, OLD)
        assert it.standing == standings.Standing("mailbox", Reason(Code.WAITING, because=told.why))
        assert it.standing.is_stuck
        assert campaigns.complete_finished("tests") == []
        for email_id in (it.first, it.second):
            conversation = conversations.of_email(email_id)
            assert conversation is not None
            assert (conversation.held, conversation.held_until) == (Reason(Code.MAILBOX_REMOVED), None)
            assert (conversation.next, conversation.expected_at, conversation.ended) == (None, None, None)

    def test_they_are_not_claimed(self, it: Sequence) -> None:
        come_due(it, it.planned)
        read(it.old, it.new)

        closed = moves.claim(it.planned, make.row(it.planned).scheduled_at, make.WORKER)

        assert isinstance(closed, Closed)
        assert closed.because == Reason(Code.MAILBOX_REMOVED)

    def test_they_go_on_if_the_campaign_gets_its_mailbox_back(self, it: Sequence) -> None:
        campaigns.edit(it.id, "ola", Edit(mailbox_ids=[it.old, it.new]))

        it.tick()

        assert former_mailboxes.waiting([it.id]) == []
        assert {row.mailbox_id for row in Q.select()} == {it.old}
        assert Q.select().count() == 4

    def test_a_paused_mailbox_is_told_of_as_paused(self) -> None:
        it = Sequence()
        mailboxes.pause(it.old, "ola")

        it.tick()

        [told] = former_mailboxes.waiting([it.id])
        assert (told.leads, told.is_removed) == (2, False)
        conversation = conversations.of_email(it.second)
        assert conversation is not None
        assert conversation.held == Reason(Code.MAILBOX_STATUS, status="paused")


class TestASequenceThatIsEnded:
    def test_gets_no_further_letters_and_its_campaign_is_complete(self, it: Sequence) -> None:
        it.decide(it.old, None)

        ended = Reason(Code.ENDED_WITH_MAILBOX)
        assert (make.row(it.planned).status, make.row(it.planned).error) == (Status.CANCELLED, str(ended))
        assert Q.select().count() == 3
        assert [conversations.of_email(each).ended for each in (it.first, it.second)] == [ended, ended]  # type: ignore[union-attr]
        assert former_mailboxes.waiting([it.id]) == []
        assert campaigns.complete_finished("tests") == [it.id]
        assert changes.of_campaign(it.id)[1].values == {f"follow_ups_of {OLD}": [OLD, None]}
        assert broken() == []

    def test_is_not_asked_to_go_on(self, it: Sequence) -> None:
        assert unplanned.follow_ups([it.id])

        it.decide(it.old, None)

        assert unplanned.follow_ups([it.id]) == []

    def test_ends_for_a_letter_too_that_is_settled_as_sent_later(self) -> None:
        it = Sequence()
        extra = make.a_campaign([it.old, it.new], follow_ups=["2 hours"])
        [email_id] = make.planned(extra, it.old, make.now())
        make.rested(extra)
        moves.doubt(make.handed_over(email_id).held, "silence")
        campaigns.edit(extra, "ola", campaigns.decision(extra, it.old, None))

        moves.settle_as_sent(email_id, "she has it", "ola")
        it.tick()

        assert not Q.select().where(Q.predecessor == email_id).exists()
        assert campaigns.complete_finished("tests") == [extra]

    def test_ends_for_a_letter_that_was_being_sent_and_was_not(self, it: Sequence) -> None:
        campaigns.edit(it.id, "ola", Edit(mailbox_ids=[it.old, it.new]))
        come_due(it, it.planned)
        read(it.old, it.new)
        claim = make.claimed(it.planned)
        campaigns.edit(it.id, "ola", campaigns.decision(it.id, it.old, None))
        assert make.row(it.planned).status == Status.SENDING

        moves.release(claim.held, "not sent")
        it.tick()

        assert make.row(it.planned).status == Status.CANCELLED

    def test_of_the_other_mailbox_goes_on(self) -> None:
        it = Sequence()
        campaign_id = make.a_campaign([it.old, it.new], leads=2, follow_ups=["2 hours"])
        [lost], [kept] = (make.planned(campaign_id, box, make.now()) for box in (it.old, it.new))
        send(lost)
        send(kept)

        campaigns.edit(campaign_id, "ola", campaigns.decision(campaign_id, it.old, None))
        it.tick()

        assert follower_of(kept).status == Status.PENDING
        assert not Q.select().where(Q.predecessor == lost).exists()


class TestASequenceThatGoesOnFromAnotherMailbox:
    def test_is_planned_there_and_says_why(self, it: Sequence) -> None:
        it.decide(it.old, it.new)

        later = follower_of(it.second)
        assert (make.row(it.planned).mailbox_id, later.mailbox_id) == (it.new, it.new)
        assert later.scheduled_at >= waits.parsed("2 hours").ends(make.row(it.second).sent_at)
        history = EmailHistory.select().where(EmailHistory.email == it.planned).order_by(EmailHistory.id)
        assert [(row.move, row.reason_code) for row in history] == [("plan", None), ("replan", "mailbox")]
        assert former_mailboxes.waiting([it.id]) == []
        assert conversations.of_email(it.second).next is not None  # type: ignore[union-attr]
        assert broken() == []

    def test_begins_a_thread_which_the_letters_after_it_continue(self, it: Sequence) -> None:
        it.decide(it.old, it.new)
        come_due(it, it.planned)
        read(it.old, it.new)

        claim = make.claimed(it.planned)
        content = deliver.compose(claim)

        assert isinstance(content, bytes)
        assert b'From: "Ola" <new@sender.example>' in content
        assert b"\r\nSubject: Hello Lead lead1" in content
        assert b"In-Reply-To" not in content
        own = make.row(it.planned).message_id.removeprefix("<").encode()
        assert b"References: <thread." + own in content
        assert make.row(it.first).message_id.encode() not in content

        assert moves.hand_over(claim.held, content) is None
        assert moves.accept(claim.held, make.YES)
        it.tick()
        third = follower_of(it.planned)
        assert third.mailbox_id == it.new
        come_due(it, third.id)
        read(it.old, it.new)
        answer = deliver.compose(make.claimed(third.id))
        assert isinstance(answer, bytes)
        assert b"\r\nSubject: Re: Hello Lead lead1" in answer
        assert b"In-Reply-To: " + make.row(it.planned).message_id.encode() in answer
        assert make.row(it.first).message_id.encode() not in answer

    def test_waits_for_a_look_into_the_inbox_where_its_lead_would_answer(self, it: Sequence) -> None:
        it.decide(it.old, it.new)
        come_due(it, it.planned)
        read(it.new)
        Q.update(scheduled_at=make.now() - timedelta(minutes=4)).where(Q.id == it.planned).execute()

        closed = moves.claim(it.planned, make.row(it.planned).scheduled_at, make.WORKER)
        assert isinstance(closed, Closed)
        assert closed.gate == "inbox"
        assert looks.any_due()
        assert sequences.unread() == {it.id: 2}

        assert unread.put_off_unread("tests") == 2
        assert make.row(it.planned).scheduled_at > make.now()
        Q.update(scheduled_at=make.now()).where(Q.id == it.planned).execute()
        read(it.old)
        assert sequences.unread() == {}
        assert make.claimed(it.planned)

    def test_needs_no_look_into_an_inbox_whose_settings_were_removed(self, it: Sequence) -> None:
        it.decide(it.old, it.new)
        come_due(it, it.planned)
        read(it.new)
        Mailbox.update(imap_host=None, imap_port=None, imap_security=None).where(Mailbox.id == it.old).execute()

        assert make.claimed(it.planned)

    def test_follows_a_second_decision_with_its_successor(self, it: Sequence) -> None:
        last = a_box("last@sender.example")
        campaigns.edit(it.id, "ola", Edit(mailbox_ids=[it.new, last]))
        it.decide(it.old, it.new)
        it.remove(it.new)
        [told] = former_mailboxes.waiting([it.id])
        assert (told.address, told.leads) == (NEW, 2)

        it.decide(it.new, last)

        assert {make.row(it.planned).mailbox_id, follower_of(it.second).mailbox_id} == {last}
        assert broken() == []

    def test_takes_a_mailbox_from_the_campaign_that_it_still_has_and_adds_the_other(self) -> None:
        it = Sequence()
        other = a_box("last@sender.example")
        mailboxes.pause(it.old, "ola")

        it.decide(it.old, other)

        assert {row.mailbox_id for row in CampaignMailbox.select().where(CampaignMailbox.campaign == it.id)} == {
            it.new,
            other,
        }
        assert make.row(it.planned).mailbox_id == other


class TestADecision:
    def test_about_another_campaigns_mailbox_is_refused(self, it: Sequence) -> None:
        stranger = a_box("stranger@sender.example")
        with pytest.raises(CampaignInvalid, match="sent nothing for"):
            campaigns.edit(it.id, "ola", campaigns.decision(it.id, stranger, it.new))

    def test_for_a_mailbox_without_an_inbox_is_refused(self, it: Sequence) -> None:
        deaf = a_box("deaf@sender.example", reads=False)
        with pytest.raises(CampaignInvalid, match="nobody would see an answer to deaf@"):
            campaigns.edit(it.id, "ola", campaigns.decision(it.id, it.old, deaf))

    def test_that_leaves_no_mailbox_is_refused(self) -> None:
        box = a_box(OLD)
        campaign_id = make.a_campaign([box], follow_ups=["2 hours"])
        with pytest.raises(CampaignInvalid, match="needs a mailbox"):
            campaigns.edit(campaign_id, "ola", campaigns.decision(campaign_id, box, None))
