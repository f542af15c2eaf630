"""`python -m bench QUESTION` measures and keeps the results in var/bench; `python -m bench report` writes them down."""

import argparse
import fcntl
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, ModuleType

from cryptography.fernet import Fernet

import config
from bench import importing, machines, pages, planning, punctuality, recovery, report, scaling, throughput, tick
from bench.processes import Failed, NotReached
from bench.results import recording
from bench.services import Services
from models.store.embedded import EmbeddedPostgresFailed
from ops.rabbitmq import RabbitMQFailed

# Each has options(), measure(), and TINY: sizes that only show that it works.
QUESTIONS: dict[str, ModuleType] = {
    "throughput": throughput,
    "punctuality": punctuality,
    "import": importing,
    "planner": planning,
    "tick": tick,
    "pages": pages,
    "recovery": recovery,
    "scaling": scaling,
    "machines": machines,
}
HOME = config.ROOT / "var" / "bench"
RESULTS = HOME / "results"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    commands = parser.add_subparsers(dest="question", required=True)
    everything = commands.add_parser("all", help="all questions, one after the other, at their usual sizes")
    everything.add_argument("--tiny", action="store_true", help=_TINY)
    for name, module in QUESTIONS.items():
        one = commands.add_parser(name, description=module.__doc__, help=str(module.__doc__).partition("\n")[0])
        one.add_argument("--tiny", action="store_true", help=_TINY)
        module.options(one)
    report.options(commands.add_parser("report", description=report.__doc__, help="write docs/performance.md"))
    given = sys.argv[1:]
    asked = parser.parse_args(given)
    if asked.question == "report":
        report.write(RESULTS, asked)
        return
    names = list(QUESTIONS) if asked.question == "all" else [asked.question]
    # A question that fails does not stop the others.
    failed = [name for name in names if not _measure(name, parser.parse_args([name, *given[1:]]), given[1:])]
    sys.exit(1 if failed else 0)


_TINY = "sizes that only show that the benchmark works"


def _measure(name: str, it: argparse.Namespace, given: list[str]) -> bool:
    """Measure one question, and return whether that succeeded. given: the options as they were typed."""
    if it.tiny:
        vars(it).update(QUESTIONS[name].TINY)
    command = f"make bench QUESTION={name}" + (f' OPTIONS="{" ".join(given)}"' if given else "")
    try:
        with _alone(), Services(HOME) as services, recording(RESULTS, name, command, tiny=it.tiny) as record:
            QUESTIONS[name].measure(services, record, it)
    except (EmbeddedPostgresFailed, Failed, NotReached, RabbitMQFailed) as failure:
        print(f"punktual: {name} was not measured: {failure}", file=sys.stderr)
        return False
    return True


@contextmanager
def _alone() -> Iterator[None]:
    """Run alone in this checkout, with settings of its own, and end in order at Ctrl-C or SIGTERM."""
    for name in [name for name in os.environ if name.startswith(config.PREFIX)]:
        del os.environ[name]
    os.environ["PUNKTUAL_DATA_DIR"] = str(HOME)
    os.environ["PUNKTUAL_SECRET_KEY"] = Fernet.generate_key().decode()
    config.settings.cache_clear()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    config.private_folder(HOME)
    with (HOME / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit("punktual: another benchmark of this checkout is running")
        # What only the processes of earlier runs needed.
        for folder in ("data", "redis", "logs"):
            shutil.rmtree(HOME / folder, ignore_errors=True)
        yield


def _end(number: int, frame: FrameType | None) -> None:
    sys.exit(f"punktual: ended by signal {number}")


if __name__ == "__main__":
    main()
