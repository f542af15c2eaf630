"""How reasons are stored: a column each for the English text, the code and the values.

The previous version reads and writes only the text. The text column can go once that version is no longer running.
"""

from collections.abc import Mapping
from typing import Any

from psycopg2.extras import Json

from models.store.recordable import recordable
from reasons import Code, Reason, Why


def written(why: Why | None, column: str) -> dict[str, Any]:
    """The three columns for a reason, or for a person's or a server's own words."""
    if not isinstance(why, Reason):
        return {column: recordable(why), f"{column}_code": None, f"{column}_values": None}
    values = recordable(_plain(why.values))
    return {column: recordable(str(why)), f"{column}_code": str(why.code), f"{column}_values": values}


def for_sql(why: Why | None, column: str) -> dict[str, Any]:
    """The columns of written() as parameters of a raw SQL statement."""
    return {name: Json(it) if isinstance(it, dict) else it for name, it in written(why, column).items()}


def read(text: str | None, code: str | None, values: Mapping[str, Any] | None) -> Why | None:
    """Read a reason from a row that never changes. A code of a later version is unknown here: its text is used."""
    try:
        reason = _reason(code, values or {}) if code else None
        return reason if reason is not None and str(reason) else text
    except (KeyError, TypeError, ValueError):
        return text


def current(text: str | None, code: str | None, values: Mapping[str, Any] | None) -> Why | None:
    """Read a reason from a row that changes. If the previous version changed the text since, the code is outdated."""
    found = read(text, code, values)
    return found if text is not None and str(found) == text else text


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: {"code": str(value.code), "values": _plain(value.values)} if isinstance(value, Reason) else value
        for name, value in values.items()
    }


def _reason(code: str, values: Mapping[str, Any]) -> Reason:
    filled = {
        name: _reason(value["code"], value["values"]) if isinstance(value, dict) else value
        for name, value in values.items()
    }
    return Reason(Code(code), **filled)
