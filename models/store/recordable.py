"""Replaces what Postgres cannot store in text from outside: NUL characters and lone surrogates."""

import re
from collections.abc import Mapping
from typing import Any

_NEVER = re.compile("[\x00\ud800-\udfff]")


def recordable(value: Any) -> Any:
    """The same value with U+FFFD for each character that Postgres cannot store."""
    if isinstance(value, str):
        return _NEVER.sub("\ufffd", value)
    if isinstance(value, Mapping):
        return {recordable(name): recordable(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [recordable(each) for each in value]
    return value
