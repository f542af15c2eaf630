"""Shares a number of places among those who want some: max-min fair, in whole places. Pure."""

from collections.abc import Mapping


def max_min(capacity: int, demands: Mapping[int, int], turn: int) -> dict[int, int]:
    """Who wants -> how many places they get: never more than wanted, and nobody gets more while another gets less.

    What cannot be divided goes one by one to those who want more. turn: whose turn it is then, so that with more
    takers than places the same one does not go empty-handed every day.
    """
    shares: dict[int, int] = {}
    left = max(capacity, 0)
    by_demand = sorted(demands, key=lambda who: (demands[who], who))
    for number, who in enumerate(by_demand):
        shares[who] = min(demands[who], left // (len(by_demand) - number))
        left -= shares[who]
    unmet = [who for who in sorted(demands) if shares[who] < demands[who]]
    for number in range(min(left, len(unmet))):
        shares[unmet[(turn + number) % len(unmet)]] += 1
    return shares
