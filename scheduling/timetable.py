"""When periodiq asks for what: cron lines, in the machine's local time."""

TICK = "* * * * *"
EXAMINATION = "*/15 * * * *"
