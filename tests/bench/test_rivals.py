"""The gated rivals keep the same rules: without this the comparison would be worth nothing."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from uuid import uuid4

import pytest

from bench.rivals.letter import Mail, build
from bench.rivals.moves import Gated, Wait
from models.health import invariants
from models.states import CampaignStatus, MailboxStatus, Status
from models.store import database
from models.store.tables import Campaign, EmailContent, Mailbox, Suppression, WarmupCount
from scheduling.window import warsaw_day
from tests import factories as make

AT_ONCE = 2
TODAY_ONLY_CLOSED = "UPDATE campaign SET weekdays = array_remove('{0,1,2,3,4,5,6}'::smallint[], %s::smallint)"


@pytest.fixture
def rival(db: None, postgres: str) -> Iterator[Gated]:
    rival = Gated(postgres, AT_ONCE)
    yield rival
    rival.close()


def of_campaign(**values: object) -> None:
    Campaign.update(**values).execute()


def of_mailbox(**values: object) -> None:
    Mailbox.update(**values).execute()


# As the product leaves a mail that is being sent, or was.
BEGUN = """
UPDATE campaign_email_queue
SET status = %(status)s, claim_token = gen_random_uuid(), claimed_at = clock_timestamp(), worker_host = 'host',
    worker_pid = 1, worker_started_at = 1, handed_over_at = clock_timestamp(),
    sent_at = CASE WHEN %(status)s = 'sent' THEN clock_timestamp() END
WHERE id = %(id)s
"""


def another(status: Status, *, mailbox_id: int | None = None, campaign_id: int | None = None) -> None:
    """An e-mail that shares the mailbox, or the campaign, or only the SMTP host."""
    mailbox_id = mailbox_id or make.a_mailbox()
    [other] = make.planned(campaign_id or make.a_campaign([mailbox_id]), mailbox_id, make.now())
    database.execute(BEGUN, {"status": status, "id": other})


def mailbox_of(email_id: int) -> int:
    return make.row(email_id).mailbox_id


def campaign_of(email_id: int) -> int:
    return make.row(email_id).campaign_id


def at_the_host(email_id: int) -> None:
    for _ in range(AT_ONCE):
        another(Status.SENDING)


def warmed_up(email_id: int) -> None:
    WarmupCount.create(mailbox=mailbox_of(email_id), day=warsaw_day(database.clock()), count=3)
    of_mailbox(daily_limit=3)


def suppressed(email_id: int) -> None:
    Suppression.create(address=make.row(email_id).campaign_lead.lead.address, reason="asked")


def campaign_used_up(email_id: int) -> None:
    another(Status.SENT, campaign_id=campaign_of(email_id))
    of_campaign(daily_limit=1)


def mailbox_used_up(email_id: int) -> None:
    another(Status.SENT, mailbox_id=mailbox_of(email_id))
    of_mailbox(daily_limit=1)


TOO_LATE = "it is too late"
# What closes a gate, for an e-mail that is due.
CLOSES: dict[str, Callable[[int], object]] = {
    "its campaign is paused": lambda it: of_campaign(status=CampaignStatus.PAUSED),
    "its lead is suppressed": suppressed,
    TOO_LATE: lambda it: make.age(it, timedelta(hours=1)),
    "its window is closed": lambda it: database.execute(TODAY_ONLY_CLOSED, [warsaw_day(database.clock()).weekday()]),
    "its campaign has reached its limit": campaign_used_up,
    "its mailbox has reached its limit": mailbox_used_up,
    "warm-up e-mails have reached it": warmed_up,
    "its mailbox is paused": lambda it: of_mailbox(status=MailboxStatus.PAUSED),
    "its mailbox is closed": lambda it: of_mailbox(closed_until=make.now() + timedelta(hours=1)),
}
AFTER_THE_CLAIM = {name: close for name, close in CLOSES.items() if name != TOO_LATE}
MAKES_WAIT: dict[str, Callable[[int], object]] = {
    "it is early": lambda it: make.age(it, timedelta(hours=-1)),
    "its mailbox sends another": lambda it: another(Status.SENDING, mailbox_id=mailbox_of(it)),
    "its mailbox has just sent": lambda it: of_mailbox(gap_seconds=60, last_start_at=make.now()),
    "its campaign has just sent": lambda it: of_campaign(delay_seconds=60, last_start_at=make.now()),
    "its host has enough": at_the_host,
}


def an_email() -> int:
    return make.an_email(leads=2, delay=0.001)


class TestAClaim:
    def test_is_made_where_every_gate_is_open(self, rival: Gated) -> None:
        email_id = an_email()

        mail = rival.claim(email_id, str(uuid4()))

        assert isinstance(mail, Mail)
        assert make.row(email_id).status == Status.SENDING

    @pytest.mark.parametrize("close", CLOSES.values(), ids=CLOSES)
    def test_is_refused(self, rival: Gated, close: Callable[[int], object]) -> None:
        email_id = an_email()
        close(email_id)

        assert rival.claim(email_id, str(uuid4())) is None
        assert make.row(email_id).status == Status.PENDING

    @pytest.mark.parametrize("close", MAKES_WAIT.values(), ids=MAKES_WAIT)
    def test_has_to_wait(self, rival: Gated, close: Callable[[int], object]) -> None:
        email_id = an_email()
        close(email_id)

        assert isinstance(rival.claim(email_id, str(uuid4())), Wait)
        assert make.row(email_id).status == Status.PENDING

    def test_is_made_once(self, rival: Gated) -> None:
        email_id = an_email()
        rival.claim(email_id, str(uuid4()))

        assert rival.claim(email_id, str(uuid4())) is None


class TestAHandOver:
    @pytest.mark.parametrize("close", AFTER_THE_CLAIM.values(), ids=AFTER_THE_CLAIM)
    def test_is_refused_where_a_gate_has_closed_since(self, rival: Gated, close: Callable[[int], object]) -> None:
        email_id, token = an_email(), str(uuid4())
        rival.claim(email_id, token)
        close(email_id)

        assert not rival.hand_over(email_id, token, b"content")

    def test_needs_the_token_of_the_claim(self, rival: Gated) -> None:
        email_id = an_email()
        rival.claim(email_id, str(uuid4()))

        assert not rival.hand_over(email_id, str(uuid4()), b"content")


def test_a_mail_that_was_sent_leaves_the_rows_that_punktual_would(rival: Gated) -> None:
    email_id, token = an_email(), str(uuid4())
    mail = rival.claim(email_id, token)
    assert isinstance(mail, Mail)
    content = build(mail)
    assert rival.hand_over(email_id, token, content)
    rival.accept(email_id, token, "250 ok")

    assert make.row(email_id).status == Status.SENT
    assert bytes(EmailContent.get_by_id(email_id).content) == content
    moves = database.fetch("SELECT move FROM email_history WHERE email_id = %s ORDER BY id", (email_id,))
    assert [move for (move,) in moves] == ["plan", "claim", "hand_over", "accept"]
    assert [it.rule for it in invariants.check() if it.broken_by is not None] == []
