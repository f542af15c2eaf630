"""Receiving mail servers on loopback: Postfix's smtp-sink where it is installed, and our own, which notes each dot.

`python -m bench.receiver PORT FILE` runs our own until SIGTERM, and then writes [recipient, seconds since the epoch] of
each message to the file.
"""

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import clock
from bench.processes import Started, started, until
from bench.services import Services, free_port


class Receiver(Protocol):
    """An SMTP server that accepts every message. port: on 127.0.0.1."""

    port: int

    def finish(self) -> int:
        """End it, and return how many messages it accepted."""


class SmtpSink:
    """Runs Postfix's smtp-sink, which only counts messages."""

    def __init__(self, services: Services) -> None:
        self.port = free_port()
        self._log = services.log(f"smtp-sink-{os.getpid()}-{self.port}")
        # As root it wants another user. -c shows counters, -m is its maximum of connections at once.
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        command = [found_smtp_sink() or "", *user, "-c", "-m", "500", f"127.0.0.1:{self.port}", "1000"]
        self._started = started(command, dict(os.environ), self._log)

    def __enter__(self) -> "SmtpSink":
        self._started.__enter__()
        _wait_for(self.port)
        return self

    def __exit__(self, *_: object) -> None:
        self.finish()

    def finish(self) -> int:
        self._started.__exit__(None, None, None)
        counts = re.findall(rb"mesg=(\d+)", self._log.read_bytes())
        return int(counts[-1]) if counts else 0


class OwnReceiver:
    """Runs our own receiver, which notes the time of each final dot."""

    def __init__(self, services: Services) -> None:
        self.port = free_port()
        self._file = services.log(f"dots-{os.getpid()}-{self.port}")
        command = [sys.executable, "-m", "bench.receiver", str(self.port), str(self._file)]
        self._started = started(command, dict(os.environ), services.log("receiver"))

    def __enter__(self) -> "OwnReceiver":
        self._process: Started | None = self._started.__enter__()
        _wait_for(self.port)
        return self

    def __exit__(self, *_: object) -> None:
        self.finish()

    def finish(self) -> int:
        return len(self.dots())

    def dots(self) -> list[tuple[str, float]]:
        """End it, and return recipient and time (seconds since the epoch) of each message."""
        if self._process is not None:
            self._started.__exit__(None, None, None)
            self._process = None
        return [(recipient, at) for recipient, at in json.loads(self._file.read_text())]


def found_smtp_sink() -> str | None:
    # On Debian it is in a folder that is only in root's PATH.
    return shutil.which("smtp-sink", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/lib/postfix/sbin")


@contextmanager
def fastest(services: Services) -> Iterator[Receiver]:
    """smtp-sink if it is installed, else our own."""
    with SmtpSink(services) if found_smtp_sink() else OwnReceiver(services) as receiver:
        yield receiver


def _wait_for(port: int) -> None:
    until(lambda: _greets(port), f"the receiver at port {port}", 30)


def _greets(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.recv(200)
            connection.sendall(b"QUIT\r\n")
            return True
    except OSError:
        return False


class _Session(asyncio.Protocol):
    """Accepts everything. Does not check the order of commands."""

    def __init__(self, dots: list[tuple[str, float]]) -> None:
        self._dots = dots
        self._unread = b""
        self._recipient = ""
        self._in_data = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.write(b"220 receiver ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        self._unread += data
        while self._take():
            pass

    def _take(self) -> bool:
        """Handle the next command or message. False: it is not complete yet."""
        end = b"\r\n.\r\n" if self._in_data else b"\r\n"
        found, ended, rest = self._unread.partition(end)
        if not ended:
            return False
        self._unread = rest
        if self._in_data:
            self._dots.append((self._recipient, clock.now().timestamp()))
            self._in_data = False
            self._transport.write(b"250 2.0.0 accepted\r\n")
        else:
            self._answer(found)
        return True

    def _answer(self, line: bytes) -> None:
        match line[:4].upper():
            case b"EHLO":
                answer = b"250-receiver\r\n250 ENHANCEDSTATUSCODES\r\n"
            case b"RCPT":
                self._recipient = line.partition(b"<")[2].partition(b">")[0].decode("ascii", "replace")
                answer = b"250 2.1.5 ok\r\n"
            case b"DATA":
                self._in_data = True
                answer = b"354 end with a dot\r\n"
            case b"QUIT":
                self._transport.write(b"221 bye\r\n")
                self._transport.close()
                return
            case _:
                answer = b"250 2.0.0 ok\r\n"
        self._transport.write(answer)


async def _receive(port: int) -> list[tuple[str, float]]:
    dots: list[tuple[str, float]] = []
    loop, ending = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ending.set)
    server = await loop.create_server(lambda: _Session(dots), "127.0.0.1", port, backlog=500)
    await ending.wait()
    server.close()
    return dots


def main() -> None:
    port, file = sys.argv[1:]
    dots = asyncio.run(_receive(int(port)))
    with open(file, "w", encoding="utf-8") as output:
        json.dump(dots, output)


if __name__ == "__main__":
    main()
