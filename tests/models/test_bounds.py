"""Numbers beyond their bounds do not get in: not by the product's own functions, and not past them."""

import math
from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peewee import DataError, IntegrityError

import bounds
from bounds import Bounds, OutOfBounds
from messages import Number
from models.owner import campaigns, mailboxes
from models.store import database
from models.store.tables import Campaign, Mailbox, WarmupCount
from tests import factories as make

TABLES: dict[str, Mapping[str, Bounds]] = {
    "campaign": bounds.CAMPAIGN,
    "mailbox": bounds.MAILBOX,
    "warmup_count": bounds.WARMUP,
}
CASES = [(table, column, it) for table, columns in TABLES.items() for column, it in columns.items()]


def beyond(it: Bounds) -> list[float]:
    step = 1 if it.least == round(it.least) else it.least / 2
    return [it.least - step, it.most + 1, -1, 2**31, 1e300, math.inf, -math.inf, math.nan]


def rows() -> tuple[int, int]:
    mailbox_id = make.a_mailbox()
    campaign_id = make.a_campaign([mailbox_id])
    mailboxes.record_warmup(mailbox_id, date(2026, 11, 17), 1, "tests")
    return mailbox_id, campaign_id


def change(table: str, mailbox_id: int, campaign_id: int, column: str, value: float) -> None:
    fresh: dict[str, Any] = {column: value}
    match table:
        case "campaign":
            campaigns.edit(campaign_id, "ola", campaigns.Edit(**fresh))
        case "mailbox" if column == "imap_port":
            where = mailboxes.SentMail("i.example", value, "tls", None)  # type: ignore[arg-type]
            mailboxes.edit(mailbox_id, "ola", mailboxes.Edit(sent_mail=where))
        case "mailbox":
            mailboxes.edit(mailbox_id, "ola", mailboxes.Edit(**fresh))
        case _:
            mailboxes.record_warmup(mailbox_id, date(2026, 11, 17), value, "tests")  # type: ignore[arg-type]


@pytest.mark.parametrize(("table", "column", "it"), CASES, ids=[f"{table}.{column}" for table, column, _ in CASES])
class TestANumber:
    def test_beyond_its_bounds_is_refused_by_the_database(self, db: None, table: str, column: str, it: Bounds) -> None:
        rows()
        for value in beyond(it):
            with pytest.raises((IntegrityError, DataError)), database.database.atomic():
                database.execute(f"UPDATE {table} SET {column} = %s", (value,))

    def test_at_its_bounds_is_taken_by_both(self, db: None, table: str, column: str, it: Bounds) -> None:
        mailbox_id, campaign_id = rows()
        Mailbox.update(username="ola", imap_host="i.example", imap_port=1, imap_security="tls").execute()
        for value in (it.least, it.most):
            change(table, mailbox_id, campaign_id, column, value)

    def test_beyond_its_bounds_is_refused_with_its_name_and_nothing_is_written(
        self, db: None, table: str, column: str, it: Bounds
    ) -> None:
        mailbox_id, campaign_id = rows()
        before = [list(each.select().dicts()) for each in (Campaign, Mailbox, WarmupCount)]
        for value in beyond(it):
            with pytest.raises(OutOfBounds, match=f"^{column.replace('_', ' ')}: must be "):
                change(table, mailbox_id, campaign_id, column, value)

        assert [list(each.select().dicts()) for each in (Campaign, Mailbox, WarmupCount)] == before


class TestAddingARow:
    @pytest.mark.parametrize("values", [{"gap_seconds": 1e300}, {"daily_limit": -1}, {"smtp_port": 0}])
    def test_of_a_mailbox_with_a_number_beyond_its_bounds_is_refused(self, db: None, values: dict[str, Any]) -> None:
        with pytest.raises(OutOfBounds):
            make.a_mailbox(**values)

    @pytest.mark.parametrize("values", [{"delay": 1e12}, {"delay": 0}, {"limit": 0}, {"limit": 10**11}])
    def test_of_a_campaign_with_a_number_beyond_its_bounds_is_refused(self, db: None, values: dict[str, int]) -> None:
        mailbox_id = make.a_mailbox()

        with pytest.raises(OutOfBounds):
            make.a_campaign([mailbox_id], **values)  # type: ignore[arg-type]


@given(st.floats() | st.integers(), st.sampled_from([it for _, _, it in CASES]))
def test_a_number_is_taken_where_it_is_between_its_bounds_and_nowhere_else(value: float, it: Bounds) -> None:
    try:
        it.check(value)
    except OutOfBounds:
        assert not it.least <= value <= it.most
    else:
        assert it.least <= value <= it.most


@pytest.mark.parametrize(
    ("number", "written"),
    [(0.001, "0.001"), (1, "1"), (1_000_000, "1,000,000"), (86_400.0, "86,400"), (2.5, "2.5"), (0, "0")],
)
def test_a_bound_is_written_without_an_exponent(number: float, written: str) -> None:
    assert str(Number(number)) == written
