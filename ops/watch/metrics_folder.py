"""Where the processes of one start share the values of their metrics.

Each start has a folder of its own, so that two on one machine, or two containers on one volume, do not count into each
other's files. They are mapped into memory, and a write into a mapped file on a full disk kills its process (SIGBUS): so
they lie in memory, where that can be had, and a full disk does them no harm.
"""

import fcntl
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

import config

_MEMORY = Path("/dev/shm")  # noqa: S108  # a folder below it is made for this user alone, and looked at before it is used
_LEAST_ROOM_BYTES = 16 * 1024 * 1024


def prepare(name: str, port: int) -> dict[str, str]:
    """Make the folder, and tell what must be in the environment before Dramatiq and prometheus_client are imported."""
    folder = str(_new_folder(parent(_MEMORY), name))
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


def parent(memory: Path) -> Path:
    """Below `memory`, or on the disk where that is missing, full, not to be written to, or somebody else's."""
    folder = memory / f"punktual-{os.getuid()}"
    try:
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        disk, it = os.statvfs(folder), folder.lstat()
    except OSError:
        return config.settings().var / "metrics"
    is_ours = stat.S_ISDIR(it.st_mode) and it.st_uid == os.getuid() and not it.st_mode & 0o077
    has_room = disk.f_bavail * disk.f_frsize >= _LEAST_ROOM_BYTES and os.access(folder, os.W_OK)
    return folder if is_ours and has_room else config.settings().var / "metrics"


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
