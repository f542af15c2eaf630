"""What a message in an inbox was found to be."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum


class Class(StrEnum):
    HUMAN = "human"  # a person wrote it
    AUTOMATIC = "automatic"  # a program answered: out of office, receipt, ticket
    BOUNCE = "bounce"  # a mail server tells that a letter was not, or not yet, delivered
    COMPLAINT = "complaint"  # the recipient marked a letter as spam (RFC 5965)
    UNSUBSCRIBE = "unsubscribe"  # a person, or a mail program for one, asks not to be written to
    UNCLEAR = "unclear"  # a person must look
    OTHER = "other"  # no answer: our own mail, newsletters, notifications


class Kind(StrEnum):
    # Of a bounce.
    ADDRESS = "address"  # nobody can be reached there
    POLICY = "policy"  # this letter or this sender was refused
    TEMPORARY = "temporary"  # delayed, or given up for a reason that passes: full mailbox, greylisting, server away
    # Of an automatic reply.
    RECEIPT = "receipt"  # it was delivered or displayed: no reason to wait
    GONE = "gone"  # the person does not work there any more


@dataclass(frozen=True)
class Citation:
    """A Message-ID that the message names."""

    message_id: str  # with its angle brackets; of our own header: the id alone
    header: str  # where it stands


@dataclass(frozen=True)
class Letter:
    """One of our letters that the message cites."""

    recipient: str  # normalised
    texts: tuple[str, ...]  # its bodies as text
    subject: str = ""


@dataclass(frozen=True)
class Facts:
    """What the rows say about a message."""

    received_at: datetime  # aware: the server's INTERNALDATE
    own_addresses: frozenset[str] = frozenset()  # of all our mailboxes, normalised
    letters: Mapping[str, Letter] = field(default_factory=dict)  # of the cited ids that are ours
    unnamed: Letter | None = None  # our last one to its sender, if it cites none
    public_domains: frozenset[str] = frozenset()  # of mailboxes that anybody can have


@dataclass(frozen=True)
class Incoming:
    class_: Class
    rule: str  # that decided, with its source
    kind: Kind | None = None
    status: str | None = None  # of a bounce: "5.1.1"
    diagnostic: str = ""  # of a bounce: the server's words
    cited: tuple[Citation, ...] = ()  # in order of trust
    recipients: tuple[str, ...] = ()  # of a bounce or complaint: whom the letter did not reach
    sender: str = ""  # the address in From, normalised as far as it can be
    message_id: str = ""
    subject: str = ""
    returns_on: date | None = None  # of an automatic reply: the last day that it names
    excerpt: str = ""  # of the new text
