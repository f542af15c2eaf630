"""What a mailbox's provider allows holds above its owner's limit: at the claim, in the plan and in the forecast."""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count

import pytest

from actors import plan as planning
from models.email import gates, moves
from models.owner import campaigns, mail_tests, mailboxes, settlement
from models.owner.mail_tests import TestMailRefused as Refused
from models.owner.mailboxes import Edit
from models.planning import plans, refusals
from models.store import tables
from models.store.tables import Campaign, CampaignEmailQueue, Mailbox
from models.views import calendars
from reasons import Code, Reason
from scheduling.window import Window, warsaw_day
from tests import factories as make
from tests.conftest import Override

pytestmark = pytest.mark.usefixtures("db")
Q = CampaignEmailQueue


def a_mailbox(host: str = "ssl0.ovh.net") -> int:
    return make.a_mailbox(smtp_host=host, daily_limit=5000)


def by_tests(box: int, emails: int, ago: timedelta) -> None:
    """So many test mails were sent from it."""
    at = make.now() - ago
    its = {"mailbox": box, "recipient": "ola@firm.example", "by": "tests", "message_id": "<x@firm.example>"}
    its |= {"started_at": at, "lease_ends_at": at, "ended_at": at, "outcome": "accepted"}
    tables.TestMail.insert_many([its] * emails).execute()


def by_a_campaign(box: int, emails: int, ago: timedelta) -> None:
    """Two of them by a campaign."""
    by_tests(box, emails - 2, ago)
    campaign_id = make.a_campaign([box], leads=2, delay=0.001)
    for email_id in make.planned(campaign_id, box, *[make.now()] * 2):
        moves.accept(make.handed_over(email_id).held, make.YES)
        make.age(email_id, ago)
        make.rested(campaign_id)


def by_repeating(box: int, emails: int, ago: timedelta) -> None:
    """A person decided that one of them be sent again, which may have arrived."""
    by_tests(box, emails - 1, ago)
    email_id = due(box)
    moves.doubt(make.handed_over(email_id).held, "silence")
    make.age(email_id, ago)
    settlement.again(email_id, "tests", "it did not arrive")
    make.rested(make.row(email_id).campaign_id)


def due(box: int) -> int:
    return make.planned(make.a_campaign([box]), box, make.now())[0]


def claim(email_id: int) -> object:
    return moves.claim(email_id, make.row(email_id).scheduled_at, make.WORKER)


MINUTES = timedelta(minutes=1)
Already = Callable[[int, int, timedelta], None]


class TestAClaim:
    @pytest.mark.parametrize("already", [by_a_campaign, by_tests, by_repeating])
    def test_waits_until_the_first_of_as_many_as_allowed_is_old_enough(self, already: Already) -> None:
        box = a_mailbox()
        already(box, 200, 56 * MINUTES)

        closed = claim(due(box))

        assert isinstance(closed, gates.Closed)
        assert (closed.gate, closed.action) == ("limit", gates.Action.WAIT)
        assert str(closed.because) == "OVHcloud takes at most 200 e-mails in 1 h from a mailbox"
        assert closed.until is not None
        assert make.now() < closed.until <= make.now() + 4 * MINUTES

    @pytest.mark.parametrize("already", [by_a_campaign, by_tests])
    def test_is_allowed_below_the_limit_and_when_those_before_are_old_enough(self, already: Already) -> None:
        box = a_mailbox()
        already(box, 199, MINUTES)
        already(box, 200, 61 * MINUTES)

        assert make.claimed(due(box))

    def test_for_long_needs_another_time_and_gets_one(self, settings: Override) -> None:
        box = a_mailbox()
        by_tests(box, 200, 10 * MINUTES)
        email_id = due(box)
        campaign_id = make.row(email_id).campaign_id

        closed = claim(email_id)
        assert isinstance(closed, gates.Closed)
        assert (closed.gate, closed.action) == ("limit", gates.Action.REPLAN)
        make.age(email_id, timedelta(seconds=1))
        assert plans.to_replan() == {campaign_id: "limit"}
        planning.replan()

        assert closed.until is not None
        assert make.row(email_id).scheduled_at >= closed.until
        assert plans.to_replan() == {}

    def test_counts_warm_up_for_limits_of_a_day_until_a_day_after_it(self) -> None:
        box = a_mailbox("smtp.gmail.com")
        mailboxes.record_warmup(box, warsaw_day(make.now()) - timedelta(days=1), 2000, "tests")

        closed = claim(due(box))

        assert isinstance(closed, gates.Closed)
        assert isinstance(closed.because, Reason)
        assert (closed.because.code, closed.because.values["span"]) == (Code.PROVIDER_LIMIT, "24 h")

    def test_is_not_limited_where_no_provider_is_known(self) -> None:
        box = make.a_mailbox(smtp_host="mail.firm.example", daily_limit=5000)
        by_tests(box, 3000, MINUTES)

        assert make.claimed(due(box))

    def test_at_its_hand_over_is_asked_again(self) -> None:
        box = a_mailbox()
        claimed = make.claimed(due(box))
        by_tests(box, 200, MINUTES)

        closed = moves.hand_over(claimed.held, b"Subject: hello\r\n\r\nDear lead")

        assert closed is not None
        assert closed.gate == "limit"


