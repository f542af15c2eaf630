"""Files with one JSON value per line, shared by a machine's processes, safe against crashes and a full disk."""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import config


class LinesUnreadable(Exception):
    """The file does not consist of complete lines of JSON: a person must look at it."""


def path_of(name: str) -> Path:
    """The file of this name in this machine's journal."""
    return _path(config.settings().var, name)


@cache
def _path(var: Path, name: str) -> Path:
    return var / "journal" / name


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """The open file, created if missing, locked against the machine's other processes."""
    _make_private(path.parent)
    file = _locked(path)
    while not _is_at(path, file):  # replaced while we waited for the lock
        os.close(file)
        file = _locked(path)
    try:
        yield file
    finally:
        os.close(file)


def disk_of(path: Path) -> os.statvfs_result:
    """statvfs of the file's disk. The file is opened for writing, and created if missing."""
    try:
        file = os.open(path, os.O_RDWR | os.O_APPEND)
    except FileNotFoundError:
        with locked(path):
            pass
        file = os.open(path, os.O_RDWR | os.O_APPEND)
    try:
        return os.fstatvfs(file)
    finally:
        os.close(file)


# A process looks once after a folder's permissions.
_make_private = cache(config.private_folder)


def _locked(path: Path) -> int:
    try:
        file = os.open(path, _READ_AND_APPEND, 0o600)
    except FileNotFoundError:  # its folder is gone
        config.private_folder(path.parent)
        file = os.open(path, _READ_AND_APPEND, 0o600)
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


def _is_at(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(file))
    except FileNotFoundError:
        return False


_READ_AND_APPEND = os.O_RDWR | os.O_CREAT | os.O_APPEND


def append(file: int, *values: object) -> None:
    """Append values; they are on the disk when this returns. Raises OSError and leaves nothing behind if it is full."""
    with _all_or_nothing(file):
        _write(file, values)
        os.fsync(file)


def append_and_unlock(file: int, *values: object) -> None:
    """Append values, and unlock the file before waiting for the disk, so that nobody but the caller waits for it.

    If the disk then fails, the values may be left behind, unlike with append().
    """
    with _all_or_nothing(file):
        _write(file, values)
    fcntl.flock(file, fcntl.LOCK_UN)
    os.fsync(file)


def _write(file: int, values: Iterable[object]) -> None:
    lines = b"".join(json.dumps(value).encode() + b"\n" for value in values)
    if os.write(file, lines) != len(lines):
        raise OSError("the disk is full")


@contextmanager
def _all_or_nothing(file: int) -> Iterator[None]:
    before = os.fstat(file).st_size
    try:
        yield
    except OSError:
        # A partial line would make the whole file unreadable.
        os.ftruncate(file, before)
        raise


def empty(file: int) -> None:
    os.ftruncate(file, 0)
    os.fsync(file)


def replace(path: Path, *values: object) -> None:
    """Replace the file's content with these values, or leave it unchanged. The caller holds the lock."""
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        append(file, *values)
    finally:
        os.close(file)
    draft.replace(path)


def read(path: Path, file: int) -> list[object]:
    """All values in order."""
    lines = _complete(path, os.pread(file, os.fstat(file).st_size, 0))
    return [_parsed(path, f"line {number}", line) for number, line in enumerate(lines, start=1)]


def read_end(path: Path, file: int, count: int) -> list[object]:
    """The last `count` values, or all that there are, in order. No line may be longer than _LONGEST_LINE bytes."""
    size = os.fstat(file).st_size
    most = min(count * _LONGEST_LINE, size)
    lines = _complete(path, os.pread(file, most, size - most))
    return [_parsed(path, "one of its last lines", line) for line in lines[-count:]]


_LONGEST_LINE = 4096


def _complete(path: Path, content: bytes) -> list[bytes]:
    *lines, rest = content.split(b"\n")
    if rest:
        raise LinesUnreadable(f"{path}: the last line is cut off; look at it, and remove it")
    return lines


def _parsed(path: Path, which: str, line: bytes) -> object:
    try:
        return json.loads(line)
    except ValueError:
        raise LinesUnreadable(f"{path} {which} is not JSON") from None
