"""Follow-ups: planned as soon as the e-mail before them was sent, and never sent past an answer that may be unread."""

from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from actors.plan import plan_follow_ups, plan_new, replan
from models.email import batch_moves, moves
from models.email.gates import Closed
from models.health import heartbeats, invariants
from models.owner import campaigns, mailboxes, steps
from models.owner.campaigns import LaterStep
from models.people import suppressions
from models.planning import follow_ups, preview, unplanned
from models.store import database
from models.store.tables import CampaignEmailQueue, CampaignLead, CampaignStep, EmailHistory
from models.views import calendars, conversation_lines, conversations, forecast, overview
from models.views import sequences as sequence_views
from reasons import Code, Reason
from scheduling import waits
from scheduling.window import WARSAW, Window
from tests import factories as make

pytestmark = pytest.mark.usefixtures("db")
Q = CampaignEmailQueue
TO_LOOK = waits.TIME_TO_LOOK


def a_sequence(leads: int = 1, waits_for: tuple[str, ...] = ("3 days",), **campaign: object) -> tuple[int, int]:
    mailbox_id = make.a_mailbox()
    more = {"follow_up_without_inbox": True, **campaign}
    return make.a_campaign([mailbox_id], leads, follow_ups=waits_for, **more), mailbox_id  # type: ignore[arg-type]


def send(email_id: int) -> datetime:
    """When it was sent. A follow-up's wait is over then."""
    make.rested(make.row(email_id).campaign_id)
    over = make.now() - timedelta(seconds=1)
    Q.update(wait_ends_at=over).where(Q.id == email_id, Q.wait_ends_at > over).execute()
    if abs(make.row(email_id).scheduled_at - make.now()) > timedelta(minutes=1):
        batch_moves.replan(
            make.row(email_id).campaign_id, [make.slot(make.row(email_id), make.now())], "edited", "tests"
        )
    assert moves.accept(make.handed_over(email_id).held, make.YES)
    make.rested(make.row(email_id).campaign_id)
    at: datetime = make.row(email_id).sent_at
    return at


def sent_before(row: CampaignEmailQueue) -> CampaignEmailQueue:
    """The e-mail that it follows."""
    assert row.predecessor_id is not None
    return make.row(row.predecessor_id)


def follower_of(email_id: int) -> CampaignEmailQueue:
    row: CampaignEmailQueue = Q.get(Q.predecessor == email_id)
    return row


def count() -> int:
    return int(Q.select().count())


def broken() -> list[str]:
    return [it.rule for it in invariants.check() if not it.holds]


