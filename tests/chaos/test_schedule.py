"""The schedule of a run, which a seed and a duration decide alone."""

from collections import Counter

import pytest

from tests.chaos import load
from tests.chaos.schedule import Kind, deeds, faults

TEN_MINUTES = 600.0


class TestTheFaults:
    def test_of_one_seed_and_duration_are_always_the_same(self) -> None:
        assert faults(1, TEN_MINUTES) == faults(1, TEN_MINUTES)

    def test_of_another_seed_are_others(self) -> None:
        assert faults(1, TEN_MINUTES) != faults(2, TEN_MINUTES)

    def test_of_a_shorter_run_are_the_first_of_a_longer_one(self) -> None:
        short, long = faults(1, 60), faults(1, TEN_MINUTES)

        assert short == long[: len(short)]

    @pytest.mark.parametrize("seed", range(20))
    def test_of_ten_minutes_are_of_every_kind(self, seed: int) -> None:
        assert {fault.kind for fault in faults(seed, TEN_MINUTES)} == set(Kind)

    @pytest.mark.parametrize("seed", range(20))
    def test_are_never_of_one_kind_again_before_every_other_has_come(self, seed: int) -> None:
        kinds = [fault.kind for fault in faults(seed, TEN_MINUTES)]

        rounds = [kinds[first : first + len(Kind)] for first in range(0, len(kinds), len(Kind))]

        assert all(max(Counter(each).values()) == 1 for each in rounds)

    def test_come_in_order_and_begin_within_the_time(self) -> None:
        moments = [fault.at for fault in faults(1, TEN_MINUTES)]

        assert moments == sorted(moments)
        assert moments[-1] < TEN_MINUTES


class TestTheLoad:
    def test_of_one_seed_and_duration_is_always_the_same(self) -> None:
        assert load.plan(1, TEN_MINUTES) == load.plan(1, TEN_MINUTES)

    def test_of_ten_minutes_is_more_than_500_mails(self) -> None:
        assert load.plan(1, TEN_MINUTES).count > 500

    def test_of_a_short_run_still_asks_for_every_answer(self) -> None:
        addresses = [address for leads in load.plan(1, 40).leads.values() for address in leads]

        asked = {address.partition("+")[0] for address in addresses}

        assert asked == {*load.REFUSED, *load.GOT_OVER, *load.IN_DOUBT, *load.WILLING, "250-after-10"}

    def test_writes_to_no_address_twice(self) -> None:
        addresses = [address for leads in load.plan(1, TEN_MINUTES).leads.values() for address in leads]

        assert len(set(addresses)) == len(addresses)

    def test_has_a_campaign_for_everything_that_the_owner_says(self) -> None:
        assert {deed.campaign for deed in deeds(TEN_MINUTES)} <= load.plan(1, TEN_MINUTES).leads.keys()
