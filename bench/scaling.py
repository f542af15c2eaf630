"""What one e-mail costs (CPU, bytes of Postgres's log, rows, messages), with 1, 2 and 4 worker processes."""

import argparse

from bench.results import Recorder
from bench.services import Services
from bench.throughput import of_product


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--emails", type=int, default=2000)
    parser.add_argument("--processes", nargs="*", type=int, default=[1, 2, 4], metavar="COUNT")
    parser.add_argument("--threads", type=int, default=8)


TINY = {"rounds": 1, "emails": 20, "processes": [1, 2]}


def measure(services: Services, record: Recorder, it: argparse.Namespace) -> None:
    for number in range(it.rounds):
        for processes in it.processes if number % 2 == 0 else reversed(it.processes):
            values = of_product(services, it.emails, processes, it.threads)
            record.add(f"{processes} worker processes", values, number)
