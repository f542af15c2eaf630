"""Workers, timekeepers, owners, time and crashes in any order, on real rows: no order of their steps breaks a promise.

Each step is one call of the product's own; what must hold is kept in a ledger of the test's own, which is told only
what a mail server, an owner and an onlooker of the rows would know. Time passes by making the rows older.
"""

from collections import Counter
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import wraps
from itertools import groupby
from random import Random
from typing import Any, NamedTuple

import pytest
from dramatiq import Message, get_broker
from hypothesis import Phase as Run
from hypothesis import settings as run_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

import config
from actors import deliver, plan
from actors.disk import journal
from actors.hint import hint_due, hint_soon
from actors.record import move
from mail.outcome import Accepted, Deferred, Outcome, Phase, Refused, Reply, Scope, Unanswered, Withdrawn
from models.email import moves, stuck
from models.email.claims import Attempt, Claim, Worker
from models.email.gates import Closed
from models.owner import campaigns, mailboxes, settlement
from models.owner.campaigns import CampaignInvalid
from models.owner.settlement import SettlementRefused
from models.people import suppressions
from models.planning import plans
from models.states import FINAL, Status
from models.store import database
from models.store.tables import CampaignEmailQueue, CampaignLead, CampaignStep
from scheduling import planner
from scheduling.planner import Slot
from scheduling.waits import parsed
from scheduling.window import WARSAW, Window, warsaw_day
from tests import factories as make

pytestmark = pytest.mark.usefixtures("db")
Q = CampaignEmailQueue

HERE = "here"
HOSTS = (HERE, HERE, "elsewhere", "elsewhere")
NOT_AT_ALL, ENOUGH = timedelta(0), 1000
# Luck is drawn whole, before each step: what is drawn must not depend on how fast the step before it was.
LUCK = st.integers(0, 2**32).map(Random)
BEFORE_THE_DOT: tuple[Outcome, ...] = (
    Deferred(Scope.LEAD, Phase.RCPT, Reply(451, None, "later")),
    Refused(Scope.LEAD, Phase.RCPT, Reply(550, "5.1.1", "no such user")),
    Deferred(Scope.MAILBOX, Phase.MAIL, Reply(421, None, "busy")),
)
TO_THE_DOT: tuple[Outcome, ...] = (
    *[Accepted(Reply(250, None, "accepted"))] * 2,
    Deferred(Scope.CONTENT, Phase.DOT, Reply(451, None, "later")),
    Refused(Scope.CONTENT, Phase.DOT, Reply(550, None, "spam")),
    Deferred(Scope.MAILBOX, Phase.DOT, Reply(421, None, "busy")),
    *[Unanswered("silence")] * 2,
)
TOO_LATE = Deferred(
    Scope.WORKER, Phase.DOT, Reply(None, None, "too much time passed between the hand-over and the final dot")
)
OWNERS_WORDS = (
    *("pause", "pause", "resume", "resume", "cancel", "close the window", "open the window", "open the window"),
    *("limit", "limit to what is used", "mailbox limit", "mailbox limit to what is used"),
    *("pause mailbox", "resume mailbox", "resume mailbox", "suppress", "settle", "settle", "settle", "steps"),
)
ROWS = "SELECT id, status, mailbox_id, scheduled_at FROM campaign_email_queue ORDER BY id"
LOOK = """
INSERT INTO inbox (mailbox_id, started_at, read_at) VALUES (%(mailbox)s, %(at)s, %(at)s)
ON CONFLICT (mailbox_id) DO UPDATE SET started_at = excluded.started_at, read_at = excluded.read_at
"""
LINES = """
SELECT id, email_id, from_status, scheduled_from, to_status, scheduled_to, reason
FROM email_history WHERE id > %s ORDER BY id
"""


class Row(NamedTuple):
    id: int
    status: str
    mailbox_id: int
    scheduled_at: datetime


class Stage(Enum):
    CLAIMED = "claimed"
    HANDED_OVER = "handed over"
    DOT_WRITTEN = "dot written"
    ENDED = "ended"


