"""The name under which this person's orders are recorded."""

import getpass


def who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown user"
