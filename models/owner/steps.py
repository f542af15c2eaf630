"""A campaign's letters after the first: added with it, and changed while it runs.

A text and a wait apply to every e-mail that is not claimed: follow-ups whose wait was edited get another time. An
inserted step reaches the leads before it; one behind the last only those whose last letter is still to be sent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import SequenceMatcher
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
    rows = CampaignStep.select().where(CampaignStep.campaign == campaign_id, CampaignStep.position > 1)
    waits = ((it, sequences.wait(it.wait_count, it.wait_unit)) for it in rows.order_by(CampaignStep.position))
    return [LaterStep(wait, it.subject, it.text, it.html) for it, wait in waits if wait is not None]


def change(campaign_id: int, wanted: Sequence[LaterStep]) -> dict[str, list[object]]:
    """Give a campaign these steps after its first. The caller holds its lock. What changed: name -> [old, new].

    A step with another letter in the place of an old one is that step, edited.
    """
    if len(wanted) >= MOST_STEPS:
        raise StepsInvalid(f"a campaign has at most {MOST_STEPS} steps")
    steps = CampaignStep.select().where(CampaignStep.campaign == campaign_id, CampaignStep.position > 1)
    old = list(steps.order_by(CampaignStep.position))
    before, after = [_told(it) for it in old], [f"{it.wait} later: {it.subject or 'Re:'}" for it in wanted]
    kept, new = _matched(old, wanted), list[tuple[int, LaterStep]]()
    gone = [it for it in old if it.id not in kept.values()]
    _remove(gone)
    _renumber(campaign_id, {step_id: place for place, step_id in kept.items()})
    changed = bool(gone)
    for place, step in enumerate(wanted):
        if place in kept:
            changed |= _edit(next(it for it in old if it.id == kept[place]), step)
        else:
            new.append((place, step))
    for place, step in new:
        is_last = place > max(kept, default=-1) and _has_emails(campaign_id)
        its = {**step.letter._asdict(), "wait_count": step.wait.count, "wait_unit": step.wait.unit}
        row = {"campaign": campaign_id, "position": place + 2, "since": CLOCK if is_last else None}
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


HAS_EMAILS = "SELECT EXISTS (SELECT FROM campaign_email_queue WHERE step_id = %s)"


def _remove(gone: Sequence[CampaignStep]) -> None:
    for it in gone:
        if fetch(HAS_EMAILS, (it.id,))[0][0]:
            raise StepsInvalid(
                f"step {it.position} has e-mails already, so it cannot be removed; its letter can change"
            )
        CampaignStep.delete().where(CampaignStep.id == it.id).execute()


def _renumber(campaign_id: int, places: dict[int, int]) -> None:
    """From high to low or the other way round, two steps may have one number for a moment: so by way of others."""
    far = CampaignStep.update(position=CampaignStep.position + 1000)
    far.where(CampaignStep.campaign == campaign_id, CampaignStep.position > 1).execute()
    for step_id, place in places.items():
        CampaignStep.update(position=place + 2).where(CampaignStep.id == step_id).execute()


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
    """None of the step's planned follow-ups is sent before the new wait is over; the tick gives them other times."""
    if found := rows(_Planned, PLANNED, {"step": step_id}):
        batch_moves.wait({it.email_id: wait.ends(it.sent_at) for it in found})
        CampaignStep.update(moves=True).where(CampaignStep.id == step_id).execute()
