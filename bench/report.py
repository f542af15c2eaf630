"""Writes the tables of the last complete runs, and the chart, into docs/performance.md."""

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import config
from bench import chart, pages
from bench.figures import Spread, ratios, spread, written
from bench.results import NOT_MEASURED, Results, latest

PAGE = config.ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- measured: written by `make bench-report` -->", "<!-- end of what was measured -->"

TITLES = {
    "throughput": "Throughput",
    "punctuality": "Punctuality",
    "import": "Import",
    "planner": "Planner",
    "tick": "Tick",
    "pages": "Pages",
    "recovery": "Recovery",
    "scaling": "Scaling",
    "machines": "Several machines, one cut off",
}
# Figure -> its column, in their order. Each table has those that its cases have.
COLUMNS = {
    "rate": "mails/s",
    "cpu_worker": "CPU s per 1,000 of the worker",
    "cpu_postgres": "of Postgres",
    "cpu_broker": "of RabbitMQ or Redis",
    "cores": "cores used",
    "claim_to_sent_ms": "claim to sent, ms",
    "round_trips": "round trips a mail",
    "transactions": "transactions a mail",
    "sessions": "new sessions a mail",
    "commits": "commits a mail",
    "rows": "rows written a mail",
    "wal_bytes": "WAL bytes a mail",
    "messages": "messages a mail",
    "p50_ms": "p50 ms",
    "p90_ms": "p90 ms",
    "p99_ms": "p99 ms",
    "max_ms": "max ms",
    "emails": "e-mails",
    "seconds": "seconds",
    "cpu": "CPU s",
    "postgres_cpu": "CPU s of Postgres",
    "busy_s": "CPU s of both",
    "peak_mb": "peak MB",
    "slots": "slots",
    "without_start_s": "without starting Python, s",
    "without_start_cpu_s": "of it CPU s",
    "planned": "planned",
    "worst_s": "worst, s",
    "kilobytes": "kB",
    "servers_s": "servers up, s",
    "late": "late e-mails",
    "first_email_s": "first e-mail, s",
    "all_planned_s": "all planned again, s",
    "moved": "moved",
    "busiest_minute_of_a_campaign": "most e-mails of a campaign in a minute",
    "unknown": "unknown",
    "after": "sent by the machine after it was back",
}
# Already said by another column of the same table.
_HIDDEN = {"throughput": {"seconds"}, "scaling": {"seconds"}}


@dataclass(frozen=True)
class Target:
    """A figure that a run should reach. measure: its values, one a round; none: not measured."""

    question: str
    name: str
    measure: Callable[[Results], Sequence[float]]
    at_least: float | None = None
    at_most: float | None = None

    def is_reached(self, value: float) -> bool:
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)

    @property
    def wanted(self) -> str:
        if self.at_least is not None:
            return f"at least {written(self.at_least)}"
        return f"at most {written(self.at_most or 0)}"


def _ratio(figure: str, this: str, that: str) -> Callable[[Results], Sequence[float]]:
    return lambda found: ratios(found.figure(this, figure), found.figure(that, figure))


def _value(figure: str, case: str) -> Callable[[Results], Sequence[float]]:
    """A function that returns the figure of the first case whose name begins so."""

    def measure(found: Results) -> Sequence[float]:
        names = [name for name in found.cases if name.startswith(case)]
        return list(found.figure(names[0], figure).values()) if names else []

    return measure


def _growth(figure: str, case: str) -> Callable[[Results], Sequence[float]]:
    """A function that divides the figure of the last case whose name begins so by the first's, which has fewer rows."""

    def measure(found: Results) -> Sequence[float]:
        names = [name for name in found.cases if name.startswith(case)]
        medians = [spread(list(found.figure(name, figure).values())).middle for name in names]
        return [medians[-1] / medians[0]] if len(medians) > 1 and medians[0] else []

    return measure


def _of_pages(page: str) -> Callable[[Results], Sequence[float]]:
    return _ratio("busy_s", f"{page}: {pages.FULL}", f"{page}: {pages.TENTH}")


_MILLION, _TICKS = "1,000,000 leads", "tick: 1,000 campaigns"
_THROUGHPUT = (
    ("Celery without gates", "celery-short", 0.75),
    ("Celery with the same gates", "celery-gated", 1.2),
    ("BullMQ with the same gates", "bullmq-gated", 1.2),
    ("a bare loop", "bare", 0.3),
)
_VALUES = (
    ("throughput", "round trips a mail", "round_trips", "product-counted", 9),
    ("throughput", "transactions a mail", "transactions", "product-counted", 3),
    ("punctuality", "lateness at 20 a second: p50, ms", "p50_ms", "product at 20 ", 10),
    ("punctuality", "lateness at 20 a second: p99, ms", "p99_ms", "product at 20 ", 25),
    ("punctuality", "lateness at 100 a second: p50, ms", "p50_ms", "product at 100 ", 10),
    ("punctuality", "lateness at 100 a second: p99, ms", "p99_ms", "product at 100 ", 40),
    ("import", "import: peak of memory, MB", "peak_mb", "campaign add", 200),
    ("planner", f"plan of {_MILLION}, CPU s", "cpu", f"plan: {_MILLION}", 12),
    ("planner", f"plan of {_MILLION}, peak MB", "peak_mb", f"plan: {_MILLION}", 600),
    ("planner", "steady top-up of 1,000 campaigns, CPU s", "cpu", f"top-up: {_MILLION}", 0.3),
    ("planner", "forecast of 100,000 leads, s", "without_start_s", "campaign forecast: 100,000", 2),
    ("tick", "steady tick of 1,000 campaigns, CPU s", "busy_s", _TICKS, 1),
    ("recovery", "after downtime: first due e-mail, s", "first_email_s", "after ", 5),
    ("recovery", "after downtime: all planned again, s", "all_planned_s", "after ", 60),
)
_RATIOS = (
    *(
        ("throughput", f"mails/s: Punktual / {of}", _ratio("rate", "product", case), least, None)
        for of, case, least in _THROUGHPUT
    ),
    ("import", "import: `campaign add` / COPY, seconds", _ratio("seconds", "campaign add", "COPY"), None, 5),
    ("tick", "tick: most history / least history, CPU s", _growth("busy_s", "tick: "), None, 1.2),
    ("pages", "page Today: full day / a tenth of the rows, CPU s", _of_pages("Today"), None, 1.5),
    ("pages", "page Today, around now: the same", _of_pages("Today, around now"), None, 1.5),
)
TARGETS = (
    *(Target(*each) for each in _RATIOS),
    *(Target(question, name, _value(figure, case), at_most=it) for question, name, figure, case, it in _VALUES),
)


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tiny", action="store_true", help="also use runs of tiny sizes, to see that it works")
    parser.add_argument("--page", type=Path, default=PAGE)


