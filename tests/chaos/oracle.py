"""Compares the rows with the mail server's log, rule by rule. Every violation is a sentence with its evidence."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

from models.health import invariants
from models.states import FINAL, PATHS, Move, Status
from models.store.tables import Campaign, CampaignEmailQueue, CampaignLead, EmailHistory, Mailbox
from models.views import conversations
from models.views.conversations import Conversation
from scheduling.window import warsaw_day
from tests.chaos.leads import Answer
from tests.chaos.load import IN_DOUBT, REFUSED, WAIT_SECONDS
from tests.chaos.schedule import Kind
from tests.chaos.strikes import Incident
from tests.smtp_server import Delivery, InData, SmtpServer, wish_of

Q = CampaignEmailQueue

_REFUSED_FOR_GOOD = {(wish, None) for wish in REFUSED}
# If one of these happens between a hand-over and its record, nobody can know whether the server accepted.
_ENDS_CONVERSATIONS = frozenset({Kind.CUT_SMTP, Kind.STALL_SMTP})
_ENDS_WORKERS = frozenset({Kind.KILL_WORKER})
# Faults by which the server misses the end of a conversation while the next one may begin.
_HIDES_AN_END = _ENDS_CONVERSATIONS | {Kind.SLOW_SMTP, *_ENDS_WORKERS}
_OFTEN = 4  # with this many faults of a kind, at least one must hit something
# A hand-over's time is read a little before it is committed.
_SLACK = timedelta(seconds=1)


@dataclass(frozen=True)
class Evidence:
    rows: Sequence[Q]
    history: dict[int, list[EmailHistory]]
    recipients: dict[int, str]  # e-mail id -> address
    mailbox_limits: dict[int, int]
    campaign_limits: dict[int, int]
    deliveries: Sequence[Delivery]
    overlaps: Sequence[tuple[InData, InData]]
    incidents: Sequence[Incident]
    stuck: Sequence[str]  # the standings of campaigns that did not end although all faults were over
    broken: Sequence[str]  # violations found by doctor
    answers: Sequence[Answer]
    conversations: dict[str, Conversation | None]  # Message-ID of an answered letter -> what became of it

    @property
    def accepted(self) -> Counter[str]:
        return Counter(delivery.message_id for delivery in self.deliveries)

    def named(self, row: Q) -> str:
        return f"e-mail {row.id} to {self.recipients[row.id]} ({row.status})"


def evidence(
    smtp: SmtpServer, incidents: Sequence[Incident], stuck: Sequence[str] = (), answers: Sequence[Answer] = ()
) -> Evidence:
    rows = list(Q.select().order_by(Q.id))
    history: dict[int, list[EmailHistory]] = {row.id: [] for row in rows}
    for line in EmailHistory.select().order_by(EmailHistory.id):
        history[line.email_id].append(line)
    addresses = {lead.id: lead.address for lead in CampaignLead.select()}
    return Evidence(
        rows,
        history,
        recipients={row.id: addresses[row.campaign_lead_id] for row in rows},
        mailbox_limits={row.id: row.daily_limit for row in Mailbox.select()},
        campaign_limits={row.id: row.daily_limit for row in Campaign.select()},
        deliveries=list(smtp.accepted),
        overlaps=list(smtp.overlaps),
        incidents=incidents,
        stuck=stuck,
        broken=[f"{it.rule}: {it.broken_by}" for it in invariants.check() if not it.holds],
        answers=answers,
        conversations={
            row.message_id: conversations.of_email(row.id)
            for row in rows
            if row.message_id in {it.message_id for it in answers}
        },
    )


@dataclass(frozen=True)
class Verdict:
    statuses: Counter[str]
    duplicates: int
    missing: int
    unknowns: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)


def judge(it: Evidence) -> Verdict:
    accepted = it.accepted
    return Verdict(
        statuses=Counter(str(row.status) for row in it.rows),
        duplicates=accepted.total() - len(accepted),
        missing=sum(row.status == Status.SENT and not accepted[row.message_id] for row in it.rows),
        unknowns=[_told(it, row) for row in it.rows if row.status == Status.UNKNOWN],
        violations=[violation for rule in RULES for violation in rule(it)],
    )


def accepted_once_at_the_most(it: Evidence) -> Iterator[str]:
    for message_id, times in it.accepted.items():
        if times > 1:
            yield f"{message_id} was accepted {times} times"


def sent_is_what_was_accepted(it: Evidence) -> Iterator[str]:
    accepted = it.accepted
    for row in it.rows:
        if row.status == Status.SENT and not accepted[row.message_id]:
            yield f"{it.named(row)}: the server never took it"
        if row.status not in (Status.SENT, Status.UNKNOWN) and accepted[row.message_id]:
            yield f"{it.named(row)}: the server took it"
    for message_id in accepted.keys() - {row.message_id for row in it.rows}:
        yield f"{message_id} was accepted, and there is no such e-mail"


def only_those_fail_that_were_refused(it: Evidence) -> Iterator[str]:
    """No e-mail fails because of its mailbox, a server, or an injected fault."""
    for row in it.rows:
        if row.status == Status.FAILED and wish_of(it.recipients[row.id]) not in _REFUSED_FOR_GOOD:
            yield f"{it.named(row)}: it was never refused for good: {row.error}"


def nothing_is_left(it: Evidence) -> Iterator[str]:
    yield from (f"stuck: {saying}" for saying in it.stuck)
    for row in it.rows:
        if row.status not in FINAL | {Status.UNKNOWN}:
            yield f"{it.named(row)}: neither final nor unknown"


def unknown_is_explained(it: Evidence) -> Iterator[str]:
    for row in it.rows:
        if row.status == Status.UNKNOWN and explanation(it, row) is None:
            yield f"{it.named(row)}: nothing explains it: {row.error}"


def follow_ups_come_after_their_wait_in_their_thread(it: Evidence) -> Iterator[str]:
    """By the mail server's log: the letter before was accepted, from the same mailbox, a wait ago."""
    took = {delivery.message_id: delivery for delivery in it.deliveries}
    ids = {row.id: row.message_id for row in it.rows}
    for row in it.rows:
        delivery = took.get(row.message_id)
        if row.predecessor_id is None or delivery is None:
            continue
        before = took.get(ids[row.predecessor_id])
        if before is None or before.sender != delivery.sender:
            yield f"{it.named(row)}: the letter before it was not accepted from {delivery.sender}"
        elif delivery.at - before.at < timedelta(seconds=WAIT_SECONDS):
            yield f"{it.named(row)}: it came {delivery.at - before.at} after the letter before it"
        elif f"In-Reply-To: {before.message_id}\r\n".encode() not in delivery.content:
            yield f"{it.named(row)}: it does not answer the letter before it"


