"""Reads the text of a file that a person gave us: what it is, how it is encoded, and whether it was damaged before."""

import codecs
import os
import re
import stat
from pathlib import Path

LARGEST_FILE = 50_000_000  # bytes

_SAVE_AS = "save it as UTF-8 (in Excel: “CSV UTF-8”)"
_POLISH = frozenset("ąćęłńóśźżĄĆĘŁŃÓŚŹŻ")
_SIGNS = frozenset("„”“’‘–—…«»€°§©®\xa0")
# Where all that is beyond ASCII reads as Polish, this is what it is written in.
_ENCODINGS = {"Windows-1250": "cp1250", "ISO-8859-2": "iso8859-2", "CP852": "cp852", "Mac CE": "mac_latin2"}
_WIDE = {
    codecs.BOM_UTF32_LE: "UTF-32",  # before the one that it begins with
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


class FileInvalid(Exception):
    """A file that a person gave us cannot be used as it is."""


def read(path: Path) -> str:
    content = _content(path)
    for mark, name in _WIDE.items():
        if content.startswith(mark):
            raise FileInvalid(f"{path.name}: is {name} text; {_SAVE_AS}")
    if content[:1000].count(0) > len(content[:1000]) // 4:
        raise FileInvalid(f"{path.name}: is UTF-16 text, or none at all; {_SAVE_AS}")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = len(re.findall(rb"\r\n|\n|\r", error.object[: error.start])) + 1
        likely = _likely_encoding(content)
        raise FileInvalid(
            f"{path.name} line {line}: is not UTF-8 text{f' but {likely}, it seems' if likely else ''}; {_SAVE_AS}"
        ) from None


def read_beside(path: Path, name: str) -> str:
    """The text of a file in the folder of another one, or below it, wherever links lead.

    A file from elsewhere, named by whoever wrote the first one, would be sent to strangers.
    """
    folder = path.parent.resolve()
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise FileInvalid(f"{name!r} must be the name of a file in the folder of {path.name}, or below it")
    try:
        found = (folder / name).resolve()
    except (OSError, RuntimeError, ValueError):  # links in a circle, and names that no file can have
        raise FileInvalid(f"{name!r} is not the name of a file") from None
    if not found.is_relative_to(folder):
        raise FileInvalid(f"{name!r} is a link that leads out of the folder of {path.name}")
    # Whatever the line ends of the file are, a letter's are its own.
    return read(found).replace("\r\n", "\n").replace("\r", "\n")


def _content(path: Path) -> bytes:
    """Whatever it turns out to be, opening it does not wait, and no more of it is read than may be."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise FileInvalid(f"{path}: is no file")
            content = file.read(LARGEST_FILE + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise FileInvalid(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise FileInvalid(f"{path}: is no file, but a folder") from None
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


# What a misread letter can have been for certain. Not à, whose traces are a letter and a space.
_MEANT = _POLISH | _SIGNS - {"\xa0"} | frozenset("áâãäåæçèéêëìíîïðñòóôõöøùúûüýþÿß")
_MISREAD_AS = ("cp1250", "cp1252", "iso8859-2", "latin-1")


def damage(text: str) -> str | None:
    """What happened to it before it came to us, where that is certain."""
    if "\ufffd" in text:
        return "has U+FFFD in place of a letter: the text was damaged before; export it again as UTF-8"
    if text.isascii():
        return None
    for word in re.split(r"[ \t\n]+", text):
        # A quote may stand behind any letter: with one before it it only looks like a trace.
        if meanings := _meanings(word.rstrip("»“”’")):
            meant = " or ".join(map(repr, meanings))
            return f"{word[:60]!r} was {meant} before it was read in the wrong encoding; export it again as UTF-8"
    return None


def _meanings(word: str) -> list[str]:
    """What the word can have been, if it is UTF-8 that was read as something else."""
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
    """Bytes that mean nothing in an encoding are mostly read as the control characters that they are in Latin-1."""
    return letter.encode("latin-1" if "\x80" <= letter <= "\x9f" else codec)
