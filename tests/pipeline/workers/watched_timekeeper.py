"""The timekeeper, with its durable effects named as they come."""

from tests.pipeline import effects

effects.watch()

import scheduling.timetable  # noqa: E402, F401  # the actor, with what was put around it above
