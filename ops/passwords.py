"""The password of the pages: what is kept of it, and whether somebody knows it."""

import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

SHORTEST = 12
_hasher = PasswordHasher()


class PasswordInvalid(Exception):
    """It is not worth being asked for."""


def hashed(password: str) -> str:
    if len(password) < SHORTEST:
        raise PasswordInvalid(f"the password needs at least {SHORTEST} characters")
    return _hasher.hash(_written_one_way(password))


def is_password(password: str, stored: str) -> bool:
    try:
        return _hasher.verify(stored, _written_one_way(password))
    except VerificationError:
        return False


def _written_one_way(password: str) -> str:
    """Keyboards differ in how they compose letters with accents."""
    return unicodedata.normalize("NFC", password)
