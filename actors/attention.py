"""The steps that call for a person: a campaign that goes badly is paused, and whoever is in charge is told of it."""

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
    """Have a worker tell the people in charge. Nothing is published where nobody is to be told, or nothing is new."""
    if config.settings().notices.urls and notices.any_due():
        queues.ask(queues.UPKEEP, "tell_people")
