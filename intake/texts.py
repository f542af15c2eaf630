"""Opens a person's files, and reads the text of small ones, which are in UTF-8."""

import os
import re
import stat
from pathlib import Path
from typing import BinaryIO

import messages
from intake import encodings
from intake.damage import damage as damage
from intake.encodings import EncodingUnknown
from messages import Message, Said, gettext_noop

LARGEST_FILE = 50_000_000  # bytes

_NO_NAME = gettext_noop("%(name)s is not the name of a file")


class FileInvalid(Exception):
    """A person's file cannot be used as it is."""


def read(path: Path) -> str:
    """The text of a UTF-8 file."""
    with opened(path) as file:
        try:
            codec = encodings.detect(file)
        except EncodingUnknown as error:
            raise _save_as(at(path, error.line), messages.of(error)) from None
        file.seek(0)
        content = file.read()
    if codec.startswith(("utf-16", "utf-32")):  # ASCII in UTF-16 is UTF-8 too, with NULs
        raise _save_as(path.name, Message(gettext_noop("is %(encoding)s text"), encoding=encodings.name_of(codec)))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = len(re.findall(rb"\r\n|\n|\r", content[: error.start])) + 1
        template = gettext_noop("is not UTF-8 text but %(encoding)s, it seems")
        raise _save_as(at(path, line), Message(template, encoding=encodings.name_of(codec))) from None


def _save_as(where: Said, because: Said) -> FileInvalid:
    template = gettext_noop("%(where)s: %(because)s; save it as UTF-8 (in Excel: “CSV UTF-8”)")
    return FileInvalid(Message(template, where=where, because=because))


def at(path: Path, line: int | None) -> Said:
    return Message(gettext_noop("%(file)s line %(line)d"), file=path.name, line=line) if line else path.name


def read_beside(path: Path, name: str) -> str:
    """The text of a file in another file's folder or below, after resolving links.

    Otherwise a campaign file could send any file of this machine to strangers.
    """
    folder = path.parent.resolve()
    if Path(name).is_absolute() or ".." in Path(name).parts:
        template = gettext_noop("%(name)s must be the name of a file in the folder of %(file)s, or below it")
        raise FileInvalid(Message(template, name=repr(name), file=path.name))
    try:
        found = (folder / name).resolve()
    except (OSError, RuntimeError, ValueError):  # circular links, and invalid file names
        raise FileInvalid(Message(_NO_NAME, name=repr(name))) from None
    if not found.is_relative_to(folder):
        template = gettext_noop("%(name)s is a link that leads out of the folder of %(file)s")
        raise FileInvalid(Message(template, name=repr(name), file=path.name))
    # Normalise line ends; the message gets its own.
    return read(found).replace("\r\n", "\n").replace("\r", "\n")


def opened(path: Path, largest: int = LARGEST_FILE) -> BinaryIO:
    """The open file. Opening never blocks (on a FIFO, say). largest: bytes."""
    try:
        file = open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")  # noqa: SIM115  # the caller closes
    except (FileNotFoundError, NotADirectoryError):
        raise FileInvalid(Message(gettext_noop("%(file)s: there is no such file"), file=path)) from None
    except IsADirectoryError:
        raise FileInvalid(Message(gettext_noop("%(file)s: is a folder, not a file"), file=path)) from None
    except ValueError:
        raise FileInvalid(Message(_NO_NAME, name=repr(str(path)))) from None
    except OSError as error:
        template = gettext_noop("%(file)s: cannot be read: %(error)s")
        raise FileInvalid(Message(template, file=path, error=error.strerror)) from None
    found = os.fstat(file.fileno())
    if stat.S_ISREG(found.st_mode) and found.st_size <= largest:
        return file
    file.close()
    if stat.S_ISREG(found.st_mode):
        template = gettext_noop("%(file)s: is larger than %(most)d MB")
        raise FileInvalid(Message(template, file=path, most=largest // 1_000_000))
    raise FileInvalid(Message(gettext_noop("%(file)s: is not a file"), file=path))
