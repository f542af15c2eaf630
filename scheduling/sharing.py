"""Max-min fair sharing of whole slots. Pure."""

from collections.abc import Mapping


def max_min(capacity: int, demands: Mapping[int, int], held: Mapping[int, int], turn: int) -> dict[int, int]:
    """Id -> slots: never more than demanded, and no one gets another slot while someone unsatisfied has fewer.

    held: slots that are kept, even beyond a fair share; the others share what is left.
    """
    shares = _divide(capacity, demands, turn)
    beyond = {who: count for who, count in held.items() if count > shares.get(who, 0)}
    if not beyond:
        return shares
    left = capacity - sum(beyond.values())
    return beyond | max_min(left, _without(beyond, demands), _without(beyond, held), turn)


def _divide(capacity: int, demands: Mapping[int, int], turn: int) -> dict[int, int]:
    """Divide equally, up to each demand. The indivisible rest goes one by one to those who want more.

    turn: rotates who is first, so that with few slots it is not always the same one who gets none.
    """
    shares: dict[int, int] = {}
    left = max(capacity, 0)
    waiting = sorted(demands, key=lambda who: (demands[who], who))
    while waiting and demands[waiting[0]] <= left // len(waiting):
        who = waiting.pop(0)
        shares[who] = demands[who]
        left -= shares[who]
    # All who are left want more than an equal part of the rest.
    for place, who in enumerate(sorted(waiting)):
        first_in_turn = (place + turn) % len(waiting)
        shares[who] = left // len(waiting) + (first_in_turn < left % len(waiting))
    return shares


def _without(some: Mapping[int, int], counts: Mapping[int, int]) -> dict[int, int]:
    return {who: count for who, count in counts.items() if who not in some}
