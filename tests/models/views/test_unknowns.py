"""The e-mails that wait for a person."""

from collections.abc import Callable
from datetime import timedelta

import pytest

import config
from models.email import moves
from models.owner import campaigns, settlement
from models.owner.mailboxes import SentMail
from models.states import Status
from models.store.tables import CampaignEmailQueue
from models.views import unknowns
from tests import factories as make

pytestmark = pytest.mark.usefixtures("db")
Q = CampaignEmailQueue


def test_each_is_told_with_what_a_person_needs_to_rule_on_it() -> None:
    email_id, _ = make.in_status(Status.UNKNOWN)

    [it] = unknowns.page()

    row = make.row(email_id)
    assert it.line.id == email_id
    assert (it.since, it.reason, it.evidence_sought_at) == (row.handed_over_at, "silence", None)
    assert it.handed_over_by == str(make.WORKER)
    assert not it.mailbox_searchable
    assert not it.campaign_ended


def test_one_of_them_is_found_by_itself() -> None:
    email_id, _ = make.in_status(Status.UNKNOWN)
    settled, _ = make.in_status(Status.UNKNOWN)
    settlement.sent(settled, "she has it", "ola")

    assert [unknowns.one(email_id)] == unknowns.page()
    assert unknowns.one(settled) is None


def test_who_handed_it_over_is_the_latest_who_did() -> None:
    email_id, _ = make.in_status(Status.UNKNOWN)
    make.age(email_id, timedelta(hours=1))
    settlement.again(email_id, "she asked", "ola")
    row = make.row(email_id)
    make.rested(row.campaign_id)
    Q.update(scheduled_at=make.now()).where(Q.id == email_id).execute()
    moves.doubt(make.handed_over(email_id, make.ANOTHER_WORKER).held, "silence")

    [it] = unknowns.page()

    assert it.handed_over_by == str(make.ANOTHER_WORKER)


def test_they_come_page_by_page_and_no_other_mail_among_them() -> None:
    ids = [make.in_status(status)[0] for status in [*Status, *[Status.UNKNOWN] * 4]]
    expected = [id for id in ids if make.row(id).status == Status.UNKNOWN]

    first = unknowns.page(limit=3)
    rest = unknowns.page(after=first[-1].line.id, limit=3)

    assert [it.line.id for it in [*first, *rest]] == expected


def test_one_whose_mailbox_keeps_its_copies_in_reach_can_be_searched_for() -> None:
    where = SentMail("imap.sender.example", 993, "tls", None)
    mailbox_id = make.a_mailbox(username="ola", sent_mail=where)
    [email_id] = make.planned(make.a_campaign([mailbox_id]), mailbox_id, make.now())
    moves.doubt(make.handed_over(email_id).held, "silence")

    [it] = unknowns.page()

    assert it.mailbox_searchable


def test_the_moment_from_which_it_may_be_sent_again_is_the_one_that_the_ruling_obeys() -> None:
    email_id, _ = make.in_status(Status.UNKNOWN)
    [before] = unknowns.page()
    with pytest.raises(settlement.SettlementRefused, match="may still get"):
        settlement.again(email_id, "she asked", "ola")

    make.age(email_id, before.may_send_again_from - make.now() + timedelta(seconds=1))

    [after] = unknowns.page()
    assert after.may_send_again_from < make.now()
    assert after.may_send_again_from - after.since == timedelta(seconds=config.settings().sending.answer_lease_seconds)
    settlement.again(email_id, "she asked", "ola")
    assert unknowns.page() == []


def test_nothing_of_a_campaign_that_has_ended_can_be_sent_again() -> None:
    email_id, _ = make.in_status(Status.UNKNOWN)
    campaigns.cancel(make.row(email_id).campaign_id, "ola")

    [it] = unknowns.page()

    assert it.campaign_ended


@pytest.mark.parametrize("rule", [settlement.sent, settlement.again])
def test_a_reason_has_a_length_that_can_be_read(rule: Callable[[int, str, str], None]) -> None:
    email_id, _ = make.in_status(Status.UNKNOWN)

    with pytest.raises(settlement.SettlementRefused, match="at most 1000"):
        rule(email_id, "x" * 1001, "ola")

    settlement.sent(email_id, "x" * 1000, "ola")
    assert make.row(email_id).status == Status.SENT
