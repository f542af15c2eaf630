"""The state machine of an e-mail, as data; and the statuses of campaigns and mailboxes.

Lists the statuses and the allowed moves between them. The moves themselves are in moves.py and batch_moves.py; a test
checks the README's diagram against this table.
"""

from enum import StrEnum
from typing import NamedTuple


class Status(StrEnum):
    PENDING = "pending"  # planned for scheduled_at; nothing has begun
    SENDING = "sending"  # claimed by one worker; handed_over_at tells whether the final dot may have left
    SENT = "sent"  # the server answered 250 to the final dot
    FAILED = "failed"  # proved not accepted, and not to be tried again
    CANCELLED = "cancelled"  # will not be sent: its campaign or step is gone, or its lead must not be written to
    UNKNOWN = "unknown"  # the final dot may have left and no answer was recorded; a person or late proof decides


FINAL = frozenset({Status.SENT, Status.FAILED, Status.CANCELLED})
# A mail in one of these may have reached its lead, so it counts towards the limits of its day.
COUNTED = frozenset({Status.SENDING, Status.SENT, Status.UNKNOWN})


class CampaignStatus(StrEnum):
    DRAFT = "draft"  # not planned until it is started
    ACTIVE = "active"
    PAUSED = "paused"  # its e-mails stay planned but are not claimed
    COMPLETED = "completed"  # every lead that may be written to has a final result
    CANCELLED = "cancelled"  # for good


class MailboxStatus(StrEnum):
    ACTIVE = "active"  # it may still be closed temporarily, after faults
    PAUSED = "paused"


# `by` of what Punktual does to protect the reputation of domains.
PROTECTION = "protection"
# `by` of what follows from a message that came back.
INBOX = "inbox"
# SQL: whether the mailbox `m` is closed because DNS records of its domain are missing.
CLOSED_BY_ITSELF = f"(m.status = '{MailboxStatus.PAUSED}' AND m.paused_by = '{PROTECTION}')"


class Move(StrEnum):
    PLAN = "plan"  # the planner gives a lead its mailbox and its time
    CLAIM = "claim"  # one worker takes the mail, under a fresh token
    HAND_OVER = "hand_over"  # from here on the final dot may be on its way
    ACCEPT = "accept"  # the server took responsibility
    REJECT = "reject"  # the server refused, or it was put off for too long
    RETRY = "retry"  # proved not sent; another attempt at a later time
    RELEASE = "release"  # proved not sent, and not this mail's fault
    DOUBT = "doubt"  # no answer was recorded in time
    CANCEL = "cancel"  # will not be sent
    REPLAN = "replan"  # another time or mailbox, with a reason
    SETTLE = "settle"  # a person decides an unknown e-mail
    RECOVER = "recover"  # restored from a machine's hand-over log, after a backup lost it
    REOPEN = "reopen"  # tried again after all: a person asked, the mailbox was to blame, or what stopped it was wrong


class Result(StrEnum):
    ACCEPTED = "accepted"  # the server took responsibility
    DEFERRED = "deferred"  # proved not sent; may be tried again
    REFUSED = "refused"  # proved not sent, and not to be tried again as it is
    UNANSWERED = "unanswered"  # the final dot may have left, and no answer to it was read
    WITHDRAWN = "withdrawn"  # the hand-over was refused: the connection was dropped before the dot


class Path(NamedTuple):
    sources: frozenset[Status]  # empty: the row does not exist yet
    targets: frozenset[Status]


def _path(sources: set[Status], *targets: Status) -> Path:
    return Path(frozenset(sources), frozenset(targets))


_IN_DOUBT = {Status.SENDING, Status.UNKNOWN}

PATHS: dict[Move, Path] = {
    Move.PLAN: _path(set(), Status.PENDING),
    Move.CLAIM: _path({Status.PENDING}, Status.SENDING),
    Move.HAND_OVER: _path({Status.SENDING}, Status.SENDING),
    # Late proof still counts: these four are also legal from unknown, for the worker that holds the token.
    Move.ACCEPT: _path(_IN_DOUBT, Status.SENT),
    Move.REJECT: _path(_IN_DOUBT, Status.FAILED),
    # Back to pending, unless the campaign was cancelled meanwhile.
    Move.RETRY: _path(_IN_DOUBT, Status.PENDING, Status.CANCELLED),
    Move.RELEASE: _path(_IN_DOUBT, Status.PENDING, Status.CANCELLED),
    Move.DOUBT: _path({Status.SENDING}, Status.UNKNOWN),
    Move.CANCEL: _path({Status.PENDING}, Status.CANCELLED),
    Move.REPLAN: _path({Status.PENDING}, Status.PENDING),
    Move.SETTLE: _path({Status.UNKNOWN}, Status.SENT, Status.PENDING),
    # Whatever it was in the backup, unless it was sent: since then it may have been reopened or settled.
    Move.RECOVER: _path(set(Status) - {Status.SENT}, Status.UNKNOWN),
    # Only a refusal leads to failed, and only what was not sent is cancelled: neither may have been accepted.
    Move.REOPEN: _path({Status.FAILED, Status.CANCELLED}, Status.PENDING),
}
