"""`python -m actors PROCESS` starts one of the processes."""

import argparse
import sys

import config
from actors.processes import PROCESSES


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m actors", description="Start one of Punktual's processes.")
    parser.add_argument("process", choices=PROCESSES, help="which one")
    name = parser.parse_args().process
    try:
        config.settings()
    except config.SettingsInvalid as error:
        sys.exit(f"punktual: {error}")
    PROCESSES[name]()


if __name__ == "__main__":
    main()