def test_another_attempt_waits_for_the_limit_too() -> None:
    box = a_mailbox()
    claimed = make.claimed(due(box))
    by_tests(box, 200, 10 * MINUTES)

    moment = refusals.retry_moment(claimed.held.email_id, make.now())

    assert moment >= tables.TestMail.get().started_at + timedelta(hours=1)


def test_a_test_mail_is_refused_at_the_limit() -> None:
    box = a_mailbox()
    by_tests(box, 200, MINUTES)

    with pytest.raises(Refused, match="OVHcloud takes at most 200 e-mails in 1 h"):
        mail_tests.begin(make.a_campaign([box]), box, "ola@firm.example", "tests")


def a_draft(box: int, leads: int, delay: float = 1.0) -> Campaign:
    """Open every day but today, so that no test depends on the time of day."""
    window = Window(540, 1020, frozenset(range(7)) - {warsaw_day(make.now()).weekday()})
    campaign_id = make.a_campaign([box], leads=leads, delay=delay, window=window, active=False, limit=5000)
    return Campaign.get_by_id(campaign_id)


def plan_everything() -> None:
    before = -1
    for _ in count():
        planning.replan()
        planning.plan_new()
        if before == (before := Q.select().count()):
            return


def planned_times() -> list[datetime]:
    return [it.scheduled_at for it in Q.select().where(Q.status == "pending").order_by(Q.scheduled_at)]


class TestAPlan:
    def test_is_what_was_foreseen_and_keeps_the_limit_over_any_time_of_its_length(self, settings: Override) -> None:
        settings(PLANNING_HORIZON_HOURS=24 * 9)
        row = a_draft(a_mailbox(), 230)

        foreseen = calendars.of(row)
        campaigns.start(row.id, "tests")
        plan_everything()

        times = planned_times()
        assert times == [it.at for it in foreseen.entries]
        assert min(later - at for at, later in zip(times, times[200:], strict=False)) == timedelta(hours=1)
        assert str(foreseen.held_by) == "held by OVHcloud, which takes at most 200 in 1 h from a mailbox"

    def test_begins_behind_what_was_sent_already(self) -> None:
        box = a_mailbox()
        by_tests(box, 200, 10 * MINUTES)
        campaign_id = make.a_campaign([box], leads=2, delay=1)

        planning.plan_new()

        first, second = planned_times()
        assert first >= tables.TestMail.get().started_at + timedelta(hours=1)
        assert (second - first).total_seconds() < 2
        assert plans.to_replan() == {}
        assert Campaign.get_by_id(campaign_id).status == "active"


class TestAMailbox:
    def test_has_the_provider_of_its_server_unless_another_is_named(self) -> None:
        box = a_mailbox("smtp.gmail.com")
        assert Mailbox.get_by_id(box).provider == "google-workspace"

        mailboxes.edit(box, "tests", Edit(smtp_host="ssl0.ovh.net"))
        assert Mailbox.get_by_id(box).provider == "ovh"

        mailboxes.edit(box, "tests", Edit(smtp_host="relay.firm.example", provider="microsoft-365"))
        mailboxes.edit(box, "tests", Edit(daily_limit=7))
        assert Mailbox.get_by_id(box).provider == "microsoft-365"

        mailboxes.edit(box, "tests", Edit(provider=""))
        assert Mailbox.get_by_id(box).provider is None

    def test_with_another_provider_is_planned_again(self) -> None:
        box = a_mailbox("relay.firm.example")
        campaign_id = make.a_campaign([box])

        mailboxes.edit(box, "tests", Edit(provider="ovh"))

        assert Campaign.get_by_id(campaign_id).replan_reason == "edited"
