"""Results, kept as JSON lines in var/bench/results: one file a run of one question, its first line about the run.

A file gets its name when the run is complete.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import clock
from bench import machine

Values = Mapping[str, Any]
NOT_MEASURED = "not measured"  # a case's only value: why


@dataclass(frozen=True)
class Results:
    """One complete run of a question. cases: name -> round -> values."""

    about: Values
    cases: Mapping[str, Mapping[int, Values]]

    def figure(self, case: str, name: str) -> dict[int, float]:
        """Round -> this value of the case, where it was measured."""
        return {each: values[name] for each, values in self.cases.get(case, {}).items() if name in values}

    @property
    def problems(self) -> list[str]:
        """What did not fit: e-mails missing or twice, say. Figures beside a problem are worth nothing."""
        return [
            f"{case}: {problem}"
            for case, rounds in self.cases.items()
            for values in rounds.values()
            for problem in values.get("problems", ())
        ]


@dataclass
class Recorder:
    """Writes a line for each case and round, and prints it."""

    path: Path
    skipped: set[str] = field(default_factory=set)

    def add(self, case: str, values: Values, number: int = 0) -> None:
        rounded = {name: round(it, 4) if isinstance(it, float) else it for name, it in values.items()}
        line = {"case": case, "round": number, **rounded}
        print(json.dumps(line), flush=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def skip(self, case: str, why: str) -> None:
        """Record, once, why a case cannot be measured here."""
        if case not in self.skipped:
            self.skipped.add(case)
            self.add(case, {NOT_MEASURED: why})


@contextmanager
def recording(folder: Path, question: str, command: str, *, tiny: bool) -> Iterator[Recorder]:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{question}-{clock.now():%Y%m%dT%H%M%S}.jsonl"
    part = path.with_suffix(".part")
    began = clock.boottime()
    about = {"question": question, "command": command, "tiny": tiny, "at": f"{clock.now():%Y-%m-%d %H:%M} UTC"}
    part.write_text(json.dumps({**about, **machine.describe()}) + "\n", encoding="utf-8")
    yield Recorder(part)
    part.rename(path)
    print(f"{question}: {clock.boottime() - began:.0f} s, kept in {path}")


def latest(folder: Path, question: str, *, tiny: bool = False) -> Results | None:
    """The last complete run of all cases. tiny: also of sizes that only show that the benchmark itself works."""
    for path in sorted(folder.glob(f"{question}-*.jsonl"), reverse=True):
        found = read(path.read_text(encoding="utf-8"))
        if "--only" not in found.about["command"] and (tiny or not found.about["tiny"]):
            return found
    return None


def read(text: str) -> Results:
    about, *lines = (json.loads(line) for line in text.splitlines())
    cases: defaultdict[str, dict[int, Values]] = defaultdict(dict)
    for line in lines:
        cases[line["case"]][line["round"]] = {name: it for name, it in line.items() if name not in ("case", "round")}
    return Results(about, dict(cases))
