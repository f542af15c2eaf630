"""The worker, with its durable effects named as they come."""

from tests.pipeline import effects

effects.watch()

from actors import deliver  # noqa: E402
from actors.process import consume  # noqa: E402  # with what was put around it above

effects.mark(deliver, "compose")
consume.main()
