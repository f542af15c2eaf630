"""A leads file that was uploaded for a campaign, kept while a person answers what there is to ask about it.

One for each campaign; gone once it is imported, replaced, given up, or a day old.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from models.store.database import database, execute, row

LARGEST = 20_000_000  # bytes


@dataclass(frozen=True)
class Upload:
    name: str  # as its owner calls it
    content: bytes
    sheet: str | None  # of a spreadsheet; None: the one that has addresses
    encoding: str | None  # of a CSV file; None: it is detected
    by: str
    at: datetime


FORGET_OLD = "DELETE FROM lead_upload WHERE at < clock_timestamp() - interval '1 day'"
PUT = """
INSERT INTO lead_upload (campaign_id, name, content, by) VALUES (%(campaign)s, %(name)s, %(content)s, %(by)s)
ON CONFLICT (campaign_id) DO UPDATE
SET name = EXCLUDED.name, content = EXCLUDED.content, sheet = NULL, encoding = NULL, by = EXCLUDED.by,
    at = clock_timestamp()
"""


def put(campaign_id: int, name: str, content: bytes, by: str) -> None:
    """Keep a leads file in place of the campaign's earlier one. The caller checked its size."""
    with database.atomic():
        execute(FORGET_OLD)
        execute(PUT, {"campaign": campaign_id, "name": name, "content": content, "by": by})


READ = "UPDATE lead_upload SET sheet = %(sheet)s, encoding = %(encoding)s WHERE campaign_id = %(campaign)s"


def read_as(campaign_id: int, sheet: str | None, encoding: str | None) -> None:
    execute(READ, {"campaign": campaign_id, "sheet": sheet, "encoding": encoding})


OF = "SELECT name, content, sheet, encoding, by, at FROM lead_upload WHERE campaign_id = %s"


def of(campaign_id: int) -> Upload | None:
    execute(FORGET_OLD)
    found = row(Upload, OF, (campaign_id,))
    return None if found is None else replace(found, content=bytes(found.content))


def remove(campaign_id: int) -> None:
    execute("DELETE FROM lead_upload WHERE campaign_id = %s", (campaign_id,))


def remove_all() -> None:
    """Delete all uploads: a forgotten person may be in any of them."""
    execute("DELETE FROM lead_upload")
