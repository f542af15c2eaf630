"""The follow-ups in a campaign's form: a block of fields each, which is left out if it is empty."""

from collections.abc import Sequence
from typing import Any

from bounds import Bounds, OutOfBounds
from models.owner.steps import MOST_STEPS, LaterStep
from scheduling.waits import MOST, Unit
from web.forms import MISSING, Form

_PARTS = ("count", "unit", "subject", "text", "html")


def numbers(form: Form) -> range:
    """Of the blocks that the form shows: 2 is the step after the first letter."""
    typed = form.get("steps")
    count = int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 3 else 0
    return range(2, 2 + min(count, MOST_STEPS - 1))


def add(form: Form) -> None:
    """Another block."""
    form.put("steps", str(min(len(numbers(form)) + 1, MOST_STEPS - 1)))


def as_typed(steps: Sequence[LaterStep]) -> dict[str, object]:
    """The fields of these steps."""
    values: dict[str, object] = {"steps": len(steps)}
    for number, it in enumerate(steps, 2):
        parts = (it.wait.count, str(it.wait.unit), it.subject, it.text, it.html)
        values |= {f"step-{number}-{name}": part for name, part in zip(_PARTS, parts, strict=True)}
    return values


def read(form: Form) -> dict[int, dict[str, Any]]:
    """Block -> the step, as a campaign file has it. What is wrong with its wait is marked."""
    found: dict[int, dict[str, Any]] = {}
    for number in numbers(form):
        place = f"step-{number}-"
        typed = {name: form.text(f"{place}{name}").strip() for name in ("count", "subject", "text", "html")}
        if not any(typed.values()):
            continue
        found[number] = {
            "after": _after(form, place),
            "subject": form.get(f"{place}subject") or None,
            "text": form.text(f"{place}text"),
            "html": form.text(f"{place}html") if typed["html"] else None,
        }
        if not typed["text"]:
            form.refuse(f"{place}text", MISSING)
    return found


def _after(form: Form, place: str) -> str:
    """Its wait, or any if that is wrong."""
    count, unit = form.whole(f"{place}count"), form.get(f"{place}unit")
    if count is None:
        form.refuse(f"{place}count", MISSING)
    elif unit not in set(Unit):
        form.refuse(f"{place}unit", MISSING)
    else:
        try:
            Bounds(1, MOST[Unit(unit)]).check(count)
            return f"{count} {unit}"
        except OutOfBounds as error:
            form.refuse(f"{place}count", error.said)
    return "1 day"
