"""The state machine of an e-mail, as data; and the statuses of campaigns and mailboxes.

Owns which statuses there are and which move leads from where to where. The moves themselves are in moves.py; the
diagram in the README is checked against this table.
"""

from enum import StrEnum
from typing import NamedTuple


class Status(StrEnum):
    PENDING = "pending"  # planned for scheduled_at; nothing has begun
    SENDING = "sending"  # claimed by one worker; handed_over_at tells whether the final dot may have left
    SENT = "sent"  # the server answered 250 to the final dot
    FAILED = "failed"  # proved not accepted, and not to be tried again
    CANCELLED = "cancelled"  # will not be sent: its campaign was cancelled, or its lead must not be written to
    UNKNOWN = "unknown"  # the final dot may have left and no answer was recorded; a person or late proof rules


FINAL = frozenset({Status.SENT, Status.FAILED, Status.CANCELLED})
# A mail in one of these may have reached its lead, so it counts towards the limits of its day.
COUNTED = frozenset({Status.SENDING, Status.SENT, Status.UNKNOWN})


class CampaignStatus(StrEnum):
    DRAFT = "draft"  # nothing of it is planned before it is started
    ACTIVE = "active"
    PAUSED = "paused"  # its mails stay planned, and none is claimed
    COMPLETED = "completed"  # every lead that may be written to has its results
    CANCELLED = "cancelled"  # for good


class MailboxStatus(StrEnum):
    ACTIVE = "active"  # it may still be closed for a while, after faults
    PAUSED = "paused"


class Move(StrEnum):
    PLAN = "plan"  # the planner gives a lead its mailbox and its time
    CLAIM = "claim"  # one worker takes the mail, under a fresh token
    HAND_OVER = "hand_over"  # from here on the final dot may be on its way
    ACCEPT = "accept"  # the server took responsibility
    REJECT = "reject"  # the server refused, or it was put off for too long
    RETRY = "retry"  # proved not sent; another attempt at a later time
    RELEASE = "release"  # proved not sent, and not this mail's fault
    DOUBT = "doubt"  # no answer was recorded in time
    CANCEL = "cancel"  # it will not be sent
    REPLAN = "replan"  # another time or mailbox, with a reason
    SETTLE = "settle"  # a person rules on an unknown
    RECOVER = "recover"  # a machine's own record of a hand-over that a restored database has forgotten
    REOPEN = "reopen"  # a failed mail is to be tried again: a person's word, or its refusal was its mailbox's fault


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
    # Late proof is never thrown away: these four are also legal from unknown, for the worker that holds the token.
    Move.ACCEPT: _path(_IN_DOUBT, Status.SENT),
    Move.REJECT: _path(_IN_DOUBT, Status.FAILED),
    # Back to pending, unless the campaign was cancelled meanwhile.
    Move.RETRY: _path(_IN_DOUBT, Status.PENDING, Status.CANCELLED),
    Move.RELEASE: _path(_IN_DOUBT, Status.PENDING, Status.CANCELLED),
    Move.DOUBT: _path({Status.SENDING}, Status.UNKNOWN),
    Move.CANCEL: _path({Status.PENDING}, Status.CANCELLED),
    Move.REPLAN: _path({Status.PENDING}, Status.PENDING),
    Move.SETTLE: _path({Status.UNKNOWN}, Status.SENT, Status.PENDING),
    Move.RECOVER: _path({Status.PENDING, Status.SENDING}, Status.UNKNOWN),
    # Only a refusal leads to failed, so nothing that may have been accepted comes back.
    Move.REOPEN: _path({Status.FAILED}, Status.PENDING),
}
