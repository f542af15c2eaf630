"""A run's e-mails: campaigns that share mailboxes, most of two letters, and leads that request every kind of answer."""

from dataclasses import dataclass
from random import Random

from models.owner.mailboxes import SentMail
from models.store import vault
from models.store.tables import Campaign
from tests import factories as make
from tests.chaos.servers import CREDENTIALS

# Answers that addresses request from the mail server. A limited number of faults is overcome and the e-mail sent.
REFUSED = ("550", "552", "554", "dot-554", "450")  # the last one until it is given up
GOT_OVER = (
    *("421x1", "450x1", "451x2", "452x1", "454x1", "550-5.4.5x1", "dot-451x1"),
    *("drop-before-dotx1", "early-250x1", "reset-at-quit"),
)
# The server is slow for most e-mails, so that faults hit some in transit.
WILLING = ("lead", "250-after-1", "250-after-2")
IN_DOUBT = ("drop-after-dot", "reset-after-dot", "garbage-at-dot")

_LEAST_MAILS = 60
_MAILS_A_SECOND = 0.9
_MAIN = ("north", "east", "south", "west")
_LIMIT, _OVER_THE_LIMIT = 5, 3
_MAILBOXES = 7
_SENDING_PART = 0.4  # of the run's time, without faults
WAIT_SECONDS = 4  # of a follow-up
# How many of the leads that get their letters answer one of them.
_ANSWERING_PART = 0.4


@dataclass(frozen=True)
class Plan:
    """Campaign -> the addresses of its leads, and the pace of each."""

    leads: dict[str, list[str]]
    delay_seconds: float
    answers: dict[str, float]  # address -> so many seconds after its first letter

    @property
    def count(self) -> int:
        """Its letters, if nobody answers and none is refused."""
        return sum(len(addresses) * (1 + (name in _MAIN)) for name, addresses in self.leads.items())


def plan(seed: int, seconds: float) -> Plan:
    random, count = Random(seed), max(_LEAST_MAILS, round(_MAILS_A_SECOND * seconds))
    addresses = _addresses(random, count * 2 // 3, late_seconds(seconds))
    leads = {
        "limited": [addresses.pop() for _ in range(_LIMIT + _OVER_THE_LIMIT)],
        "fleeting": [addresses.pop() for _ in range(count // 12)],
    }
    leads |= {name: addresses[number :: len(_MAIN)] for number, name in enumerate(_MAIN)}
    willing = [each for name in _MAIN for each in leads[name] if each.startswith(WILLING)]
    answering = random.sample(willing, round(_ANSWERING_PART * len(willing)))
    answers = {each: random.uniform(0, 3 * WAIT_SECONDS) for each in answering}
    return Plan(leads, _SENDING_PART * seconds / (2 * len(leads["north"])), answers)


def late_seconds(seconds: float) -> int:
    """How long the slowest answers to a dot take in a run of this length."""
    return 30 if seconds > 120 else 10


def _addresses(random: Random, count: int, late: int) -> list[str]:
    asking = [*REFUSED, *GOT_OVER, *IN_DOUBT, f"250-after-{late}"] * max(1, 3 * count // (2 * _LEAST_MAILS))
    wishes = asking + random.choices(WILLING, k=count - len(asking))
    random.shuffle(wishes)
    return [f"{wish}+{number}@leads.example" for number, wish in enumerate(wishes, start=1)]


def write(plan: Plan, smtp_port: int, imap_port: int) -> None:
    """Mailboxes and started campaigns, into an empty database."""
    mailboxes = [_mailbox(number, plan, smtp_port, imap_port) for number in range(_MAILBOXES)]
    for number, (name, addresses) in enumerate(plan.leads.items()):
        shared = [mailboxes[(number + step) % _MAILBOXES] for step in range(3)]
        limit = _LIMIT if name == "limited" else 10_000
        follow_ups = [f"{WAIT_SECONDS} seconds"] if name in _MAIN else []
        campaign_id = make.a_campaign(
            shared, addresses, delay=plan.delay_seconds, limit=limit, follow_ups=follow_ups, follow_up_share=100
        )
        Campaign.update(name=name).where(Campaign.id == campaign_id).execute()


def user_of(mailbox: str) -> str:
    """Who logs in for a mailbox. The first one's password is refused for a while."""
    number = mailbox.partition("@")[0].removeprefix("ola")
    return f"535x3+{CREDENTIALS[0]}" if number == "0" else f"m{number}+{CREDENTIALS[0]}"


def _mailbox(number: int, plan: Plan, smtp_port: int, imap_port: int) -> int:
    address = f"ola{number}@sender{number}.example"
    return make.a_mailbox(
        address,
        smtp_port=smtp_port,
        sent_mail=SentMail("127.0.0.1", imap_port, "none", None),
        username=user_of(address),
        password_encrypted=vault.encrypt(CREDENTIALS[1]),
        # The second one's limit is soon reached.
        daily_limit=plan.count // 20 if number == 1 else 10_000,
        gap_seconds=0.5 + number / 5,
    )
