"""When periodiq sends which message: cron lines, in the machine's local time."""

TICK = "* * * * *"
DOMAIN_CHECKS = "7 * * * *"  # of the domains that are due: each once a day
EXAMINATION = "*/15 * * * *"
TOKENS = "*/5 * * * *"  # OAuth2 tokens that end soon
