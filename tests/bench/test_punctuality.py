"""How late e-mails were, from planned times and what the receiver noted."""

from datetime import UTC, datetime, timedelta

from bench.punctuality import lateness

BEGIN = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


def at(seconds: float) -> float:
    return (BEGIN + timedelta(seconds=seconds)).timestamp()


DUE = {f"lead{n}": BEGIN + timedelta(seconds=n) for n in range(4)}


def test_lateness_is_from_planned_time_to_dot_in_milliseconds() -> None:
    found = lateness(DUE, [(f"lead{n}", at(n + 0.010 * (n + 1))) for n in range(4)], BEGIN)

    assert {name: round(found[name]) for name in ("p50_ms", "p99_ms", "max_ms")} == {
        "p50_ms": 20,
        "p99_ms": 40,
        "max_ms": 40,
    }
    assert found["emails"] == 4
    assert found["problems"] == []


def test_what_is_due_during_the_warm_up_does_not_count() -> None:
    dots = [("lead0", at(1.5)), ("lead1", at(2.02)), ("lead2", at(2.01)), ("lead3", at(3.01))]

    found = lateness(DUE, dots, BEGIN + timedelta(seconds=2))

    assert (found["emails"], round(found["max_ms"])) == (2, 10)
    assert found["problems"] == []


def test_a_warm_up_that_does_not_end_in_time_is_a_problem() -> None:
    dots = [("lead0", at(3.5)), *((f"lead{n}", at(n + 0.01)) for n in (1, 2, 3))]

    [problem] = lateness(DUE, dots, BEGIN + timedelta(seconds=2))["problems"]

    assert "warm-up" in problem


def test_early_missing_and_doubled_emails_are_problems() -> None:
    dots = [("lead0", at(-0.001)), ("lead1", at(1.01)), ("lead1", at(1.02)), ("lead2", at(2.01))]

    assert lateness(DUE, dots, BEGIN)["problems"] == ["1 missing", "1 early", "1 twice"]
