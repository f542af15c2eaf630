"""When an e-mail was planned, started and sent, from its history."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from models.states import Move, Status
from models.views import today
from models.views.history import PastMove
from models.views.overview import EmailLine

_ANSWERS = {Move.ACCEPT, Move.REJECT, Move.RETRY}


@dataclass(frozen=True)
class Times:
    first_planned: datetime | None
    planned: datetime
    started: datetime | None
    handed_over: datetime | None
    answered: datetime | None

    @property
    def late_by(self) -> timedelta | None:
        """How long after its planned time it was started; negative: before."""
        return None if self.started is None else self.started - self.planned

    @property
    def is_late(self) -> bool:
        return self.started is not None and today.is_late(self.planned, self.started)


def times(line: EmailLine, moves: Sequence[PastMove]) -> Times:
    """The times of the latest attempt. After a release, or a person's decision to send again, a new one begins."""
    planned = [row.scheduled_to for row in moves if row.scheduled_to is not None]
    attempt = _attempt(moves) if line.status != Status.PENDING else []
    return Times(
        first_planned=planned[0] if planned else None,
        planned=line.scheduled_at,
        started=attempt[0].at if attempt else None,
        handed_over=next((row.at for row in attempt if row.move == Move.HAND_OVER), None),
        answered=next((row.at for row in attempt if row.move in _ANSWERS), None),
    )


def _attempt(moves: Sequence[PastMove]) -> Sequence[PastMove]:
    begins = [place for place, row in enumerate(moves) if row.move == Move.CLAIM]
    return moves[begins[-1] :] if begins else ()
