"""A worker on a machine whose clock is ten seconds fast."""

from datetime import timedelta

import clock

correct = clock.now
# Before anything of the product is imported: the database's module keeps the function that it finds then.
clock.now = lambda: correct() + timedelta(seconds=10)

from actors.process import consume  # noqa: E402  # which finds what was changed above

consume.main()
