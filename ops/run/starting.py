"""What a process says that cannot start: one line for a person, and status 1."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import config
from models.store import database, migrate
from models.store.embedded import EmbeddedPostgresFailed
from models.store.vault import KeyInvalid
from ops.terminal import escape_controls

_REFUSALS: tuple[type[Exception], ...] = (
    EmbeddedPostgresFailed,
    KeyInvalid,
    config.SettingsInvalid,
    migrate.DatabaseUnsuitable,
    migrate.SchemaOutdated,
)


@contextmanager
def starting(*refusals: type[Exception]) -> Iterator[None]:
    """Ends the process by a line where it is refused what it needs. refusals: what else may be refused within."""
    try:
        yield
    except _REFUSALS + refusals as refusal:
        sys.exit(f"punktual: {escape_controls(str(refusal))}")
    except database.FAILURES as error:
        sys.exit(f"punktual: {escape_controls(database.why(error))}")
