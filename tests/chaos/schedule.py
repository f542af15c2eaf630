"""Which faults strike when, and what the owner does meanwhile: pure functions of a seed and a duration."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from random import Random


class Kind(StrEnum):
    KILL_WORKER = "kill-worker"  # one process below a keeper, with a mail on its way where there is one
    KILL_MASTER = "kill-master"  # the keeper alone: those below it are to stop in order
    KILL_TIMEKEEPER = "kill-timekeeper"
    KILL_PERIODIQ = "kill-periodiq"
    FREEZE_WORKER = "freeze-worker"  # such a one: SIGSTOP, and SIGCONT after a while
    STOP_BROKER = "stop-broker"
    KILL_BROKER = "kill-broker"
    PURGE_BROKER = "purge-broker"
    CRASH_DATABASE = "crash-database"
    CUT_BROKER = "cut-broker"  # its connections are reset
    CUT_DATABASE = "cut-database"
    CUT_SMTP = "cut-smtp"
    CUT_IMAP = "cut-imap"
    STALL_BROKER = "stall-broker"  # its connections stand, and carry nothing
    STALL_DATABASE = "stall-database"
    STALL_SMTP = "stall-smtp"
    STALL_IMAP = "stall-imap"
    SLOW_BROKER = "slow-broker"
    SLOW_DATABASE = "slow-database"
    SLOW_SMTP = "slow-smtp"
    SLOW_IMAP = "slow-imap"


@dataclass(frozen=True)
class Fault:
    at: float  # seconds after the start
    kind: Kind
    seconds: float  # how long it lasts; 0 for those that only strike
    draw: float  # in [0, 1): which of several processes it strikes, or how slow it makes a connection

    def __str__(self) -> str:
        lasts = f"for {self.seconds} s" if self.seconds else ""
        return f"{self.at:7.1f} s  {self.kind:<16} {lasts:<12} {self.draw:.3f}"


_BETWEEN = (4.0, 9.0)
_LASTS = {
    Kind.FREEZE_WORKER: (3.0, 26.0),  # some longer than a claim's lease
    Kind.STOP_BROKER: (0.0, 5.0),
    Kind.KILL_BROKER: (0.0, 5.0),
    Kind.CRASH_DATABASE: (0.0, 14.0),  # some longer than a worker insists before it writes to its journal
    Kind.STALL_BROKER: (3.0, 14.0),
    Kind.STALL_DATABASE: (3.0, 14.0),
    Kind.STALL_SMTP: (3.0, 14.0),
    Kind.STALL_IMAP: (3.0, 14.0),
    Kind.SLOW_BROKER: (4.0, 14.0),
    Kind.SLOW_DATABASE: (4.0, 14.0),
    Kind.SLOW_SMTP: (4.0, 14.0),
    Kind.SLOW_IMAP: (4.0, 14.0),
}


def faults(seed: int, seconds: float) -> list[Fault]:
    """In order of time. No kind comes again before every other has come."""
    return list(_faults(Random(seed), seconds))


def _faults(random: Random, seconds: float) -> Iterator[Fault]:
    deck: list[Kind] = []
    at = 0.0
    while (at := at + random.uniform(*_BETWEEN)) < seconds:
        deck = deck or random.sample(list(Kind), len(Kind))
        kind = deck.pop()
        lasts = random.uniform(*_LASTS.get(kind, (0.0, 0.0)))
        yield Fault(round(at, 1), kind, round(lasts, 1), random.random())


class Verb(StrEnum):
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"


@dataclass(frozen=True)
class Deed:
    """The owner's orders during the run."""

    at: float
    verb: Verb
    campaign: str

    def __str__(self) -> str:
        return f"{self.at:7.1f} s  {self.verb} {self.campaign}"


_DEEDS = (
    (0.15, Verb.PAUSE, "north"),
    (0.30, Verb.RESUME, "north"),
    (0.40, Verb.CANCEL, "fleeting"),
    (0.50, Verb.PAUSE, "south"),
    (0.65, Verb.RESUME, "south"),
    (1.00, Verb.CANCEL, "limited"),  # what its limit holds back would otherwise wait for tomorrow
)


def deeds(seconds: float) -> list[Deed]:
    return [Deed(round(part * seconds, 1), verb, campaign) for part, verb, campaign in _DEEDS]
