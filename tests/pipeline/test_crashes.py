"""Every point at which a process can die between two durable effects, tried one by one.

Each situation lists the effects that its process has, in their order. One test holds the list against a real run, so
that no point is left out; for each effect another has the process killed right before it, started again, and run to the
end.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

import config
from actors.disk import journal
from actors.disk.identity import this_worker
from mail.outcome import Accepted, Reply
from models.email import moves
from models.email.claims import Worker
from models.owner import arming, mailboxes
from models.people import lead_search, suppressions
from models.planning import refusals
from models.planning.refusals import Kind
from models.states import FINAL, Status
from models.store import database, embedded
from models.store.tables import Campaign, CampaignEmailQueue, CampaignLead, CampaignStep, Mailbox
from tests import factories as make
from tests.pipeline import effects
from tests.pipeline.conftest import Punktual
from tests.waiting import until

Q = CampaignEmailQueue
DATABASE = config.settings().var / "postgres"
# The shortest pauses: what matters here is what happens, not when.
QUICK = {
    # Long enough for a hint to be published before its time, on a busy machine too.
    "PUNKTUAL_SENDING_RETRY_FIRST_SECONDS": "2",
    "PUNKTUAL_SENDING_RETRY_CAP_SECONDS": "2",
    "PUNKTUAL_SENDING_GIVE_UP_AFTER_DAYS": "0.000001",
}


class Victim:
    """The process that is to die, and the notes that it takes until then."""

    def __init__(self, punktual: Punktual, situation: "Situation", notes: Path) -> None:
        self.punktual, self.it, self.notes = punktual, situation, notes

    def start(self, **environment: str) -> None:
        watched = {effects.LOG: str(self.notes), **QUICK, **self.it.environment, **environment}
        name = f"tests.pipeline.workers.watched_{self.it.process}"
        self.process = self.punktual.fork(name, self.it.process, "4", **watched)

    def effects(self) -> tuple[str, ...]:
        return tuple(self.notes.read_text().splitlines()) if self.notes.exists() else ()

    def is_dead(self) -> bool:
        return self.process.poll() is not None


@dataclass(frozen=True)
class Situation:
    """before: the rows as the process finds them. act: what then sets it going. accepted: 0 where no mail arrives."""

    name: str
    process: str
    before: Callable[[Punktual], Any]
    act: Callable[[Victim], None]
    effects: tuple[str, ...]
    ends: tuple[Status, ...] = (Status.SENT,)
    accepted: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    searchable: bool = True  # what was imported is in the index already

    def prepare(self, punktual: Punktual) -> None:
        self.before(punktual)
        while self.searchable and lead_search.waiting():
            lead_search.make_leads_searchable()

    @property
    def queue(self) -> str:
        return {"worker": "deliver", "timekeeper": "tick"}[self.process]

    @property
    def marks(self) -> list[pytest.MarkDecorator]:
        return [pytest.mark.own_servers] if self.act is stop_the_database_before_the_answer else []

    @property
    def in_doubt(self) -> tuple[str, ...]:
        """Where the dot may have left and its answer is not recorded: dying right before one of these."""
        if "dot" not in self.effects or Status.UNKNOWN in self.ends:
            return ()
        after = self.effects[self.effects.index("moves.hand_over") + 1 :]
        answered = next(place for place, name in enumerate(after) if name.startswith(("moves.", "record.", "journal.")))
        return after[: answered + 1]


def mail_to(address: str, **campaign: Any) -> Callable[[Punktual], int]:
    def plan(punktual: Punktual) -> int:
        mailbox_id = punktual.mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=[address], **({"delay": 0.01} | campaign))
        return make.planned(campaign_id, mailbox_id, make.now())[0]

    return plan


def hint(victim: Victim) -> None:
    [row] = Q.select()
    victim.punktual.hint(make.Hint(row.id, row.scheduled_at))


def tick(victim: Victim) -> None:
    victim.punktual.tick()


def boot(victim: Victim) -> None:
    """Its start alone sets it going."""


def hint_a_mail_that_waits_for_the_campaigns_pace(victim: Victim) -> None:
    Campaign.update(last_start_at=make.now()).execute()
    hint(victim)


def suppress_the_lead_in_the_middle_of_the_conversation(victim: Victim) -> None:
    address = CampaignLead.get().address
    with victim.punktual.smtp.holding("data", address) as held:
        hint(victim)
        until(lambda: held.reached.is_set() or victim.is_dead(), "the conversation to come to its middle")
        suppressions.add(address, "she asked us to", "tests")


def stop_the_database_before_the_answer(victim: Victim) -> None:
    address = CampaignLead.get().address
    with victim.punktual.smtp.holding("dot", address) as held:
        hint(victim)
        until(lambda: held.reached.is_set() or victim.is_dead(), "the dot to arrive")
        database.close()
        embedded.stop(DATABASE, "immediate")
    try:
        until(lambda: victim.is_dead() or victim.effects()[-1:] == ("acknowledge deliver",), "it to give up")
    finally:
        embedded.start(DATABASE)


def suppressed_mail(punktual: Punktual) -> None:
    """By an order that came while it was planned."""
    suppressions.add("anna@leads.example", "she asked us to", "tests")
    mail_to("anna@leads.example")(punktual)


def held_by_the_dead(punktual: Punktual) -> None:
    """One claimed and one handed over, by a process of this host that does not run."""
    dead = Worker(this_worker().host, 999_999_999, 1.0)
    make.claimed(mail_to("anna@leads.example")(punktual), dead)
    make.handed_over(mail_to("jan@leads.example")(punktual), dead)


def answered_while_the_database_was_away(punktual: Punktual) -> None:
    claim = make.handed_over(mail_to("anna@leads.example")(punktual), Worker("elsewhere", 1, 1.0))
    journal.append(claim, Accepted(Reply(250, "2.0.0", "accepted")))


def campaign_not_planned_yet(punktual: Punktual) -> None:
    make.a_campaign([punktual.mailbox()], leads=2, delay=0.5)


def overdue_for_hours(punktual: Punktual) -> None:
    make.age(mail_to("anna@leads.example")(punktual), timedelta(hours=2))


def blamed_after_two_had_failed(punktual: Punktual) -> None:
    """A third lead's mail got the same answer, and so the mailbox is to blame."""
    mailbox_id = punktual.mailbox()
    campaign_id = make.a_campaign([mailbox_id], leads=3, delay=0.01)
    ids = make.planned(campaign_id, mailbox_id, *[make.now()] * 3)
    told = make.no(554, enhanced="5.6.0", scope="content", phase="dot")
    for email_id in ids:
        make.rested(campaign_id)
        held = make.handed_over(email_id).held
        if email_id == ids[-1]:
            refusal = refusals.read(email_id, Kind("content", 554, "5.6.0"))
            mailboxes.close_after(held, told, lambda _: timedelta(0), refusal=refusal)
        else:
            moves.reject(held, told)
    Mailbox.update(closed_until=None).execute()


