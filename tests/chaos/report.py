"""The report for people: events line by line, and the result."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence

import clock
from tests.chaos.oracle import Verdict
from tests.chaos.schedule import Kind
from tests.chaos.strikes import Incident


def tell(line: str) -> None:
    print(f"{clock.now():%H:%M:%S}  {line}", file=sys.stderr, flush=True)


def report(verdict: Verdict, incidents: Sequence[Incident]) -> Iterator[str]:
    yield f"{'fault':<18}{'times':>6}{'struck':>8}"  # struck: what it was meant for was there
    times = Counter(incident.kind for incident in incidents)
    struck = Counter(incident.kind for incident in incidents if incident.struck)
    for kind in Kind:
        yield f"{kind:<18}{times[kind]:>6}{struck[kind]:>8}"
    yield ""
    yield "mails      " + ", ".join(f"{count} {status}" for status, count in sorted(verdict.statuses.items()))
    yield f"duplicates {verdict.duplicates}"
    yield f"missing    {verdict.missing}"
    yield f"unknown    {len(verdict.unknowns)}, each with its explanation:"
    yield from (f"  {unknown}" for unknown in verdict.unknowns)
    yield ""
    yield from (f"VIOLATION  {violation}" for violation in verdict.violations)
    if not verdict.violations:
        yield f"survived all {struck.total()} faults that struck: every promise held"