@dataclass(eq=False)
class Try:
    """One attempt as its worker and the mail server see it. Instants count the time that the test let pass."""

    claim: Claim
    stage: Stage = Stage.CLAIMED
    outcome: Outcome | None = None
    handed_over_at: datetime | None = None
    has_dot: bool = False
    disproved: bool = False  # it is recorded that the server did not take it
    ruled_on: bool = False  # a person took the risk of another copy

    @property
    def email_id(self) -> int:
        return self.claim.held.email_id

    def ends(self, outcome: Outcome) -> None:
        self.outcome, self.stage = outcome, Stage.ENDED


@dataclass(eq=False)
class Process:
    worker: Worker
    is_alive: bool = True
    is_frozen: bool = False
    doing: Try | None = None


Event = Callable[["Interleavings", Random], None]


def event(happens: Event) -> Event:
    """A rule after which the workers take a few steps: else they would hardly get anywhere between the events."""

    @rule(luck=LUCK)
    @wraps(happens)
    def happens_and_workers_go_on(self: "Interleavings", luck: Random) -> None:
        happens(self, luck)
        for _ in range(luck.randint(0, 4)):
            self.a_worker_takes_its_next_step(luck)

    return happens_and_workers_go_on


class Interleavings(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        make.nothing_left()
        database.execute("SET synchronous_commit = off")  # nothing here is to survive a crash of Postgres
        get_broker().flush_all()
        self.passed = NOT_AT_ALL
        self.hints: list[tuple[int, datetime]] = []
        self.tries: list[Try] = []
        self.processes = [Process(Worker(host, pid, 1.0)) for pid, host in enumerate(HOSTS, start=1)]
        self.rows: list[Row] = []
        self.last_line = 0
        self.ends: dict[int, tuple[str, datetime]] = {}
        self.final: dict[int, str] = {}
        self.proved_sent: set[int] = set()
        self.copies_allowed: Counter[int] = Counter()
        self.suppressed: set[str] = set()
        self.answered: set[str] = set()  # whose answer was read
        self.looked: dict[int, datetime] = {}  # into a mailbox's inbox, last
        self.outdated_plan: tuple[plans.Situation, dict[int, list[Slot]]] | None = None

    @initialize()
    def two_campaigns_share_two_mailboxes(self) -> None:
        self.mailbox_limits = {make.a_listening_mailbox(daily_limit=limit): limit for limit in (3, 4)}
        self.paused_mailboxes: set[int] = set()
        self.sequence = self.campaign(leads=3, limit=4, follow_ups=["1 hour"])
        self.limits = {self.campaign(leads=5, limit=3): 3, self.sequence: 4}
        self.said = dict.fromkeys(self.limits, "active")
        self.shut: set[int] = set()
        self.tick()

    def campaign(self, leads: int, limit: int, **more: Any) -> int:
        # So short a delay that only the time that the test lets pass matters to the pace.
        return make.a_campaign(list(self.mailbox_limits), leads=leads, delay=0.001, limit=limit, **more)

    # What a worker does, a step at a time.

    @event
    def workers_go_on(self, luck: Random) -> None:
        self.a_worker_takes_its_next_step(luck)

    def a_worker_takes_its_next_step(self, luck: Random) -> None:
        awake = [each for each in self.processes if each.is_alive and not each.is_frozen]
        if not awake:
            return
        process = luck.choice(awake)
        self.check()
        if process.doing is not None:
            self.goes_on(process, process.doing, luck)
        elif hint := self.a_hint(luck):
            self.take(process, *hint)

    def goes_on(self, process: Process, it: Try, luck: Random) -> None:
        match it.stage:
            case Stage.CLAIMED if mostly(luck):
                self.hand_over(it)
            case Stage.CLAIMED:
                it.ends(luck.choice(BEFORE_THE_DOT))
            case Stage.HANDED_OVER:
                self.write_dot(it)
            case Stage.DOT_WRITTEN:
                it.ends(luck.choice(TO_THE_DOT))
            case Stage.ENDED:
                self.record(it.claim, it.outcome) if mostly(luck) else self.leave_in_journal(it)
                process.doing = None

    def a_hint(self, luck: Random) -> tuple[int, datetime] | None:
        """Mostly one that holds, once its time has come; else any that was ever published: stale, doubled, or early."""
        pending = [(row.id, row.scheduled_at + self.passed) for row in self.rows if row.status == Status.PENDING]
        holding = sorted(hint for hint in pending if hint in self.hints)
        is_lucky = mostly(luck)
        if holding and is_lucky:
            email_id, at = luck.choice(holding)
            self.pass_by(max(at - self.passed - make.now(), NOT_AT_ALL))
            return email_id, at
        return None if is_lucky or not self.hints else luck.choice(self.hints)

    def take(self, process: Process, email_id: int, at: datetime) -> None:
        self.merge_journal()
        scheduled_at = at - self.passed
        claim = moves.claim(email_id, scheduled_at, process.worker)
        if isinstance(claim, Closed):
            deliver.act_on_closed_gate(claim, email_id, scheduled_at)
        else:
            assert CampaignStep.get_by_id(make.row(email_id).step_id).removed_at is None, "a claim of a removed step"
            process.doing = Try(claim)
            self.tries.append(process.doing)
        self.collect_hints()

    def hand_over(self, it: Try) -> None:
        if moves.hand_over(it.claim.held, b"content") is not None:
            it.ends(Withdrawn("a gate closed"))
            return
        handed_over_at = make.row(it.email_id).handed_over_at
        assert handed_over_at is not None
        it.handed_over_at, it.stage = handed_over_at + self.passed, Stage.HANDED_OVER
        self.check_the_owners_word(it)
        self.check_the_limits(it)
        self.check_that_no_answer_was_passed(it)

    def write_dot(self, it: Try) -> None:
        assert it.handed_over_at is not None
        waited = make.now() + self.passed - it.handed_over_at
        if waited.total_seconds() > config.settings().smtp.hand_over_to_dot_seconds:
            it.ends(TOO_LATE)
            return
        it.has_dot, it.stage = True, Stage.DOT_WRITTEN
        live = [each for each in self.of(it.email_id) if each.has_dot and not (each.disproved or each.ruled_on)]
        assert live == [it], "a second dot although the first may have arrived and no person took that risk"

    def leave_in_journal(self, it: Try) -> None:
        """Twice: as if a process had been killed between the merge of the journal and its emptying."""
        if isinstance(it.outcome, Accepted | Deferred | Refused):
            for _ in range(2):
                journal.append(plain(it.claim), it.outcome)

    def record(self, attempt: Attempt, outcome: Outcome | None) -> None:
        assert outcome is not None
        held = attempt.held
        before = make.row(held.email_id)
        is_its_own = before.claim_token == held.token and before.status in (Status.SENDING, Status.UNKNOWN)
        moved = move(attempt, outcome)
        assert moved <= is_its_own, "a report over another's claim or a final status"
        if isinstance(outcome, Unanswered):
            return
        assert moved == is_its_own, "proof of the token's holder was thrown away"
        if moved and isinstance(outcome, Accepted):
            self.proved_sent.add(held.email_id)
        elif moved:
            [it] = [each for each in self.of(held.email_id) if each.claim.held == held]
            it.disproved = True

    def merge_journal(self) -> None:
        journal.merge(self.record)

    @event
    def a_worker_freezes_or_crashes_or_comes_back(self, luck: Random) -> None:
        process = luck.choice(self.processes)
        if not process.is_alive:
            self.boot(process)
        elif process.is_frozen or (process.doing and mostly(luck)):
            process.is_frozen = not process.is_frozen
        else:
            process.is_alive, process.doing = False, None

    @event
    def frozen_workers_come_back(self, luck: Random) -> None:
        for process in self.processes:
            process.is_frozen = False
            if process.is_alive and process.doing is not None:
                self.goes_on(process, process.doing, luck)

    def boot(self, process: Process) -> None:
        process.worker = replace(process.worker, started_at=process.worker.started_at + 1)
        process.is_alive = True
        self.merge_journal()
        self.settle_dead(process.worker.host)

    # What a timekeeper does.

    def tick(self) -> None:
        for step in self.steps():
            step()
        self.pass_by(timedelta(seconds=1))

    @event
    def a_timekeeper_does_one_step(self, luck: Random) -> None:
        luck.choice(self.steps())()

    def steps(self) -> list[Callable[[], object]]:
        planning = (plan.replan, plan.plan_follow_ups, plan.plan_new)
        return [self.hint, *planning, self.hint, self.reconcile, self.complete]

    def hint(self) -> None:
        hint_soon()
        hint_due()
        self.collect_hints()

    def reconcile(self) -> None:
        self.merge_journal()
        self.settle_dead(HERE)
        stuck.settle_expired("tests")

    def complete(self) -> None:
        for campaign_id in campaigns.complete_finished("ola"):
            self.said[campaign_id] = "completed"
            assert not self.lacking(campaign_id, FINAL), "a campaign was completed before its leads had their mails"

    def lacking(self, campaign_id: int, ends: Collection[Status]) -> list[str]:
        """The leads whose last mail is in none of these, or who lack one though they may be written to."""
        found = []
        for lead in CampaignLead.select().where(CampaignLead.campaign == campaign_id):
            its = [row.status for row in Q.select().where(Q.campaign_lead == lead.id).order_by(Q.id)]
            wanted = 1 + (campaign_id == self.sequence)
            is_over = (bool(its) and its[-1] != Status.SENT) or lead.address in self.suppressed | self.answered
            if not set(its) <= set(ends) or (len(its) < wanted and not is_over):
                found.append(lead.address)
        return found

    def settle_dead(self, host: str) -> None:
        living = {each.worker for each in self.processes if each.is_alive}
        stuck.settle_dead(host, living.__contains__, "tests")

    @event
    def a_slow_timekeeper_writes_what_it_computed_and_computes_again(self, luck: Random) -> None:
        if self.outdated_plan is not None:
            seen, slots = self.outdated_plan
            for campaign_id, its in slots.items():
                written = plans.write(campaign_id, its, seen, "tests")
                assert not written or self.said[campaign_id] == "active", "planned from settings that no longer hold"
        seen = plans.situation()
        found = sorted(planner.plan(seen.campaigns, seen.mailboxes, seen.taken, seen.now), key=by_campaign)
        self.outdated_plan = seen, {campaign_id: list(its) for campaign_id, its in groupby(found, key=by_campaign)}

    @event
    def a_reconciler_takes_back_a_lapsed_claim_whose_worker_hands_over_meanwhile(self, luck: Random) -> None:
        if not (claimed := self.claimed()):
            return
        it = luck.choice(claimed)
        self.pass_by(timedelta(seconds=config.settings().sending.claim_lease_seconds))
        if mostly(luck):
            self.hand_over(it)
        moves.release_unhanded(it.claim.held, "its worker did not report in time")

    # What time does.

    @event
    def time_passes(self, luck: Random) -> None:
        seconds = luck.choice([5, 11, 61, 310, 910, 26 * 3600])
        self.pass_by(timedelta(seconds=seconds))
        if mostly(luck):
            self.tick()

    @event
    def time_passes_until_the_next_mail_is_due(self, luck: Random) -> None:
        if following := self.next_pending():
            self.pass_by(max(following.scheduled_at - make.now(), NOT_AT_ALL))
            self.tick()

    def pass_by(self, by: timedelta) -> None:
        make.everything_older(by)
        self.passed += by

    # What comes back.

    @event
    def an_inbox_is_read(self, luck: Random) -> None:
        """Mostly; else it cannot be read, and what was read before gets older."""
        if mostly(luck):
            self.look(luck.choice(sorted(self.mailbox_limits)))

    @event
    def an_answer_is_read(self, luck: Random) -> None:
        sent = Q.select().where(Q.campaign == self.sequence, Q.status == Status.SENT).order_by(Q.id)
        if ids := [row.id for row in sent]:
            email_id = luck.choice(ids)
            make.came_back(email_id, "human")
            self.answered.add(CampaignLead.get_by_id(make.row(email_id).campaign_lead_id).address)

    def look(self, mailbox_id: int) -> None:
        at = make.now()
        database.execute(LOOK, {"mailbox": mailbox_id, "at": at})
        self.looked[mailbox_id] = at + self.passed

    def check_that_no_answer_was_passed(self, it: Try) -> None:
        row = make.row(it.email_id)
        if row.predecessor_id is None:
            return
        assert it.handed_over_at is not None
        assert row.wait_ends_at is not None
        assert row.predecessor_id in self.proved_sent, "a follow-up to what was not sent"
        assert it.claim.recipient not in self.answered, "a follow-up after an answer was read"
        looked = self.looked.get(it.claim.mailbox_id)
        assert looked is not None, "a follow-up without a look"
        assert looked >= row.wait_ends_at + self.passed, "a follow-up after a look before the wait had ended"
        assert it.handed_over_at - looked <= timedelta(minutes=5, seconds=1), "a follow-up after an old look"

    # What an owner does.

    @event
    def an_owner_speaks(self, luck: Random) -> None:
        """As often in favour of sending as against it, or little would be sent."""
        campaign_id, mailbox_id, address = self.concerned(luck)
        match luck.choice(OWNERS_WORDS):
            case "pause" | "resume" | "cancel" as verb:
                self.change(campaign_id, verb)
            case "limit":
                self.edit(campaign_id, luck.randint(1, 4), is_shut=False)
            case "limit to what is used":
                self.edit(campaign_id, max(self.used_today(campaign_id), 1), is_shut=False)
            case "close the window":
                self.edit(campaign_id, self.limits[campaign_id], is_shut=True)
            case "open the window":
                self.edit(campaign_id, self.limits[campaign_id], is_shut=False)
            case "mailbox limit":
                self.limit_mailbox(mailbox_id, luck.randint(1, 4))
            case "mailbox limit to what is used":
                self.limit_mailbox(mailbox_id, self.used_today(mailbox_id=mailbox_id))
            case "pause mailbox":
                mailboxes.pause(mailbox_id, "ola")
                self.paused_mailboxes.add(mailbox_id)
            case "resume mailbox":
                self.resume_mailbox(mailbox_id)
            case "settle":
                self.settle(luck)
            case "suppress" if address is not None:
                self.suppress(address)
            case "steps":
                self.remove_and_add_steps(luck)

    def concerned(self, luck: Random) -> tuple[int, int, str | None]:
        """Mostly those of a mail that is just being sent."""
        being_sent = [each.doing.claim for each in self.processes if each.doing is not None]
        is_of_these = mostly(luck)
        if being_sent and is_of_these:
            claim = luck.choice(being_sent)
            return claim.campaign_id, claim.mailbox_id, claim.recipient
        campaign_id = luck.choice(sorted(self.said))
        return campaign_id, luck.choice(sorted(self.mailbox_limits)), None

    def change(self, campaign_id: int, verb: str) -> None:
        with suppress(CampaignInvalid):
            getattr(campaigns, verb)(campaign_id, "ola")
            self.said[campaign_id] = {"pause": "paused", "resume": "active", "cancel": "cancelled"}[verb]

    def edit(self, campaign_id: int, limit: int, is_shut: bool) -> None:
        window = not_today() if is_shut else make.ALWAYS
        with suppress(CampaignInvalid):
            campaigns.edit(campaign_id, "ola", campaigns.Edit(daily_limit=limit, weekdays=sorted(window.weekdays)))
            self.limits[campaign_id] = limit
            (self.shut.add if is_shut else self.shut.discard)(campaign_id)

    def remove_and_add_steps(self, luck: Random) -> None:
        follow_ups = [campaigns.LaterStep(parsed("1 hour"), None, text, None) for text in ("Second", "Third")]
        wanted = [it for it in follow_ups if mostly(luck)]
        with suppress(CampaignInvalid):
            campaigns.edit(self.sequence, "ola", campaigns.Edit(later_steps=wanted))

    def limit_mailbox(self, mailbox_id: int, limit: int) -> None:
        mailboxes.edit(mailbox_id, "ola", mailboxes.Edit(daily_limit=limit))
        self.mailbox_limits[mailbox_id] = limit

    def resume_mailbox(self, mailbox_id: int) -> None:
        mailboxes.resume(mailbox_id, "ola")
        self.paused_mailboxes.discard(mailbox_id)

    def suppress(self, address: str) -> None:
        suppressions.add(address, "asked us to", "tests")
        self.suppressed.add(address)

    @event
    def a_person_rules_on_an_unknown(self, luck: Random) -> None:
        self.settle(luck)

    def settle(self, luck: Random) -> None:
        if not (unknown := self.unknown()):
            return
        email_id = luck.choice(unknown)
        if mostly(luck):
            self.pass_by(timedelta(seconds=config.settings().sending.answer_lease_seconds))
        handed_over_at = make.row(email_id).handed_over_at
        with suppress(SettlementRefused):
            if not mostly(luck):
                settlement.sent(email_id, "seen in Sent", "ola")
                self.proved_sent.add(email_id)
                return
            settlement.again(email_id, "not in Sent", "ola")
            self.copies_allowed[email_id] += 1
            for it in self.of(email_id):
                it.ruled_on = True
            lease = timedelta(seconds=config.settings().sending.answer_lease_seconds)
            assert handed_over_at is not None
            assert handed_over_at + lease <= make.now(), "sent again while the server's answer may still come"

    # What must hold, whatever came before.

    def check_the_owners_word(self, it: Try) -> None:
        assert self.said[it.claim.campaign_id] == "active", "handed over against an owner's word"
        assert it.claim.campaign_id not in self.shut, "handed over outside the window"
        assert it.claim.mailbox_id not in self.paused_mailboxes, "handed over from a paused mailbox"
        assert it.claim.recipient not in self.suppressed, "handed over to a suppressed lead"

    def check_the_limits(self, it: Try) -> None:
        campaign_id, mailbox_id = it.claim.campaign_id, it.claim.mailbox_id
        assert self.used_today(campaign_id) <= self.limits[campaign_id], "over the campaign's limit"
        assert self.used_today(mailbox_id=mailbox_id) <= self.mailbox_limits[mailbox_id], "over the mailbox's limit"

    def used_today(self, campaign_id: int | None = None, mailbox_id: int | None = None) -> int:
        today = warsaw_day(make.now())
        return sum(
            self.day(it) == today
            and not it.disproved
            and campaign_id in (None, it.claim.campaign_id)
            and mailbox_id in (None, it.claim.mailbox_id)
            for it in self.tries
        )

    def day(self, it: Try) -> object:
        return it.handed_over_at and warsaw_day(it.handed_over_at - self.passed)

    @invariant()
    def check(self) -> None:
        self.rows = [Row(*row) for row in database.fetch(ROWS)]
        self.no_mailbox_sends_two_at_once_and_what_is_final_stays()
        self.every_history_is_a_chain_that_ends_at_its_row()

    def no_mailbox_sends_two_at_once_and_what_is_final_stays(self) -> None:
        sending = Counter(row.mailbox_id for row in self.rows if row.status == Status.SENDING)
        assert not sending or max(sending.values()) == 1
        now = {row.id: row.status for row in self.rows}
        assert all(now[email_id] == status for email_id, status in self.final.items()), "a final status was overwritten"
        self.final |= {email_id: status for email_id, status in now.items() if status in FINAL}
        sent = {email_id for email_id, status in now.items() if status == Status.SENT}
        assert sent <= self.proved_sent, "sent, and neither a server nor a person said so"

    def every_history_is_a_chain_that_ends_at_its_row(self) -> None:
        for line, email_id, from_status, at, to_status, to, reason in database.fetch(LINES, [self.last_line]):
            before = self.ends.get(email_id)
            assert before == (from_status, at and at + self.passed) or (before is None and from_status is None)
            assert reason or at == to or before is None, "moved without a reason"
            self.ends[email_id], self.last_line = (to_status, to + self.passed), line
        ends = {row.id: (row.status, row.scheduled_at + self.passed) for row in self.rows}
        assert self.ends == ends, "a history that does not end where its mail is"

    def teardown(self) -> None:
        """Everything is allowed to finish: then every lead is accounted for."""
        if not self.processes or not hasattr(self, "said"):
            return
        self.come_to_an_end()
        rows = list(Q.select())
        assert not [row.id for row in rows if row.status in (Status.PENDING, Status.SENDING)]
        for campaign_id, said in self.said.items():
            its = [row for row in rows if row.campaign_id == campaign_id]
            assert said == "cancelled" or not self.lacking(campaign_id, {*FINAL, Status.UNKNOWN}), "a lead was lost"
            is_open = any(row.status == Status.UNKNOWN for row in its)
            assert said == "cancelled" or said == ("active" if is_open else "completed")

    def come_to_an_end(self) -> None:
        # No process is known to be dead: what they hold is left to the leases.
        self.processes = [Process(each.worker) for each in self.processes]
        self.pass_by(timedelta(seconds=960))
        for campaign_id in self.said:
            self.edit(campaign_id, ENOUGH, is_shut=False)
            self.change(campaign_id, "resume")
        for mailbox_id in self.mailbox_limits:
            self.limit_mailbox(mailbox_id, ENOUGH)
            self.resume_mailbox(mailbox_id)
        self.tick()  # what it takes from the journal, the next one follows up
        for _ in range(40):
            self.hints.clear()
            for mailbox_id in self.mailbox_limits:
                self.look(mailbox_id)
            self.tick()
            if not (following := self.next_pending()):
                break
            for email_id, at in list(self.hints):
                self.send(email_id, at)
            self.pass_by(max(following.scheduled_at - make.now(), NOT_AT_ALL) + timedelta(minutes=2))

    def send(self, email_id: int, at: datetime) -> None:
        process = self.processes[0]
        self.take(process, email_id, at)
        if it := process.doing:
            self.hand_over(it)
            if it.stage is Stage.HANDED_OVER:
                self.write_dot(it)
                it.ends(TO_THE_DOT[0])
            self.record(it.claim, it.outcome)
            process.doing = None

    # What the steps above ask for.

    def next_pending(self) -> CampaignEmailQueue | None:
        found: CampaignEmailQueue | None = Q.select().where(Q.status == Status.PENDING).order_by(Q.scheduled_at).first()
        return found

    def of(self, email_id: int) -> list[Try]:
        return [each for each in self.tries if each.email_id == email_id]

    def claimed(self) -> list[Try]:
        return [each.doing for each in self.processes if each.doing is not None and each.doing.stage is Stage.CLAIMED]

    def unknown(self) -> list[int]:
        return [row.id for row in self.rows if row.status == Status.UNKNOWN]

    def collect_hints(self) -> None:
        for name in ("deliver", "deliver.DQ"):
            while not get_broker().queues[name].empty():
                email_id, at_ms = Message.decode(get_broker().queues[name].get_nowait()).args
                at = datetime.fromtimestamp(at_ms / 1000, UTC) + self.passed
                if (email_id, at) not in self.hints:
                    self.hints.append((email_id, at))


def mostly(luck: Random) -> bool:
    return luck.random() < 0.75


def plain(claim: Claim) -> Attempt:
    return Attempt(claim.held, claim.campaign_id, claim.mailbox_id, claim.attempts)


def by_campaign(slot: Slot) -> int:
    return slot.campaign_id


def not_today() -> Window:
    return Window(0, 1440, frozenset({(make.now().astimezone(WARSAW).weekday() + 3) % 7}))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_no_order_of_steps_breaks_a_promise() -> None:
    run_state_machine_as_test(
        Interleavings, settings=run_settings(max_examples=20, stateful_step_count=60, phases=[Run.generate])
    )
