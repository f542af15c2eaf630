"""A lead's conversation: what was sent, what came back, what follows; and answers that come around each gate."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count

import pytest

import config
from models.email import batch_moves, facts, gates, moves, recipients
from models.email.batch_moves import FollowUpSlot
from models.email.claims import Claim
from models.email.gates import LOOK_LASTS, Closed
from models.inbox import incoming, looks, unread
from models.inbox.incoming import Found
from models.inbox.matching import Match
from models.owner import campaigns, mailboxes
from models.owner.mailboxes import SentMail
from models.people import suppressions
from models.states import Status
from models.store.tables import CampaignEmailQueue, CampaignLead, CampaignStep, Inbox, Incoming, Mailbox
from models.views import conversation_lines, conversations, standings
from models.views.conversations import Answer, Conversation
from reasons import Code, Reason
from scheduling.planner import Slot
from tests import factories as make
from tests.models.test_steps import OF_THE_VERSION_BEFORE, without

Q = CampaignEmailQueue
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LEAD = "anna@klient.example"
_uids = count(1)


@pytest.fixture(autouse=True)
def sequences(db: None) -> Iterator[None]:
    with without(OF_THE_VERSION_BEFORE):
        yield


def a_sequence(*, steps: int = 3) -> tuple[int, int, int]:
    """A campaign, its mailbox with IMAP settings, and a first letter that was sent yesterday."""
    sent_mail = SentMail("127.0.0.1", 1, "none", None)
    mailbox_id = make.a_mailbox(username="ola", sent_mail=sent_mail)
    campaign_id = make.a_campaign([mailbox_id], leads=[LEAD])
    [first] = make.planned(campaign_id, mailbox_id, make.now())
    for position in range(2, steps + 1):
        wait = {"wait_count": 1, "wait_unit": "hours"}
        CampaignStep.insert(campaign=campaign_id, position=position, subject=None, text="?", **wait).execute()
    send(first)
    aged(first, DAY)
    looked(mailbox_id, make.now() - 10 * HOUR)
    return campaign_id, mailbox_id, first


def follow(email_id: int, at: datetime | None = None) -> int:
    """The next letter to the same lead, due now. Its wait ended an hour ago."""
    row, due = make.row(email_id), at or make.now()
    step = (
        CampaignStep.select()
        .where(CampaignStep.campaign == row.campaign_id, CampaignStep.id > row.step_id)
        .order_by(CampaignStep.position)
        .first()
    )
    slot = Slot(row.campaign_id, row.campaign_lead_id, step.id, row.mailbox_id, due)
    assert batch_moves.follow(row.campaign_id, [FollowUpSlot(email_id, slot, due - HOUR)], "tests") == 1
    return int(Q.get(Q.predecessor == email_id).id)


def send(email_id: int) -> None:
    assert moves.accept(make.handed_over(email_id).held, make.YES)
    make.rested(make.row(email_id).campaign_id)


def aged(email_id: int, by: timedelta) -> None:
    make.age(email_id, by)
    Q.update(sent_at=Q.sent_at - by).where(Q.id == email_id).execute()


def looked(mailbox_id: int, began: datetime, *found: int) -> None:
    """A complete look into the inbox that began then. found: the messages that it read."""
    Inbox.insert(mailbox=mailbox_id).on_conflict_ignore().execute()
    Inbox.update(started_at=began, read_at=began).where(Inbox.mailbox == mailbox_id).execute()
    Incoming.update(read_at=began + SECOND).where(Incoming.id.in_(found)).execute()


def answered(email_id: int, at: datetime, class_: str = "human", kind: str | None = None) -> int:
    """An answer to this letter that came at that time is read now."""
    row = make.row(email_id)
    lead = CampaignLead.get_by_id(row.campaign_lead_id)
    uid = next(_uids)
    match = Match(row.message_id, email_id, row.campaign_id, lead.lead_id, LEAD, None)
    found = Found(
        uid=uid,
        digest=str(uid),
        received_at=at,
        class_=class_,
        kind=kind,
        status=None,
        rule="a test",
        message_id="",
        sender=LEAD,
        subject="Re: Hello",
        excerpt="Yes",
        returns_on=None,
        match=match,
        matched_by="In-Reply-To",
    )
    kept = incoming.keep(looks.cursor(row.mailbox_id, "INBOX", 1), found)
    assert kept is not None
    return kept


def conversation(email_id: int) -> Conversation:
    found = conversations.of_email(email_id)
    assert found is not None
    return found


def claim(email_id: int) -> Claim | Closed:
    return moves.claim(email_id, make.row(email_id).scheduled_at, make.WORKER)


STOPPED = Reason(Code.STOPPED, because=Reason(Code.REPLIED))


class TestAnAnswerAroundTheLook:
    """The look that allows a follow-up began ten seconds ago."""

    def test_that_came_a_second_before_it_is_read_and_nothing_follows(self) -> None:
        _, mailbox_id, first = a_sequence()
        follow_up, began = follow(first), make.now() - 10 * SECOND

        looked(mailbox_id, began, answered(first, began - SECOND))

        assert isinstance(claim(follow_up), Closed)
        assert make.row(follow_up).status == Status.CANCELLED
        told = conversation(first)
        assert told.ended == STOPPED
        assert [type(it).__name__ for it in told.events] == ["Letter", "Answer"]
        assert told.answers[0].after is None

    def test_that_came_a_second_after_it_is_told_as_read_too_late_and_ends_the_sequence(self) -> None:
        _, mailbox_id, first = a_sequence()
        follow_up, began = follow(first), make.now() - 10 * SECOND
        looked(mailbox_id, began)

        send(follow_up)
        answer = answered(first, began + SECOND)

        told = conversation(first)
        assert [it.status for it in told.letters] == [Status.SENT, Status.SENT]
        assert told.answers[0].after == told.letters[1]
        assert (told.ended, told.expected_at) == (STOPPED, None)
        assert told.answers[0].at < told.letters[1].at
        assert incoming.was_read_late(answer)


class TestAnAnswerAroundTheHandOver:
    def test_that_is_read_before_it_keeps_the_claimed_letter_back(self) -> None:
        _, mailbox_id, first = a_sequence()
        follow_up = follow(first)
        looked(mailbox_id, make.now() - 10 * SECOND)
        held = make.claimed(follow_up).held

        answered(first, make.now() - SECOND)

        refused = moves.hand_over(held, b"Subject: hello\r\n\r\nDear lead")
        assert refused is not None
        assert (refused.gate, refused.reason) == ("lead", str(STOPPED))
        assert moves.release(held, refused.because)
        assert recipients.cancel_stopped("tests") == 1
        assert conversation(first).letters[1].why == STOPPED

    def test_that_is_read_after_it_and_came_before_it_is_told_as_read_too_late(self) -> None:
        _, mailbox_id, first = a_sequence()
        follow_up = follow(first)
        looked(mailbox_id, make.now() - 10 * SECOND)
        claimed = make.handed_over(follow_up)
        handed_over = make.row(follow_up).handed_over_at

        answered(first, handed_over - SECOND)
        assert moves.accept(claimed.held, make.YES)

        assert conversation(first).answers[0].after == conversation(first).letters[1]

    def test_that_came_a_second_after_it_ends_the_sequence_like_any(self) -> None:
        _, mailbox_id, first = a_sequence()
        follow_up = follow(first)
        looked(mailbox_id, make.now() - 10 * SECOND)
        send(follow_up)

        answered(follow_up, make.row(follow_up).handed_over_at + SECOND)

        told = conversation(first)
        assert (told.ended, told.answers[0].after) == (STOPPED, None)
        assert type(told.events[-1]) is Answer

    def test_to_the_letter_itself_is_not_too_late_though_the_servers_clock_is_slow(self) -> None:
        _, mailbox_id, first = a_sequence()
        follow_up = follow(first)
        looked(mailbox_id, make.now() - 10 * SECOND)
        send(follow_up)

        answer = answered(follow_up, make.row(follow_up).handed_over_at - 2 * SECOND)

        assert conversation(first).answers[0].after is None
        assert not incoming.was_read_late(answer)


class TestTheLookOfAClaim:
    @pytest.mark.parametrize("gates_of", [gates.CLAIM, gates.HAND_OVER], ids=["claim", "hand-over"])
    @pytest.mark.parametrize(
        ("began", "closed"),
        [
            (-HOUR - SECOND, "inbox"),  # before the wait ended
            (-HOUR + SECOND, "inbox"),  # too long ago
            (-LOOK_LASTS - SECOND, "inbox"),
            (-LOOK_LASTS + SECOND, None),
            (-SECOND, None),
        ],
    )
    def test_begins_after_the_wait_and_is_at_most_five_minutes_old(
        self, began: timedelta, closed: str | None, gates_of: tuple[gates.Gate, ...]
    ) -> None:
        _, mailbox_id, first = a_sequence()
        follow_up = follow(first)
        due = make.row(follow_up).scheduled_at
        looked(mailbox_id, due + began)

        seen = replace(facts.read_pending([follow_up])[follow_up], now=due)

        found = gates.first_closed([it for it in gates_of if it is not gates.workers_clock_agrees], seen, rules())
        assert (found.gate if found else None) == closed

    @pytest.mark.parametrize(("began", "closed"), [(-SECOND, "inbox"), (SECOND, None)])
    def test_a_second_around_the_waits_end_decides(self, began: timedelta, closed: str | None) -> None:
        _, mailbox_id, first = a_sequence()
        follow_up = follow(first)
        ended = make.row(follow_up).wait_ends_at
        looked(mailbox_id, ended + began)

        seen = replace(facts.read_pending([follow_up])[follow_up], now=ended + 2 * SECOND)

        found = gates.no_answer_is_unread(seen, rules())
        assert (found.gate if found else None) == closed


def rules() -> config.Sending:
    return config.settings().sending


class TestAConversation:
    def test_of_a_first_letter_that_is_planned_has_it_next(self) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id])
        [email_id] = make.planned(campaign_id, mailbox_id, at := make.now() + DAY)

        told = conversation(email_id)

        assert told.next is not None
        assert (told.next.email_id, told.next.step, told.next.at) == (email_id, 1, at)
        assert (told.steps, told.events, told.ended, told.held) == (1, [], None, None)

    def test_has_an_answer_behind_its_letter_though_the_servers_time_is_of_whole_seconds(self) -> None:
        _, _, first = a_sequence()

        answered(first, make.row(first).sent_at.replace(microsecond=0) - SECOND)

        told = conversation(first)
        assert [type(it).__name__ for it in told.events] == ["Letter", "Answer"]
        assert conversation_lines.line(told).startswith("letter 1 sent ")

    def test_of_one_letter_is_over_when_it_is_sent(self) -> None:
        email_id, _ = make.in_status(Status.SENT)

        assert conversation(email_id).ended == Reason(Code.SEQUENCE_OVER)

    def test_expects_the_next_letter_when_its_wait_is_over(self) -> None:
        _, _, first = a_sequence()

        told = conversation(first)

        assert told.expected_at == make.row(first).sent_at + HOUR
        assert (told.next, told.ended) == (None, None)

    def test_waits_where_nobody_knows_whether_a_letter_was_sent(self) -> None:
        _, mailbox_id, first = a_sequence()
        follow_up = follow(first)
        looked(mailbox_id, make.now() - SECOND)
        moves.doubt(make.handed_over(follow_up).held, "silence")

        told = conversation(first)

        assert (told.next, told.expected_at, told.ended) == (None, None, None)
        assert told.letters[1].status == Status.UNKNOWN

    def test_ends_with_a_letter_that_failed_and_says_why(self) -> None:
        email_id = make.an_email()
        assert moves.reject(make.handed_over(email_id).held, make.no(550, "550 no such user"))

        assert conversation(email_id).ended is not None
        assert "no such user" in str(conversation(email_id).ended)

    def test_is_held_by_an_absence_and_says_until_when(self) -> None:
        _, _, first = a_sequence()
        follow_up = follow(first, make.now() + HOUR)

        answered(first, make.now(), "automatic")

        told = conversation(first)
        assert told.held == Reason(Code.ANSWERED_AUTOMATICALLY)
        assert told.held_until is not None
        assert told.next is not None
        assert told.next.at == make.row(follow_up).scheduled_at >= told.held_until

    def test_is_ended_by_a_suppression(self) -> None:
        _, _, first = a_sequence()

        suppressions.add(LEAD, "asked by phone", "ola")

        assert conversation(first).ended == Reason(Code.SUPPRESSED, reason="asked by phone")

    def test_is_ended_with_its_campaign(self) -> None:
        campaign_id, _, first = a_sequence()

        campaigns.cancel(campaign_id, "ola")

        assert conversation(first).ended == Reason(Code.CAMPAIGN_STATUS, status="cancelled")

    def test_is_of_each_campaign_that_the_lead_is_in(self) -> None:
        campaign_id, mailbox_id, _ = a_sequence()
        other = make.a_campaign([mailbox_id], leads=[LEAD, "jan@klient.example"])

        found = conversations.of_person(LEAD)

        assert [it.campaign_id for it in found] == [other, campaign_id]
        assert [len(it.letters) for it in found] == [0, 1]
        assert (found[0].next, found[0].ended) == (None, None)
        assert conversations.of_person("nobody@klient.example") == []


def _away(email_id: int) -> None:
    answered(email_id, make.now(), "automatic")


# What became of the last lead of a sequence -> what its campaign says, and once it is complete, if it ever is.
FATES: dict[str, tuple[Callable[[int], object], Code, Code | None]] = {
    "nothing yet": (lambda _: None, Code.TO_BE_PLANNED, None),
    "it answered": (lambda it: answered(it, make.now()), Code.NOT_FOLLOWED_UP, Code.COMPLETED_UNFOLLOWED),
    "it unsubscribed": (
        lambda it: answered(it, make.now(), "unsubscribe"),
        Code.NOT_FOLLOWED_UP,
        Code.COMPLETED_UNFOLLOWED,
    ),
    "it is suppressed": (
        lambda _: suppressions.add(LEAD, "by phone", "ola"),
        Code.NOT_FOLLOWED_UP,
        Code.COMPLETED_UNFOLLOWED,
    ),
    "it is away": (_away, Code.WAITING_UNTIL, None),
    "its answer is unclear": (lambda it: answered(it, make.now(), "unclear"), Code.WAITING, None),
    "its mailbox is paused": (lambda it: mailboxes.pause(make.row(it).mailbox_id, "ola"), Code.WAITING, None),
    "its follow-up failed": (
        lambda it: moves.reject(make.handed_over(_due(it)).held, make.no(550)),
        Code.DONE,
        Code.CAMPAIGN_STATUS,
    ),
    "its follow-up was cancelled": (
        lambda it: moves.cancel(_due(it), "a test", "ola"),
        Code.DONE,
        Code.CAMPAIGN_STATUS,
    ),
    "its follow-up was sent": (lambda it: send(_due(it)), Code.DONE, Code.CAMPAIGN_STATUS),
    "its follow-up is unknown": (
        lambda it: moves.doubt(make.handed_over(_due(it)).held, "silence"),
        Code.TO_BE_SETTLED,
        None,
    ),
}


def _due(email_id: int) -> int:
    looked(make.row(email_id).mailbox_id, make.now())
    return follow(email_id)


@pytest.mark.parametrize("fate", FATES)
def test_a_campaign_says_what_its_last_lead_waits_for_and_how_it_ended(fate: str) -> None:
    campaign_id, _, first = a_sequence(steps=2)
    happens, now, completed = FATES[fate]

    happens(first)

    before = standings.standing(campaigns.get(campaign_id))
    assert isinstance(before.why, Reason)
    assert before.why.code == now
    assert "none of the remaining leads" not in before.sentence
    assert campaigns.complete_finished("tests") == ([campaign_id] if completed else [])
    after = standings.standing(campaigns.get(campaign_id)).why
    assert after.code == (completed or now)


def test_a_campaign_of_which_nobody_may_be_written_to_says_that() -> None:
    campaign_id = make.a_campaign([make.a_mailbox()], leads=[LEAD], follow_ups=["1 day"])
    suppressions.add(LEAD, "by phone", "ola")

    assert standings.standing(campaigns.get(campaign_id)).why == Reason(
        Code.WAITING, because=Reason(Code.NO_LEADS_LEFT)
    )


@pytest.mark.parametrize("is_planned", [True, False])
def test_a_conversation_waits_while_its_campaign_is_paused(is_planned: bool) -> None:
    campaign_id, _, first = a_sequence()
    if is_planned:
        follow(first, make.now() + HOUR)
    campaigns.pause(campaign_id, "ola")

    told = conversation(first)
    assert (told.held, told.held_until) == (Reason(Code.CAMPAIGN_STATUS, status="paused"), None)
    assert conversation_lines.line(told).endswith(
        "on hold until you decide: the campaign is paused → the next letter waits"
    )
    campaigns.resume(campaign_id, "ola")
    assert conversation(first).held is None


class TestAMailboxThatLosesItsInbox:
    def test_says_so_in_the_conversation_and_as_what_its_campaign_waits_for(self) -> None:
        campaign_id, mailbox_id, first = a_sequence()
        follow_up = follow(first, make.now() - 4 * MINUTE)
        Mailbox.update(imap_host=None, imap_port=None, imap_security=None).where(Mailbox.id == mailbox_id).execute()

        assert unread.put_off_unread("tests") == 1

        told = conversation(first)
        assert told.held == Reason(Code.NO_INBOX)
        assert told.held_until == make.row(follow_up).scheduled_at
        assert told.next is not None
        standing = standings.standing(campaigns.get(campaign_id))
        assert (standing.gate, standing.is_stuck) == ("inbox", True)
        assert standing.why == Reason(Code.WAITING, because=Reason(Code.NO_INBOX))

    def test_goes_on_where_its_campaign_allows_that(self) -> None:
        campaign_id, mailbox_id, first = a_sequence()
        follow_up = follow(first)
        Mailbox.update(imap_host=None, imap_port=None, imap_security=None).where(Mailbox.id == mailbox_id).execute()
        campaigns.edit(campaign_id, "ola", campaigns.Edit(follow_up_without_inbox=True))

        send(follow_up)

        assert conversation(first).held is None

    def test_an_inbox_that_cannot_be_read_is_told_of_until_it_is(self) -> None:
        _, mailbox_id, first = a_sequence()
        follow_up = follow(first, make.now() - 4 * MINUTE)

        unread.put_off_unread("tests")

        assert isinstance(told := conversation(first).held, Reason)
        assert told.code is Code.INBOX_NOT_READ
        looked(mailbox_id, make.now())
        Q.update(scheduled_at=make.now()).where(Q.id == follow_up).execute()
        send(follow_up)
        assert conversation(first).held is None
