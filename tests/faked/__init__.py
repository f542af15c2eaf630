"""Runs a command, and all that it starts, at another time: `python -m tests.faked "2026-11-26 23:58" COMMAND`."""

# The environment variable with the seconds by which clocks are moved.
SHIFT = "TESTS_CLOCK_SHIFT"
