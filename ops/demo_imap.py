"""A test mailbox over IMAP: lets the demo's leads answer, so that the product reads it as it reads a provider's.

Serves what IMAP clients need to read one inbox (RFC 3501): no other folder, and nothing can be changed. Every user with
any password has an inbox of their own.
"""

import re
import socketserver
import threading
from collections import defaultdict
from datetime import UTC, datetime
from typing import Self

import clock

_FETCHED = re.compile(rb"BODY(?:\.PEEK)?\[\](?:<(\d+)\.(\d+)>)?")
_CAPABILITIES = b"* CAPABILITY IMAP4rev1\r\n"


class DemoInbox:
    """Listens on loopback until stopped."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.messages: defaultdict[str, list[tuple[datetime, bytes]]] = defaultdict(list)
        # Another one each time: its messages are others.
        self.uidvalidity = int(clock.now().timestamp())
        self._server = socketserver.ThreadingTCPServer((host, 0), _handler(self))
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, name="answers", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def receive(self, user: str, content: bytes) -> None:
        """Put a message into an inbox."""
        self.messages[user].append((clock.now(), content))


def _handler(answers: DemoInbox) -> type[socketserver.StreamRequestHandler]:
    messages = answers.messages

    class Conversation(socketserver.StreamRequestHandler):
        user = ""

        def handle(self) -> None:
            self.wfile.write(b"* OK ready\r\n")
            while line := self.rfile.readline(65_536):
                tag, _, rest = line.strip().partition(b" ")
                name, _, arguments = rest.partition(b" ")
                if name.upper() == b"UID":
                    name, _, arguments = arguments.partition(b" ")
                    name = b"UID " + name
                answer = getattr(self, f"do_{name.decode('ascii', 'replace').lower().replace(' ', '_')}", None)
                if answer is None:
                    self.wfile.write(tag + b" BAD unknown command\r\n")
                    continue
                answer(arguments)
                self.wfile.write(tag + b" OK done\r\n")
                if name.upper() == b"LOGOUT":
                    return

        def do_capability(self, _: bytes) -> None:
            self.wfile.write(_CAPABILITIES)

        def do_noop(self, _: bytes) -> None:
            """Send no data before the OK."""

        do_close = do_unselect = do_noop

        def do_logout(self, _: bytes) -> None:
            self.wfile.write(b"* BYE\r\n")

        def do_login(self, arguments: bytes) -> None:
            self.user = arguments.split()[0].strip(b'"').decode()

        def do_list(self, _: bytes) -> None:
            self.wfile.write(b'* LIST (\\HasNoChildren) "/" INBOX\r\n')

        def do_examine(self, _: bytes) -> None:
            count = len(messages[self.user])
            self.wfile.write(
                b"* FLAGS ()\r\n* %d EXISTS\r\n* 0 RECENT\r\n* OK [UIDVALIDITY %d] ok\r\n* OK [UIDNEXT %d] ok\r\n"
                % (count, answers.uidvalidity, count + 1)
            )

        do_select = do_examine

        def do_uid_search(self, arguments: bytes) -> None:
            found = b" ".join(b"%d" % uid for uid in self._uids(arguments))
            self.wfile.write(b"* SEARCH " + found + b"\r\n" if found else b"* SEARCH\r\n")

        def do_uid_fetch(self, arguments: bytes) -> None:
            for uid in self._uids(arguments):
                at, content = messages[self.user][uid - 1]
                parts = [b"UID %d" % uid]
                if b"RFC822.SIZE" in arguments:
                    parts.append(b"RFC822.SIZE %d" % len(content))
                if b"INTERNALDATE" in arguments:
                    parts.append(b'INTERNALDATE "%s"' % f"{at.astimezone(UTC):%d-%b-%Y %H:%M:%S +0000}".encode())
                if body := _FETCHED.search(arguments):
                    first, size = int(body[1] or 0), int(body[2] or len(content))
                    wanted = content[first : first + size]
                    parts.append(b"BODY[]<%d> {%d}\r\n%s" % (first, len(wanted), wanted))
                self.wfile.write(b"* %d FETCH (%s)\r\n" % (uid, b" ".join(parts)))

        def _uids(self, arguments: bytes) -> list[int]:
            """The existing UIDs of a set like 1:3,7, which is the first in the arguments."""
            last, found = len(messages[self.user]), re.search(rb"[\d:*,]+", arguments)
            uids = set[int]()
            for each in found[0].decode().replace("*", str(last)).split(",") if found else ():
                first, _, end = each.partition(":")
                ends = int(first), int(end or first)
                uids |= set(range(max(min(ends), 1), min(max(ends), last) + 1))
            return sorted(uids)

    return Conversation


def reply_to(content: bytes, text: str) -> bytes:
    """What the recipient of a message would answer."""
    head = content.partition(b"\r\n\r\n")[0].decode("ascii", "replace").replace("\r\n ", " ").split("\r\n")
    fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in head)}
    lines = [
        f"From: {fields['to']}",
        f"To: {fields['from']}",
        f"Subject: Re: {fields['subject'].removeprefix('Re: ')}",
        f"Message-ID: <answer-{fields['message-id'].strip('<>')}>",
        f"In-Reply-To: {fields['message-id']}",
        f"References: {fields['message-id']}",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n" + text + "\r\n").encode()