def nothing_is_sent(punktual: Punktual) -> None:
    all_sent(punktual)
    arming.disarm("a backup was restored", "tests")


def all_sent(punktual: Punktual) -> None:
    claim = make.handed_over(mail_to("anna@leads.example")(punktual))
    moves.accept(claim.held, make.YES)


def all_sent_long_ago(punktual: Punktual) -> None:
    all_sent(punktual)
    make.everything_older(timedelta(days=31))


def suppressed_since_the_last_tick(punktual: Punktual) -> None:
    suppressions.add("jan@leads.example", "he asked us to", "tests")
    all_sent(punktual)


def sent_and_not_followed_yet(punktual: Punktual) -> None:
    sequence = {"follow_ups": ["1 second"], "follow_up_without_inbox": True}
    claim = make.handed_over(mail_to("anna@leads.example", **sequence)(punktual))
    moves.accept(claim.held, make.YES)


ANNA, IN_NO_HURRY = mail_to("anna@leads.example"), mail_to("anna@leads.example", delay=3)
CALL = ("moves.claim", "compose", "connect", "EHLO", "MAIL", "RCPT")
UP_TO_HAND_OVER = (*CALL, "DATA", "body", "moves.hand_over")
UP_TO_ANSWER = (*UP_TO_HAND_OVER, "handover_log.note", "dot", "answer")
HINT_IN_A_WHILE = ("publish deliver", "hints.mark")
ITS_TIME_HAS_COME = ("publish deliver", "acknowledge deliver.DQ")
END_OF_TICK = ("forgetting.erase_late_words", "campaigns.complete_finished", "heartbeats.beat", "acknowledge tick")
INDEXED = "lead_search.make_leads_searchable"
SITUATIONS = (
    Situation("sent", "worker", ANNA, hint, (*UP_TO_ANSWER, "moves.accept", "QUIT", "acknowledge deliver")),
    Situation(
        "deferred",
        "worker",
        mail_to("dot-451@leads.example"),
        hint,
        (*UP_TO_ANSWER, "record.move", "publish deliver", "QUIT", "acknowledge deliver", *ITS_TIME_HAS_COME),
        ends=(Status.FAILED,),
    ),
    Situation(
        "refused",
        "worker",
        mail_to("550@leads.example"),
        hint,
        (*CALL, "record.move", "QUIT", "acknowledge deliver"),
        ends=(Status.FAILED,),
    ),
    Situation(
        "unanswered",
        "worker",
        mail_to("drop-after-dot@leads.example"),
        hint,
        (*UP_TO_ANSWER, "moves.doubt", "acknowledge deliver"),
        ends=(Status.UNKNOWN,),
    ),
    Situation(
        "journaling",
        "worker",
        ANNA,
        stop_the_database_before_the_answer,
        (*UP_TO_ANSWER, "journal.append", "QUIT", "acknowledge deliver"),
    ),
    Situation(
        "closing its mailbox",
        "worker",
        mail_to("421x1@leads.example"),
        hint,
        (*CALL, "mailboxes.close_after", "QUIT", "acknowledge deliver"),
    ),
    Situation(
        "withdrawn",
        "worker",
        ANNA,
        suppress_the_lead_in_the_middle_of_the_conversation,
        (*UP_TO_HAND_OVER, "moves.release", "acknowledge deliver"),
        ends=(Status.CANCELLED,),
    ),
    Situation(
        "cancelled",
        "worker",
        suppressed_mail,
        hint,
        ("moves.claim", "moves.cancel", "acknowledge deliver"),
        ends=(Status.CANCELLED,),
    ),
    Situation(
        "waiting",
        "worker",
        IN_NO_HURRY,
        hint_a_mail_that_waits_for_the_campaigns_pace,
        ("moves.claim", "publish deliver", "acknowledge deliver", *ITS_TIME_HAS_COME),
    ),
    Situation(
        "booting",
        "worker",
        held_by_the_dead,
        boot,
        ("moves.release_unhanded", "moves.doubt"),
        ends=(Status.SENT, Status.UNKNOWN),
    ),
    Situation(
        "merging", "worker", answered_while_the_database_was_away, boot, ("moves.accept", "journal.merge"), accepted=0
    ),
    Situation(
        "planning",
        "timekeeper",
        campaign_not_planned_yet,
        tick,
        ("plans.write", "publish deliver", *HINT_IN_A_WHILE, *END_OF_TICK[:2], INDEXED, *END_OF_TICK[2:]),
        ends=(Status.SENT, Status.SENT),
        searchable=False,
    ),
    Situation("re-planning", "timekeeper", overdue_for_hours, tick, ("plans.write", *HINT_IN_A_WHILE, *END_OF_TICK)),
    Situation(
        "planning a follow-up",
        "timekeeper",
        sent_and_not_followed_yet,
        tick,
        ("plans.write_follow_ups", *HINT_IN_A_WHILE, *END_OF_TICK),
        ends=(Status.SENT, Status.SENT),
    ),
    Situation(
        "reconciling",
        "timekeeper",
        held_by_the_dead,
        tick,
        ("moves.release_unhanded", "moves.doubt", *END_OF_TICK),
        ends=(Status.SENT, Status.UNKNOWN),
    ),
    Situation(
        "bringing back what failed for its mailbox",
        "timekeeper",
        blamed_after_two_had_failed,
        tick,
        (*HINT_IN_A_WHILE, "reopening.reopen_blamed", "reopening.reopen_blamed", *END_OF_TICK),
        ends=(Status.SENT, Status.SENT, Status.SENT),
    ),
    Situation(
        "completing, and deleting an old letter",
        "timekeeper",
        all_sent_long_ago,
        tick,
        (*END_OF_TICK[:2], "retention.delete_letters", *END_OF_TICK[2:]),
        accepted=0,
        environment={"PUNKTUAL_RETENTION_LETTERS_DAYS": "30"},
    ),
    Situation(
        "noting a suppression",
        "timekeeper",
        suppressed_since_the_last_tick,
        tick,
        (*END_OF_TICK[:2], "suppressed.note", *END_OF_TICK[2:]),
        accepted=0,
    ),
    Situation(
        "asking for a notice",
        "timekeeper",
        nothing_is_sent,
        tick,
        ("forgetting.erase_late_words", "campaigns.complete_finished", "publish upkeep", *END_OF_TICK[2:]),
        accepted=0,
        environment={"PUNKTUAL_NOTICES_URLS": "json://127.0.0.1:9"},
    ),
)


