"""Max-min fairness in whole places."""

from hypothesis import given
from hypothesis import strategies as st

from scheduling.sharing import max_min

demands = st.dictionaries(st.integers(1, 9), st.integers(0, 40), max_size=6)


class TestEverySharing:
    @given(st.integers(0, 60), demands, st.integers(0, 1000))
    def test_gives_what_there_is_and_nobody_more_than_wanted(
        self, capacity: int, wanted: dict[int, int], turn: int
    ) -> None:
        shares = max_min(capacity, wanted, {}, turn)

        assert sum(shares.values()) == min(capacity, sum(wanted.values()))
        assert all(0 <= shares[who] <= wanted[who] for who in wanted)

    @given(st.integers(0, 60), demands, st.integers(0, 1000))
    def test_who_goes_short_has_at_most_one_place_less_than_anybody(
        self, capacity: int, wanted: dict[int, int], turn: int
    ) -> None:
        shares = max_min(capacity, wanted, {}, turn)

        short = [shares[who] for who in wanted if shares[who] < wanted[who]]
        assert not short or max(shares.values()) <= min(short) + 1


def test_the_odd_place_goes_to_another_each_turn() -> None:
    assert {who for turn in range(2) for who, share in max_min(1, {1: 5, 2: 5}, {}, turn).items() if share} == {1, 2}


class TestSlotsThatAreHeld:
    def test_what_is_held_beyond_a_fair_share_stays_and_the_others_share_the_rest(self) -> None:
        assert max_min(12, {1: 20, 2: 20, 3: 20}, {1: 8}, 0) == {1: 8, 2: 2, 3: 2}

    def test_what_is_held_within_a_fair_share_counts_towards_it(self) -> None:
        assert max_min(12, {1: 20, 2: 20, 3: 20}, {1: 3}, 0) == {1: 4, 2: 4, 3: 4}

    @given(st.integers(0, 60), demands, demands, st.integers(0, 1000))
    def test_nobody_gets_less_than_they_hold(
        self, capacity: int, wanted: dict[int, int], held: dict[int, int], turn: int
    ) -> None:
        demanded = {who: count + held.get(who, 0) for who, count in wanted.items()}

        shares = max_min(capacity, demanded, held, turn)

        assert all(shares.get(who, 0) >= count for who, count in held.items())
        assert sum(shares.values()) <= max(capacity, sum(held.values()))
