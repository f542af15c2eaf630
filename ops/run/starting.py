"""A process that cannot start ends with one line and status 1."""

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
    """Ends the process with one line if something that it needs is missing. refusals: more exceptions to treat so."""
    try:
        yield
    except _REFUSALS + refusals as refusal:
        sys.exit(f"punktual: {escape_controls(str(refusal))}")
    except database.FAILURES as error:
        sys.exit(f"punktual: {escape_controls(database.why(error))}")
