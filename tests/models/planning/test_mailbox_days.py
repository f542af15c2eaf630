"""Freezes and ramps: rules for the claim, the plan and the forecast alike."""

from datetime import date, timedelta
from itertools import count

import pytest

from actors import plan as planning
from models.audit import changes
from models.email import gates, limits, moves
from models.owner import campaigns, mail_tests, mailboxes
from models.owner.mail_tests import TestMailRefused as Refused
from models.owner.mailboxes import Edit, MailboxInvalid, Ramp
from models.planning import plans
from models.store.tables import Campaign, CampaignEmailQueue, EmailHistory, Mailbox
from models.views import calendars, overview
from scheduling.window import Window, warsaw_day
from tests import factories as make
from tests.conftest import Override

pytestmark = pytest.mark.usefixtures("db")
Q = CampaignEmailQueue


def today() -> date:
    return warsaw_day(make.now())


def in_days(days: int) -> date:
    return today() + timedelta(days=days)


def a_draft(box: int, leads: int = 30) -> Campaign:
    """Open every day but today."""
    window = Window(540, 1020, frozenset(range(7)) - {today().weekday()})
    return Campaign.get_by_id(make.a_campaign([box], leads=leads, delay=600, window=window, active=False))


def plan_everything() -> None:
    before = -1
    for _ in count():
        planning.replan()
        planning.plan_new()
        if before == (before := Q.select().count()):
            return


def planned_days() -> dict[date, int]:
    found: dict[date, int] = {}
    for it in Q.select().order_by(Q.scheduled_at):
        day = warsaw_day(it.scheduled_at)
        found[day] = found.get(day, 0) + 1
    return found


def foreseen_days(row: Campaign) -> dict[date, int]:
    found = calendars.of(Campaign.get_by_id(row.id))
    return {day: sum(counts.values()) for day, counts in found.days.items()}


class TestAFreeze:
    def test_keeps_its_days_free_in_forecast_and_plan_alike(self, settings: Override) -> None:
        settings(PLANNING_HORIZON_HOURS=24 * 30)
        box = make.a_mailbox(daily_limit=10)
        row = a_draft(box)
        mailboxes.freeze(box, in_days(2), in_days(4), "ola")

        before = foreseen_days(row)
        campaigns.start(row.id, "tests")
        plan_everything()

        assert before == planned_days() == {in_days(1): 10, in_days(5): 10, in_days(6): 10}

    def test_lets_nothing_be_claimed_on_its_days(self) -> None:
        email_id = make.an_email()
        box = make.row(email_id).mailbox_id
        mailboxes.freeze(box, today(), in_days(1), "ola")

        closed = moves.claim(email_id, make.row(email_id).scheduled_at, make.WORKER)

        assert isinstance(closed, gates.Closed)
        assert (closed.gate, closed.reason) == ("mailbox", f"the mailbox is frozen to {in_days(1)}")
        assert closed.until is not None
        assert warsaw_day(closed.until) == in_days(2)

    def test_that_begins_meanwhile_stops_a_hand_over(self) -> None:
        claim = make.claimed(make.an_email())
        mailboxes.freeze(claim.mailbox_id, today(), today(), "ola")

        closed = moves.hand_over(claim.held, b"Subject: hello\r\n\r\nDear lead")

        assert closed is not None
        assert closed.gate == "mailbox"

    def test_moves_what_was_planned_for_its_days_with_a_reason(self) -> None:
        box, other = make.a_mailbox(), make.a_mailbox()
        campaign_id = make.a_campaign([box, other], leads=2)
        make.planned(campaign_id, box, *[make.now() + timedelta(days=1, minutes=it) for it in range(2)])

        mailboxes.freeze(box, today(), in_days(3), "ola")
        assert plans.to_replan() == {campaign_id: "edited"}
        planning.replan()

        assert {it.mailbox_id for it in Q.select()} == {other}
        assert {it.reason for it in EmailHistory.select() if it.move == "replan"} == {"edited"}

    def test_stops_test_mails_too_and_is_shown(self) -> None:
        row = make.row(make.an_email())
        mailboxes.freeze(row.mailbox_id, today(), today(), "ola")

        with pytest.raises(Refused, match="is frozen to"):
            mail_tests.begin(row.campaign_id, row.mailbox_id, "ola@her-own.example", "tests")
        [line] = overview.mailboxes([Mailbox.get()])
        assert str(line.sends_nothing) == f"the mailbox is frozen to {today()}"

    def test_can_be_taken_back_and_is_kept_in_the_log(self) -> None:
        email_id = make.an_email()
        box = make.row(email_id).mailbox_id
        mailboxes.freeze(box, today(), in_days(1), "ola")

        assert mailboxes.unfreeze(box, today(), "ola") == 1

        assert make.claimed(email_id)
        said = [it.sentence for it in changes.of_mailbox(box)]
        assert said[1] == f"ola froze it from {today()} to {in_days(1)}"
        assert said[0].startswith("ola took back its freezes")

    def test_that_ends_before_it_begins_is_refused(self) -> None:
        with pytest.raises(MailboxInvalid, match="must not end before it begins"):
            mailboxes.freeze(make.a_mailbox(), in_days(1), today(), "ola")


