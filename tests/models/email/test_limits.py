"""The rule of what counts towards a limit stands in one place, and all who count ask it there."""

import re
from itertools import product

import pytest

import config
from models.states import COUNTED, Status
from models.store import counting
from models.store.database import fetch

# Migrations stay as they were applied.
ELSEWHERE = [
    path
    for path in sorted((config.ROOT / "models").rglob("*.py"))
    if path.name != "limits.py" and path.parent.name != "migrations"
]


def says_what_counts_or_when(source: str) -> bool:
    source = re.sub(r"\s+", " ", source)
    listed = [set(re.findall(r"'(\w+)'", each)) for each in re.findall(r"IN \(([^()]*)\)", source)]
    dated = re.search(r"COALESCE\((\w+\.)?handed_over_at, (\w+\.)?claimed_at\)", source)
    return dated is not None or COUNTED in listed


def test_no_query_says_by_itself_what_counts_or_when() -> None:
    assert len(ELSEWHERE) > 50
    assert [path for path in ELSEWHERE if says_what_counts_or_when(path.read_text())] == []


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize(("status", "row"), [*product(Status, ("", "q"))])
def test_sending_sent_and_unknown_count_whatever_the_row_is_called(status: Status, row: str) -> None:
    query = f"SELECT {counting.counts(row)} FROM (SELECT %s AS status) q"  # only our own words

    assert fetch(query, (status,)) == [(status in COUNTED,)]


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize(
    ("handed_over", "claimed", "day"),
    [(18, 17, 18), (None, 17, 17), (None, None, None)],
    ids=["handed over the day after its claim", "claimed", "neither"],
)
def test_a_mail_counts_when_it_was_handed_over_or_else_when_it_was_claimed(
    handed_over: int | None, claimed: int | None, day: int | None
) -> None:
    row = "(SELECT %s::int AS handed_over_at, %s::int AS claimed_at) q"

    assert fetch(f"SELECT {counting.counted_at('q')} FROM {row}", (handed_over, claimed)) == [(day,)]
