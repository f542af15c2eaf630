"""The leads of a run: some of them answer the first letter that they get, before or after the second one comes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import clock
from models.store.tables import Incoming
from tests.chaos.load import Plan, user_of
from tests.chaos.servers import Servers
from tests.smtp_server import Delivery

_LOOK_SECONDS = 0.1
_OURS = "<answer-"


@dataclass(frozen=True)
class Answer:
    """A message that the IMAP server has."""

    message_id: str  # of the letter that it answers
    at: datetime  # when the server had it


class Leads:
    def __init__(self, servers: Servers, plan: Plan) -> None:
        self.answers: list[Answer] = []
        self.addresses = [address for addresses in plan.leads.values() for address in addresses]
        self._servers, self._plan = servers, plan

    @contextmanager
    def answering(self) -> Iterator[None]:
        """In a thread of its own. Who has begun to wait answers before it ends."""
        over = threading.Event()
        thread = threading.Thread(target=self._answer, args=(over,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(30)

    def are_read(self) -> bool:
        ids = Incoming.select(Incoming.message_id).where(Incoming.message_id.startswith(_OURS)).distinct()
        return int(ids.count()) == len(self.answers)

    def _answer(self, over: threading.Event) -> None:
        seen, due, answered = 0, dict[str, tuple[float, Delivery]](), set[str]()
        while not over.wait(_LOOK_SECONDS):
            for delivery in self._servers.smtp.accepted[seen:]:
                seen += 1
                after = self._plan.answers.get(delivery.recipient)
                if after is not None:
                    due.setdefault(delivery.recipient, (clock.boottime() + after, delivery))
            for recipient, (at, delivery) in due.items():
                if recipient not in answered and at <= clock.boottime():
                    answered.add(recipient)
                    self._send(delivery)

    def _send(self, to: Delivery) -> None:
        letter = (
            f"From: <{to.recipient}>\r\nTo: <{to.sender}>\r\nSubject: Re: hello\r\n"
            f"Message-ID: {_OURS}{to.message_id[1:]}\r\n"
            f"In-Reply-To: {to.message_id}\r\nContent-Type: text/plain\r\n\r\nYes, please send me your offer.\r\n"
        )
        self._servers.imap.receive(user_of(to.sender), letter.encode())
        self.answers.append(Answer(to.message_id, clock.now()))
