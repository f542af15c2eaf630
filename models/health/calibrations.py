"""What the latest calibration mail of each mailbox has shown."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from models.store import reason_columns
from models.store.database import database, execute, rows
from reasons import Reason, Why


@dataclass(frozen=True)
class CalibrationFinding:
    record: str  # arrival, spf, dkim, dmarc, one_click, message_id or sent_copy
    state: str  # ok, weak, wrong, missing or unknown
    why: Why
    checked_at: datetime

    @property
    def reason(self) -> str:
        """The reason in English."""
        return str(self.why)


KEEP = """
INSERT INTO calibration_finding (mailbox_id, record, state, reason, reason_code, reason_values)
VALUES (%(mailbox)s, %(record)s, %(state)s, %(reason)s, %(reason_code)s, %(reason_values)s)
"""


def keep(mailbox_id: int, found: Iterable[tuple[str, str, Reason]]) -> None:
    """Replace what was found before. found: record, state, reason."""
    with database.atomic():
        execute("DELETE FROM calibration_finding WHERE mailbox_id = %s", (mailbox_id,))
        for record, state, reason in found:
            values = {"mailbox": mailbox_id, "record": record, "state": state}
            execute(KEEP, {**values, **reason_columns.for_sql(reason, "reason")})


FOUND = """
SELECT mailbox_id, record, state, reason, reason_code, reason_values, checked_at FROM calibration_finding
WHERE mailbox_id = ANY(%s)
ORDER BY mailbox_id, array_position('{arrival,spf,dkim,dmarc,one_click,message_id,sent_copy}', record)
"""


@dataclass(frozen=True)
class _Row:
    mailbox_id: int
    record: str
    state: str
    reason: str
    reason_code: str | None
    reason_values: dict[str, Any] | None
    checked_at: datetime


def of_mailboxes(ids: Collection[int]) -> dict[int, list[CalibrationFinding]]:
    """Mailbox id -> what its latest calibration mail has shown; empty where none was sent yet."""
    found: defaultdict[int, list[CalibrationFinding]] = defaultdict(list)
    for it in rows(_Row, FOUND, (list(ids),)):
        why = reason_columns.read(it.reason, it.reason_code, it.reason_values) or it.reason
        found[it.mailbox_id].append(CalibrationFinding(it.record, it.state, why, it.checked_at))
    return {each: found[each] for each in ids}
