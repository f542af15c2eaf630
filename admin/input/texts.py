"""Reads a person's text file: checks its type, detects the encoding, and finds earlier encoding damage."""

import codecs
import os
import re
import stat
from pathlib import Path

LARGEST_FILE = 50_000_000  # bytes

_SAVE_AS = "save it as UTF-8 (in Excel: “CSV UTF-8”)"
_POLISH = frozenset("ąćęłńóśźżĄĆĘŁŃÓŚŹŻ")
_SIGNS = frozenset("„”“’‘–—…«»€°§©®\xa0")
# Candidate encodings: the one in which all non-ASCII characters are Polish letters.
_ENCODINGS = {"Windows-1250": "cp1250", "ISO-8859-2": "iso8859-2", "CP852": "cp852", "Mac CE": "mac_latin2"}
_WIDE = {
    codecs.BOM_UTF32_LE: "UTF-32",  # before UTF-16, whose BOM is its beginning
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


class FileInvalid(Exception):
    """A person's file cannot be used as it is."""


def read(path: Path) -> str:
    content = _content(path)
    for mark, name in _WIDE.items():
        if content.startswith(mark):
            raise FileInvalid(f"{path.name}: is {name} text; {_SAVE_AS}")
    if content[:1000].count(0) > len(content[:1000]) // 4:
        raise FileInvalid(f"{path.name}: is UTF-16 text or not a text file; {_SAVE_AS}")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = len(re.findall(rb"\r\n|\n|\r", error.object[: error.start])) + 1
        likely = _likely_encoding(content)
        raise FileInvalid(
            f"{path.name} line {line}: is not UTF-8 text{f' but {likely}, it seems' if likely else ''}; {_SAVE_AS}"
        ) from None


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


def _content(path: Path) -> bytes:
    """The file's bytes. Opening never blocks (on a FIFO, say), and at most LARGEST_FILE is read."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise FileInvalid(f"{path}: is not a file")
            content = file.read(LARGEST_FILE + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise FileInvalid(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise FileInvalid(f"{path}: is a folder, not a file") from None
    except ValueError:
        raise FileInvalid(f"{str(path)!r} is not the name of a file") from None
    except OSError as error:
        raise FileInvalid(f"{path}: cannot be read: {error.strerror}") from None
    if len(content) > LARGEST_FILE:
        raise FileInvalid(f"{path}: is larger than {LARGEST_FILE // 1_000_000} MB")
    return content


def _likely_encoding(content: bytes) -> str | None:
    for name, codec in _ENCODINGS.items():
        try:
            beyond = {each for each in content.decode(codec) if not each.isascii()}
        except UnicodeDecodeError:
            continue
        if beyond <= _POLISH | _SIGNS:
            return name
    return None


# Letters that misread UTF-8 can be traced back to for certain. Not à: its trace is a letter and a space.
_MEANT = _POLISH | _SIGNS - {"\xa0"} | frozenset("áâãäåæçèéêëìíîïðñòóôõöøùúûüýþÿß")
_MISREAD_AS = ("cp1250", "cp1252", "iso8859-2", "latin-1")


def damage(text: str) -> str | None:
    """How the text was damaged by a wrong encoding before, if that is certain."""
    if "\ufffd" in text:
        return "has U+FFFD in place of a letter: the text was damaged before; export it again as UTF-8"
    if text.isascii():
        return None
    for word in re.split(r"[ \t\n]+", text):
        # A closing quote after a letter only looks like a trace.
        if meanings := _meanings(word.rstrip("»“”’")):
            meant = " or ".join(map(repr, meanings))
            return f"{word[:60]!r} was {meant} before it was read in the wrong encoding; export it again as UTF-8"
    return None


def _meanings(word: str) -> list[str]:
    """The possible originals of the word, if it is UTF-8 read in another encoding."""
    found = []
    for codec in _MISREAD_AS if len(word) <= 60 and not word.isascii() else ():
        try:
            meant = b"".join(_byte(each, codec) for each in word).decode()
        except UnicodeError:
            continue
        if all(each.isascii() or each in _MEANT for each in meant):
            found.append(meant)
    return list(dict.fromkeys(found))


def _byte(letter: str, codec: str) -> bytes:
    """Encode a character. Bytes undefined in an encoding are usually decoded as Latin-1 control characters."""
    return letter.encode("latin-1" if "\x80" <= letter <= "\x9f" else codec)
