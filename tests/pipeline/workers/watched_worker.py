"""The worker, with its durable effects named as they come."""

from tests.pipeline import effects

effects.watch()

import actors.deliver  # noqa: E402  # the actor, with what was put around it above

effects.mark(actors.deliver, "compose")
