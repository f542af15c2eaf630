"""The audit log in English sentences: who did what, from what to what."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_VERBS = {
    "add": "added it",
    "start": "started it",
    "pause": "paused it",
    "resume": "resumed it",
    "cancel": "cancelled it",
    "complete": "completed it",
    "retry": "made it active again",
    "edit": "changed",
    "suppress": "suppressed it",
    "freeze": "froze it",
    "unfreeze": "took back its freezes",
    "add_leads": "added leads",
    "authorize": "authorized it with OAuth2",
    "record warm-up": "recorded warm-up e-mails",
    "set legal basis": "set its legal basis",
    "unsuppress": "removed it from the suppressed addresses",
}
_NAMES = {
    "window_start_minute": "the window's start",
    "window_end_minute": "the window's end",
    "delay_seconds": "the delay",
    "gap_seconds": "the gap",
    "html": "the HTML",
    "smtp_host": "the SMTP server",
    "smtp_port": "the SMTP port",
    "smtp_security": "the SMTP encryption",
    "imap_host": "the IMAP server",
    "imap_port": "the IMAP port",
    "imap_security": "the IMAP encryption",
    "username": "the user name",
    "provider": "the provider whose limits hold",
    "ramp_start": "the ramp's first limit",
    "ramp_step": "the ramp's step",
    "ramp_from": "the ramp's first day",
}
# Said by the verb, or long: that they changed is enough.
_UNSAID = {"status", "closed_until", "closed_reason", "closed_phase", "closed_code", "faults", "suppressed"}
_LONG = {"text", "html", "password"}


def of(by: str, verb: str, values: Mapping[str, Sequence[Any]], reason: str | None) -> str:
    """Say in English what was done, by whom and why. values: name -> [old, new]."""
    if verb == "delete":
        return f"{by} deleted the draft {shown('name', values['campaign'][0])} and its {values['leads'][0]} leads"
    if verb == "freeze":
        [(name, (_, last))] = values.items()
        return f"{by} froze it from {name.removeprefix('freeze ')} to {last}"
    if verb == "suppress" and "suppressed" in values:
        return f"{by} suppressed it: {values['suppressed'][1]}"
    if verb == "forget":
        counts = ", ".join(f"{name} {count}" for name, (_, count) in values.items())
        return f"{by} erased what was known about it: {counts}"
    parts: dict[str, list[str]] = {}
    for name, (old, new) in values.items() if verb != "add" else ():
        for what, said in _parts(name, old, new):
            parts.setdefault(what, []).append(said)
    changed = ", ".join(f"{what} {_listed(them)}" for what, them in parts.items())
    done = changed if verb == "edit" else _VERBS.get(verb, verb) + (f": {changed}" if changed else "")
    return f"{by} {done}" + (f": {reason}" if reason else "")


def _parts(name: str, old: Any, new: Any) -> Iterator[tuple[str, str]]:
    """Verb and object of what happened to one setting."""
    if name in _UNSAID:
        return
    what = _NAMES.get(name, f"the {name.replace('_', ' ')}")
    match old, new:
        case list(), list() if name == "mailboxes":
            for verb, some in (("added", set(new) - set(old)), ("removed", set(old) - set(new))):
                if some:
                    yield verb, f"the mailbox{'es' if len(some) > 1 else ''} {_listed(sorted(some))}"
        case _, None:
            yield "removed", what
        case None, _:
            yield ("added", what) if name in _LONG else ("set", f"{what} to {shown(name, new)}")
        case _:
            told = what if name in _LONG else f"{what} from {shown(name, old)} to {shown(name, new)}"
            yield "changed", told


def shown(name: str, value: Any) -> str:
    """A setting as written in a campaign file or on the command line."""
    if name.endswith("_minute") and isinstance(value, int):
        return f"{value // 60:02}:{value % 60:02}"
    if name.endswith("_seconds") and isinstance(value, int | float):
        return duration(value)
    if name == "weekdays" and isinstance(value, list):
        return ",".join(WEEKDAYS[day] for day in value if day in range(7))
    if name in ("subject", "name"):
        return f"“{value}”"
    return "none" if value is None else str(value)


def duration(seconds: float) -> str:
    """A duration like "1 h 30 min". Below 1 s, above 10^9 s or with a fraction: a plain number of seconds."""
    if not 1 <= seconds <= 10**9 or seconds != int(seconds):
        return f"{float(seconds):g} s"
    rest, parts = int(seconds), []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts)


def _listed(parts: Sequence[str]) -> str:
    return " and ".join(parts) if len(parts) <= 2 else f"{', '.join(parts[:-1])} and {parts[-1]}"