class TestAFollowUp:
    def test_has_its_time_after_the_next_tick_at_the_end_of_its_wait_on_the_same_mailbox(self) -> None:
        campaign_id, mailbox_id = a_sequence()
        [email_id] = make.planned(campaign_id, mailbox_id, make.now())
        sent_at = send(email_id)

        plan_follow_ups()

        row = follower_of(email_id)
        ends_at = waits.parsed("3 days").ends(sent_at)
        assert (row.wait_ends_at, row.scheduled_at, row.mailbox_id) == (ends_at, ends_at + TO_LOOK, mailbox_id)
        assert [it.move for it in EmailHistory.select().where(EmailHistory.email == row.id)] == ["plan"]
        assert broken() == []

    def test_is_planned_once_however_often_that_is_asked(self) -> None:
        campaign_id, mailbox_id = a_sequence(leads=2)
        for email_id in make.planned(campaign_id, mailbox_id, make.now(), make.now()):
            send(email_id)

        for _ in range(3):
            plan_follow_ups()

        assert count() == 4

    def test_has_a_message_id_that_is_known_before_it_is_planned_and_no_other_email_has(self) -> None:
        campaign_id, mailbox_id = a_sequence(leads=2)
        for email_id in make.planned(campaign_id, mailbox_id, make.now(), make.now()):
            send(email_id)
        plan_follow_ups()
        seen = {(row.campaign_lead_id, row.step_id): row.message_id for row in Q.select()}
        EmailHistory.delete().where(EmailHistory.email.in_(Q.select(Q.id).where(Q.status == "pending"))).execute()
        Q.delete().where(Q.status == "pending").execute()

        plan_follow_ups()

        assert {(row.campaign_lead_id, row.step_id): row.message_id for row in Q.select()} == seen
        assert len(set(seen.values())) == len(seen) == 4

    def test_of_a_step_is_planned_after_the_one_before_and_not_earlier(self) -> None:
        campaign_id, mailbox_id = a_sequence(waits_for=("1 day", "2 days"))
        [email_id] = make.planned(campaign_id, mailbox_id, make.now())
        send(email_id)
        plan_follow_ups()
        second = follower_of(email_id).id
        plan_follow_ups()
        assert count() == 2
        make.everything_older(timedelta(days=2))
        sent_at = send(second)

        plan_follow_ups()

        assert follower_of(second).wait_ends_at == waits.parsed("2 days").ends(sent_at)

    def test_of_two_leads_keep_the_pace_of_their_campaign(self) -> None:
        campaign_id, mailbox_id = a_sequence(leads=3, delay=3600.0)
        for email_id in make.planned(campaign_id, mailbox_id, *[make.now()] * 3):
            send(email_id)

        plan_follow_ups()

        times = [row.scheduled_at for row in Q.select().where(Q.status == "pending").order_by(Q.scheduled_at)]
        assert all(b - a >= timedelta(seconds=2880) for a, b in pairwise(times))

    def test_goes_inside_the_window_and_under_the_limit(self) -> None:
        at = make.now().astimezone()
        closed_at_the_time = Window(0, 24 * 60, frozenset({(at.weekday() + 5) % 7}))
        campaign_id, mailbox_id = a_sequence(leads=2, window=closed_at_the_time, limit=1)
        emails = make.planned(campaign_id, mailbox_id, make.now(), make.now())
        Q.update(status="sent", sent_at=make.now(), handed_over_at=make.now() - timedelta(minutes=1)).execute()

        plan_follow_ups()

        days = {follower_of(it).scheduled_at.astimezone(WARSAW).date() for it in emails}
        assert len(days) == 2
        assert {day.weekday() for day in days} == set(closed_at_the_time.weekdays)

    @pytest.mark.parametrize("fate", ["failed", "cancelled", "unknown", "sending"])
    def test_follows_nothing_but_what_was_sent(self, fate: str) -> None:
        campaign_id, mailbox_id = a_sequence()
        [email_id] = make.planned(campaign_id, mailbox_id, make.now())
        match fate:
            case "failed":
                moves.reject(make.handed_over(email_id).held, make.no(550))
            case "cancelled":
                moves.cancel(email_id, "a test", "tests")
            case "unknown":
                moves.doubt(make.handed_over(email_id).held, "silence")
            case _:
                make.handed_over(email_id)

        plan_follow_ups()

        assert count() == 1
        assert campaigns.complete_finished("tests") == ([campaign_id] if fate in ("failed", "cancelled") else [])

    def test_follows_an_unknown_email_once_it_is_settled_as_sent(self) -> None:
        campaign_id, mailbox_id = a_sequence()
        [email_id] = make.planned(campaign_id, mailbox_id, make.now())
        moves.doubt(make.handed_over(email_id).held, "silence")
        moves.settle_as_sent(email_id, "she has it", "tests")

        plan_follow_ups()

        assert follower_of(email_id).wait_ends_at == waits.parsed("3 days").ends(make.row(email_id).sent_at)

    def test_is_not_planned_for_a_lead_that_must_not_be_written_to(self) -> None:
        campaign_id, mailbox_id = a_sequence()
        [email_id] = make.planned(campaign_id, mailbox_id, make.now())
        send(email_id)
        suppressions.add(CampaignLead.get().address, "she asked us to", "tests")

        plan_follow_ups()

        assert count() == 1
        assert campaigns.complete_finished("tests") == [campaign_id]

    def test_waits_while_its_mailbox_is_paused_and_goes_on_from_it(self) -> None:
        campaign_id, mailbox_id = a_sequence()
        another = make.a_mailbox()
        database.execute("INSERT INTO campaign_mailbox VALUES (%s, %s)", (campaign_id, another))
        [email_id] = make.planned(campaign_id, mailbox_id, make.now())
        send(email_id)
        mailboxes.pause(mailbox_id, "tests")
        plan_follow_ups()
        assert count() == 1
        mailboxes.resume(mailbox_id, "tests")

        plan_follow_ups()

        assert follower_of(email_id).mailbox_id == mailbox_id

    def test_that_is_planned_stays_on_a_paused_mailbox_until_it_is_resumed(self) -> None:
        campaign_id, mailbox_id = a_sequence()
        database.execute("INSERT INTO campaign_mailbox VALUES (%s, %s)", (campaign_id, make.a_mailbox()))
        [email_id] = make.planned(campaign_id, mailbox_id, make.now())
        send(email_id)
        plan_follow_ups()
        before = follower_of(email_id)
        mailboxes.pause(mailbox_id, "tests")
        replan()

        after = follower_of(email_id)

        assert (after.mailbox_id, after.scheduled_at) == (before.mailbox_id, before.scheduled_at)


