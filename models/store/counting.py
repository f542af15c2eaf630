"""Which e-mails count towards a daily limit, and on which day, as SQL: the one place that says so.

A mail counts on the Warsaw day of its hand-over, or of its claim while it is not handed over.
"""

from models.states import COUNTED

_STATUSES = ", ".join(f"'{status}'" for status in sorted(COUNTED))


def counts(row: str = "") -> str:
    """SQL: whether an e-mail may have reached its lead, and so counts. row: its name in the query."""
    return f"{_column(row, 'status')} IN ({_STATUSES})"


def counted_at(row: str = "") -> str:
    """SQL: the moment that tells on which day it counts. Of a mail that does not count it says nothing."""
    return f"COALESCE({_column(row, 'handed_over_at')}, {_column(row, 'claimed_at')})"


def counts_between(starts: str, ends: str, row: str = "") -> str:
    """SQL: whether it counts on this day. starts, ends: SQL, of the day's first moment and of the next day's."""
    return f"{counts(row)} AND {counted_at(row)} >= {starts} AND {counted_at(row)} < {ends}"


def _column(row: str, name: str) -> str:
    return f"{row}.{name}" if row else name
