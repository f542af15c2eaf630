"""`python -m ops.run.logged periodiq ARGUMENT…` runs another's program with our log from its first line on.

What it prints before it comes to our code has our form too.
"""

import importlib
import sys
from collections.abc import Callable

import config
from ops.watch import logs

# Imported where they are run: what is in the environment by then decides what importing Dramatiq does.
PROGRAMS = {"periodiq": ("periodiq", "entrypoint")}


def main() -> None:
    name = sys.argv.pop(1)
    try:
        logs.configure()
    except config.SettingsInvalid as error:
        sys.exit(f"punktual: {error}")
    sys.argv[0] = name
    sys.exit(_program(name)())


def _program(name: str) -> Callable[[], int | None]:
    module, function = PROGRAMS[name]
    program: Callable[[], int | None] = getattr(importlib.import_module(module), function)
    return program


if __name__ == "__main__":
    main()
