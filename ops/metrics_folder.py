"""Where the processes of one start share the values of their metrics.

Each start has a folder of its own, so that two on one machine, or two containers on one volume, do not count into each
other's files.
"""

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import config


def prepare(name: str, port: int) -> dict[str, str]:
    """Make the folder, and tell what must be in the environment before Dramatiq and prometheus_client are imported."""
    folder = str(_new_folder(config.settings().var / "metrics", name))
    return {
        "PROMETHEUS_MULTIPROC_DIR": folder,
        "dramatiq_prom_db": folder,
        "dramatiq_prom_port": str(port),
    }


def forget(pid: int) -> None:
    """What a process that has ended was doing at that moment nobody does any more."""
    for file in _folder().glob(f"gauge_live*_{pid}.db"):
        file.unlink(missing_ok=True)


def remove() -> None:
    """The processes of this start have ended, in order."""
    shutil.rmtree(_folder(), ignore_errors=True)


def _folder() -> Path:
    return Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])


def _new_folder(parent: Path, name: str) -> Path:
    """Locked for as long as one process of this start lives; those of the dead are removed."""
    config.private_folder(parent)
    starting = os.open(parent, os.O_RDONLY)
    fcntl.flock(starting, fcntl.LOCK_EX)
    try:
        for folder in parent.iterdir():
            _remove_if_dead(folder)
        found = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=parent))
        held = os.open(found, os.O_RDONLY)
        fcntl.flock(held, fcntl.LOCK_EX)
        os.set_inheritable(held, True)
        return found
    finally:
        os.close(starting)


def _remove_if_dead(folder: Path) -> None:
    """Where it cannot be removed it stays: no start may fail for it."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder)
        finally:
            os.close(descriptor)
