"""What mail providers let one mailbox send: published limits, each with its source and when it was read there.

A ceiling holds over any time of its length, not per calendar day: Google counts "over a rolling 24-hour period".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import NamedTuple

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(hours=24)


class Limit(NamedTuple):
    """At most so many e-mails in any time of this length."""

    most: int
    span: timedelta

    @property
    def seconds(self) -> int:
        return round(self.span.total_seconds())

    @property
    def length(self) -> str:
        """The span as text, like "24 h", "1 min" or "30 s"."""
        size, unit = next(each for each in ((3600, "h"), (60, "min"), (1, "s")) if self.seconds % each[0] == 0)
        return f"{self.seconds // size} {unit}"

    def __str__(self) -> str:
        """Say it in English: "2,000 in 24 h"."""
        return f"{self.most:,} in {self.length}"

    def possible(self, gap: timedelta, daily_limit: int) -> int:
        """How many e-mails a mailbox with this gap and daily limit could send in its span at most."""
        on_two_days = 2 * daily_limit  # no provider's span is longer, so it touches at most two
        return min(self.span // gap + 1, on_two_days) if gap else on_two_days


@dataclass(frozen=True)
class Provider:
    name: str
    limits: tuple[Limit, ...]
    hosts: tuple[str, ...]  # of its SMTP servers; one that begins with a dot: all below it
    source: str
    read: str  # year and month, or year
    domains: tuple[str, ...] = ()  # of its mailboxes, if the same servers serve others by other limits
    more: str = ""  # what else it limits that is not counted here


PROVIDERS: Mapping[str, Provider] = MappingProxyType(
    {
        "gmail": Provider(
            "Gmail",
            (Limit(500, DAY),),
            ("smtp.gmail.com", "smtp.googlemail.com"),
            "https://support.google.com/mail/answer/22839",
            "2025",
            domains=("gmail.com", "googlemail.com"),
        ),
        "google-workspace": Provider(
            "Google Workspace",
            (Limit(2000, DAY),),
            ("smtp.gmail.com", "smtp.googlemail.com"),
            "https://support.google.com/a/answer/166852",
            "2026-11",
            more="a trial account has 500 in 24 h",
        ),
        "microsoft-365": Provider(
            "Microsoft 365",
            (Limit(30, MINUTE), Limit(10_000, DAY)),
            ("smtp.office365.com",),
            "https://learn.microsoft.com/defender-office-365/outbound-spam-sending-limits-troubleshoot",
            "2026-11",
            more="all mailboxes of a tenant share a limit, which grows with its licences; a trial has 5,000 in 24 h",
        ),
        "ovh": Provider(
            "OVHcloud",
            (Limit(200, HOUR),),
            ("ssl0.ovh.net", "smtp.mail.ovh.net", ".mail.ovh.net"),
            "https://help.ovhcloud.com",
            "2025",
            more="300 an hour from one IP address",
        ),
        "forpsi": Provider(
            "Forpsi",
            (Limit(250, MINUTE), Limit(1000, HOUR), Limit(10_000, timedelta(hours=12))),
            ("smtp.forpsi.com", "smtp.forpsi.pl"),
            "https://support.forpsi.pl/kb/a1982",
            "2026-11",
            more="they hold for one IP address, too",
        ),
        "simply": Provider(
            "Simply.com",
            (Limit(299, timedelta(hours=2)),),
            ("smtp.simply.com", "smtp.unoeuro.com"),
            "https://www.simply.com/en/support",
            "2025",
            more="300 in 2 h suspend the mailbox",
        ),
    }
)


def limits_of(key: str | None) -> tuple[Limit, ...]:
    """A provider's limits; empty if the key is None (no known provider) or was dropped from PROVIDERS."""
    return PROVIDERS[key].limits if key is not None and key in PROVIDERS else ()


def described(key: str) -> str:
    """Describe a provider in English: its name, limits, and where they stand."""
    it = PROVIDERS[key]
    more = f"; {it.more}" if it.more else ""
    return f"{it.name}: at most {', '.join(map(str, it.limits))} from a mailbox{more} ({it.source}, {it.read})"


def of(smtp_host: str, address: str) -> str | None:
    """The key of a mailbox's provider; None: it is not known, or has no published limits."""
    host, domain = smtp_host.lower().rstrip("."), address.rpartition("@")[2].lower()
    found = [key for key, it in PROVIDERS.items() if any(_is_at(host, name) for name in it.hosts)]
    its_own = [key for key in found if domain in PROVIDERS[key].domains]
    return next(iter([*its_own, *(key for key in found if not PROVIDERS[key].domains)]), None)


def _is_at(host: str, name: str) -> bool:
    return host.endswith(name) if name.startswith(".") else host == name
