"""Remembers which column of a leads file is which field of the letter, for the next file with the same header."""

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256

from psycopg2.extras import Json

from models.store.database import execute, fetch_row

Mapped = Mapping[str, str | None]  # field -> the name of its column; None: it has none

FIND = "SELECT columns FROM column_mapping WHERE header = %s"


def of(header: Iterable[str]) -> dict[str, str | None]:
    """What is remembered for a file with these columns."""
    found = fetch_row(FIND, (_key(header),))
    return dict(found[0]) if found else {}


REMEMBER = """
INSERT INTO column_mapping (header, columns, by) VALUES (%(header)s, %(columns)s, %(by)s)
ON CONFLICT (header) DO UPDATE
SET columns = column_mapping.columns || EXCLUDED.columns, by = EXCLUDED.by, at = EXCLUDED.at
"""


def remember(header: Iterable[str], mapped: Mapped, by: str) -> None:
    """Remember which columns the fields are read from. Fields that are not mentioned keep their columns."""
    execute(REMEMBER, {"header": _key(header), "columns": Json(dict(mapped)), "by": by})


def _key(header: Iterable[str]) -> str:
    return sha256(json.dumps(sorted(header)).encode()).hexdigest()
