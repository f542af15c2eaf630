"""A connection to a host is made by whichever of its addresses works, and otherwise it is told what became of each."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import psutil
import pytest

from mail import dial
from tests.waiting import BOUND, until

Hosts = Callable[..., None]


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Hosts:
    """What the name server says of mail.example: these addresses, in this order."""
    resolve = socket.getaddrinfo

    def are(*addresses: str) -> None:
        def answer(host: str, port: int, **rest: int) -> list[object]:
            return [
                found for it in addresses for found in resolve(it if host == "mail.example" else host, port, **rest)
            ]

        monkeypatch.setattr(socket, "getaddrinfo", answer)

    return are


@pytest.fixture
def port() -> Iterator[int]:
    """Served at 127.0.0.1 alone: elsewhere it refuses."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.fixture
def dead(port: int) -> Iterator[Callable[[str], str]]:
    """Makes an address one that never answers: its queue is full, and the kernel drops what else comes."""
    with ExitStack() as stack:

        def make(address: str) -> str:
            listening = stack.enter_context(socket.create_server((address, port), backlog=0))
            for _ in range(3):
                filling = stack.enter_context(socket.socket())
                filling.setblocking(False)
                filling.connect_ex(listening.getsockname())
            return address

        yield make


def reached(port: int, seconds: float = 30) -> str:
    with dial.connect("mail.example", port, seconds) as connection:
        return str(connection.getpeername()[0])


class TestAHost:
    @pytest.mark.parametrize("count", [1, 4, 10])
    def test_with_dead_addresses_is_reached_by_the_one_that_lives(
        self, hosts: Hosts, dead: Callable[[str], str], port: int, count: int
    ) -> None:
        """One after another they would take all the time there is."""
        hosts(*(dead(f"127.0.0.{number}") for number in range(2, count + 2)), "127.0.0.1")

        assert reached(port) == "127.0.0.1"

    def test_that_refuses_at_all_addresses_but_the_last_is_reached(self, hosts: Hosts, port: int) -> None:
        hosts(*(f"127.0.0.{number}" for number in range(2, 12)), "127.0.0.1")

        assert reached(port) == "127.0.0.1"

    def test_with_addresses_of_a_kind_that_the_machine_does_not_speak_is_reached(
        self, hosts: Hosts, port: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        unknown = (4242, socket.SOCK_STREAM, 6, "", ("nowhere", port))
        resolve = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **rest: [unknown, *resolve("127.0.0.1", port, **rest)])

        assert reached(port) == "127.0.0.1"

    def test_that_answers_nowhere_is_told_with_what_became_of_each_address(
        self, hosts: Hosts, dead: Callable[[str], str], port: int
    ) -> None:
        hosts("127.0.0.2", dead("127.0.0.3"))
        before = psutil.Process().num_fds()

        with pytest.raises(OSError, match="no connection") as caught:
            reached(port, 1)

        tried = "127.0.0.2: Connection refused; 127.0.0.3: no answer"
        assert str(caught.value) == f"no connection to mail.example, port {port} ({tried})"
        assert psutil.Process().num_fds() == before

    @pytest.mark.filterwarnings("error")  # what is closed only when it is forgotten warns
    def test_keeps_no_connection_but_the_one_that_won(
        self, hosts: Hosts, dead: Callable[[str], str], port: int
    ) -> None:
        hosts(dead("127.0.0.2"), dead("127.0.0.3"), "127.0.0.1")
        before = psutil.Process().num_fds()

        with dial.connect("mail.example", port, 30):
            assert psutil.Process().num_fds() == before + 1

    def test_with_many_addresses_is_not_tried_for_ever(self, hosts: Hosts, port: int) -> None:
        hosts(*(f"127.0.1.{number}" for number in range(1, 200)))

        with pytest.raises(OSError, match="no connection") as caught:
            reached(port)

        assert str(caught.value).count("refused") == 20

    def test_gives_each_kind_of_address_its_turn(self, hosts: Hosts, port: int) -> None:
        hosts("::1", "::2", "::3", "127.0.0.2", "127.0.0.3")

        found = dial._look_up("mail.example", port, 30)

        assert [address.sockaddr[0] for address in found] == ["::1", "127.0.0.2", "::2", "127.0.0.3", "::3"]


class TestAName:
    @pytest.mark.parametrize("name", ["nowhere.invalid", "a" * 70 + ".example", "two..dots", "with\0nothing"])
    def test_without_an_address_is_told_in_a_sentence(self, name: str) -> None:
        with pytest.raises(OSError, match=r"^no IP address was found for "):
            dial.connect(name, 25, 30)

    def test_that_the_name_server_keeps_silent_about_is_given_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        over = threading.Event()

        def silent(*_: object, flags: int = 0, **__: object) -> list[Any]:
            if flags & socket.AI_NUMERICHOST:
                raise socket.gaierror(socket.EAI_NONAME, "it is a name")
            return [over.wait(BOUND)]

        monkeypatch.setattr(socket, "getaddrinfo", silent)

        with pytest.raises(TimeoutError, match=r"^no DNS server answered for mail\.example within 0\.1 s$"):
            dial.connect("mail.example", 25, 0.1)

        over.set()
        until(lambda: not [it for it in threading.enumerate() if it.name.startswith("look-up")], "its thread to end")


class TestAConnection:
    def test_sends_what_is_small_at_once(self, port: int) -> None:
        with dial.connect("127.0.0.1", port, 30) as connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    def test_waits_for_its_server_as_long_as_it_was_waited_for(self, port: int) -> None:
        with dial.connect("127.0.0.1", port, 30) as connection:
            assert connection.gettimeout() == 30
