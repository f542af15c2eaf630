"""The folder in which the processes of one start share their metrics.

Each start has its own folder, so that two starts on one machine, or two containers on one volume, do not share files.
The files are memory-mapped, and writing to a mapped file on a full disk kills the process (SIGBUS). So the folder is in
memory (/dev/shm) if possible.
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
    """Create the folder. Returns the environment needed before Dramatiq and prometheus_client are imported."""
    folder = str(_new_folder(parent(_MEMORY), name))
    return {
        "PROMETHEUS_MULTIPROC_DIR": folder,
        "dramatiq_prom_db": folder,
        "dramatiq_prom_port": str(port),
    }


def forget(pid: int) -> None:
    """Remove an ended process's live gauges: what it was doing has stopped."""
    for file in _folder().glob(f"gauge_live*_{pid}.db"):
        file.unlink(missing_ok=True)


def remove() -> None:
    """Remove the folder after all processes of this start have ended."""
    shutil.rmtree(_folder(), ignore_errors=True)


def _folder() -> Path:
    return Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])


def parent(memory: Path) -> Path:
    """A folder below `memory`, or on disk if that is missing, full, not writable, or another user's."""
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
    """Create a folder, locked while any process of this start lives, and remove folders of dead ones."""
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
    """Errors are ignored, so that a start does not fail because of an old folder."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder)
        finally:
            os.close(descriptor)
