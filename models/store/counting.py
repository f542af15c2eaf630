"""SQL for which e-mails count towards a daily limit, and on which day: the only place with this rule.

An e-mail counts on the Warsaw day of its hand-over, or of its claim until it is handed over.
"""

from models.states import COUNTED

_STATUSES = ", ".join(f"'{status}'" for status in sorted(COUNTED))


def counts(row: str = "") -> str:
    """SQL: whether an e-mail counts because it may have reached its lead. row: the table's alias."""
    return f"{_column(row, 'status')} IN ({_STATUSES})"


def counted_at(row: str = "") -> str:
    """SQL: the time whose day an e-mail counts on. Meaningless for one that does not count."""
    return f"COALESCE({_column(row, 'handed_over_at')}, {_column(row, 'claimed_at')})"


def counts_between(starts: str, ends: str, row: str = "") -> str:
    """SQL: whether it counts on a day. starts, ends: SQL for the start of that day and of the next."""
    return f"{counts(row)} AND {counted_at(row)} >= {starts} AND {counted_at(row)} < {ends}"


# A test mail counts like an e-mail: from its start, unless its server certainly did not accept it.
TEST_COUNTS = "(outcome IS NULL OR outcome IN ('accepted', 'unanswered'))"
# Whether a test mail, of the table's alias `t`, is under way.
TEST_IS_UNDER_WAY = "t.ended_at IS NULL AND t.lease_ends_at > clock_timestamp()"


def _column(row: str, name: str) -> str:
    return f"{row}.{name}" if row else name
