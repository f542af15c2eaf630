"""What a machine keeps of suppressions beside the database, so that a restored backup loses none of them.

Only keyed hashes leave the database, those of forgotten.py: whoever is forgotten needs no more erasing for it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from models.people import forgotten, suppressions
from models.people.suppressions import NewSuppression
from models.store.database import database, fetch, rows
from reasons import Code, Reason

NEW = """
SELECT address, created_at AS at FROM suppression
WHERE created_at > %(after)s AND created_at < %(until)s AND NOT starts_with(address, %(prefix)s)
ORDER BY created_at FETCH FIRST %(most)s ROWS WITH TIES
"""


@dataclass(frozen=True)
class _Row:
    address: str
    at: datetime


def new_since(after: datetime | None, most: int) -> list[tuple[str, datetime]]:
    """Keyed hash and time of each suppression after `after`, in order; about `most`, more if they have one time.

    after: None for all. Returns nothing while some are being written: they could be committed with an earlier time than
    those that are here already.
    """
    now = forgotten.all_written_until()
    if now is None:
        return []
    # Times in rows are rounded to milliseconds.
    until = now.replace(microsecond=now.microsecond // 1000 * 1000)
    values = {"after": after or "-infinity", "until": until, "prefix": forgotten.PREFIX, "most": most}
    return [(forgotten.keys_of(it.address)[0], it.at) for it in rows(_Row, NEW, values)]


def missing(noted: Mapping[str, datetime]) -> set[str]:
    """The noted hashes that are not suppressed any more, although nobody has ended their suppression since.

    noted: keyed hash -> when it was noted. Hashes by a secret key that is not known any more are left out.
    """
    wanted = {key for key in noted if forgotten.is_of_a_known_key(key)}
    if wanted:
        wanted -= {key for (address,) in fetch("SELECT address FROM suppression") for key in _keys_of(address)}
    if wanted:
        wanted -= {
            key for it in rows(_Row, TAKEN_BACK) for key in _keys_of(it.address) if it.at >= noted.get(key, it.at)
        }
    return wanted


TAKEN_BACK = (
    "SELECT address, max(at) AS at FROM change WHERE verb = 'unsuppress' AND address IS NOT NULL GROUP BY address"
)
ADDRESSES = """
SELECT address FROM lead UNION SELECT address FROM change WHERE address IS NOT NULL
"""


def bring_back(noted: Mapping[str, datetime], by: str) -> int:
    """Suppress again what is missing. Returns how many.

    Whom the database does not know stays suppressed as a hash, so that an import leaves them out.
    """
    wanted = missing(noted)
    if not wanted:
        return 0
    why = Reason(Code.SUPPRESSED_BEFORE_RESTORE)
    known = {key: each for (address,) in fetch(ADDRESSES) for each in _concerned(address) for key in _keys_of(each)}
    found = [NewSuppression(known[key], why) for key in sorted(wanted) if key in known]
    suppressions.import_(found, by)
    with database.atomic():
        suppressions.add_silently([NewSuppression(key, why) for key in wanted if key not in known], by)
    return len(wanted)


def _concerned(address: str) -> Iterator[str]:
    """What would suppress it: itself, its domain, and those above."""
    return iter((address,)) if forgotten.is_key(address) else forgotten.concerning(address)


def _keys_of(address: str) -> list[str]:
    return [address] if forgotten.is_key(address) else forgotten.keys_of(address)