class TestACampaignWithSteps:
    def test_shows_them(self) -> None:
        campaign_id, _ = a_sequence(waits_for=("3 working days", "1 day"))

        [line] = overview.campaigns([campaigns.get(campaign_id)])

        assert [(it.number, it.after, it.subject) for it in line.steps] == [
            (1, None, "Hello {{ name }}"),
            (2, "3 working days", "Re: Hello {{ name }}"),
            (3, "1 day", "Re: Hello {{ name }}"),
        ]
        assert campaigns.subjects(campaign_id)[1:] == ["Re: Hello {{ name }}"] * 2


class TestWhatCameBack:
    def sent(self) -> int:
        campaign_id, mailbox_id = a_sequence()
        [email_id] = make.planned(campaign_id, mailbox_id, make.now())
        send(email_id)
        return email_id

    def test_a_reply_before_it_is_planned_ends_the_sequence(self) -> None:
        email_id = self.sent()
        make.came_back(email_id, "human")

        plan_follow_ups()

        assert count() == 1
        assert campaigns.complete_finished("tests") == [make.row(email_id).campaign_id]

    def test_a_reply_after_it_was_planned_cancels_it_and_says_why(self) -> None:
        email_id = self.sent()
        plan_follow_ups()

        make.came_back(email_id, "human")

        row = follower_of(email_id)
        assert (row.status, row.error) == ("cancelled", "not written to any more: the lead replied")
        assert campaigns.complete_finished("tests") == [row.campaign_id]
        assert broken() == []

    def test_a_bounce_of_the_address_cancels_it(self) -> None:
        email_id = self.sent()
        plan_follow_ups()

        make.came_back(email_id, "bounce", "address")

        assert follower_of(email_id).status == "cancelled"

    def test_an_automatic_reply_puts_it_off(self) -> None:
        email_id = self.sent()
        plan_follow_ups()
        before = follower_of(email_id).scheduled_at

        make.came_back(email_id, "automatic")

        assert follower_of(email_id).scheduled_at >= before + timedelta(days=3)

    def test_an_automatic_reply_before_it_is_planned_lets_it_wait_until_the_hold_ends(self) -> None:
        email_id = self.sent()
        make.came_back(email_id, "automatic")
        plan_follow_ups()
        assert count() == 1
        make.everything_older(timedelta(days=8))

        plan_follow_ups()

        assert follower_of(email_id).scheduled_at >= make.now() - timedelta(minutes=1)


class TestAPausedCampaign:
    def test_sends_its_follow_ups_first_when_it_is_resumed_after_their_wait(self) -> None:
        campaign_id, mailbox_id = a_sequence(leads=3)
        first, _, _ = make.planned(campaign_id, mailbox_id, *[make.now()] * 3)
        send(first)
        plan_follow_ups()
        campaigns.pause(campaign_id, "tests")
        make.everything_older(timedelta(days=5))
        campaigns.resume(campaign_id, "tests")

        replan()

        times = [row.id for row in Q.select().where(Q.status == "pending").order_by(Q.scheduled_at)]
        assert times[0] == follower_of(first).id
        last = EmailHistory.select().where(EmailHistory.email == times[0]).order_by(EmailHistory.id.desc()).first()
        assert last.reason_code == "resumed"

    def test_plans_no_follow_up_before_it_is_resumed(self) -> None:
        campaign_id, mailbox_id = a_sequence()
        [email_id] = make.planned(campaign_id, mailbox_id, make.now())
        send(email_id)
        campaigns.pause(campaign_id, "tests")
        plan_follow_ups()
        assert count() == 1
        campaigns.resume(campaign_id, "tests")

        plan_follow_ups()

        assert count() == 2


