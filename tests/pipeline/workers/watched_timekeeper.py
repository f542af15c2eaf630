"""The timekeeper, with its durable effects named as they come."""

from tests.pipeline import effects

effects.watch()

import actors.tick  # noqa: E402, F401  # the actor, with what was put around it above
