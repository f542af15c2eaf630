"""A campaign's letters after the first: added with it, and changed while it runs.

A text and a wait apply to every e-mail that is not claimed: follow-ups whose wait was edited get another time. An
inserted step reaches the leads before it; one behind the last only those whose last letter is still to be sent.
A removed step that has e-mails keeps its row for what was sent; what is pending is cancelled, and its leads go on.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import SequenceMatcher
from itertools import count
from typing import NamedTuple

from models.email import batch_moves
from models.planning import sequences
from models.store.database import fetch, rows
from models.store.tables import CLOCK, CampaignStep
from scheduling.waits import Wait

MOST_STEPS = 12


class StepsInvalid(Exception):
    """A campaign cannot have these steps."""


@dataclass(frozen=True)
class LaterStep:
    """A follow-up's letter."""

    wait: Wait
    subject: str | None  # None: it answers the letters before it
    text: str
    html: str | None

    @property
    def letter(self) -> "_Letter":
        return _Letter(self.subject, self.text, self.html)


class _Letter(NamedTuple):
    subject: str | None
    text: str
    html: str | None


def of(campaign_id: int) -> list[LaterStep]:
    waits = ((it, sequences.wait(it.wait_count, it.wait_unit)) for it in _later(campaign_id) if it.removed_at is None)
    return [LaterStep(wait, it.subject, it.text, it.html) for it, wait in waits if wait is not None]


def _later(campaign_id: int) -> list[CampaignStep]:
    """The campaign's steps after the first, in order, with those that were removed."""
    rows = CampaignStep.select().where(CampaignStep.campaign == campaign_id, CampaignStep.position > 1)
    return list(rows.order_by(CampaignStep.position))


def cancelled_by(campaign_id: int, wanted: Sequence[LaterStep]) -> int:
    """How many planned e-mails change() would cancel now, with the steps that it removes."""
    old = [it for it in _later(campaign_id) if it.removed_at is None]
    gone = {it.id for it in old} - set(_matched(old, wanted).values())
    return int(fetch(PLANNED_OF, {"campaign": campaign_id, "steps": sorted(gone)})[0][0])


def change(campaign_id: int, wanted: Sequence[LaterStep], by: str) -> dict[str, list[object]]:
    """Give a campaign these steps after its first. Returns what changed: name -> [old, new].

    The caller holds its lock. A step with another letter in the place of an old one is that step, edited.
    """
    if len(wanted) >= MOST_STEPS:
        raise StepsInvalid(f"a campaign has at most {MOST_STEPS} steps")
    every = _later(campaign_id)
    old = [it for it in every if it.removed_at is None]
    before, after = [_told(it) for it in old], [f"{it.wait} later: {it.subject or 'Re:'}" for it in wanted]
    kept, new = _matched(old, wanted), list[tuple[int, LaterStep]]()
    gone = [it for it in old if it.id not in kept.values()]
    deleted = _remove(campaign_id, gone, by)
    positions, added = _places([it.id for it in every if it.id not in deleted], kept, len(wanted))
    _renumber(campaign_id, positions)
    changed = bool(gone)
    for place, step in enumerate(wanted):
        if place in kept:
            changed |= _edit(next(it for it in old if it.id == kept[place]), step)
        else:
            new.append((place, step))
    for place, step in new:
        is_last = place > max(kept, default=-1) and _has_emails(campaign_id)
        its = {**step.letter._asdict(), "wait_count": step.wait.count, "wait_unit": step.wait.unit}
        row = {"campaign": campaign_id, "position": added[place], "since": CLOCK if is_last else None}
        CampaignStep.insert({**row, **its}).execute()
    return {"steps": [before, after]} if changed or new else {}


def _told(it: CampaignStep) -> str:
    return f"{sequences.wait(it.wait_count, it.wait_unit)} later: {it.subject or 'Re:'}"


