"""Runs a command, and all that it starts, at another time: `python -m tests.faked "2026-11-26 23:58" COMMAND`."""
