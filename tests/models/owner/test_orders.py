"""Each order is carried out whole, with who gave it, or leaves nothing: wherever the database fails in the middle."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

import pytest
from peewee import DatabaseError

from models.email import recovery
from models.email.recovery import HandOver
from models.owner import arming, campaigns, mailboxes, settlement
from models.owner.arming import Verdict
from models.owner.mailboxes import SentMail
from models.owner.settlement import SettlementRefused
from models.people import suppressions
from models.states import Status
from models.store import database, tables
from models.store.tables import Change, EmailContent, EmailHistory
from tests import factories as make

pytestmark = pytest.mark.usefixtures("db")

WHERE = SentMail("imap.sender.example", 993, "tls", None)
ANNA = "anna@leads.example"

REFUSE = """
CREATE FUNCTION refuse_order() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'refused by the test'; END $$;
CREATE TRIGGER refuse BEFORE INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION refuse_order();
"""


@contextmanager
def refused(table: str) -> Iterator[None]:
    """Every write to this table fails, as late as its row is written."""
    database.execute(REFUSE.format(table=table))
    try:
        yield
    finally:
        database.execute("DROP FUNCTION refuse_order CASCADE")


def everything() -> dict[str, list[Any]]:
    """All rows of all tables, as text."""
    names = [table._meta.table_name for table in tables.TABLES]
    return {name: database.fetch(f"SELECT it::text FROM {name} it ORDER BY 1") for name in names}


def a_draft() -> int:
    return make.a_campaign([make.a_mailbox()], active=False)


def an_active_one() -> int:
    mailbox_id = make.a_mailbox()
    campaign_id = make.a_campaign([mailbox_id], leads=2)
    make.planned(campaign_id, mailbox_id, make.now())
    return campaign_id


def a_paused_one() -> int:
    campaign_id = an_active_one()
    campaigns.pause(campaign_id, "tests")
    return campaign_id


def a_used_mailbox() -> int:
    """With a mail in doubt, and a campaign that sends from it."""
    email_id, _ = make.in_status(Status.UNKNOWN)
    database.execute("UPDATE campaign_email_queue SET evidence_sought_at = clock_timestamp()")
    return make.row(email_id).mailbox_id


def a_planned_person() -> int:
    mailbox_id = make.a_mailbox()
    [email_id] = make.planned(make.a_campaign([mailbox_id], leads=[ANNA]), mailbox_id, make.now())
    return email_id


def a_suppressed_person() -> int:
    suppressions.add(ANNA, "she asked us to", "tests")
    return 0


def a_disarmed_installation() -> int:
    arming.disarm("the database knows less", "tests")
    return 0


def an_unknown_mail() -> int:
    email_id, _ = make.in_status(Status.UNKNOWN)
    make.age(email_id, timedelta(hours=1))
    return email_id


def everything_of_mailbox(id: int) -> None:
    login = {"smtp_port": 587, "username": "ola", "password_encrypted": "gAAAAnew"}
    mailboxes.edit(id, "ola", mailboxes.Edit(**login, daily_limit=7, sent_mail=WHERE))  # type: ignore[arg-type]


# Order -> how its subject comes to be, what is said of it, and all the tables that it writes to.
Order = tuple[Callable[[], int], Callable[[int], object], tuple[str, ...]]
ORDERS: dict[str, Order] = {
    "start a campaign": (a_draft, lambda id: campaigns.start(id, "ola"), ("campaign", "change")),
    "pause a campaign": (an_active_one, lambda id: campaigns.pause(id, "ola"), ("campaign", "change")),
    "resume a campaign": (a_paused_one, lambda id: campaigns.resume(id, "ola"), ("campaign", "change")),
    "cancel a campaign": (
        an_active_one,
        lambda id: campaigns.cancel(id, "ola"),
        ("campaign", "change", "campaign_email_queue", "email_history"),
    ),
    "edit a campaign": (
        an_active_one,
        lambda id: campaigns.edit(id, "ola", campaigns.Edit(daily_limit=7)),
        ("campaign", "change"),
    ),
    "edit a mailbox": (
        a_used_mailbox,
        everything_of_mailbox,
        ("mailbox", "change", "campaign", "campaign_email_queue"),
    ),
    "pause a mailbox": (make.a_mailbox, lambda id: mailboxes.pause(id, "ola"), ("mailbox", "change")),
    "record warm-up": (
        make.a_mailbox,
        lambda id: mailboxes.record_warmup(id, date(2026, 11, 17), 5, "ola"),
        ("warmup_count", "mailbox", "change"),
    ),
    "suppress": (
        a_planned_person,
        lambda _: suppressions.add(ANNA, "she asked us to", "ola"),
        ("suppression", "change", "campaign_email_queue", "email_history"),
    ),
    "no longer suppress": (
        a_suppressed_person,
        lambda _: suppressions.remove(ANNA, "ola"),
        ("suppression", "change"),
    ),
    "disarm": (lambda: 0, lambda _: arming.disarm("it knows less", "ola"), ("installation", "change")),
    "arm": (a_disarmed_installation, lambda _: arming.arm("ola"), ("installation", "change")),
}
FAILURES = [(name, table) for name, (_, _, written) in ORDERS.items() for table in written]


@pytest.mark.parametrize(("name", "table"), FAILURES)
def test_an_order_that_fails_in_the_middle_leaves_nothing(name: str, table: str) -> None:
    prepare, order, _ = ORDERS[name]
    id = prepare()
    before = everything()

    with refused(table), pytest.raises(DatabaseError, match="refused by the test"):
        order(id)

    assert everything() == before


@pytest.mark.parametrize("name", ORDERS)
def test_one_that_is_carried_out_writes_what_was_said_and_one_row_of_who_gave_it(name: str) -> None:
    prepare, order, written = ORDERS[name]
    id = prepare()
    before, last = everything(), Change.select().count()

    order(id)

    after = everything()
    assert {table for table in after if after[table] != before[table]} == set(written)
    assert [it.by for it in Change.select().order_by(Change.id).offset(last)] == ["ola"]


def two_forgotten_mails() -> list[HandOver]:
    """Handed over by this machine, as a backup from before that remembers them."""
    lost = []
    for _ in range(2):
        email_id = make.an_email()
        lost.append(recovery.of(make.handed_over(email_id), make.now()))
        EmailContent.delete().where(EmailContent.email == email_id).execute()
        EmailHistory.delete().where(EmailHistory.email == email_id, EmailHistory.move != "plan").execute()
        unclaimed = dict.fromkeys(("claim_token", "claimed_at", "worker_host", "worker_pid", "handed_over_at"))
        tables.CampaignEmailQueue.update(status="pending", **unclaimed).where(
            tables.CampaignEmailQueue.id == email_id
        ).execute()
    return lost


class TestADecisionOnForgottenEmails:
    @pytest.mark.parametrize("table", ["campaign_email_queue", "email_history", "change"])
    def test_that_fails_in_the_middle_leaves_all_of_them_as_they_were(self, table: str) -> None:
        lost = two_forgotten_mails()
        before = everything()

        with refused(table), pytest.raises(DatabaseError, match="refused by the test"):
            arming.rule_on(lost, Verdict.SENT, "last night's backup", "ola")

        assert everything() == before

    def test_for_a_reason_that_is_none_leaves_all_of_them_as_they_were(self) -> None:
        lost = two_forgotten_mails()
        before = everything()

        with pytest.raises(SettlementRefused):
            arming.rule_on(lost, Verdict.SENT, " ", "ola")

        assert everything() == before
        assert arming.rule_on(lost, Verdict.SENT, "last night's backup", "ola") == 2
        assert {make.row(it.email_id).status for it in lost} == {Status.SENT}


def test_a_ruling_on_one_unknown_mail_that_fails_in_the_middle_leaves_it_unknown() -> None:
    email_id = an_unknown_mail()
    before = everything()

    for rule in (settlement.sent, settlement.again):
        with refused("email_history"), pytest.raises(DatabaseError, match="refused by the test"):
            rule(email_id, "she has it", "ola")

    assert everything() == before