def _matched(old: Sequence[CampaignStep], wanted: Sequence[LaterStep]) -> dict[int, int]:
    """Place in the wanted order -> id of the step that it is."""
    before, after = [_Letter(it.subject, it.text, it.html) for it in old], [it.letter for it in wanted]
    # What is the same at both ends stays, and only the rest is compared: two steps may have the same letter.
    most = min(len(before), len(after))
    start = next((place for place in range(most) if before[place] != after[place]), most)
    end = next((count for count in range(most - start) if before[~count] != after[~count]), most - start)
    found = {place: old[place].id for place in range(start)}
    found |= {len(after) - count: old[-count].id for count in range(1, end + 1)}
    middle = before[start : len(before) - end], after[start : len(after) - end]
    for kind, i, j, k, m in SequenceMatcher(None, *middle, autojunk=False).get_opcodes():
        if kind in ("equal", "replace"):
            same = zip(range(start + k, start + m), old[start + i : start + j], strict=False)
            found |= {place: it.id for place, it in same}
    return found


def _has_emails(campaign_id: int) -> bool:
    return bool(fetch("SELECT EXISTS (SELECT FROM campaign_email_queue WHERE campaign_id = %s)", (campaign_id,))[0][0])


HAS_EMAILS = "SELECT EXISTS (SELECT FROM campaign_email_queue WHERE campaign_id = %s AND step_id = %s)"
PLANNED_OF = """
SELECT count(*) FROM campaign_email_queue
WHERE campaign_id = %(campaign)s AND step_id = ANY(%(steps)s::bigint[]) AND status = 'pending'
  AND predecessor_id IS NOT NULL
"""


def _remove(campaign_id: int, gone: Sequence[CampaignStep], by: str) -> set[int]:
    """Remove these steps. Those without e-mails are deleted, and their ids returned."""
    removed = {it.id for it in gone if fetch(HAS_EMAILS, (campaign_id, it.id))[0][0]}
    deleted = {it.id for it in gone} - removed
    CampaignStep.delete().where(CampaignStep.id.in_(sorted(deleted))).execute()
    if removed:
        CampaignStep.update(removed_at=CLOCK, moves=False).where(CampaignStep.id.in_(sorted(removed))).execute()
        batch_moves.skip_removed(campaign_id, by)
    return deleted


def _places(rows: Sequence[int], kept: Mapping[int, int], wanted: int) -> tuple[dict[int, int], dict[int, int]]:
    """The positions of these steps by their ids, and of new ones by their places in the wanted order.

    kept: place -> id. A new step is put before the removed ones that were there: who got one of them is past it.
    """
    positions, added, rest, numbers = dict[int, int](), dict[int, int](), deque(rows), count(2)
    for place in range(wanted):
        if place not in kept:
            added[place] = next(numbers)
            continue
        while kept[place] not in positions:
            positions[rest.popleft()] = next(numbers)
    return positions | dict(zip(rest, numbers, strict=False)), added


def _renumber(campaign_id: int, positions: Mapping[int, int]) -> None:
    """Give the steps their positions by way of high numbers, so that two never have one number for a moment."""
    far = CampaignStep.update(position=CampaignStep.position + 1000)
    far.where(CampaignStep.campaign == campaign_id, CampaignStep.position > 1).execute()
    for step_id, position in positions.items():
        CampaignStep.update(position=position).where(CampaignStep.id == step_id).execute()


def _edit(row: CampaignStep, step: LaterStep) -> bool:
    fresh = {**step.letter._asdict(), "wait_count": step.wait.count, "wait_unit": step.wait.unit}
    if all(getattr(row, name) == value for name, value in fresh.items()):
        return False
    CampaignStep.update(fresh).where(CampaignStep.id == row.id).execute()
    if (row.wait_count, row.wait_unit) != (step.wait.count, step.wait.unit):
        _wait(row.id, step.wait)
    return True


# Planned ones; what is being sent is left alone.
PLANNED = """
SELECT q.id AS email_id, p.sent_at FROM campaign_email_queue q JOIN campaign_email_queue p ON p.id = q.predecessor_id
WHERE q.campaign_id = (SELECT campaign_id FROM campaign_step WHERE id = %(step)s) AND q.status = 'pending'
  AND q.step_id = %(step)s AND p.sent_at IS NOT NULL
ORDER BY q.id
"""


class _Planned(NamedTuple):
    email_id: int
    sent_at: datetime


def _wait(step_id: int, wait: Wait) -> None:
    """Set the new wait of the step's planned follow-ups: none is sent before it is over. The tick moves them."""
    if found := rows(_Planned, PLANNED, {"step": step_id}):
        batch_moves.wait({it.email_id: wait.ends(it.sent_at) for it in found})
        CampaignStep.update(moves=True).where(CampaignStep.id == step_id).execute()
