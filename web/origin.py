"""Where a request comes from, and where an answer may send it."""

from urllib.parse import urlsplit

from flask import request

from config import is_loopback

_SAFE = {"GET", "HEAD", "OPTIONS"}


def is_for_loopback() -> bool:
    """Whether it was sent to a name of this machine. Another name that leads here is that of a page that attacks us."""
    try:
        return is_loopback(urlsplit(f"//{request.host}").hostname or "")
    except ValueError:
        return False


def from_another_site() -> bool:
    """Whether a browser orders something for a page that is not ours. Programs that are no browsers send neither."""
    if request.method in _SAFE:
        return False
    if site := request.headers.get("Sec-Fetch-Site"):
        return site not in {"same-origin", "none"}
    origin = request.headers.get("Origin")
    return origin is not None and origin.partition("://")[2] != request.host


def local_path(path: str | None) -> str:
    """The path if it leads to a page of ours, else the first. Browsers drop tabs and take a backslash for a slash."""
    harmless = path and path.startswith("/") and path.isprintable() and "\\" not in path and not path.startswith("//")
    return path if path and harmless else "/"
