"""Quantiles, ratios of rounds, and how numbers are written."""

import pytest

from bench.figures import quantile, ratios, spread, written


class TestAQuantile:
    @pytest.mark.parametrize(("part", "value"), [(0.5, 50), (0.99, 99), (0.991, 100), (1.0, 100), (0.0, 1)])
    def test_is_the_nearest_rank(self, part: float, value: int) -> None:
        assert quantile(range(1, 101), part) == value

    def test_of_few_values_is_one_of_them(self) -> None:
        assert quantile([30.0, 10.0, 20.0], 0.99) == 30.0

    def test_of_nothing_is_refused(self) -> None:
        with pytest.raises(ValueError, match="no values"):
            quantile([], 0.5)


class TestARatio:
    def test_is_of_the_same_round(self) -> None:
        assert ratios({0: 10.0, 1: 40.0}, {1: 20.0, 0: 20.0}) == [0.5, 2.0]

    def test_leaves_out_a_round_that_only_one_of_both_has(self) -> None:
        assert ratios({0: 10.0, 1: 40.0}, {1: 20.0}) == [2.0]

    def test_leaves_out_a_round_with_nothing_to_divide_by(self) -> None:
        assert ratios({0: 10.0}, {0: 0.0}) == []


class TestASpread:
    def test_shows_median_least_and_most(self) -> None:
        assert str(spread([3.0, 1.0, 2.5])) == "2.50 (1–3)"

    def test_of_one_round_is_its_value(self) -> None:
        assert str(spread([1234.4])) == "1,234"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.01234, "0.012"), (0.5, "0.500"), (1.234, "1.23"), (12.34, "12.3"), (1234.5, "1,234"), (7.0, "7")],
)
def test_a_number_has_three_digits(value: float, text: str) -> None:
    assert written(value) == text