class TestTheTick:
    """It looks at what was sent lately. What it could not plan at the time is found all the same, at once."""

    @pytest.fixture
    def sent_before_the_last_tick(self) -> tuple[int, int]:
        campaign_id, mailbox_id = a_sequence(waits_for=("9 days",))
        [email_id] = make.planned(campaign_id, mailbox_id, make.now())
        send(email_id)
        return campaign_id, email_id

    def later(self) -> None:
        make.everything_older(timedelta(days=3))
        heartbeats.beat("tick")

    def test_finds_what_was_sent_before_a_pause(self, sent_before_the_last_tick: tuple[int, int]) -> None:
        campaign_id, email_id = sent_before_the_last_tick
        campaigns.pause(campaign_id, "tests")
        self.later()
        database.execute("UPDATE change SET at = at - interval '3 days'")
        assert [it.lead_id for it in forecast.forecast(campaign_id)] == [make.row(email_id).campaign_lead_id]
        campaigns.resume(campaign_id, "tests")

        plan_follow_ups()

        assert follower_of(email_id).wait_ends_at > make.now()

    def test_finds_what_waited_for_a_step_that_was_removed(self) -> None:
        campaign_id, mailbox_id = a_sequence(waits_for=("5 days", "1 hour"))
        edit(campaign_id, later("5 days", "Second"), later("1 hour", "Third"))
        [email_id] = make.planned(campaign_id, mailbox_id, make.now())
        send(email_id)
        plan_follow_ups()
        self.later()
        assert list(unplanned.unfollowed_since([campaign_id])) == [campaign_id]

        edit(campaign_id, later("1 hour", "Third"))
        assert unplanned.unfollowed_since([campaign_id]) == {}
        plan_follow_ups()

        assert Q.select().where(Q.predecessor == email_id, Q.status == "pending").count() == 1

    def test_finds_what_was_held_when_the_hold_ends(self, sent_before_the_last_tick: tuple[int, int]) -> None:
        _, email_id = sent_before_the_last_tick
        make.came_back(email_id, "automatic")
        plan_follow_ups()
        assert count() == 1
        self.later()
        database.execute("UPDATE hold SET until = clock_timestamp()")

        plan_follow_ups()

        assert follower_of(email_id).wait_ends_at > make.now()

    def test_looks_at_the_whole_past_of_all_small_campaigns_in_each_turn(self) -> None:
        ids = [a_sequence()[0] for _ in range(3)]

        assert [unplanned.in_turn(ids, turn) for turn in (0, 1)] == [set(ids)] * 2

    def test_finds_in_its_turn_what_was_settled_as_sent_after_days(self) -> None:
        campaign_id, mailbox_id = a_sequence(waits_for=("9 days",))
        [email_id] = make.planned(campaign_id, mailbox_id, make.now())
        moves.doubt(make.handed_over(email_id).held, "silence")
        self.later()
        moves.settle_as_sent(email_id, "she has it", "tests")

        assert [it.predecessor_id for it in unplanned.follow_ups([campaign_id])] == [email_id]


class TestBeforeItsWaitEnds:
    def test_a_follow_up_is_not_claimed_whatever_its_time(self) -> None:
        campaign_id, mailbox_id = a_sequence()
        [email_id] = make.planned(campaign_id, mailbox_id, make.now())
        send(email_id)
        plan_follow_ups()
        row = follower_of(email_id)
        batch_moves.replan(campaign_id, [make.slot(row, make.now())], "edited", "tests")

        closed = moves.claim(row.id, make.row(row.id).scheduled_at, make.WORKER)

        assert isinstance(closed, Closed)
        assert (closed.gate, closed.until) == ("time", row.wait_ends_at)


class TestNewLeads:
    def test_are_planned_before_follow_ups_that_are_days_ahead(self) -> None:
        campaign_id, mailbox_id = a_sequence(leads=3)
        [email_id] = make.planned(campaign_id, mailbox_id, make.now())
        send(email_id)
        plan_follow_ups()

        plan_new()

        follow_up = follower_of(email_id).scheduled_at
        new = Q.select().where(Q.status == "pending", Q.predecessor.is_null())
        assert [row.scheduled_at < follow_up for row in new] == [True, True]

    def test_are_as_many_a_day_as_the_campaign_says(self) -> None:
        campaign_id, _ = a_sequence(leads=9, new_leads_per_day=2)

        slots = forecast.forecast(campaign_id)

        first = make.step_of(campaign_id)
        days = [it.at.astimezone(WARSAW).date() for it in slots if it.step_id == first]
        assert max(days.count(day) for day in days) == 2


