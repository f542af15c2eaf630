"""Hashes and checks the password of the pages."""

import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

SHORTEST = 12
_hasher = PasswordHasher()


class PasswordInvalid(Exception):
    """The password is too short."""


def hashed(password: str) -> str:
    if len(password) < SHORTEST:
        raise PasswordInvalid(f"the password needs at least {SHORTEST} characters")
    return _hasher.hash(_normalised(password))


def is_password(password: str, stored: str) -> bool:
    try:
        return _hasher.verify(stored, _normalised(password))
    except VerificationError:
        return False


def _normalised(password: str) -> str:
    """Normalise Unicode: keyboards differ in how they compose accented letters."""
    return unicodedata.normalize("NFC", password)
