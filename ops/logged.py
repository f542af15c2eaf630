"""`python -m ops.logged dramatiq|periodiq ARGUMENT…` runs another's program with our log from its first line on.

What they print before they come to our code, and what the process above Dramatiq's workers prints, has our form too.
"""

import importlib
import sys
from collections.abc import Callable

import config
from ops import logs

# Imported where they are run: what is in the environment by then decides what importing Dramatiq does.
PROGRAMS = {"dramatiq": ("dramatiq.cli", "main"), "periodiq": ("periodiq", "entrypoint")}


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
