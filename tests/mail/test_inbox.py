"""How an inbox is read over IMAP: what of it, in which order, within which bounds."""

import socket
from datetime import date, timedelta
from itertools import count

import pytest

import clock
from mail import inbox
from mail.connection import Server
from mail.imap import Step
from mail.inbox import Bounds, InboxUnreadable, Message
from tests.dovecot import Dovecot

WIDE = Bounds(messages=100, message_bytes=65_536, bytes=10_000_000, seconds=60)
LONG_AGO = date(2000, 1, 1)
_numbers = count(1)


@pytest.fixture
def user() -> str:
    return f"reader{next(_numbers)}"


def a_message(number: int, size: int = 0) -> bytes:
    return f"Subject: {number}\r\n\r\n".encode() + b"x" * size


def read(
    dovecot: Dovecot,
    user: str,
    bounds: Bounds = WIDE,
    after: int = 0,
    since: date = LONG_AGO,
    security: str = "none",
) -> tuple[list[Message], int]:
    """The inbox's messages after a UID, and how far it was read."""
    port = dovecot.tls_port if security == "tls" else dovecot.port
    server, trusting = Server(dovecot.host, port, security, user, dovecot.password), dovecot.certificate.trusting
    with inbox.opened(server, 10, bounds, trusting) as it:
        progress = list(it.open("INBOX").after(after, since))
    last = progress[-1].last_uid if progress else after
    return [each.message for each in progress if each.message], last


class TestAnInbox:
    @pytest.mark.parametrize("security", ["none", "starttls", "tls"])
    def test_is_read_in_order_with_the_servers_time(self, dovecot: Dovecot, user: str, security: str) -> None:
        yesterday = clock.now() - timedelta(days=1)
        dovecot.receive(user, a_message(1), at=yesterday)
        dovecot.receive(user, a_message(2))

        messages, last = read(dovecot, user, security=security)

        assert ([each.uid for each in messages], last) == ([1, 2], 2)
        assert messages[0].raw == a_message(1)
        assert abs(messages[0].received_at - yesterday) < timedelta(seconds=2)

    def test_that_is_empty_has_nothing(self, dovecot: Dovecot, user: str) -> None:
        assert read(dovecot, user) == ([], 0)

    def test_is_read_after_the_last_uid_alone(self, dovecot: Dovecot, user: str) -> None:
        for number in range(3):
            dovecot.receive(user, a_message(number))

        assert [each.uid for each in read(dovecot, user, after=2)[0]] == [3]
        assert read(dovecot, user, after=3) == ([], 3)

    def test_is_read_from_a_day_on(self, dovecot: Dovecot, user: str) -> None:
        for days in (10, 5, 0):
            dovecot.receive(user, a_message(days), at=clock.now() - timedelta(days=days))

        messages, last = read(dovecot, user, since=(clock.now() - timedelta(days=6)).date())

        assert ([each.uid for each in messages], last) == ([2, 3], 3)

    def test_with_a_large_gap_in_its_uids_is_read_over_it(self, dovecot: Dovecot, user: str) -> None:
        dovecot.receive(user, a_message(1))
        for _ in range(30):
            dovecot.renumber(user)
        dovecot.receive(user, a_message(2))

        assert [each.raw for each in read(dovecot, user)[0]] == [a_message(1), a_message(2)]


class TestABound:
    def test_of_messages_leaves_the_rest(self, dovecot: Dovecot, user: str) -> None:
        for number in range(3):
            dovecot.receive(user, a_message(number))

        messages, last = read(dovecot, user, WIDE._replace(messages=2))

        assert (len(messages), last) == (2, 2)

    def test_of_bytes_leaves_the_rest(self, dovecot: Dovecot, user: str) -> None:
        for number in range(3):
            dovecot.receive(user, a_message(number, size=50_000))

        assert len(read(dovecot, user, WIDE._replace(bytes=60_000))[0]) == 2

    def test_of_a_message_cuts_it_off(self, dovecot: Dovecot, user: str) -> None:
        dovecot.receive(user, a_message(1, size=5_000_000))

        [message] = read(dovecot, user)[0]

        assert (len(message.raw), message.size > 5_000_000) == (65_536, True)

    def test_of_time_that_is_over_reads_nothing(self, dovecot: Dovecot, user: str) -> None:
        dovecot.receive(user, a_message(1))

        assert read(dovecot, user, WIDE._replace(seconds=0)) == ([], 0)


class TestTheJunkFolder:
    @pytest.mark.parametrize("name", ["Junk", "SPAM", "Niechciane", "INBOX.Spam"])
    def test_is_found_by_its_name(self, dovecot: Dovecot, user: str, name: str) -> None:
        dovecot.receive(user, a_message(1), folder=name)
        server = Server(dovecot.host, dovecot.port, "none", user, dovecot.password)

        with inbox.opened(server, 10, WIDE) as it:
            assert it.folders() == ["INBOX", name]

    def test_may_be_missing(self, dovecot: Dovecot, user: str) -> None:
        server = Server(dovecot.host, dovecot.port, "none", user, dovecot.password)

        with inbox.opened(server, 10, WIDE) as it:
            assert it.folders() == ["INBOX"]


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


def test_one_that_cannot_be_reached_says_at_which_step(closed_port: int) -> None:
    with (
        pytest.raises(InboxUnreadable) as caught,
        inbox.opened(Server("127.0.0.1", closed_port, "none", "ola", "s3cret"), 10, WIDE),
    ):
        raise AssertionError("it was opened")

    assert caught.value.step is Step.CONNECT


def test_one_that_refuses_the_login_does_not_tell_the_password(dovecot: Dovecot, user: str) -> None:
    server = Server(dovecot.host, dovecot.port, "none", user, "wr0ng-one")
    with pytest.raises(InboxUnreadable) as caught, inbox.opened(server, 10, WIDE):
        raise AssertionError("it was opened")

    assert caught.value.step is Step.LOGIN
    assert "wr0ng-one" not in str(caught.value)
