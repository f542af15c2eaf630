"""A worker that is frozen in the middle of a hand-over's transaction, with its locks taken, until told to go on."""

from models import gates
from tests.pipeline.workers.stopping import stop_when_asked_for

gates.first_closed = stop_when_asked_for(lambda asked: asked == gates.HAND_OVER)

import actors.deliver  # noqa: E402, F401  # the actor, which finds what was changed above
