"""A worker that is frozen in the middle of a hand-over's transaction, with its locks taken, until told to go on."""

from models.email import gates
from tests.pipeline.workers.freezing import freeze_when_asked_for

gates.first_closed = freeze_when_asked_for(lambda asked: asked == gates.HAND_OVER)

from actors.process import consume  # noqa: E402  # which finds what was changed above

consume.main()