def no_follow_up_passes_an_answer(it: Evidence) -> Iterator[str]:
    """By both servers' logs: an answer that was there when the look began that allowed the claim was seen by it."""
    ids = {row.message_id: row for row in it.rows}
    took = it.accepted
    for answer in it.answers:
        answered = ids.get(answer.message_id)
        for row in it.rows:
            is_after = answered is not None and row.campaign_lead_id == answered.campaign_lead_id
            if is_after and row.predecessor_id is not None and took[row.message_id] and row.looked_at > answer.at:
                yield f"{it.named(row)}: the lead's answer was there at {answer.at}, the look began {row.looked_at}"


def every_answer_ends_its_sequence(it: Evidence) -> Iterator[str]:
    for answer in it.answers:
        found = it.conversations.get(answer.message_id)
        if found is None or not any(each.class_name == "human" for each in found.answers):
            yield f"the answer to {answer.message_id} of {answer.at} was not read"
        elif found.ended is None:
            yield f"{found.lead} answered, and its sequence goes on"


def limits_hold(it: Evidence) -> Iterator[str]:
    took = {row.id for row in it.rows if row.status in (Status.SENT, Status.UNKNOWN)}
    for column, limits in (("mailbox_id", it.mailbox_limits), ("campaign_id", it.campaign_limits)):
        used = Counter((getattr(row, column), warsaw_day(row.handed_over_at)) for row in it.rows if row.id in took)
        for (owner, day), count in used.items():
            if count > limits[owner]:
                yield f"{column} {owner}: {count} mails on {day}, and its limit is {limits[owner]}"