class TestARamp:
    def test_rises_after_each_day_of_sending_up_to_the_daily_limit(self, settings: Override) -> None:
        settings(PLANNING_HORIZON_HOURS=24 * 30)
        box = make.a_mailbox(daily_limit=9, ramp=Ramp(2, 3, today()))
        row = a_draft(box, leads=30)

        before = foreseen_days(row)
        campaigns.start(row.id, "tests")
        plan_everything()

        assert before == planned_days()
        assert list(before.values()) == [2, 5, 8, 9, 6]

    def test_does_not_rise_on_frozen_days(self) -> None:
        box = make.a_mailbox(daily_limit=9, ramp=Ramp(2, 3, today()))
        mailboxes.freeze(box, in_days(2), in_days(3), "ola")

        assert list(foreseen_days(a_draft(box, leads=16)).items()) == [
            (in_days(1), 2), (in_days(4), 5), (in_days(5), 8), (in_days(6), 1)
        ]  # fmt: skip

    def test_is_a_limit_of_the_claim(self) -> None:
        box = make.a_mailbox(daily_limit=9, ramp=Ramp(1, 3, today()))
        campaign_id = make.a_campaign([box], leads=2)
        first, second = make.planned(campaign_id, box, make.now(), make.now())
        moves.accept(make.handed_over(first).held, make.YES)
        make.rested(campaign_id)

        closed = moves.claim(second, make.row(second).scheduled_at, make.WORKER)

        assert isinstance(closed, gates.Closed)
        assert closed.reason == "the mailbox's daily limit of 1 is used up"

    def test_counts_the_days_on_which_it_sent_since_it_began(self) -> None:
        box = make.a_mailbox(daily_limit=100, ramp=Ramp(1, 3, in_days(-3)))
        campaign_id = make.a_campaign([box], leads=3)
        for email_id, days in zip(make.planned(campaign_id, box, *[make.now()] * 3), (1, 1, 9), strict=True):
            make.rested(campaign_id)
            moves.accept(make.handed_over(email_id).held, make.YES)
            make.age(email_id, timedelta(days=days))

        assert limits.mailboxes_on([box], today())[box].limit == 1 + 3
        mailboxes.record_warmup(box, in_days(-2), 4, "ola")
        assert limits.mailboxes_on([box], today())[box].limit == 1 + 3 + 3
        assert overview.mailboxes([Mailbox.get()])[0].daily_limit == 7

    def test_can_be_changed_and_taken_away(self) -> None:
        box = make.a_mailbox(daily_limit=9)
        campaign_id = make.a_campaign([box])

        mailboxes.edit(box, "ola", Edit(ramp=Ramp(2, 3, today())))
        assert limits.mailboxes_on([box], today())[box].limit == 2
        assert Campaign.get_by_id(campaign_id).replan_reason == "edited"
        mailboxes.edit(box, "ola", Edit(ramp="none"))
        assert limits.mailboxes_on([box], today())[box].limit == 9
        assert changes.of_mailbox(box)[0].values["ramp_from"] == [str(today()), None]
