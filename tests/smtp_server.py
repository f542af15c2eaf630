"""A real SMTP server on a loopback socket that does what the address asks, down to single bytes.

`451@`, `550@` and the like answer RCPT with that code and blame the lead; `dot-451@` answers the final dot with it and
blames the content; `554-5.0.0@` and `dot-554-5.0.0@` say so with that enhanced code. The other local parts
are told apart in `do_rcpt`, `_data` and `misbehave`. `451x2@` asks for it in its first two conversations only, and what
follows a `+` makes an address unique: `451x2+17@`. User names ask in the same way: `535x3+ola` is ola, refused thrice.
"""

import base64
import contextlib
import hmac
import re
import socket
import socketserver
import ssl
import struct
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email import message_from_bytes
from typing import Any, Self

import clock
from tests.certificates import Certificate
from tests.waiting import BOUND

AT_RCPT = {
    "550": "550 5.1.1 no such user",
    "550-5.4.5": "550 5.4.5 daily sending quota exceeded",
    "550-1.1.1": "550 5.1.1 account ola@sender.example is disabled",
}
_ASKED = re.compile(r"(\d{3})(?:-(\d\.\d\.\d+))?")
_NOBODYS = {"421": "4.0.0", "454": "4.0.0"}


@dataclass(frozen=True)
class Delivery:
    sender: str
    recipient: str
    message_id: str
    content: bytes
    connection: int
    order: int
    at: datetime  # when its final dot was taken


@dataclass(frozen=True)
class InData:
    """A conversation between its 354 and what it got for its dot."""

    sender: str
    recipient: str
    since: datetime


@dataclass
class Held:
    """A conversation that waits at a point until it is released."""

    reached: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def wait(self) -> None:
        assert self.reached.wait(BOUND), "no conversation came to this point"


