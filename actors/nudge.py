"""Asks for a tick now: an owner who starts or resumes a campaign need not wait for the minute.

Nothing depends on it. Where nobody hears it, the next tick does the same.
"""

from dramatiq import Message

import config
from actors import queues
from models import database

CHANNEL = "punktual_tick"  # on which the embedded process listens in Postgres, having no broker that others reach


def ask_for_tick() -> None:
    if config.settings().broker.embedded:
        database.notify(CHANNEL)
        return
    # Imported here because importing it reads the settings, whose mistakes the caller wants to tell by itself.
    from actors.broker import FAILURES, broker

    message: Message[None] = Message(queue_name=queues.TICK, actor_name="tick", args=(), kwargs={}, options={})
    try:
        broker.enqueue(message)
    except FAILURES:
        return