def one_conversation_a_mailbox(it: Evidence) -> Iterator[str]:
    for earlier, later in it.overlaps:
        hidden = (each for each in it.incidents if each.kind in _HIDES_AN_END)
        if not any(each.overlaps(earlier.since - _SLACK, later.since) for each in hidden):
            to = f"{earlier.recipient} and to {later.recipient}"
            yield f"{later.sender} was sending to {to} at {later.since:%H:%M:%S}"


def history_is_complete(it: Evidence) -> Iterator[str]:
    for row in it.rows:
        lines = it.history[row.id]
        if not lines or lines[0].move != Move.PLAN:
            yield f"{it.named(row)}: its history does not begin with its plan"
            continue
        if (lines[-1].to_status, lines[-1].scheduled_to) != (row.status, row.scheduled_at):
            yield f"{it.named(row)}: its history does not lead to where it is"
        for before, line in pairwise(lines):
            if (before.to_status, before.scheduled_to) != (line.from_status, line.scheduled_from):
                yield f"{it.named(row)}: between {before.move} and {line.move} something moved it without a word"
        for line in lines:
            if flaw := _flaw(line):
                yield f"{it.named(row)}: {line.move} {flaw}"


def _flaw(line: EmailHistory) -> str | None:
    path = PATHS[Move(line.move)]
    if line.to_status not in path.targets or (line.from_status is None) != (not path.sources):
        return f"from {line.from_status} to {line.to_status}"
    if line.from_status is not None and line.from_status not in path.sources:
        return f"from {line.from_status}"
    if line.scheduled_from not in (None, line.scheduled_to) and not line.reason:
        return "moved it without a reason"
    return None


def invariants_hold(it: Evidence) -> Iterator[str]:
    yield from it.broken


def every_kind_struck(it: Evidence) -> Iterator[str]:
    """A kind of fault that never hits anything proves nothing."""
    aimed = Counter(incident.kind for incident in it.incidents)
    struck = Counter(incident.kind for incident in it.incidents if incident.struck)
    for kind, times in aimed.items():
        if times >= _OFTEN and not struck[kind]:
            yield f"{kind}: none of {times} faults struck, so the run proves nothing of them"


RULES: tuple[Callable[[Evidence], Iterator[str]], ...] = (
    accepted_once_at_the_most,
    sent_is_what_was_accepted,
    only_those_fail_that_were_refused,
    nothing_is_left,
    unknown_is_explained,
    follow_ups_come_after_their_wait_in_their_thread,
    no_follow_up_passes_an_answer,
    every_answer_ends_its_sequence,
    limits_hold,
    one_conversation_a_mailbox,
    history_is_complete,
    invariants_hold,
    every_kind_struck,
)


def explanation(it: Evidence, row: Q) -> str | None:
    """The fault between hand-over and record that explains an unknown outcome."""
    wish, _ = wish_of(it.recipients[row.id])
    if wish in IN_DOUBT:
        return f"its address asked for {wish}"
    since, until = row.handed_over_at - _SLACK, doubted_at(it, row)
    for incident in it.incidents:
        if not incident.overlaps(since, until):
            continue
        if incident.kind in _ENDS_WORKERS and row.worker_pid in incident.pids:
            return f"its worker was struck: {incident}"
        if incident.kind is Kind.SLOW_SMTP and wish == "drop-before-dot":
            return f"its server hung up, and the word of it came slower than the dot left: {incident}"
        if incident.kind in _ENDS_CONVERSATIONS:
            return f"its conversation was struck: {incident}"
    return None


def doubted_at(it: Evidence, row: Q) -> datetime:
    moments: list[datetime] = [line.at for line in it.history[row.id] if line.move == Move.DOUBT]
    return max(moments)


def _told(it: Evidence, row: Q) -> str:
    took = "the server had taken it" if it.accepted[row.message_id] else "the server had not taken it"
    return f"{it.named(row)}, {took}: {explanation(it, row) or 'UNEXPLAINED'}"
