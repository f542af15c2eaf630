"""What a trial with several machines says in the end, and the relays through which they reach the servers."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bench import network
from bench.machines import MOMENTS, Moment, Row, judged
from bench.network import Machine, Relay
from tests.waiting import BOUND

BEGIN = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
CUT, CONNECTED = BEGIN + timedelta(seconds=10), BEGIN + timedelta(seconds=20)


def an_email(number: int, status: str = "sent", host: str = "machine-2") -> Row:
    at = BEGIN + timedelta(seconds=number)
    return Row(f"lead{number}", status, at, at if status == "sent" else None, host)


def dots(*numbers: int) -> list[tuple[str, float]]:
    return [(f"lead{number}", (BEGIN + timedelta(seconds=number + 0.01)).timestamp()) for number in numbers]


def problems(emails: list[Row], received: list[tuple[str, float]]) -> Any:
    return judged(emails, received, "machine-1", CUT, CONNECTED)["problems"]


BACK = an_email(30, host="machine-1")


class TestTheVerdict:
    def test_has_nothing_against_an_unknown_email_received_or_not(self) -> None:
        emails = [an_email(1), an_email(2, "unknown"), an_email(3, "unknown"), BACK]

        assert problems(emails, dots(1, 2, 30)) == []

    @pytest.mark.parametrize(
        ("status", "received", "problem"),
        [
            ("sent", (1, 1, 30), "1 received twice"),
            ("unknown", (1, 1, 30), "1 received twice"),
            ("sent", (30,), "1 sent, but not received"),
            ("pending", (1, 30), "1 neither sent nor unknown"),
            ("failed", (30,), "1 neither sent nor unknown"),
        ],
    )
    def test_names_each_email_that_should_not_be_so(self, status: str, received: tuple[int, ...], problem: str) -> None:
        assert problems([an_email(1, status), BACK], dots(*received)) == [problem]

    def test_wants_the_machine_back_at_work(self) -> None:
        found = problems([an_email(30), an_email(5, host="machine-1")], dots(30, 5))

        assert found == ["the machine sent nothing after it was connected again"]

    def test_counts_what_was_received_while_the_machine_was_cut_off(self) -> None:
        emails = [an_email(number) for number in (1, 11, 12, 19)]

        found = judged([*emails, BACK], dots(1, 11, 12, 19, 30), "machine-1", CUT, CONNECTED)

        assert found["rate"] == pytest.approx(0.3)
        assert found["after"] == 1


class Cable(Machine):
    """A machine on loopback, whose cable is only watched."""

    is_cut = False

    def cut_off(self) -> None:
        self.is_cut = True


class TestTheMoment:
    @pytest.mark.parametrize(
        ("case", "service", "data", "arrives"),
        [
            ("before a claim's commit", "postgres", b"EXECUTE claim (1); COMMIT; EXECUTE claimed (1)", False),
            ("after a claim's commit", "postgres", b"EXECUTE claim (1); COMMIT; EXECUTE claimed (1)", True),
            ("between hand-over and dot", "smtp", b".\r\n", False),
            ("between dot and answer", "smtp", b".\r\n", True),
        ],
    )
    def test_cuts_off_only_the_chosen_machine_and_once(
        self, case: str, service: str, data: bytes, arrives: bool
    ) -> None:
        moment = MOMENTS[case]()
        arrived = moment.watch(service)
        victim = moment.victim = Cable("machine-1", "", "10.0.0.2", "")

        assert arrived("10.0.0.3", data)
        assert arrived("10.0.0.2", b"NOOP\r\n")
        assert not victim.is_cut
        assert arrived("10.0.0.2", data) is arrives
        assert victim.is_cut
        assert arrived("10.0.0.2", data)

    def test_does_not_come_before_the_machine_is_chosen(self) -> None:
        moment = Moment(lambda service, data: True, arrives=False)

        assert moment.watch("smtp")("10.0.0.2", b".\r\n")
        assert moment.at is None


@contextmanager
def connected(watch: network.Watch) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection through a relay."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        server.settimeout(BOUND)
        relay = stack.enter_context(Relay("127.0.0.1", ("127.0.0.1", server.getsockname()[1]), watch))
        client = stack.enter_context(socket.create_connection(("127.0.0.1", relay.port), BOUND))
        there = stack.enter_context(server.accept()[0])
        there.settimeout(BOUND)
        yield client, there


class TestARelay:
    def test_forwards_both_ways_and_ends(self) -> None:
        with connected(lambda address, data: True) as (client, server):
            client.sendall(b"a question")
            assert server.recv(100) == b"a question"
            server.sendall(b"an answer")
            assert client.recv(100) == b"an answer"
            client.close()
            assert server.recv(100) == b""

    def test_delivers_nothing_after_what_it_dropped_and_does_not_hang_up(self) -> None:
        with connected(lambda address, data: b"dropped" not in data) as (client, server):
            client.sendall(b"first")
            assert server.recv(100) == b"first"
            client.sendall(b"dropped")
            client.sendall(b"later")
            server.sendall(b"still here")
            assert client.recv(100) == b"still here"
            server.setblocking(False)
            with pytest.raises(BlockingIOError):
                server.recv(100)
