"""When periodiq sends which message: cron lines, in the machine's local time."""

TICK = "* * * * *"
EXAMINATION = "*/15 * * * *"
