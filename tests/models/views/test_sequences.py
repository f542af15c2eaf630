"""A campaign's sequence step by step: what was sent, how leads answered each letter, and what is held back."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from models.inbox import unread
from models.states import Status
from models.store.tables import CampaignEmailQueue, Inbox
from models.views import sequences
from scheduling import waits
from tests import factories as make
from tests.models.test_steps import OF_THE_VERSION_BEFORE, without
from tests.models.views.test_conversations import LEAD, a_sequence, answered, follow, looked, send

Q = CampaignEmailQueue
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def index(db: None) -> Iterator[None]:
    with without(OF_THE_VERSION_BEFORE):
        yield


def test_each_step_has_its_letters_by_status() -> None:
    campaign_id, mailbox_id, first = a_sequence()
    looked(mailbox_id, make.now())
    follow_up = follow(first)
    send(follow_up)
    follow(follow_up, make.now() + HOUR)

    found = sequences.steps(campaign_id)

    assert [it.step for it in found] == [1, 2, 3]
    assert [it.subject for it in found] == ["Hello {{ name }}", None, None]
    assert [it.wait for it in found] == [None, waits.parsed("1 hour"), waits.parsed("1 hour")]
    counts = [(it.counts[Status.SENT], it.counts[Status.PENDING]) for it in found]
    assert counts == [(1, 0), (1, 0), (0, 1)]
    assert [it.held for it in found] == [0, 0, 0]


def test_the_only_letter_has_all_of_its_campaigns_e_mails() -> None:
    mailbox_id = make.a_mailbox()
    campaign_id = make.a_campaign([mailbox_id], leads=2)
    make.planned(campaign_id, mailbox_id, make.now(), make.now() + HOUR)

    [only] = sequences.steps(campaign_id)

    assert {status: count for status, count in only.counts.items() if count} == {Status.PENDING: 2}


def test_an_answer_counts_for_the_letter_that_it_answers() -> None:
    campaign_id, mailbox_id, first = a_sequence()
    looked(mailbox_id, make.now())
    follow_up = follow(first)
    send(follow_up)
    answered(follow_up, make.now())
    answered(follow_up, make.now())

    found = [it.responses for it in sequences.steps(campaign_id)]

    assert [(it.replied, it.stopped) for it in found] == [(0, 0), (1, 1), (0, 0)]


@pytest.mark.parametrize(
    ("class_", "kind", "name"),
    [
        ("bounce", "address", "bounced_address"),
        ("unsubscribe", None, "unsubscribed"),
        ("complaint", None, "complained"),
    ],
)
def test_so_does_whatever_else_comes_back(class_: str, kind: str | None, name: str) -> None:
    campaign_id, _, first = a_sequence()

    answered(first, make.now(), class_, kind)

    assert [getattr(it.responses, name) for it in sequences.steps(campaign_id)] == [1, 0, 0]


def test_another_campaigns_answers_are_not_counted() -> None:
    campaign_id, mailbox_id, first = a_sequence()
    other = make.a_campaign([mailbox_id], leads=[LEAD])
    [email_id] = make.planned(other, mailbox_id, make.now())
    send(email_id)
    answered(email_id, make.now())

    assert [it.responses.replied for it in sequences.steps(campaign_id)] == [0, 0, 0]
    assert [it.responses.replied for it in sequences.steps(other)] == [1]
    assert make.row(first).status == Status.SENT


class TestAHeldLetter:
    def test_is_one_whose_lead_is_away(self) -> None:
        campaign_id, _, first = a_sequence()
        follow(first, make.now() + HOUR)

        answered(first, make.now(), "automatic")

        assert [it.held for it in sequences.steps(campaign_id)] == [0, 1, 0]
        assert [it.responses.held for it in sequences.steps(campaign_id)] == [1, 0, 0]
        assert sequences.unread() == {}

    @pytest.mark.parametrize("read", [None, timedelta(minutes=6)], ids=["never read", "read too long ago"])
    def test_is_one_that_waits_for_a_look_into_the_inbox(self, read: timedelta | None) -> None:
        campaign_id, mailbox_id, first = a_sequence()
        follow_up = follow(first)
        Q.update(scheduled_at=make.now() - timedelta(minutes=4)).where(Q.id == follow_up).execute()
        Inbox.update(read_at=read and make.now() - read).where(Inbox.mailbox == mailbox_id).execute()

        overdue = sequences.unread()
        assert unread.put_off_unread("tests") == 1

        assert overdue == sequences.unread() == {campaign_id: 1}
        assert make.row(follow_up).scheduled_at > make.now()
        assert [it.held for it in sequences.steps(campaign_id)] == [0, 1, 0]

    def test_is_none_that_is_due_this_moment_or_whose_inbox_is_read(self) -> None:
        campaign_id, mailbox_id, first = a_sequence()
        follow_up = follow(first)
        assert sequences.unread() == {}

        Q.update(scheduled_at=make.now() - timedelta(minutes=4)).where(Q.id == follow_up).execute()
        looked(mailbox_id, make.now())

        assert sequences.unread() == {}
        assert [it.held for it in sequences.steps(campaign_id)] == [0, 0, 0]
