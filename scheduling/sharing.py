"""Shares a number of places among those who want some: max-min fair, in whole places. Pure."""

from collections.abc import Mapping


def max_min(capacity: int, demands: Mapping[int, int], held: Mapping[int, int], turn: int) -> dict[int, int]:
    """Who wants -> how many places they get: never more than wanted, and nobody gets more while another gets less.

    held: places that their holders keep, also beyond a fair share; the others then share what those leave.
    """
    shares = _divide(capacity, demands, turn)
    beyond = {who: count for who, count in held.items() if count > shares.get(who, 0)}
    if not beyond:
        return shares
    left = capacity - sum(beyond.values())
    return beyond | max_min(left, _without(beyond, demands), _without(beyond, held), turn)


def _divide(capacity: int, demands: Mapping[int, int], turn: int) -> dict[int, int]:
    """What cannot be divided goes one by one to those who want more.

    turn: whose turn it is then, so that with more takers than places the same one does not go empty-handed every day.
    """
    shares: dict[int, int] = {}
    left = max(capacity, 0)
    waiting = sorted(demands, key=lambda who: (demands[who], who))
    while waiting and demands[waiting[0]] <= left // len(waiting):
        who = waiting.pop(0)
        shares[who] = demands[who]
        left -= shares[who]
    # All who still wait want more than an equal part of what is left.
    for place, who in enumerate(sorted(waiting)):
        first_in_turn = (place + turn) % len(waiting)
        shares[who] = left // len(waiting) + (first_in_turn < left % len(waiting))
    return shares


def _without(some: Mapping[int, int], counts: Mapping[int, int]) -> dict[int, int]:
    return {who: count for who, count in counts.items() if who not in some}