class TestTheForecast:
    def test_plays_the_whole_sequence_in_order(self) -> None:
        campaign_id, _ = a_sequence(leads=4, waits_for=("2 days", "4 days"))

        slots = forecast.forecast(campaign_id)

        assert len(slots) == 12
        assert [it.at for it in slots] == sorted(it.at for it in slots)

    def test_agrees_with_what_is_planned_later(self) -> None:
        campaign_id, mailbox_id = a_sequence(leads=2)
        for email_id in make.planned(campaign_id, mailbox_id, make.now(), make.now()):
            send(email_id)
        expected = [it.at for it in forecast.forecast(campaign_id)]

        plan_follow_ups()

        assert [
            row.scheduled_at for row in Q.select().where(Q.status == "pending").order_by(Q.scheduled_at)
        ] == expected


def later(wait: str, text: str = "Still there, {{ name }}?") -> LaterStep:
    return LaterStep(waits.parsed(wait), None, text, None)


def edit(campaign_id: int, *steps: LaterStep) -> bool:
    return campaigns.edit(campaign_id, "tests", campaigns.Edit(later_steps=steps))


class TestAnEdit:
    @pytest.fixture
    def followed(self) -> tuple[int, int, CampaignEmailQueue]:
        """A campaign, its mailbox, and the pending follow-up of its first lead."""
        campaign_id, mailbox_id = a_sequence(leads=2, waits_for=("1 hour",))
        [email_id] = make.planned(campaign_id, mailbox_id, make.now())
        send(email_id)
        plan_follow_ups()
        return campaign_id, mailbox_id, follower_of(email_id)

    def test_of_a_text_applies_to_what_is_not_claimed(self, followed: tuple[int, int, CampaignEmailQueue]) -> None:
        campaign_id, _, follower = followed

        assert edit(campaign_id, later("1 hour", "Another text"))
        assert not edit(campaign_id, later("1 hour", "Another text"))

        make.everything_older(timedelta(hours=2))
        send(follower.id)
        assert campaigns.letters(campaign_id)[1].text == "Another text"
        assert count() == 2

    @pytest.mark.parametrize("wait", ["5 days", "20 minutes", "1 working day"])
    def test_of_a_wait_moves_what_is_planned_and_not_sent_and_nothing_else(
        self, followed: tuple[int, int, CampaignEmailQueue], wait: str
    ) -> None:
        campaign_id, mailbox_id, follower = followed
        [other] = make.planned(campaign_id, mailbox_id, make.now() + timedelta(hours=3))
        fresh = waits.parsed(wait)
        ends_at = fresh.ends(sent_before(follower).sent_at)

        assert edit(campaign_id, later(wait))
        assert make.row(follower.id).wait_ends_at == ends_at  # a claim does not wait for the tick
        replan()
        replan()

        moved = make.row(follower.id)
        assert (moved.scheduled_at, moved.wait_ends_at) == (fresh.due(ends_at), ends_at)
        told = [(it.move, it.reason_code) for it in EmailHistory.select().where(EmailHistory.email == follower.id)]
        assert told == [("plan", None), ("replan", "edited")]
        assert [it.move for it in EmailHistory.select().where(EmailHistory.email == other)] == ["plan"]
        assert broken() == []

    def test_of_a_wait_applies_to_what_is_not_planned(self, followed: tuple[int, int, CampaignEmailQueue]) -> None:
        campaign_id, mailbox_id, _ = followed
        edit(campaign_id, later("5 days"))
        [email_id] = make.planned(campaign_id, mailbox_id, make.now())
        sent_at = send(email_id)

        plan_follow_ups()

        assert follower_of(email_id).wait_ends_at == waits.parsed("5 days").ends(sent_at)

    def test_of_a_wait_is_shown_before_it_is_saved(self, followed: tuple[int, int, CampaignEmailQueue]) -> None:
        campaign_id, _, follower = followed

        [shift] = preview.of(lambda: edit(campaign_id, later("5 days")), [campaign_id])

        assert (shift.moved, shift.first_before) == (1, follower.scheduled_at)
        assert shift.first_after == waits.parsed("5 days").due(
            waits.parsed("5 days").ends(sent_before(follower).sent_at)
        )
        assert make.row(follower.id).wait_ends_at == follower.wait_ends_at
        replan()
        assert make.row(follower.id).scheduled_at == follower.scheduled_at

    def test_of_a_wait_leaves_what_is_being_sent_alone(self, followed: tuple[int, int, CampaignEmailQueue]) -> None:
        campaign_id, _, follower = followed
        make.everything_older(timedelta(hours=2))
        make.rested(campaign_id)
        Q.update(scheduled_at=make.now()).where(Q.id == follower.id).execute()
        before = make.row(make.claimed(follower.id).held.email_id)

        edit(campaign_id, later("5 days"))
        replan()

        after = make.row(follower.id)
        assert (after.status, after.wait_ends_at, after.scheduled_at) == (
            "sending",
            before.wait_ends_at,
            before.scheduled_at,
        )

    def test_of_a_wait_that_ends_behind_a_hold_goes_by_the_wait(
        self, followed: tuple[int, int, CampaignEmailQueue]
    ) -> None:
        campaign_id, _, follower = followed
        make.came_back(sent_before(follower).id, "automatic")
        held = make.row(follower.id).not_before

        edit(campaign_id, later("60 days"))
        replan()

        row = make.row(follower.id)
        assert held < row.wait_ends_at < row.scheduled_at
        assert row.not_before is None

    def test_of_a_wait_while_the_campaign_is_paused_counts_when_it_is_resumed(
        self, followed: tuple[int, int, CampaignEmailQueue]
    ) -> None:
        campaign_id, _, follower = followed
        campaigns.pause(campaign_id, "tests")
        edit(campaign_id, later("5 days"))
        replan()
        assert make.row(follower.id).scheduled_at == follower.scheduled_at
        campaigns.resume(campaign_id, "tests")

        replan()

        row = make.row(follower.id)
        assert row.scheduled_at == waits.parsed("5 days").due(row.wait_ends_at)
        assert CampaignStep.select().where(CampaignStep.moves).count() == 0

    def test_that_appends_a_step_is_for_those_whose_last_letter_is_still_to_be_sent(
        self, followed: tuple[int, int, CampaignEmailQueue]
    ) -> None:
        campaign_id, mailbox_id, through = followed
        make.everything_older(timedelta(hours=2))
        send(through.id)
        edit(campaign_id, later("1 hour"), later("2 days", "The last one"))
        plan_follow_ups()
        assert not Q.select().where(Q.predecessor == through.id).exists()
        [email_id] = make.planned(campaign_id, mailbox_id, make.now())
        send(email_id)
        plan_follow_ups()
        send(follower_of(email_id).id)

        plan_follow_ups()

        assert follower_of(follower_of(email_id).id).wait_ends_at > make.now() + timedelta(days=1)

    def test_that_appends_a_step_lets_a_campaign_whose_leads_are_through_be_complete(self) -> None:
        campaign_id, mailbox_id = a_sequence(waits_for=("1 hour",))
        [email_id] = make.planned(campaign_id, mailbox_id, make.now())
        send(email_id)
        plan_follow_ups()
        send(follower_of(email_id).id)

        edit(campaign_id, later("1 hour"), later("2 days"))

        assert campaigns.complete_finished("tests") == [campaign_id]

    def test_that_inserts_a_step_reaches_the_leads_before_it_only(
        self, followed: tuple[int, int, CampaignEmailQueue]
    ) -> None:
        campaign_id, mailbox_id, follower = followed
        edit(campaign_id, later("2 hours", "In between"), later("1 hour"))
        [email_id] = make.planned(campaign_id, mailbox_id, make.now())
        send(email_id)

        plan_follow_ups()

        steps = {it.id: it.text for it in CampaignStep.select()}
        assert steps[make.row(follower.id).step_id] == "Still there, {{ name }}?"
        assert steps[follower_of(email_id).step_id] == "In between"
        send(follower.id)
        plan_follow_ups()
        assert count() == 4
        assert broken() == []

    def test_of_a_text_is_of_its_step_though_another_has_the_same_letter(self) -> None:
        campaign_id, _ = a_sequence(waits_for=("1 hour", "1 hour", "1 hour"))
        before = [it.id for it in CampaignStep.select().order_by(CampaignStep.position)]

        for place in range(3):
            edit(campaign_id, *(later("1 hour", "Another") if it == place else later("1 hour") for it in range(3)))

            steps = list(CampaignStep.select().order_by(CampaignStep.position))
            assert [it.id for it in steps] == before
            assert [it.position for it in steps[1:] if it.text == "Another"] == [place + 2]
            edit(campaign_id, *[later("1 hour")] * 3)

    def test_that_removes_a_step_without_emails_takes_it_away(self) -> None:
        campaign_id, _ = a_sequence(waits_for=("1 hour", "1 day"))

        assert edit(campaign_id, later("1 hour"))

        assert len(campaigns.letters(campaign_id)) == 2


