"""Reads the inboxes that are due, once, with its durable effects named as they come."""

from tests.pipeline import effects

effects.watch()

from actors import inbox  # noqa: E402  # with what was put around it above
from actors.process.broker import Role, build_broker  # noqa: E402
from models.store import database  # noqa: E402

build_broker(Role.EMBEDDED)
database.open_database("tests")
inbox.read_inboxes()
