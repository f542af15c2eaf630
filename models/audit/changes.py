"""The audit log: each order of a person or of Punktual itself, recorded in the order's transaction.

An order concerns a campaign, a mailbox, a suppressed address, or the whole installation.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from peewee import Model, ModelSelect

from models.audit import sentences
from models.store import reason_columns
from models.store.database import with_next
from models.store.tables import Campaign, Mailbox
from models.store.tables import Change as Row
from reasons import Why

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

# Columns that are not orders themselves, but follow from one.
_INWARD = {
    *("revision", "replan_reason", "watched_from", "blamed_from", "paused_by", "paused_reason"),
    *("paused_reason_code", "paused_reason_values", "closed_reason_code", "closed_reason_values"),
}
_SECRET = {"password_encrypted": "password"}
_HIDDEN = "hidden"


@dataclass(frozen=True)
class RecordedChange:
    at: datetime
    by: str
    verb: str
    campaign_id: int | None
    mailbox_id: int | None
    values: dict[str, list[Any]]  # name -> [old, new]
    why: Why | None

    @property
    def reason(self) -> str | None:
        """The reason in English, if there is one."""
        return None if self.why is None else str(self.why)

    @property
    def sentence(self) -> str:
        """Who did what, in English."""
        return sentences.of(self.by, self.verb, self.values, self.reason)


def record(
    row: Campaign | Mailbox,
    fresh: Mapping[str, object],
    by: str,
    verb: str,
    reason: Why | None = None,
    more: Mapping[str, list[object]] = MappingProxyType({}),
) -> None:
    """Record the change of a campaign's or mailbox's row; nothing if it has not changed.

    row: before the change. fresh: columns after it; unchanged ones are not recorded. more: name -> [old, new].
    """
    if values := {**_differences(row, fresh), **more}:
        _insert(type(row), row.id, values, by, verb, reason)


def given(edit: "DataclassInstance") -> dict[str, object]:
    """The columns that an edit sets: its fields that are not None."""
    values = {field.name: getattr(edit, field.name) for field in fields(edit)}
    return {name: value for name, value in values.items() if value is not None}


def differ(row: Campaign | Mailbox, fresh: Mapping[str, object]) -> bool:
    """Whether any of these columns has another value in the row."""
    return any(getattr(row, name) != value for name, value in fresh.items())


def record_added(table: type[Campaign | Mailbox], id: int, values: Mapping[str, object], by: str) -> None:
    shown = {_name(name): [None, _shown(name, value)] for name, value in values.items() if value is not None}
    _insert(table, id, shown, by, "add", None)


def record_of_campaign(
    campaign_id: int, values: Mapping[str, list[object]], by: str, verb: str, reason: Why | None = None
) -> None:
    """Record what was done to a campaign. values: name -> [old, new]."""
    _insert(Campaign, campaign_id, values, by, verb, reason)


def record_of_mailbox(mailbox_id: int, values: Mapping[str, list[object]], by: str, verb: str) -> None:
    """Record what was done to a mailbox. values: name -> [old, new]."""
    _write(mailbox=mailbox_id, by=by, verb=verb, values=dict(values))


def record_of_address(
    address: str, values: Mapping[str, list[object]], by: str, verb: str, reason: Why | None = None
) -> None:
    """Record what was done to an address. values: name -> [old, new]."""
    _write(address=address, by=by, verb=verb, values=dict(values), **reason_columns.written(reason, "reason"))


def record_of_installation(values: Mapping[str, list[object]], by: str, verb: str, reason: Why | None = None) -> None:
    """Record what was done to the installation. values: name -> [old, new]."""
    _write(by=by, verb=verb, values=dict(values), **reason_columns.written(reason, "reason"))


def move_to_installation(row: Campaign, leads: int, by: str) -> None:
    """Keep who deleted a draft, and all that was done to it before, as one order about the installation."""
    orders = [
        {"at": it.at.isoformat(timespec="milliseconds"), "by": it.by, "verb": it.verb, "values": it.values}
        for it in reversed(of_campaign(row.id, 10_000))
    ]
    Row.delete().where(Row.campaign == row.id).execute()
    record_of_installation(
        {"campaign": [row.name, None], "leads": [leads, None], "orders": [orders, None]}, by, "delete"
    )


def of_installation(limit: int = 50) -> list[RecordedChange]:
    """The installation's recorded changes, the latest first."""
    return _latest(Row.select().where(Row.campaign.is_null(), Row.mailbox.is_null(), Row.address.is_null()), limit)


def of_address(address: str, limit: int | None = 50) -> list[RecordedChange]:
    """The recorded changes of an address, the latest first. limit: None returns all."""
    return _latest(Row.select().where(Row.address == address), limit)


def of_campaign(campaign_id: int, limit: int = 50) -> list[RecordedChange]:
    """A campaign's recorded changes, the latest first."""
    return _latest(Row.select().where(Row.campaign == campaign_id), limit)


def of_mailbox(mailbox_id: int, limit: int = 50) -> list[RecordedChange]:
    """A mailbox's recorded changes, the latest first."""
    return _latest(Row.select().where(Row.mailbox == mailbox_id), limit)


def _latest(rows: "ModelSelect[Row]", limit: int | None) -> list[RecordedChange]:
    return [
        RecordedChange(row.at, row.by, row.verb, row.campaign_id, row.mailbox_id, row.values, _why(row))
        for row in rows.order_by(Row.id.desc()).limit(limit)
    ]


def _why(row: Row) -> Why | None:
    return reason_columns.read(row.reason, row.reason_code, row.reason_values)


def _differences(row: Model, fresh: Mapping[str, object]) -> dict[str, list[object]]:
    return {
        _name(name): [_shown(name, getattr(row, name)), _shown(name, value)]
        for name, value in fresh.items()
        if name not in _INWARD and getattr(row, name) != value
    }


def _insert(
    table: type[Campaign | Mailbox], id: int, values: Mapping[str, list[object]], by: str, verb: str, reason: Why | None
) -> None:
    about = {"campaign" if table is Campaign else "mailbox": id}
    _write(by=by, verb=verb, values=values, **reason_columns.written(reason, "reason"), **about)


def _write(**columns: object) -> None:
    with_next(*Row.insert(columns).sql())


def _name(column: str) -> str:
    return _SECRET.get(column, column)


def _shown(column: str, value: object) -> object:
    """The value to record. For a secret only whether there is one, never the value, not even encrypted."""
    if column in _SECRET:
        return None if value is None else _HIDDEN
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    return value.isoformat() if isinstance(value, date) else value
