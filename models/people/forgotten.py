"""Whom Punktual has forgotten: a keyed hash of the address, without which nobody can tell who it was.

It stands in place of the address in the lead's row and in the suppressions, so that every gate is closed as for any
suppressed address, and an import can be compared with it.
"""

import hmac
import re
from collections.abc import Collection, Iterator
from datetime import datetime
from functools import cache
from hashlib import sha256

from models.store import vault
from models.store.database import execute, fetch

PREFIX = "forgotten:"
_PURPOSE = "punktual forgotten people"
_LOCK = 7_364_250_920  # an arbitrary number that nothing else in this database locks
# Signs of a hash that tell its key, so that one whose key is missing is noticed.
_KEY_SIGNS = 8


class KeyMissing(Exception):
    """People were forgotten under a secret key that is not known any more: an import could bring them back."""


def keys_of(address: str) -> list[str]:
    """What stands for a forgotten person's normalised address: by the current secret key, and by those before it."""
    return [f"{PREFIX}{_sign_of(key)}:{_hash(key, address)}" for key in _secret_keys()]


def is_key(text: str) -> bool:
    """Whether a suppression's key stands for a forgotten person."""
    return re.fullmatch(rf"{PREFIX}[0-9a-f]{{{_KEY_SIGNS}}}:[0-9a-f]{{64}}", text) is not None


def among(addresses: Collection[str]) -> dict[str, str]:
    """Those of the normalised addresses whose people were forgotten, each with what stands for it."""
    there_are = _every()
    if not there_are:
        return {}
    keys = cache(keys_of)  # of domains, which many addresses share
    return {
        address: key
        for address in addresses
        for each in concerning(address)
        for key in (keys(each) if each.startswith("@") else keys_of(each))
        if key in there_are
    }


def concerning(address: str) -> Iterator[str]:
    """The keys of suppressions that concern an address or a domain: itself, its domain, and those above."""
    name, _, domain = address.rpartition("@")
    labels = domain.split(".")
    yield from [address] if name else []
    yield from ("@" + ".".join(labels[first:]) for first in range(len(labels)))


def is_of_a_known_key(key: str) -> bool:
    """Whether the key was made with a secret key that is known, so that it can be compared with addresses."""
    return is_key(key) and key.startswith(tuple(f"{PREFIX}{_sign_of(each)}:" for each in _secret_keys()))


def is_anybody() -> bool:
    return bool(_every())


def check_keys() -> None:
    """Raise KeyMissing unless among() can tell everybody who was forgotten."""
    known = tuple(f"{PREFIX}{_sign_of(key)}:" for key in _secret_keys())
    if missing := [it for it in _every() if not it.startswith(known)]:
        raise KeyMissing(
            f"{len(missing)} people were forgotten under another secret key, without which an import could bring them"
            " back: add that key to PUNKTUAL_SECRET_KEY, after the current one and a comma"
        )


EVERY = "SELECT address FROM suppression WHERE starts_with(address, %s)"


def _every() -> set[str]:
    return {key for (key,) in fetch(EVERY, (PREFIX,))}


def lock_addresses() -> None:
    """Let no address be written down until the transaction ends: taken by whoever forgets a person."""
    execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))


UNTIL_NOW = "SELECT clock_timestamp() WHERE pg_try_advisory_xact_lock(%s)"


def all_written_until() -> datetime | None:
    """A moment until which every address that was written down is committed. None if one is being written."""
    found: list[tuple[datetime]] = fetch(UNTIL_NOW, (_LOCK,))
    return found[0][0] if found else None


def lock_forgetting() -> None:
    """Let nobody be forgotten until the transaction ends: taken before a look, by whoever writes an address down."""
    execute("SELECT pg_advisory_xact_lock_shared(%s)", (_LOCK,))


def _secret_keys() -> list[bytes]:
    return vault.derived_keys(_PURPOSE)


def _sign_of(key: bytes) -> str:
    return sha256(key).hexdigest()[:_KEY_SIGNS]


def _hash(key: bytes, address: str) -> str:
    return hmac.new(key, address.encode(), sha256).hexdigest()
