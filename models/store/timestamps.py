"""Reads dates and times from Postgres: those beyond what Python can reckon with, like infinity, as the nearest it can.

The driver raises for them, and one such row would end whatever reads it together with others.
"""

from datetime import UTC, date, datetime
from typing import Any

from psycopg2 import extensions

# Both leave room for date arithmetic. The last one is also the planner's: settings with it are unusable.
_FIRST, _LAST = datetime(1000, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
_TIMESTAMPTZ, _TIMESTAMPTZ_ARRAY = (1184,), (1185,)
_DATE, _DATE_ARRAY = (1082,), (1182,)


def _moment(value: Any, _: object) -> datetime | None:
    """value: text as a session in UTC writes it, or None."""
    if value is None:
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return _FIRST if _is_early(value) else _LAST
    return found if _FIRST <= found <= _LAST else max(_FIRST, min(found, _LAST))


def _day(value: Any, _: object) -> date | None:
    if value is None:
        return None
    try:
        found = date.fromisoformat(value)
    except ValueError:
        return (_FIRST if _is_early(value) else _LAST).date()
    return max(_FIRST.date(), min(found, _LAST.date()))


def _is_early(value: str) -> bool:
    return value.startswith("-") or value.endswith("BC")


_MOMENT = extensions.new_type(_TIMESTAMPTZ, "MOMENT", _moment)
_DAY = extensions.new_type(_DATE, "DAY", _day)
_TYPES = (
    _MOMENT,
    _DAY,
    extensions.new_array_type(_TIMESTAMPTZ_ARRAY, "MOMENTS", _MOMENT),
    extensions.new_array_type(_DATE_ARRAY, "DAYS", _DAY),
)


def read_on(session: extensions.connection) -> None:
    for each in _TYPES:
        extensions.register_type(each, session)