class TestAStepThatIsRemoved:
    """Two leads and three steps: the first lead's second letter is planned."""

    @pytest.fixture
    def followed(self) -> tuple[int, int, CampaignEmailQueue]:
        campaign_id, mailbox_id = a_sequence(leads=2, waits_for=("1 hour", "2 hours"))
        edit(campaign_id, later("1 hour", "Second"), later("2 hours", "Third"))
        [email_id] = make.planned(campaign_id, mailbox_id, make.now())
        send(email_id)
        plan_follow_ups()
        return campaign_id, mailbox_id, follower_of(email_id)

    def texts(self, campaign_lead_id: int) -> list[tuple[str, str]]:
        """Of a lead's e-mails, each with its status, in the order of their steps."""
        emails = Q.select(Q, CampaignStep).join(CampaignStep).where(Q.campaign_lead == campaign_lead_id)
        in_order = emails.order_by(CampaignStep.position)
        return [(it.step.text, it.status) for it in in_order if it.predecessor_id is not None]

    def test_has_its_planned_emails_cancelled_and_their_leads_go_on_with_the_next(
        self, followed: tuple[int, int, CampaignEmailQueue]
    ) -> None:
        campaign_id, _, second = followed
        assert steps.cancelled_by(campaign_id, [later("2 hours", "Third")]) == 1

        assert edit(campaign_id, later("2 hours", "Third"))
        plan_follow_ups()
        plan_follow_ups()

        assert self.texts(second.campaign_lead_id) == [("Second", "cancelled"), ("Third", "pending")]
        assert make.row(second.id).error_code == "step_removed"
        [*_, last] = EmailHistory.select().where(EmailHistory.email == second.id).order_by(EmailHistory.id)
        assert (last.move, last.reason_code) == ("cancel", "step_removed")
        third = Q.get(Q.predecessor == second.predecessor_id, Q.status == "pending")
        assert third.wait_ends_at == waits.parsed("2 hours").ends(sent_before(third).sent_at)
        assert broken() == []
        send(third.id)
        plan_follow_ups()
        assert count() == 3
        told = conversations.of_email(third.id)
        assert told is not None
        assert told.ended == Reason(Code.SEQUENCE_OVER)
        assert "letter 2 not sent: its step was removed from the sequence" in conversation_lines.line(told)
        assert broken() == []

    def test_still_counts_for_leads_that_got_it(self, followed: tuple[int, int, CampaignEmailQueue]) -> None:
        campaign_id, _, second = followed
        sent_at = send(second.id)

        edit(campaign_id, later("2 hours", "Third"))
        plan_follow_ups()

        third = follower_of(second.id)
        assert self.texts(second.campaign_lead_id) == [("Second", "sent"), ("Third", "pending")]
        assert third.wait_ends_at == waits.parsed("2 hours").ends(sent_at)
        told = [(it.step, it.removed, it.counts["sent"]) for it in sequence_views.steps(campaign_id)]
        assert told == [(1, False, 1), (2, True, 1), (3, False, 0)]
        assert [it.text for it in campaigns.letters(campaign_id)[1:]] == ["Third"]
        [line] = overview.campaigns([campaigns.get(campaign_id)])
        assert line.emails == 2 * 2 + 1
        assert broken() == []

    def test_leaves_new_leads_the_steps_that_remain(self, followed: tuple[int, int, CampaignEmailQueue]) -> None:
        campaign_id, mailbox_id, _ = followed
        edit(campaign_id, later("2 hours", "Third"))
        plan_follow_ups()
        [first, third] = CampaignStep.select().where(CampaignStep.removed_at.is_null()).order_by(CampaignStep.position)
        entries = calendars.of(campaigns.get(campaign_id)).entries
        assert sorted(it.step_id for it in entries) == sorted([first.id, third.id, third.id])
        assert len(forecast.forecast(campaign_id)) == 2
        [email_id] = make.planned(campaign_id, mailbox_id, make.now())

        send(email_id)
        plan_follow_ups()

        assert self.texts(make.row(email_id).campaign_lead_id) == [("Third", "pending")]

    def test_is_not_in_a_copy(self, followed: tuple[int, int, CampaignEmailQueue]) -> None:
        edit(followed[0], later("2 hours", "Third"))

        copy_id = campaigns.copy(followed[0], "Copy", "tests", with_leads=True)

        found = CampaignStep.select().where(CampaignStep.campaign == copy_id).order_by(CampaignStep.position)
        assert [(it.position, it.removed_at) for it in found] == [(1, None), (2, None)]
        assert [it.text for it in campaigns.letters(copy_id)[1:]] == ["Third"]
        assert campaigns.subjects(followed[0]) == campaigns.subjects(copy_id)

    def test_leaves_what_is_being_sent_alone_until_it_is_put_off(
        self, followed: tuple[int, int, CampaignEmailQueue]
    ) -> None:
        campaign_id, _, second = followed
        make.everything_older(timedelta(hours=2))
        make.rested(campaign_id)
        batch_moves.replan(campaign_id, [make.slot(make.row(second.id), make.now())], "edited", "tests")
        claimed = make.claimed(second.id)

        edit(campaign_id, later("2 hours", "Third"))
        assert make.row(second.id).status == "sending"
        assert moves.release(claimed.held, "tests")
        make.rested(campaign_id)
        closed = moves.claim(second.id, make.row(second.id).scheduled_at, make.WORKER)
        assert isinstance(closed, Closed)
        assert closed.because == Reason(Code.STEP_REMOVED)
        replan()
        plan_follow_ups()

        assert self.texts(second.campaign_lead_id) == [("Second", "cancelled"), ("Third", "pending")]
        assert broken() == []

    def test_at_the_end_lets_its_leads_be_through(self, followed: tuple[int, int, CampaignEmailQueue]) -> None:
        campaign_id, mailbox_id, second = followed
        [email_id] = make.planned(campaign_id, mailbox_id, make.now())
        send(email_id)

        edit(campaign_id)
        plan_follow_ups()

        assert self.texts(second.campaign_lead_id) == [("Second", "cancelled")]
        assert CampaignStep.select().count() == 2  # the one without e-mails is gone
        assert campaigns.complete_finished("tests") == [campaign_id]
        assert broken() == []

    @pytest.mark.parametrize("was_sent", [True, False])
    def test_and_is_added_again_is_a_new_one_for_leads_before_it(
        self, followed: tuple[int, int, CampaignEmailQueue], was_sent: bool
    ) -> None:
        campaign_id, _, second = followed
        if was_sent:
            send(second.id)
        edit(campaign_id, later("2 hours", "Third"))

        edit(campaign_id, later("1 hour", "Second"), later("2 hours", "Third"))
        plan_follow_ups()

        goes_on = [("Second", "sent"), ("Third", "pending")]
        again = [("Second", "pending"), ("Second", "cancelled")]
        assert self.texts(second.campaign_lead_id) == (goes_on if was_sent else again)
        assert [it.position for it in CampaignStep.select().order_by(CampaignStep.position)] == [1, 2, 3, 4]
        assert broken() == []

    def test_does_not_revive_a_sequence_that_ended_with_it(self, followed: tuple[int, int, CampaignEmailQueue]) -> None:
        campaign_id, _, second = followed
        assert moves.cancel(second.id, "a person's words", "tests")

        edit(campaign_id, later("2 hours", "Third"))
        plan_follow_ups()

        assert self.texts(second.campaign_lead_id) == [("Second", "cancelled")]


