"""Login sessions of the pages, on the server side: a cookie is valid only while its row exists."""

from datetime import timedelta
from uuid import UUID, uuid4

from models.store.database import database, execute, fetch_row
from models.store.tables import WebSession

MOST = 1000  # when exceeded, the oldest sessions are dropped, so that the table stays small


def begin(lasts: timedelta) -> UUID:
    """Start a session of this length, and delete expired ones."""
    id = uuid4()
    with database.atomic():
        execute("DELETE FROM web_session WHERE ends_at <= clock_timestamp()")
        execute("INSERT INTO web_session (id, ends_at) VALUES (%s, clock_timestamp() + %s)", (str(id), lasts))
        latest = WebSession.select(WebSession.id).order_by(WebSession.ends_at.desc(), WebSession.id).limit(MOST)
        WebSession.delete().where(WebSession.id.not_in(latest)).execute()
    return id


def is_open(id: UUID) -> bool:
    return fetch_row("SELECT FROM web_session WHERE id = %s AND ends_at > clock_timestamp()", (str(id),)) is not None


def end(id: UUID) -> None:
    execute("DELETE FROM web_session WHERE id = %s", (str(id),))
