"""Compares what a catcher received from a campaign with the rows."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from models.states import Status
from models.views.overview import EmailLine
from ops.catcher import read_caught


@dataclass(frozen=True)
class Comparison:
    """The result of comparing received e-mails with the rows."""

    planned: int
    sent: int
    received: int
    duplicates: int  # deliveries beyond the first of a Message-ID
    missing: int  # sent according to the rows, but not received
    unexplained: int  # received, but not sent according to the rows
    worst_late_seconds: float

    @property
    def agrees(self) -> bool:
        return self.planned == self.sent == self.received and not (self.duplicates or self.missing or self.unexplained)

    def __str__(self) -> str:
        return (
            f"planned {self.planned}, sent {self.sent}, received {self.received}, duplicates {self.duplicates}, "
            f"missing {self.missing}, unexplained {self.unexplained}, worst lateness {self.worst_late_seconds:.2f} s"
        )


def compare(emails: Iterable[EmailLine], folder: Path) -> Comparison:
    lines = {line.message_id: line for line in emails}
    caught = [mail for mail in read_caught(folder) if mail.message_id in lines]
    times = Counter(mail.message_id for mail in caught)
    sent = {message_id for message_id, line in lines.items() if line.status == "sent"}
    lateness = [(mail.at - lines[mail.message_id].scheduled_at).total_seconds() for mail in caught]
    return Comparison(
        planned=sum(line.status != Status.CANCELLED for line in lines.values()),
        sent=len(sent),
        received=len(caught),
        duplicates=len(caught) - len(times),
        missing=len(sent - times.keys()),
        unexplained=len(times.keys() - sent),
        worst_late_seconds=max(lateness, default=0.0),
    )
