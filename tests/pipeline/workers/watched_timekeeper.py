"""The timekeeper, with its durable effects named as they come."""

from tests.pipeline import effects

effects.watch()

from actors.process import consume  # noqa: E402  # with what was put around it above

consume.main()
