"""What is shown of a mailbox: from the rows that the sender obeys."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from models.email import limits, moves
from models.email.claims import Held
from models.owner import arming, campaigns, mailboxes
from models.states import Status
from models.store.tables import Mailbox
from models.views import overview
from models.views.overview import MailboxLine
from scheduling.window import warsaw_day
from tests import factories as make

pytestmark = pytest.mark.usefixtures("db")
HOUR = timedelta(hours=1)


def line_of(mailbox_id: int) -> MailboxLine:
    [line] = overview.mailboxes([mailboxes.get(mailbox_id)])
    return line


class TestWhatAMailboxHasUsed:
    def test_is_told_by_who_sent_it_and_adds_up_to_what_its_limit_counts(self) -> None:
        email_id, _ = make.in_status(Status.SENT)
        mailbox_id, today = make.row(email_id).mailbox_id, warsaw_day(make.now())
        mailboxes.record_warmup(mailbox_id, today, 7, "tests")

        line = line_of(mailbox_id)

        assert (line.used_campaign, line.used_warmup, line.used_today) == (1, 7, 8)
        assert limits.mailboxes_used([mailbox_id], today) == {mailbox_id: 8}

    def test_of_one_that_sent_nothing_is_nothing(self) -> None:
        line = line_of(make.a_mailbox())

        assert (line.used_campaign, line.used_warmup, line.used_today) == (0, 0, 0)


class TestAMailboxThatFaultsHaveClosed:
    def test_is_shown_with_the_phase_and_the_number_of_faults(self) -> None:
        email_id = make.an_email()
        held, mailbox_id = make.claimed(email_id).held, make.row(email_id).mailbox_id

        mailboxes.close_after(held, make.later(535, "no", phase="auth", scope="mailbox"), lambda faults: HOUR)

        line = line_of(mailbox_id)
        assert (line.status, line.reason, line.closed_phase, line.faults) == ("closed", "535 no", "auth", 1)

    def test_is_shown_open_when_its_pause_is_over_though_the_faults_still_count(self) -> None:
        mailbox_id = make.a_mailbox()
        mailboxes.close(mailbox_id, "421 busy", lambda faults: timedelta(0), "connect")

        line = line_of(mailbox_id)

        assert (line.status, line.reason, line.closed_phase, line.faults) == ("active", None, None, 1)

    def test_is_without_faults_after_the_next_accepted_mail(self) -> None:
        email_id = make.an_email()
        mailboxes.close(make.row(email_id).mailbox_id, "421 busy", lambda faults: timedelta(0), "connect")

        moves.accept(make.handed_over(email_id).held, make.YES)

        row = Mailbox.get()
        assert (row.faults, row.closed_phase) == (0, None)


class TestAMailboxesErrors:
    def test_are_what_its_server_last_said_instead_of_yes_the_latest_first(self) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=4)
        ids = make.planned(campaign_id, mailbox_id, *[make.now()] * 4)
        refused, deferred, silent, _ = ids
        answers: list[Callable[[Held], bool]] = [
            lambda held: moves.reject(held, make.no(550, phase="dot")),
            lambda held: moves.retry(held, make.now(), make.later(451, phase="dot")),
            lambda held: moves.doubt(held, "silence"),
            lambda held: moves.accept(held, make.YES),
        ]
        for email_id, answer in zip(ids, answers, strict=True):
            make.rested(campaign_id)
            assert answer(make.handed_over(email_id).held)

        found = [(it.email_id, it.move, it.reason, it.code) for it in line_of(mailbox_id).errors]

        assert found == [
            (silent, "doubt", "silence", None),
            (deferred, "retry", "451 later", 451),
            (refused, "reject", "550 no", 550),
        ]

    def test_are_not_what_our_own_side_took_back(self) -> None:
        email_id = make.an_email()

        moves.release(make.claimed(email_id).held, "outside the window")

        assert line_of(make.row(email_id).mailbox_id).errors == []

    def test_are_the_last_five_and_each_mailboxes_own(self) -> None:
        mailbox_id, other = make.a_mailbox(), make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id, other], leads=7)
        ids = make.planned(campaign_id, mailbox_id, *[make.now()] * 7)
        for email_id in ids:
            make.rested(campaign_id)
            moves.reject(make.claimed(email_id).held, make.no(550))

        lines = overview.mailboxes([mailboxes.get(mailbox_id), mailboxes.get(other)])

        assert [[it.email_id for it in line.errors] for line in lines] == [ids[:1:-1], []]


class TestWhyACampaignWaits:
    def test_is_its_mailbox_rather_than_the_time_that_passed_meanwhile(self) -> None:
        overdue = make.row(make.an_email(make.now() - HOUR))
        mailboxes.pause(overdue.mailbox_id, "ola")

        standing = overview.standing(campaigns.get(overdue.campaign_id))

        assert (standing.gate, str(standing)) == ("mailbox", "waiting: the mailbox is paused")

    def test_is_the_time_that_passed_where_nothing_else_holds_it_back(self) -> None:
        overdue = make.row(make.an_email(make.now() - HOUR))

        assert overview.standing(campaigns.get(overdue.campaign_id)).gate == "downtime"

    def test_is_that_nothing_may_be_sent_at_all(self) -> None:
        due = make.row(make.an_email())
        arming.disarm("the database went back in time", "tests")

        standing = overview.standing(campaigns.get(due.campaign_id))

        assert (standing.gate, standing.should_send) == ("disarmed", False)
        assert str(standing) == "waiting: the database went back in time"


def test_a_list_of_campaigns_leaves_their_letters_where_they_are() -> None:
    campaign_id = make.a_campaign([make.a_mailbox()])

    [listed] = campaigns.every()

    assert "text" not in listed.__data__
    assert (listed.name, listed.daily_limit) == (campaigns.get(campaign_id).name, 1000)
