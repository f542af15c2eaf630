"""`python -m tests.chaos --seed 1 --minutes 10`: run Punktual under faults, and judge. Status 1 on any violation."""

import argparse
import shutil
import signal
import sys
from pathlib import Path

import config
from tests.chaos import oracle, schedule
from tests.chaos.report import report
from tests.chaos.run import run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the schedule of faults and of the load")
    parser.add_argument("--minutes", type=float, default=10, help="how long faults strike")
    parser.add_argument("--home", type=Path, help="a new folder in which everything of the run is kept")
    parser.add_argument("--show", action="store_true", help="print what would happen when, and do nothing")
    given = parser.parse_args()
    seconds = given.minutes * 60
    if given.show:
        print(*schedule.faults(given.seed, seconds), "", *schedule.deeds(seconds), sep="\n")
        return 0
    home = given.home or _emptied(config.ROOT / "var" / "chaos" / f"seed-{given.seed}")
    home.mkdir(parents=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    status = _judged(given.seed, seconds, home.resolve())
    print(f"evidence and logs are kept in {home}")
    print(f"the same again: make chaos SEED={given.seed} MINUTES={given.minutes:g}")
    return status


def _emptied(home: Path) -> Path:
    shutil.rmtree(home, ignore_errors=True)
    return home


def _judged(seed: int, seconds: float, home: Path) -> int:
    try:
        found = run(seed, seconds, home)
    except KeyboardInterrupt:
        print("interrupted; nothing was judged")
        return 130
    verdict = oracle.judge(found)
    print(*report(verdict, found.incidents), sep="\n")
    if verdict.violations:
        return 1
    for data in ("postgres", "rabbitmq"):
        shutil.rmtree(home / data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
