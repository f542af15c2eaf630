"""Opens a person's files, and reads the text of small ones, which are in UTF-8."""

import os
import re
import stat
from pathlib import Path
from typing import BinaryIO

from intake import encodings
from intake.damage import damage as damage
from intake.encodings import EncodingUnknown

LARGEST_FILE = 50_000_000  # bytes

_SAVE_AS = "save it as UTF-8 (in Excel: “CSV UTF-8”)"


class FileInvalid(Exception):
    """A person's file cannot be used as it is."""


def read(path: Path) -> str:
    """The text of a UTF-8 file."""
    with opened(path) as file:
        try:
            codec = encodings.detect(file)
        except EncodingUnknown as error:
            raise FileInvalid(f"{at(path, error.line)}: {error}; {_SAVE_AS}") from None
        file.seek(0)
        content = file.read()
    if codec.startswith(("utf-16", "utf-32")):  # ASCII in UTF-16 is UTF-8 too, with NULs
        raise FileInvalid(f"{path.name}: is {encodings.name_of(codec)} text; {_SAVE_AS}")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = len(re.findall(rb"\r\n|\n|\r", content[: error.start])) + 1
        name = encodings.name_of(codec)
        raise FileInvalid(f"{at(path, line)}: is not UTF-8 text but {name}, it seems; {_SAVE_AS}") from None


def at(path: Path, line: int | None) -> str:
    return f"{path.name} line {line}" if line else path.name


def read_beside(path: Path, name: str) -> str:
    """The text of a file in another file's folder or below, after resolving links.

    Otherwise a campaign file could send any file of this machine to strangers.
    """
    folder = path.parent.resolve()
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise FileInvalid(f"{name!r} must be the name of a file in the folder of {path.name}, or below it")
    try:
        found = (folder / name).resolve()
    except (OSError, RuntimeError, ValueError):  # circular links, and invalid file names
        raise FileInvalid(f"{name!r} is not the name of a file") from None
    if not found.is_relative_to(folder):
        raise FileInvalid(f"{name!r} is a link that leads out of the folder of {path.name}")
    # Normalise line ends; the message gets its own.
    return read(found).replace("\r\n", "\n").replace("\r", "\n")


def opened(path: Path, largest: int = LARGEST_FILE) -> BinaryIO:
    """The open file. Opening never blocks (on a FIFO, say). largest: bytes."""
    try:
        file = open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")  # noqa: SIM115  # the caller closes
    except (FileNotFoundError, NotADirectoryError):
        raise FileInvalid(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise FileInvalid(f"{path}: is a folder, not a file") from None
    except ValueError:
        raise FileInvalid(f"{str(path)!r} is not the name of a file") from None
    except OSError as error:
        raise FileInvalid(f"{path}: cannot be read: {error.strerror}") from None
    found = os.fstat(file.fileno())
    if stat.S_ISREG(found.st_mode) and found.st_size <= largest:
        return file
    file.close()
    is_large = stat.S_ISREG(found.st_mode)
    raise FileInvalid(f"{path}: is {f'larger than {largest // 1_000_000} MB' if is_large else 'not a file'}")
