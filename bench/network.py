"""Machines as Linux network namespaces: each has a host name, an address and a cable to one switch, which can be cut.

Servers that listen on loopback are reached through a relay on the switch, which also sees what is sent. Needs root.
"""

import asyncio
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from typing import Self

# A server's address: (host, port), or the path of a Unix socket.
Upstream = tuple[str, int] | str
# What a machine (by its address) sends through a relay -> whether it arrives.
Watch = Callable[[str, bytes], bool]
_LARGEST = 65_536


def why_not() -> str | None:
    """Why there can be no namespaces here."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "the program ip is not installed (Debian: iproute2)"
    try:
        with Network(0):
            return None
    except subprocess.CalledProcessError as failure:
        return f"network namespaces do not work here: {failure.stderr.strip()}"


class Machine:
    def __init__(self, name: str, namespace: str, address: str, cable: str) -> None:
        """Name the parts of a machine, which Network creates. cable: the switch's end of its cable."""
        self.name, self.address = name, address
        self._namespace, self._cable = namespace, cable

    def command(self, command: Sequence[str]) -> list[str]:
        """The command as it is run on this machine."""
        named = ["unshare", "--uts", "sh", "-c", f'hostname {self.name} && exec "$@"', "sh", *command]
        return ["ip", "netns", "exec", self._namespace, *named]

    def cut_off(self) -> None:
        _ip("link", "set", self._cable, "down")

    def connect(self) -> None:
        _ip("link", "set", self._cable, "up")


class Network:
    """A switch, with `count` machines."""

    def __init__(self, count: int) -> None:
        mark = f"pk{os.getpid() % 100_000}"
        subnet = f"10.213.{os.getpid() % 250}"
        self.address = f"{subnet}.1"  # of the switch
        self._switch = f"{mark}s"
        self.machines = [
            Machine(f"machine-{n}", f"{mark}-{n}", f"{subnet}.{n + 1}", f"{mark}c{n}") for n in range(1, count + 1)
        ]
        self._mark = mark
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            _ip("link", "add", self._switch, "type", "bridge")
            stack.callback(_ip, "link", "del", self._switch)
            _ip("addr", "add", f"{self.address}/24", "dev", self._switch)
            _ip("link", "set", self._switch, "up")
            for number, machine in enumerate(self.machines, 1):
                self._add(stack, f"{self._mark}-{number}", f"{self._mark}c{number}", machine.address)
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _add(self, stack: ExitStack, namespace: str, cable: str, address: str) -> None:
        _ip("netns", "add", namespace)
        stack.callback(_ip, "netns", "del", namespace)  # and with it the cable
        _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", namespace)
        _ip("link", "set", cable, "master", self._switch, "up")
        _ip("-n", namespace, "addr", "add", f"{address}/24", "dev", "eth0")
        for each in ("eth0", "lo"):
            _ip("-n", namespace, "link", "set", each, "up")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


class Relay:
    """Forwards connections from an address to a server. watch: may drop what a machine sends, and the rest after it."""

    def __init__(self, address: str, upstream: Upstream, watch: Watch) -> None:
        self._address, self._upstream, self._watch = address, upstream, watch
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        listening = asyncio.start_server(self._connected, self._address, 0)
        server = asyncio.run_coroutine_threadsafe(listening, self._loop).result(30)
        self.port = int(server.sockets[0].getsockname()[1])
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end_connections(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)

    async def _end_connections(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for each in others:
            each.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        machine = str(writer.get_extra_info("peername")[0])
        it = self._upstream
        opened = asyncio.open_unix_connection(it) if isinstance(it, str) else asyncio.open_connection(*it)
        from_server, to_server = await opened
        both = (
            self._forward(reader, to_server, lambda data: self._watch(machine, data)),
            self._forward(from_server, writer, lambda data: True),
        )
        # The end of the trial is no error to report.
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*both)

    async def _forward(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, arrives: Callable[[bytes], bool]
    ) -> None:
        with suppress(OSError):
            while data := await source.read(_LARGEST):
                if not arrives(data):
                    return  # without an end: the other side hears nothing any more
                target.write(data)
                await target.drain()
        target.close()
