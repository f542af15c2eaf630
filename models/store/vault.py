"""Encrypts stored mailbox passwords with a key that is not in the database."""

import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

import config
from reasons import Code, Reason


class KeyInvalid(Exception):
    """The secret key is missing, or is not the one that the passwords were encrypted with."""


def encrypt(password: str) -> str:
    return _fernet().encrypt(password.encode()).decode()


def decrypt(token: str) -> str:
    try:
        return _fernet().decrypt(token.encode()).decode()
    except InvalidToken:
        raise KeyInvalid(Reason(Code.SECRET_KEY_CHANGED)) from None


def derived_key(purpose: str, *, bound_to: str = "") -> bytes:
    """A key for another purpose, derived one-way from the secret key; it changes with bound_to."""
    return derived_keys(purpose, bound_to=bound_to)[0]


def derived_keys(purpose: str, *, bound_to: str = "") -> list[bytes]:
    """The keys for a purpose, one from each secret key: the first one signs, and all are accepted."""
    return list(_derived(tuple(_secret_keys()), purpose, bound_to))


@lru_cache(maxsize=8)
def _derived(keys: tuple[str, ...], purpose: str, bound_to: str) -> tuple[bytes, ...]:
    _fernet_of(keys)
    return tuple(
        HKDF(algorithm=SHA256(), length=32, salt=bound_to.encode(), info=purpose.encode()).derive(key.encode())
        for key in keys
    )


def _fernet() -> MultiFernet:
    return _fernet_of(_secret_keys())


def _fernet_of(keys: Iterable[str]) -> MultiFernet:
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError:
        raise KeyInvalid(Reason(Code.SECRET_KEY_INVALID)) from None


def _secret_keys() -> list[str]:
    """The secret keys: the current one first, then those that it replaced."""
    return config.settings().secret_keys or [_embedded_key()]


def _embedded_key() -> str:
    if not config.settings().database.embedded:
        raise KeyInvalid(Reason(Code.SECRET_KEY_MISSING))
    path = config.settings().var / "secret.key"
    if not path.exists():
        _write_new_key(path)
    return path.read_text(encoding="ascii").strip()


def _write_new_key(path: Path) -> None:
    config.private_folder(path.parent)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
        file.write(Fernet.generate_key().decode())
    try:
        os.link(draft, path)  # if two processes start at once, one wins and both read the same key
    except FileExistsError:
        pass
    finally:
        draft.unlink()
