"""Arithmetic of measurements: quantiles, medians, ratios, and how numbers are written. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median


def quantile(values: Iterable[float], part: float) -> float:
    """The smallest value that at least this part of all values does not exceed (nearest rank). part: 0 to 1."""
    ranked = sorted(values)
    if not ranked:
        raise ValueError("no values")
    rank = -int(-part * len(ranked) // 1)  # rounded up
    return ranked[max(rank, 1) - 1]


@dataclass(frozen=True)
class Spread:
    """Several rounds' values of one figure."""

    middle: float
    least: float
    most: float

    def __str__(self) -> str:
        middle, least, most = map(written, (self.middle, self.least, self.most))
        return middle if least == most else f"{middle} ({least}–{most})"


def spread(values: Sequence[float]) -> Spread:
    return Spread(median(values), min(values), max(values))


def ratios(these: Mapping[int, float], those: Mapping[int, float]) -> list[float]:
    """these / those of each round in which both were measured, so that what else the machine did affects both."""
    return [these[each] / those[each] for each in sorted(these.keys() & those.keys()) if those[each]]


def written(value: float) -> str:
    """With three significant digits: 0.123, 1.23, 12.3, 1,234."""
    if value == 0:
        return "0"
    digits = 2 if abs(value) >= 1 else 3
    if abs(value) >= 10:
        digits = 1
    if abs(value) >= 100 or value == int(value):
        digits = 0
    return f"{value:,.{digits}f}"
