"""How dates and times are read from Postgres, those that Python cannot hold too."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg2 import connect

from models.store import database
from scheduling.window import NEVER, WARSAW

pytestmark = pytest.mark.usefixtures("db")

FIRST = datetime(1000, 1, 1, tzinfo=UTC)
TOO_LATE = ("infinity", "20000-01-01", "294276-12-31 23:59:59.999", "9999-12-31 23:59:59.999")
TOO_EARLY = ("-infinity", "0044-03-15 BC", "4713-01-01 BC", "0001-01-01")


def one(sql: str, *values: object) -> Any:
    return database.fetch(f"SELECT {sql}", values)[0][0]


def test_usual_moments_and_days_are_read_as_by_the_driver() -> None:
    sql = """SELECT '1000-01-01'::timestamptz + n * interval '29 days 13:07:09.123457', '1000-01-01'::date + n * 29,
                    ARRAY[NULL, '1970-01-01'::timestamptz + n * interval '1.001 s'], ARRAY['1970-01-01'::date + n],
                    date_trunc('second', '1900-01-01'::timestamptz + n * interval '7.1 days'), NULL::date
             FROM generate_series(0, 9000) n"""
    with connect(**database.database.connection().get_dsn_parameters()) as plain, plain.cursor() as cursor:  # type: ignore[no-untyped-call]
        cursor.execute("SET TimeZone = 'UTC'")
        cursor.execute(sql)
        assert database.database.execute_sql(sql).fetchall() == cursor.fetchall()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(("written", "moment"), [*((it, NEVER) for it in TOO_LATE), *((it, FIRST) for it in TOO_EARLY)])
def test_one_beyond_the_calendar_is_read_as_the_nearest_that_leaves_room_for_arithmetic(
    written: str, moment: datetime
) -> None:
    assert one("%s::timestamptz", written) == moment
    assert one("ARRAY[%s::timestamptz, NULL]", written) == [moment, None]
    if "294276" not in written:
        assert one("%s::date", written) == moment.date()
        assert one("ARRAY[%s::date]", written) == [moment.date()]
    year = timedelta(days=370)
    assert moment.astimezone(WARSAW) - year < moment.astimezone(WARSAW) + year