class TestTheCalendar:
    def test_tells_new_leads_and_follow_ups_apart_and_what_a_steady_day_is_like(self) -> None:
        campaign_id, _ = a_sequence(leads=4, waits_for=("2 days", "4 days"), limit=40)

        found = calendars.of(campaigns.get(campaign_id))

        assert (len(found.entries), found.follow_ups.total()) == (12, 8)
        assert str(found.steady) == "40 a day with 3 steps is about 13 new leads a day, if nobody answers"
        assert found.nowhere is None

    def test_has_what_is_planned_already_and_what_follows_it(self) -> None:
        campaign_id, mailbox_id = a_sequence(leads=2, waits_for=("2 days", "4 days"))
        [email_id] = make.planned(campaign_id, mailbox_id, make.now())
        send(email_id)
        plan_follow_ups()

        found = calendars.of(campaigns.get(campaign_id))

        assert [it.email_id is not None for it in found.entries] == [False, True, False, False, False]

    def test_says_when_follow_ups_fall_behind(self) -> None:
        campaign_id, mailbox_id = a_sequence(leads=1, waits_for=("1 day",) * 5, follow_up_share=10)
        mailboxes.edit(mailbox_id, "tests", mailboxes.Edit(daily_limit=40))

        assert "they go later and later" in str(calendars.of(campaigns.get(campaign_id)).steady)


class TestTheIndexOfOneEmail:
    def test_is_dropped_with_the_first_follow_up_and_not_missed(self) -> None:
        follow_ups.allow_second_emails()
        follow_ups.allow_second_emails()

        assert broken() == []
