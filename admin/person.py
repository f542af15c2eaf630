"""Who is at the keyboard: the name that a person's rulings are recorded under."""

import getpass


def who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown user"
