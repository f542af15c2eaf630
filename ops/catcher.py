"""A test mail server: accepts everything, saves it as .eml files, forwards nothing."""

import logging
import os
import socket
from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

import clock
import config


class Caught(NamedTuple):
    message_id: str
    recipient: str
    at: datetime


_STAMP = "%Y%m%d-%H%M%S-%f"


def read_caught(folder: Path) -> list[Caught]:
    """All e-mails in the folder, from this process and earlier ones."""
    return [_read(file) for file in sorted(folder.glob("*.eml"))]


def _read(file: Path) -> Caught:
    message = message_from_bytes(file.read_bytes(), policy=policy.default)
    at = datetime.strptime(file.name[:22], _STAMP).replace(tzinfo=UTC)
    return Caught(str(message["Message-ID"]), str(message["X-Caught-For"]), at)


class Catcher:
    """Listens on loopback until stopped. port: 0 chooses a free one. Raises OSError if it cannot listen there."""

    def __init__(self, folder: Path, host: str = "127.0.0.1", port: int = 0) -> None:
        self.folder = folder
        self.count = 0
        self.port = _free_port(host, port)
        self._controller = Controller(
            self,
            hostname=host,
            port=self.port,
            ready_timeout=30,
            authenticator=lambda *_: AuthResult(success=True),  # whatever the user name and password
            auth_require_tls=False,
        )

    def __enter__(self) -> "Catcher":
        config.private_folder(self.folder)
        # aiosmtpd warns of an attribute of its own at every login.
        logging.getLogger("mail.log").addFilter(lambda record: "login_data" not in record.getMessage())
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.original_content or b""
        recipient = envelope.rcpt_tos[0].replace("\r", "").replace("\n", "")
        file = self.folder / f"{clock.now():{_STAMP}}-{uuid4().hex[:8]}.eml"
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as caught:
            caught.write(b"X-Caught-For: " + recipient.encode() + b"\r\n" + content)
        self.count += 1
        return "250 2.0.0 caught"


def _free_port(host: str, port: int) -> int:
    """The port, or a free one for 0. Tries to listen, because aiosmtpd waits for its whole timeout if it cannot."""
    family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tried.bind(address)
        return int(tried.getsockname()[1])
