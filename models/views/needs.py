"""What needs a person now: unknown e-mails, messages to be judged, and the other causes of notices."""

from models.owner import notices
from models.owner.notices import Cause, Kind
from models.views import responses, unknowns

# These are lists of their own, with a decision for each entry.
_LISTED = (Kind.UNKNOWN, Kind.UNCLEAR)


def causes() -> list[Cause]:
    return [it for it in notices.causes() if it.kind not in _LISTED]


def count() -> int:
    return unknowns.count() + responses.count_needs_a_person() + len(causes())