class SmtpServer:
    """security: none, starttls or tls. credentials: (username, password) that AUTH must give.

    abuse: (verb or "GREETING", how) instead of that answer; see `_Conversation.misbehave_at`. refusal: of a login, with
    what was sent as {line}. features: more lines for the answer to EHLO. size: what it says there of RFC 1870.
    hangs_up_at: these mechanisms, instead of an answer. hangs_up_after_refusal: of a login. instead: of the answer to a
    verb, or to the dot. is_token_of: whether an OAuth2 token is a user's, instead of credentials. oauth_error: what a
    wrong one is first answered with.
    """

    def __init__(
        self,
        *,
        security: str = "none",
        credentials: tuple[str, str] | None = None,
        greeting: str = "220 ready",
        abuse: tuple[str, str] | None = None,
        refusal: str = "535 5.7.8 wrong username or password",
        features: Sequence[str] = (),
        mechanisms: str = "PLAIN LOGIN",
        hangs_up_at: Sequence[str] = (),
        hangs_up_after_refusal: bool = False,
        greets_after: float = 0,
        size: str = "SIZE 10000000",
        instead: Mapping[str, str] | None = None,
        is_token_of: Callable[[str, str], bool] | None = None,
        oauth_error: str = '{"status":"400","schemes":"Bearer","scope":"https://mail.example/"}',
        port: int = 0,
    ) -> None:
        self.instead = instead or {}
        self.is_token_of, self.oauth_error = is_token_of, oauth_error
        self.size = size
        self.security, self.credentials, self.greeting = security, credentials, greeting
        self.abuse, self.refusal, self.features, self.mechanisms = abuse, refusal, features, mechanisms
        self.hangs_up_at, self.hangs_up_after_refusal = hangs_up_at, hangs_up_after_refusal
        self.greets_after = greets_after
        self.logins: list[str] = []  # the mechanisms that were tried
        self.certificate = Certificate("localhost") if security != "none" else None
        self.accepted: list[Delivery] = []
        self.commands: list[str] = []
        self.connections = 0
        self.most_at_once: Counter[str] = Counter()
        self.overlaps: list[tuple[InData, InData]] = []
        self._in_data: defaultdict[str, list[InData]] = defaultdict(list)
        self._asked: Counter[str] = Counter()
        self._held: dict[tuple[str, str], Held] = {}
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Conversation)
        self._server.owner = self

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        for held in self._held.values():
            held.released.set()
        self._server.shutdown()
        self._server.server_close()

    host = "127.0.0.1"

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def message_ids(self) -> list[str]:
        return [delivery.message_id for delivery in self.accepted]

    @contextlib.contextmanager
    def holding(self, point: str, recipient: str) -> Iterator[Held]:
        """Stop the conversation with this recipient at a point: data (before 354), dot (after it arrived), early."""
        held = self._held[point, recipient] = Held()
        try:
            yield held
        finally:
            held.released.set()

    def wait_for(self, condition: Callable[[], bool], seconds: float = BOUND) -> None:
        """Until the condition holds, asked again after each delivery."""
        with self._changed:
            assert self._changed.wait_for(condition, seconds), f"only {len(self.accepted)} mails arrived"

    def arrived(self, count: int, seconds: float = BOUND) -> None:
        self.wait_for(lambda: len(self.accepted) >= count, seconds)

    def hold(self, point: str, recipient: str) -> None:
        if held := self._held.get((point, recipient)):
            held.reached.set()
            held.released.wait(BOUND)

    def record(self, sender: str, recipient: str, content: bytes, connection: int) -> None:
        message_id = str(message_from_bytes(content)["Message-ID"])
        with self._changed:
            delivery = Delivery(sender, recipient, message_id, content, connection, len(self.accepted), clock.now())
            self.accepted.append(delivery)
            self._changed.notify_all()

    @contextlib.contextmanager
    def in_data(self, sender: str, recipient: str) -> Iterator[None]:
        here = InData(sender, recipient, clock.now())
        with self._changed:
            others = self._in_data[sender]
            self.overlaps += [(earlier, here) for earlier in others]
            others.append(here)
            self.most_at_once[sender] = max(self.most_at_once[sender], len(others))
        try:
            yield
        finally:
            with self._changed:
                others.remove(here)

    def wish(self, name: str) -> str:
        """What an address or a user name asks for in this conversation; "" after the number of times that it gives."""
        wish, times = wish_of(name)
        with self._changed:
            self._asked[name] += 1
            return wish if times is None or self._asked[name] <= times else ""

    def stall(self) -> None:
        self._closing.wait(BOUND)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128
    owner: SmtpServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that disconnect: the tests make them."""


class _Gone(Exception):
    """This conversation is over."""


class _Conversation(socketserver.BaseRequestHandler):
    server: _Server

    def setup(self) -> None:
        self.owner = self.server.owner
        self.owner.connections += 1
        self.number = self.owner.connections
        self.sock: socket.socket = self.request
        self.buffer = b""
        self.sender = self.recipient = self.wish = ""
        self.known = self.owner.credentials is None and self.owner.is_token_of is None
        if self.owner.security == "tls":
            self._encrypt()

    def handle(self) -> None:
        with contextlib.suppress(_Gone, OSError, ssl.SSLError):
            self.misbehave_at("GREETING")
            self.owner._closing.wait(self.owner.greets_after)
            self.say(self.owner.greeting)
            while True:
                line = self.line().decode("utf-8", "replace").rstrip("\r\n")
                self.owner.commands.append(line)
                verb = line.split(" ")[0].upper()
                self.misbehave_at(verb)
                if verb in self.owner.instead:
                    self.say(self.owner.instead[verb])
                    continue
                getattr(self, f"do_{verb.lower()}", self.unknown)(line)

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            self.sock.close()

    def misbehave_at(self, point: str) -> None:
        """Misbehave as `abuse` asks for this point, until the client disconnects."""
        if self.owner.abuse is None or self.owner.abuse[0] != point:
            return
        match self.owner.abuse[1]:
            case "trickle":
                said = b"2"
            case "endless line":
                said = b"250 " + b"x" * 100_000
            case "endless reply":
                said = b"250-more\r\n" * 10_000
            case "hang up":
                raise _Gone
        while not self.owner._closing.wait(0.02):
            self.sock.sendall(said)

    def do_ehlo(self, line: str) -> None:
        offers = ["250-hello"]
        if self.owner.security == "starttls" and not isinstance(self.sock, ssl.SSLSocket):
            offers.append("250-STARTTLS")
        elif self.owner.credentials or self.owner.is_token_of:
            offers.append(f"250-AUTH {self.owner.mechanisms}")
        offers += [f"250-{feature}" for feature in self.owner.features]
        self.say(*offers, f"250 {self.owner.size}")

    def do_starttls(self, line: str) -> None:
        self.say("220 go ahead")
        self._encrypt()

    def do_auth(self, line: str) -> None:
        _, mechanism, *first = line.split(" ")
        self.owner.logins.append(mechanism)
        if mechanism in self.owner.hangs_up_at:
            raise _Gone
        if mechanism not in self.owner.mechanisms.split():
            self.say("504 5.5.4 unrecognized authentication type")
            return
        if mechanism in ("XOAUTH2", "OAUTHBEARER"):
            self._authorize(mechanism, *first)
            return
        assert self.owner.credentials
        match mechanism:
            case "PLAIN":
                _, name, password = base64.b64decode(first[0]).decode().split("\0")
            case "LOGIN":
                name, password = self.ask("Username:"), self.ask("Password:")
            case _:
                name, _, digest = self.ask("<1@localhost>").rpartition(" ")
                secret = self.owner.credentials[1]
                right = hmac.new(secret.encode(), b"<1@localhost>", "md5").hexdigest()
                password = secret if digest == right else "another"
        is_refused = self.owner.wish(name) == "535"
        self.known = (name.rpartition("+")[2], password) == self.owner.credentials and not is_refused
        self.say("235 2.7.0 welcome" if self.known else self.owner.refusal.format(line=line))
        if self.owner.hangs_up_after_refusal and not self.known:
            raise _Gone

    def _authorize(self, mechanism: str, first: str | None = None) -> None:
        """Strictly by what Google documents, and RFC 7628: the refusal follows the client's answer to the error."""
        assert self.owner.is_token_of
        response = self.ask("") if first is None else base64.b64decode(first, validate=True).decode()
        form = {"XOAUTH2": "user=(.+)\x01", "OAUTHBEARER": "n,a=(.+),\x01host=.+\x01port=[0-9]+\x01"}[mechanism]
        found = re.fullmatch(form + "auth=Bearer ([!-~]+)\x01\x01", response)
        name, token = found.groups() if found else ("", "")
        is_refused = self.owner.wish(name) == "535"
        if self.owner.is_token_of(name.rpartition("+")[2], token) and not is_refused:
            self.known = True
            self.say("235 2.7.0 welcome")
            return
        answer = self.ask(self.owner.oauth_error.replace("{token}", token))
        right = answer == {"XOAUTH2": "", "OAUTHBEARER": "\x01"}[mechanism]
        self.say(self.owner.refusal.format(line=line_of(token, response)) if right else "501 5.5.2 not an empty answer")

    def ask(self, challenge: str) -> str:
        self.say("334 " + base64.b64encode(challenge.encode()).decode())
        return base64.b64decode(self.line()).decode()

    def do_mail(self, line: str) -> None:
        self.sender = _address(line)
        self.say("250 2.1.0 ok" if self.known else "530 5.7.0 who are you?")

    def do_rcpt(self, line: str) -> None:
        self.recipient = _address(line)
        wish = self.wish = self.owner.wish(self.recipient)
        if wish == "stall-at-rcpt":
            self.owner.stall()
        if wish == "endless":
            self.say(*["250-more"] * 100_000)
        if _ASKED.fullmatch(wish):
            self.say(AT_RCPT.get(wish) or asked(wish, ".2.1"))
        else:
            self.say("250 2.1.5 ok")

    def do_data(self, line: str) -> None:
        self.owner.hold("data", self.recipient)
        self.say("354 go ahead")
        with self.owner.in_data(self.sender, self.recipient):
            self._data(self.wish)

    def _data(self, wish: str) -> None:
        if wish == "drop-before-dot":
            self.line()
            raise _Gone
        lines = []
        while (line := self.line()) != b".\r\n":
            lines.append(line[1:] if line.startswith(b".") else line)
            if wish == "early-250" and len(lines) == 1:
                self.say("250 2.0.0 already")
                self.owner.hold("early", self.recipient)
        self.owner.hold("dot", self.recipient)
        self._answer_dot(wish, b"".join(lines))

    def _answer_dot(self, wish: str, content: bytes) -> None:
        if "dot" in self.owner.instead:
            self.say(self.owner.instead["dot"])
            return
        if wish.startswith("dot-"):
            self.say(asked(wish.removeprefix("dot-"), ".6.0"))
            return
        self.owner.record(self.sender, self.recipient, content, self.number)
        self.misbehave(wish)
        self.say("250 2.0.0 accepted")
        if wish == "reset-after-250":
            self.reset()

    def misbehave(self, wish: str) -> None:
        if late := re.fullmatch(r"250-after-(\d+)", wish):
            self.owner._closing.wait(int(late[1]))
        match wish:
            case "drop-after-dot":
                raise _Gone
            case "reset-after-dot":
                self.reset()
            case "stall-after-dot":
                self.owner.stall()
            case "garbage-at-dot":
                self.say("what a lovely mail")
                raise _Gone
            case "yes-and-no-at-dot":
                self.say("250-queued")
                self.say("550 no such user")
                raise _Gone
            case "four-digits-at-dot":
                self.say("2500 queued")
                raise _Gone
            case "trickle-at-dot":
                while not self.owner._closing.wait(0.02):
                    self.sock.sendall(b"2")

    def do_quit(self, line: str) -> None:
        if self.wish == "reset-at-quit":
            self.reset()
        self.say("221 bye")
        raise _Gone

    def do_rset(self, line: str) -> None:
        self.say("250 ok")

    def unknown(self, line: str) -> None:
        self.say("502 5.5.1 not here")

    def say(self, *lines: str) -> None:
        self.sock.sendall("".join(f"{line}\r\n" for line in lines).encode())

    def line(self) -> bytes:
        while b"\n" not in self.buffer:
            if not (more := self.sock.recv(65536)):
                raise _Gone
            self.buffer += more
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line + b"\n"

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise _Gone

    def _encrypt(self) -> None:
        assert self.owner.certificate
        self.sock = self.owner.certificate.server_context.wrap_socket(self.sock, server_side=True)


def line_of(token: str, response: str) -> str:
    """What a server may repeat of a login by a token."""
    return f"{token} {base64.b64encode(response.encode()).decode()}"


def asked(wish: str, kind: str) -> str:
    """The answer with this code. kind: subject and detail of its enhanced code, where the wish has none."""
    found = _ASKED.fullmatch(wish)
    assert found, wish
    code = found[1]
    return f"{code} {found[2] or _NOBODYS.get(code, code[0] + kind)} as the address asked"


def wish_of(name: str) -> tuple[str, int | None]:
    """What an address or a user name asks for, and in how many conversations: None for always."""
    wish = name.partition("@")[0].partition("+")[0]
    if found := re.fullmatch(r"(.+)x(\d+)", wish):
        return found[1], int(found[2])
    return wish, None


def _address(line: str) -> str:
    return line.partition("<")[2].partition(">")[0]