def points() -> Iterator[Any]:
    """Each situation with each of its effects, but for those by which it came there like the first."""
    first, *_ = SITUATIONS
    for it in SITUATIONS:
        alike = takewhile(lambda pair: pair[0] == pair[1], zip(first.effects, it.effects, strict=False))
        known = 0 if it is first else len(list(alike))
        for number in range(known, len(it.effects)):
            name = f"{it.name}, before {it.effects[number]} ({number + 1})"
            yield pytest.param(it, number, id=name, marks=it.marks)


@pytest.mark.parametrize("it", [pytest.param(it, id=it.name, marks=it.marks) for it in SITUATIONS])
def test_these_are_all_the_effects_that_a_process_has_when_it_is(
    punktual: Punktual, tmp_path: Path, it: Situation
) -> None:
    victim = Victim(punktual, it, tmp_path / "effects")
    it.prepare(punktual)

    victim.start()
    punktual.listening(it.queue)
    it.act(victim)

    until(lambda: len(victim.effects()) >= len(it.effects), f"{it.effects}, not {victim.effects()}")
    assert victim.effects()[: len(it.effects)] == it.effects


@pytest.mark.parametrize(("it", "number"), list(points()))
def test_killed_there_and_started_again_no_mail_is_sent_twice_and_none_is_lost(
    punktual: Punktual, tmp_path: Path, it: Situation, number: int
) -> None:
    victim = Victim(punktual, it, tmp_path / "effects")
    it.prepare(punktual)
    sent_before = {row.message_id for row in Q.select().where(Q.status == Status.SENT)}
    victim.start(**{effects.DIE_BEFORE: str(number + 1)})
    if it.act is not boot:
        punktual.listening(it.queue)
        it.act(victim)
    until(victim.is_dead, "the process to die")
    assert victim.effects() == it.effects[:number]
    if it.effects[number - 1 : number + 1] == ("record.move", "publish deliver"):
        age_lost_hint()

    punktual.consume("worker", **QUICK)
    punktual.consume("timekeeper", **QUICK)
    punktual.listening("deliver", "tick")
    ends = sorted((Status.UNKNOWN,) if it.effects[number] in it.in_doubt else it.ends)
    # Failed is an end too, from which a mail may be brought back.
    until(
        lambda: is_over(punktual) and sorted(row.status for row in Q.select()) == ends, "every mail to have its result"
    )

    copies = Counter(punktual.smtp.message_ids)
    assert not copies or max(copies.values()) == 1
    sent = Q.select().where(Q.status == Status.SENT)
    assert {row.message_id for row in sent} - set(copies) - sent_before == set() or it.accepted == 0


def age_lost_hint() -> None:
    """Of an e-mail that is marked as hinted. The tick hints again once it is overdue for a minute."""
    [row] = Q.select()
    assert row.hinted_for == row.scheduled_at
    make.age(row.id, timedelta(minutes=2))


def is_over(punktual: Punktual) -> bool:
    punktual.tick()
    unfinished = Q.select().where(Q.status.not_in([*FINAL, Status.UNKNOWN])).exists()
    # Each situation has campaigns with as many steps.
    steps = CampaignStep.select(CampaignStep.position).order_by(CampaignStep.position.desc()).limit(1).scalar()
    return not unfinished and Q.select().count() == CampaignLead.select().count() * steps
