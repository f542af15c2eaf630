"""Tick steps that involve people: pause a campaign with too many refusals, and send notices to the people in charge."""

import config
from actors import queues
from models.owner import notices, protection
from ops.watch import logs

log = logs.get()


def protect() -> None:
    for paused in protection.protect():
        log.warning(
            "campaign_paused_itself",
            campaign_id=paused.campaign_id,
            results=paused.results.count,
            refused=paused.results.refused,
        )


def ask_for_notices() -> None:
    """Have a worker send due notices. Publishes nothing if there is no notifier or nothing new."""
    if config.settings().notices.urls and notices.any_due():
        queues.ask(queues.UPKEEP, "tell_people")
