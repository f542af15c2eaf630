"""What a campaign is said to do, held against what a claim finds: at any hour, since the database's clock is set."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from models.email import batch_moves, moves
from models.email.claims import Claim
from models.owner import campaigns, mailboxes
from models.people import suppressions
from models.states import Status
from models.store import database
from models.store.tables import Campaign, CampaignEmailQueue, CampaignLead, Lead, Mailbox, Suppression
from models.views import overview
from models.views.overview import Standing
from scheduling.planner import Slot
from scheduling.window import WARSAW, Window, warsaw_day
from tests import factories as make
from tests.conftest import Override

Q = CampaignEmailQueue
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
OFFICE = Window(9 * 60, 17 * 60, frozenset(range(5)))
SetClock = Callable[[datetime], None]

PRETENDED_CLOCK = """
CREATE SCHEMA pretended;
CREATE TABLE pretended.clock (at timestamptz NOT NULL);
INSERT INTO pretended.clock VALUES (now());
CREATE FUNCTION pretended.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
    RETURN (SELECT at FROM pretended.clock);
SET search_path = pretended, pg_catalog, public
"""


@pytest.fixture
def set_clock(db: None, settings: Override) -> Iterator[SetClock]:
    """Sets the database's clock, which stands still then. This machine's own may be as far off as it likes."""
    settings(SENDING_CLOCK_TOLERANCE_SECONDS="1e9")
    database.execute(PRETENDED_CLOCK)
    yield lambda at: void(database.execute("UPDATE pretended.clock SET at = %s", (at,)))
    database.execute("SET search_path = public; DROP SCHEMA pretended CASCADE")


def void(_: object) -> None:
    return None


def warsaw(day: int, wall: str) -> datetime:
    """A day of November 2026, of which the 23rd is a Monday."""
    return datetime.fromisoformat(f"2026-11-{day:02} {wall}").replace(tzinfo=WARSAW).astimezone(UTC)


def of(campaign_id: int) -> Standing:
    return overview.standing(campaigns.get(campaign_id))


def suppress(email_id: int) -> None:
    forbid(make.row(email_id).campaign_lead.lead.address)


def forbid(address: str) -> None:
    """As the row alone does it, whatever becomes of the mails that are planned."""
    Suppression.insert(address=address, reason="asked not to be written to").execute()


class TestACampaignOutsideItsWindow:
    def test_is_not_sending_and_goes_on_with_its_next_mail(self, set_clock: SetClock) -> None:
        set_clock(warsaw(26, "17:30"))
        email_id = make.an_email(warsaw(27, "09:00"), window=OFFICE)

        it = of(make.row(email_id).campaign_id)

        assert (it.gate, it.sends, it.until) == ("window", False, warsaw(27, "09:00"))
        assert str(it) == "outside its window; continues Fri 2026-11-27 09:00:00"

    def test_goes_on_at_the_opening_where_its_mails_are_not_planned_again_yet(self, set_clock: SetClock) -> None:
        set_clock(warsaw(27, "17:30"))
        email_id = make.an_email(warsaw(27, "17:29"), window=OFFICE)

        assert of(make.row(email_id).campaign_id).until == warsaw(30, "09:00")

    def test_is_not_said_to_go_on_where_its_mailbox_is_paused_as_well(self, set_clock: SetClock) -> None:
        set_clock(warsaw(26, "17:30"))
        row = make.row(make.an_email(warsaw(27, "09:00"), window=OFFICE))
        mailboxes.pause(row.mailbox_id, "ola")

        it = of(row.campaign_id)

        assert (it.gate, it.until, it.is_stuck) == ("mailbox", None, True)

    def test_goes_on_when_its_faulty_mailbox_opens_where_that_is_later(self, set_clock: SetClock) -> None:
        set_clock(warsaw(26, "17:30"))
        row = make.row(make.an_email(warsaw(27, "09:00"), window=OFFICE))
        Mailbox.update(closed_until=warsaw(27, "11:00"), closed_reason="421 busy").execute()

        assert of(row.campaign_id).until == warsaw(27, "11:00")


class TestACampaignInsideItsWindow:
    def test_whose_next_mail_is_planned_for_another_day_is_not_sending(self, set_clock: SetClock) -> None:
        set_clock(warsaw(26, "12:00"))
        email_id = make.an_email(warsaw(27, "10:00"), window=OFFICE)

        it = of(make.row(email_id).campaign_id)

        assert (it.gate, it.sends) == ("time", False)
        assert str(it) == "the next e-mail goes out at Fri 2026-11-27 10:00:00"

    def test_over_mailboxes_that_are_all_faulty_is_not_sending_though_its_mails_wait_for_them(
        self, set_clock: SetClock
    ) -> None:
        set_clock(warsaw(26, "12:00"))
        boxes = [make.a_mailbox(), make.a_mailbox()]
        campaign_id = make.a_campaign(boxes, leads=2, window=OFFICE)
        for mailbox_id in boxes:
            make.planned(campaign_id, mailbox_id, warsaw(26, "12:04"))
            Mailbox.update(closed_until=warsaw(26, "12:04"), closed_reason="no route to host").execute()

        it = of(campaign_id)

        assert (it.gate, it.sends, it.until) == ("mailbox", False, warsaw(26, "12:04"))

    def test_sends_as_long_as_one_of_its_mailboxes_does(self, set_clock: SetClock) -> None:
        set_clock(warsaw(26, "12:00"))
        boxes = [make.a_mailbox(), make.a_mailbox()]
        campaign_id = make.a_campaign(boxes, leads=2, window=OFFICE)
        for mailbox_id in boxes:
            make.planned(campaign_id, mailbox_id, warsaw(26, "12:00"))
        mailboxes.pause(boxes[0], "ola")

        assert (of(campaign_id).gate, of(campaign_id).sends) == (None, True)

    def test_whose_first_leads_may_not_be_written_to_is_judged_by_the_next_that_may(self, set_clock: SetClock) -> None:
        set_clock(warsaw(26, "12:00"))
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=3, window=OFFICE)
        first, second, _ = make.planned(campaign_id, mailbox_id, *(warsaw(26, f"12:0{at}") for at in range(3)))
        suppress(first)
        suppress(second)

        it = of(campaign_id)

        assert (it.gate, it.sends, it.until) == ("time", True, warsaw(26, "12:02"))

    def test_that_used_up_its_day_goes_on_on_the_next_open_one(self, set_clock: SetClock) -> None:
        set_clock(warsaw(27, "12:00"))
        row = make.row(make.an_email(warsaw(27, "12:00"), window=OFFICE))
        Mailbox.update(daily_limit=30).execute()
        mailboxes.record_warmup(row.mailbox_id, warsaw_day(warsaw(27, "12:00")), 41, "tests")

        it = of(row.campaign_id)

        assert (it.gate, it.sends, it.until) == ("limit", False, warsaw(30, "09:00"))
        [line] = overview.mailboxes(mailboxes.every())
        assert str(line.sends_nothing) == "sends no more today: 41 of its daily limit of 30 are used"

    def test_whose_mailbox_hands_over_a_mail_of_it_says_so(self, set_clock: SetClock) -> None:
        set_clock(warsaw(26, "12:00"))
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=2)
        first, _ = make.planned(campaign_id, mailbox_id, *[warsaw(26, "12:00")] * 2)
        make.claimed(first)

        it = of(campaign_id)

        assert (it.gate, it.sends) == ("mailbox_busy", True)
        assert str(it) == "handing over an e-mail; the next one follows"


class TestACampaignThatCannotSend:
    @pytest.mark.parametrize("planned", [False, True])
    def test_over_paused_mailboxes_says_so(self, db: None, planned: bool) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id])
        if planned:
            make.planned(campaign_id, mailbox_id, make.now())
        mailboxes.pause(mailbox_id, "ola")

        it = of(campaign_id)

        assert (it.gate, it.is_stuck) == ("mailbox", True)
        because = "the mailbox is paused" if planned else "all its mailboxes are paused"
        assert str(it) == f"waiting: {because}"

    @pytest.mark.parametrize("planned", [False, True])
    def test_over_mailboxes_whose_limit_is_0_says_so(self, db: None, planned: bool) -> None:
        mailbox_id = make.a_mailbox(daily_limit=0)
        campaign_id = make.a_campaign([mailbox_id])
        if planned:
            make.planned(campaign_id, mailbox_id, make.now())

        it = of(campaign_id)

        assert (it.gate, it.is_stuck) == ("limit", True)
        assert "daily limit" in str(it)

    def test_over_some_of_each_says_both(self, db: None) -> None:
        boxes = [make.a_mailbox(daily_limit=0), make.a_mailbox()]
        mailboxes.pause(boxes[1], "ola")

        it = of(make.a_campaign(boxes))

        assert str(it) == "waiting: all its mailboxes are paused or have a daily limit of 0"

    @pytest.mark.parametrize("planned", [False, True])
    def test_to_any_of_its_leads_says_so(self, db: None, planned: bool) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], ["anna@leads.example"])
        if planned:
            make.planned(campaign_id, mailbox_id, make.now())
        forbid("anna@leads.example")

        it = of(campaign_id)

        assert (it.gate, it.is_stuck) == ("lead", True)
        assert str(it) == "waiting: none of the remaining leads may be written to"

    def test_for_want_of_a_legal_basis_says_so(self, db: None, settings: Override) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()])
        assert of(campaign_id).gate == "unplanned"

        settings(SENDING_REQUIRE_LEGAL_BASIS="true")

        assert of(campaign_id).gate == "lead"

    def test_before_tomorrow_over_mailboxes_that_warmed_up_all_day_says_so(self, set_clock: SetClock) -> None:
        set_clock(warsaw(26, "12:00"))
        mailbox_id = make.a_mailbox(daily_limit=30)
        mailboxes.record_warmup(mailbox_id, warsaw_day(warsaw(26, "12:00")), 30, "tests")

        it = of(make.a_campaign([mailbox_id], window=OFFICE))

        assert str(it) == "waiting until Fri 2026-11-27 09:00:00: today's limits of its mailboxes are used up"

    def test_is_planned_once_one_of_its_mailboxes_may_send(self, db: None) -> None:
        boxes = [make.a_mailbox(daily_limit=0), make.a_mailbox()]

        assert of(make.a_campaign(boxes)).gate == "unplanned"

    def test_is_found_also_where_a_lead_was_passed_over(self, db: None) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], ["anna@leads.example", "jan@leads.example"])
        last = CampaignLead.get(CampaignLead.position == 2)
        batch_moves.plan(
            campaign_id, [Slot(campaign_id, last.id, make.step_of(campaign_id), mailbox_id, make.now())], "tests"
        )
        forbid("jan@leads.example")

        assert of(campaign_id).gate == "unplanned"


NOT_ON_SUNDAY, IN_THE_CLOCK_CHANGE = Window(0, 1440, frozenset(range(6))), Window(120, 180, frozenset({6}))
OFFSETS = [-2 * DAY, -HOUR, -3 * MINUTE, -5 * SECOND, timedelta(0), timedelta(0), 30 * SECOND, 10 * MINUTE, HOUR, DAY]
PAST = [None, -5 * HOUR, -30 * SECOND, -SECOND]


@dataclass(frozen=True)
class AMailbox:
    is_active: bool
    limit: int
    gap: int
    warmup: int
    last_start: timedelta | None
    closed: timedelta | None


@dataclass(frozen=True)
class AMail:
    mailbox: int
    at: timedelta
    status: Status
    is_suppressed: bool
    of_another_campaign: bool


@dataclass(frozen=True)
class State:
    now: datetime
    window: Window
    delay: float
    limit: int
    last_start: timedelta | None
    is_active: bool
    needs_basis: bool
    mailboxes: list[AMailbox]
    mails: list[AMail] = field(default_factory=list)


def mostly(value: bool) -> st.SearchStrategy[bool]:
    return st.sampled_from([value] * 14 + [not value])


MAILBOXES = st.builds(
    AMailbox,
    is_active=mostly(True),
    limit=st.sampled_from([*[30] * 7, 2, 1, 0]),
    gap=st.sampled_from([0, 0, 45, 7200]),
    warmup=st.sampled_from([*[0] * 7, 1, 41]),
    last_start=st.sampled_from(PAST),
    closed=st.sampled_from([*[None] * 9, -MINUTE, 20 * SECOND, HOUR, DAY]),
)
MAILS = st.builds(
    AMail,
    mailbox=st.sampled_from([0, 1]),
    at=st.sampled_from(OFFSETS),
    status=st.sampled_from([Status.PENDING] * 6 + [Status.SENT, Status.SENDING, Status.UNKNOWN]),
    is_suppressed=mostly(False),
    of_another_campaign=mostly(False),
)
STATES = st.builds(
    State,
    now=st.datetimes(datetime(2026, 10, 24), datetime(2026, 10, 27)).map(lambda at: at.replace(tzinfo=UTC)),
    window=st.sampled_from(
        [make.ALWAYS, OFFICE, Window(0, 1440, frozenset(range(6))), Window(120, 180, frozenset({6}))]
    ),
    delay=st.sampled_from([1.0, 60.0, 3600.0]),
    limit=st.sampled_from([1000, 1000, 1000, 1000, 2, 1]),
    last_start=st.sampled_from([None, -5 * HOUR, -30 * SECOND, -30 * SECOND]),
    is_active=mostly(True),
    needs_basis=mostly(False),
    mailboxes=st.lists(MAILBOXES, min_size=2, max_size=2),
    mails=st.lists(MAILS, min_size=1, max_size=6),
)


def lay(it: State, set_clock: SetClock) -> int:
    """The rows of a state, and the id of the campaign that is asked about."""
    now = it.now.replace(microsecond=0)
    set_clock(now)
    boxes = [make.a_mailbox(daily_limit=box.limit, gap_seconds=float(box.gap)) for box in it.mailboxes]
    for mailbox_id, box in zip(boxes, it.mailboxes, strict=True):
        Mailbox.update(
            status="active" if box.is_active else "paused",
            last_start_at=None if box.last_start is None else now + box.last_start,
            closed_until=None if box.closed is None else now + box.closed,
            closed_reason=None if box.closed is None else "421 busy",
        ).where(Mailbox.id == mailbox_id).execute()
        mailboxes.record_warmup(mailbox_id, warsaw_day(now), box.warmup, "tests")
    pace: dict[str, Any] = {"window": it.window, "delay": it.delay, "limit": it.limit}
    ids = [make.a_campaign(boxes, leads=6, **pace) for _ in range(2)]
    for mail in it.mails:
        [email_id] = make.planned(ids[mail.of_another_campaign], boxes[mail.mailbox], now + mail.at)
        if mail.is_suppressed:
            suppress(email_id)
        become(email_id, mail.status, min(now, now + mail.at))
    started = None if it.last_start is None else now + it.last_start
    Campaign.update(last_start_at=started).execute()
    if not it.is_active:
        campaigns.pause(ids[0], "ola")
    if not it.needs_basis:
        Lead.update(legal_basis="consent").execute()
    return ids[0]


def become(email_id: int, status: Status, at: datetime) -> None:
    box = make.row(email_id).mailbox_id
    if status == Status.SENDING and Q.select().where(Q.mailbox == box, Q.status == "sending").exists():
        status = Status.SENT
    claimed: dict[str, Any] = {"claim_token": "00000000-0000-0000-0000-000000000000", "claimed_at": at}
    claimed |= {"worker_host": "host", "worker_pid": 1, "worker_started_at": 1.0}
    handed: dict[str, Any] = {} if status == Status.SENDING else {"handed_over_at": at}
    sent = {"sent_at": at} if status == Status.SENT else {}
    if status != Status.PENDING:
        Q.update(status=status, **claimed, **handed, **sent).where(Q.id == email_id).execute()


def may_be_claimed(email_id: int) -> bool:
    with database.database.atomic() as transaction:
        found = moves.claim(email_id, make.row(email_id).scheduled_at, make.WORKER)
        transaction.rollback()
    return isinstance(found, Claim)


def pending_of(campaign_id: int) -> list[int]:
    query = Q.select(Q.id).where(Q.campaign == campaign_id, Q.status == "pending")
    return [row.id for row in query.order_by(Q.scheduled_at, Q.id)]


class TestWhateverTheState:
    @pytest.mark.slow
    def test_sending_is_said_only_where_a_claim_succeeds_now_or_at_the_time_that_is_told(
        self, set_clock: SetClock, settings: Override
    ) -> None:
        settings(SENDING_REQUIRE_LEGAL_BASIS="true")
        seen: set[tuple[str | None, bool]] = set()

        @hypothesis_settings(max_examples=60, suppress_health_check=list(HealthCheck))
        @given(STATES)
        def holds(state: State) -> None:
            with database.database.atomic() as transaction:
                seen.add(check(state, set_clock))
                transaction.rollback()

        holds()

        assert {sends for _, sends in seen} == {True, False}
        assert len(seen) > 5


def check(state: State, set_clock: SetClock) -> tuple[str | None, bool]:
    campaign_id = lay(state, set_clock)
    it, now = of(campaign_id), state.now.replace(microsecond=0)
    pending = pending_of(campaign_id)

    assert it.sends or not str(it).startswith("sending")
    assert it.until is None or it.until > now
    if any(may_be_claimed(first) for first in firsts(pending)):
        assert (it.gate, it.sends) == (None, True)
    if it.gate in ("last", "mailbox_busy", "smtp_host") and it.sends:
        assert Q.select().where(Q.campaign == campaign_id, Q.status == "sending").exists()
    elif it.sends:
        # What is under way ends before.
        Q.update(status="sent", sent_at=now, handed_over_at=now).where(Q.status == "sending").execute()
        set_clock(it.until or now)
        assert any(map(may_be_claimed, pending))
        assert it.until is None or it.until < state.window.closing(now)
    return it.gate, it.sends


def firsts(pending: list[int]) -> list[int]:
    """Of each mailbox the first that may be sent."""
    suppressed = {row.address for row in suppressions.every()}
    found: dict[int, int] = {}
    for email_id in pending:
        row = make.row(email_id)
        if row.campaign_lead.lead.address not in suppressed and row.campaign_lead.lead.legal_basis:
            found.setdefault(row.mailbox_id, email_id)
    return list(found.values())
