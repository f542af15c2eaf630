"""Polish public holidays: the days off of the act of 18 January 1951 (Dz.U. 2025 poz. 296), Sundays aside.

Pure.
"""

from datetime import date, timedelta
from functools import lru_cache

from dateutil.easter import easter

_EVERY_YEAR = [(1, 1), (1, 6), (5, 1), (5, 3), (8, 15), (11, 1), (11, 11), (12, 25), (12, 26)]
# Days after Easter Sunday: Easter itself, Easter Monday, Pentecost, Corpus Christi.
_AFTER_EASTER = [0, 1, 49, 60]
_CHRISTMAS_EVE_SINCE = 2025


def is_holiday(day: date) -> bool:
    return day in _of_year(day.year)


@lru_cache(maxsize=64)
def _of_year(year: int) -> frozenset[date]:
    fixed = {date(year, month, day) for month, day in _EVERY_YEAR}
    moving = {easter(year) + timedelta(days=days) for days in _AFTER_EASTER}
    eve = {date(year, 12, 24)} if year >= _CHRISTMAS_EVE_SINCE else set()
    return frozenset(fixed | moving | eve)
