"""When the parts that nobody waits for last came to their end."""

from datetime import datetime

from models.database import clock
from models.tables import Heartbeat


def beat(name: str) -> None:
    at = clock()
    Heartbeat.insert(name=name, at=at).on_conflict(
        conflict_target=[Heartbeat.name], update={Heartbeat.at: at}
    ).execute()


def last(name: str) -> datetime | None:
    row = Heartbeat.get_or_none(Heartbeat.name == name)
    return None if row is None else row.at
