"""Where a request comes from, and where a response may redirect to."""

from ipaddress import IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from flask import request

from config import is_loopback

_SAFE = {"GET", "HEAD", "OPTIONS"}


def is_for_loopback() -> bool:
    """Whether the Host header names loopback. Any other name that resolves to us is a DNS rebinding attack."""
    try:
        return is_loopback(urlsplit(f"//{request.host}").hostname or "")
    except ValueError:
        return False


def network(address: str) -> str:
    """The network of one household or machine; for IPv6 a whole /64 (RFC 6177)."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        return str(found.ipv4_mapped or IPv6Network((int(found), 64), strict=False))
    return str(found)


def from_another_site() -> bool:
    """Whether a browser sends this for another site's page. Programs send neither of these headers."""
    if request.method in _SAFE:
        return False
    if site := request.headers.get("Sec-Fetch-Site"):
        return site not in {"same-origin", "none"}
    origin = request.headers.get("Origin")
    return origin is not None and origin.partition("://")[2] != request.host


def local_path(path: str | None) -> str:
    """The path if it is one of our pages, else "/". Browsers drop tabs and treat a backslash as a slash."""
    harmless = path and path.startswith("/") and path.isprintable() and "\\" not in path and not path.startswith("//")
    return path if path and harmless else "/"