def write(results: Path, it: argparse.Namespace) -> None:
    found = {name: run for name in TITLES if (run := latest(results, name, tiny=it.tiny))}
    picture = it.page.with_suffix(".svg")
    panels = list(_panels(found))
    if panels:
        picture.write_text(chart.draw(panels), encoding="utf-8")
    text = page(found, picture.name if panels else None)
    it.page.write_text(replaced(it.page.read_text(encoding="utf-8"), text), encoding="utf-8")
    print(f"wrote {it.page}: {', '.join(found) or 'nothing was measured yet'}")


def replaced(before: str, measured: str) -> str:
    """The page with another text between the two marks."""
    head, begun, rest = before.partition(BEGIN)
    _, ended, tail = rest.partition(END)
    if not begun or not ended:
        raise ValueError(f"the page lacks `{BEGIN}` or `{END}`")
    return f"{head}{BEGIN}\n\n{measured.strip()}\n\n{END}{tail}"


def page(found: dict[str, Results], picture: str | None) -> str:
    if not found:
        return "Nothing has been measured yet."
    parts = [_targets(found)]
    if picture:
        parts.append(f"![Throughput and lateness, of Punktual and of what it is compared with]({picture})")
    for name, run in found.items():
        parts += [f"### {TITLES[name]}", _about(run), _table(name, run), *_problems(run)]
    return "\n\n".join(parts)


def _targets(found: dict[str, Results]) -> str:
    lines = ["| target | wanted | measured | reached |", "|---|---|---|---|"]
    for target in TARGETS:
        values = target.measure(found[target.question]) if target.question in found else []
        if values:
            middle = spread(values)
            reached = "yes" if target.is_reached(middle.middle) else "**no**"
            lines.append(f"| {target.name} | {target.wanted} | {middle} | {reached} |")
        else:
            lines.append(f"| {target.name} | {target.wanted} | – | not measured |")
    return "\n".join(lines)


def _about(run: Results) -> str:
    about = run.about
    size = " **Tiny sizes: the figures say nothing.**" if about["tiny"] else ""
    where = f"{about['processor']}, {about['memory']}, {about['system']}; load before the run {about['load before']}"
    return f"`{about['command']}`, {about['at']}, commit {about['commit']}.{size} {where}. {about['versions']}."


def _table(question: str, run: Results) -> str:
    measured = {case: rounds for case, rounds in run.cases.items() if not _why_not(run, case)}
    names = {name: None for rounds in measured.values() for values in rounds.values() for name in values}
    hidden = {"problems", *_HIDDEN.get(question, ())}
    # Figures without a word of their own, as the steps of a tick, come last.
    columns = [name for name in [*COLUMNS, *(it for it in names if it not in COLUMNS)] if name in names.keys() - hidden]
    lines = [
        f"| | {' | '.join(COLUMNS.get(name, f'`{name}`') for name in columns)} |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for case in run.cases:
        if why := _why_not(run, case):
            lines.append(f"| {case} | not measured: {why} |" + " |" * (len(columns) - 1))
        else:
            cells = (list(run.figure(case, name).values()) for name in columns)
            lines.append(f"| {case} | {' | '.join(_cell(values) for values in cells)} |")
    return "\n".join(lines)


def _cell(values: Sequence[float]) -> str:
    return str(spread(values)) if values else "–"


def _why_not(run: Results, case: str) -> str | None:
    return next((values[NOT_MEASURED] for values in run.cases[case].values() if NOT_MEASURED in values), None)


def _problems(run: Results) -> Iterator[str]:
    if run.problems:
        yield "Problems of this run, which make its figures doubtful:\n\n" + "\n".join(f"- {it}" for it in run.problems)


def _panels(found: dict[str, Results]) -> Iterator[chart.Panel]:
    if "throughput" in found:
        yield _panel("E-mails a second", found["throughput"], "rate", found["throughput"].cases)
    if "punctuality" in found:
        run = found["punctuality"]
        yield _panel("Lateness at the receiver, p99 in ms", run, "p99_ms", run.cases)


def _panel(title: str, run: Results, figure: str, cases: Iterable[str]) -> chart.Panel:
    values: dict[str, Spread] = {}
    for case in cases:
        if each := list(run.figure(case, figure).values()):
            values[case] = spread(each)
    return chart.Panel(title, [chart.Bar(name, it.middle, name.startswith("product")) for name, it in values.items()])
