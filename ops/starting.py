"""What a process says that cannot start: one line for a person, and status 1."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import config
from models import database, migrate
from models.embedded import EmbeddedPostgresFailed
from models.vault import KeyInvalid
from ops.terminal import harmless

_REFUSALS: tuple[type[Exception], ...] = (
    EmbeddedPostgresFailed,
    KeyInvalid,
    config.SettingsInvalid,
    migrate.SchemaOutdated,
)


@contextmanager
def starting(*refusals: type[Exception]) -> Iterator[None]:
    """Ends the process by a line where it is refused what it needs. refusals: what else may be refused within."""
    try:
        yield
    except _REFUSALS + refusals as refusal:
        sys.exit(f"punktual: {harmless(str(refusal))}")
    except database.FAILURES as error:
        trouble = "does not answer" if database.is_outage(error) else "refuses what was asked of it"
        what = "takes no writes" if database.is_read_only(error) else trouble
        sys.exit(f"punktual: the database {what}: {harmless(str(error).splitlines()[0])}")
