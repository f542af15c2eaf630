"""A worker that is frozen right after each hand-over, before its dot, until somebody has it go on."""

from models.email import moves
from models.email.claims import Held
from models.email.gates import Closed
from tests.pipeline.workers.freezing import freeze

hand_over = moves.hand_over


def hand_over_and_freeze(held: Held, content: bytes) -> Closed | None:
    closed = hand_over(held, content)
    freeze()
    return closed


moves.hand_over = hand_over_and_freeze

from actors.process import consume  # noqa: E402  # which finds what was changed above

consume.main()
