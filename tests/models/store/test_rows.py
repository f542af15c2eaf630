"""Rows of a query become frozen types by the names of their columns, or nothing at all."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import pytest

from models.store import database
from models.store.database import ColumnMismatch

pytestmark = pytest.mark.usefixtures("db")


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Dot:
    x: int
    colour: Colour
    label: str | None
    before: Colour | None = None


class Pair(NamedTuple):
    x: int
    y: int


class TestRows:
    def test_are_read_by_name_whatever_their_order(self) -> None:
        query = "SELECT NULL AS label, 'blue' AS before, %(x)s AS x, 'red' AS colour"

        assert database.rows(Dot, query, {"x": 7}) == [Dot(7, Colour.RED, None, Colour.BLUE)]

    def test_may_be_named_tuples_too(self) -> None:
        assert database.rows(Pair, "SELECT 2 AS y, 1 AS x UNION ALL SELECT 4, 3") == [Pair(1, 2), Pair(3, 4)]

    def test_have_enums_where_their_fields_do(self) -> None:
        [found] = database.rows(Dot, "SELECT 1 AS x, 'red' AS colour, 'red' AS label, NULL AS before")

        assert found.colour is Colour.RED
        assert found.before is None
        assert type(found.label) is str

    def test_with_a_text_that_the_enum_does_not_know_are_refused(self) -> None:
        with pytest.raises(ValueError, match="green"):
            database.rows(Dot, "SELECT 1 AS x, 'green' AS colour, '' AS label, NULL AS before")

    @pytest.mark.parametrize(
        "query",
        [
            "SELECT 1 AS x",
            "SELECT 1 AS x, 2 AS y, 3 AS z",
            "SELECT 1 AS x, 2 AS z",
            "SELECT 1 AS x, 2 AS y, 3 AS y",
            "SELECT 1, 2",
            "SELECT 1 AS x, 2 AS z WHERE false",
        ],
        ids=["missing", "unknown", "another", "twice", "nameless", "without a row"],
    )
    def test_with_other_columns_than_the_type_has_are_refused(self, query: str) -> None:
        with pytest.raises(ColumnMismatch, match="Pair has the fields"):
            database.rows(Pair, query)

    def test_a_field_with_a_default_is_no_excuse_for_a_missing_column(self) -> None:
        with pytest.raises(ColumnMismatch):
            database.rows(Dot, "SELECT 1 AS x, 'red' AS colour, '' AS label")


def test_one_row_or_none() -> None:
    query = "SELECT 1 AS x, 2 AS y WHERE %s"

    assert database.row(Pair, query, (True,)) == Pair(1, 2)
    assert database.row(Pair, query, (False,)) is None
