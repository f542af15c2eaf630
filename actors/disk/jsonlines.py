"""Files with one JSON value per line, shared by a machine's processes, safe against crashes and a full disk."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import config


class LinesUnreadable(Exception):
    """The file does not consist of complete lines of JSON: a person must look at it."""


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """The open file, created if missing, locked against the machine's other processes."""
    config.private_folder(path.parent)
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
    if not path.exists():
        with locked(path):
            pass
    file = os.open(path, os.O_RDWR | os.O_APPEND)
    try:
        return os.fstatvfs(file)
    finally:
        os.close(file)


def _locked(path: Path) -> int:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


def _is_at(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except FileNotFoundError:
        return False


def append(file: int, *values: object) -> None:
    """Append values; they are on the disk when this returns. Raises OSError and leaves nothing behind if it is full."""
    lines = b"".join(json.dumps(value).encode() + b"\n" for value in values)
    before = os.fstat(file).st_size
    try:
        if os.write(file, lines) != len(lines):
            raise OSError("the disk is full")
        os.fsync(file)
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


def read(path: Path, file: int, last_bytes: int | None = None) -> list[object]:
    """All values in order. last_bytes: only those whose lines are complete within the last bytes of the file."""
    size = os.fstat(file).st_size
    start = max(size - last_bytes, 0) if last_bytes else 0
    lines = os.pread(file, size - start, start).split(b"\n")
    if lines.pop() != b"":
        raise LinesUnreadable(f"{path}: the last line is cut off; look at it, and remove it")
    return [_parsed(path, number, line) for number, line in enumerate(lines, start=1) if number > 1 or not start]


def _parsed(path: Path, number: int, line: bytes) -> object:
    try:
        return json.loads(line)
    except ValueError:
        raise LinesUnreadable(f"{path} line {number} is not JSON") from None
