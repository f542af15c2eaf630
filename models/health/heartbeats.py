"""When each background job last finished."""

from datetime import datetime, timedelta

from models.store.database import clock
from models.store.tables import Heartbeat

# A timekeeper ticks every minute; after a restart it may miss the first tick.
LONGEST_WITHOUT_TICK = timedelta(minutes=3)

# When another installation's message last arrived.
FOREIGN_MESSAGE = "foreign_message"
_SHARED_UNTIL = timedelta(minutes=10)
SHARED = (
    "another installation of Punktual uses the same virtual host of RabbitMQ, and each takes the other's messages:"
    " give each one of its own in PUNKTUAL_BROKER_URL"
)


def beat(name: str) -> None:
    at = clock()
    Heartbeat.insert(name=name, at=at).on_conflict(
        conflict_target=[Heartbeat.name], update={Heartbeat.at: at}
    ).execute()


def last(name: str) -> datetime | None:
    row = Heartbeat.get_or_none(Heartbeat.name == name)
    return None if row is None else row.at


def is_overdue(tick: datetime | None) -> bool:
    """Whether the last tick was too long ago."""
    return tick is None or clock() - tick > LONGEST_WITHOUT_TICK


def shared() -> str | None:
    """A sentence if another installation recently sent messages on our virtual host; else None."""
    last_one = last(FOREIGN_MESSAGE)
    return SHARED if last_one and clock() - last_one < _SHARED_UNTIL else None
