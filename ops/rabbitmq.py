"""A private RabbitMQ node with its own name, ports, pages, data and log below one folder, on loopback only.

For machines without docker, and for tests, which may kill it. Stopped by process id; other nodes are not affected.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from hashlib import blake2b
from itertools import islice
from pathlib import Path

import psutil

import clock
import config

START_SECONDS = 240.0
_DEBIAN_SCRIPTS = Path("/usr/lib/rabbitmq/bin")

CONFIG = """\
listeners.tcp.1 = 127.0.0.1:{port}
loopback_users.guest = true
disk_free_limit.absolute = 50MB
log.file.level = warning
prometheus.tcp.ip = 127.0.0.1
prometheus.tcp.port = {metrics_port}
management.tcp.ip = 127.0.0.1
management.tcp.port = {pages_port}
"""
PLUGINS = "[rabbitmq_management,rabbitmq_prometheus].\n"

# Below those that Linux gives to outgoing connections, which could take them before RabbitMQ does.
_PORTS = range(32_000, 32_768)
_reserved: list[socket.socket] = []


class RabbitMQFailed(Exception):
    """RabbitMQ is not installed, or did not start in time."""


class RabbitMQ:
    """A RabbitMQ node that we run ourselves. home: the folder with its data, log and chosen ports."""

    def __init__(self, home: Path) -> None:
        self.home = home.resolve()
        config.private_folder(self.home)
        self.port, self._dist_port, self._epmd_port, self.metrics_port, self._pages_port = self._ports()

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/%2F"

    @property
    def pages(self) -> str:
        """URL of RabbitMQ's own pages; user and password are guest."""
        return f"http://127.0.0.1:{self._pages_port}"

    def start(self) -> None:
        """Start the node unless it runs, and wait until it accepts connections."""
        started = None
        if not self.is_running():
            ports = {"port": self.port, "metrics_port": self.metrics_port, "pages_port": self._pages_port}
            (self.home / "rabbitmq.conf").write_text(CONFIG.format(**ports))
            (self.home / "enabled_plugins").write_text(PLUGINS)
            with (self.home / "output.log").open("ab") as output:
                started = subprocess.Popen(  # noqa: S603  # Debian's own script
                    [_script("rabbitmq-server")],
                    env=self._environment(),
                    cwd=self.home,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            (self.home / "node.pid").write_text(str(started.pid))
            threading.Thread(target=started.wait, daemon=True).start()

        def has_ended() -> bool:
            # A process that is just being replaced by exec has no environment, and would not be recognised.
            return not self.is_running() if started is None else started.poll() is not None

        self._wait_until(lambda: self._accepts() or has_ended(), "did not start")
        if not self._accepts():
            raise RabbitMQFailed(f"RabbitMQ below {self.home} ended at once; see output.log and log/ there")

    def stop(self) -> None:
        """Stop the node, by force if necessary, and its Erlang name server (epmd)."""
        self._signal(signal.SIGTERM)
        try:
            self._wait_until(lambda: not self._processes(), "did not stop", 30)
        except RabbitMQFailed:
            self._signal(signal.SIGKILL)
        for process in self._epmd():
            process.kill()

    def kill(self) -> None:
        """Crash the node: SIGKILL to all its processes."""
        self._signal(signal.SIGKILL)
        self._wait_until(lambda: not self._processes(), "survived SIGKILL", 30)

    def is_running(self) -> bool:
        return bool(self._processes())

    def ctl(self, *arguments: str) -> str:
        """Run rabbitmqctl for this node and return its output."""
        command = [_script("rabbitmqctl"), "--quiet", *arguments]
        done = subprocess.run(  # noqa: S603  # Debian's own script
            command,
            env=self._environment(),
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=True,
        )
        return done.stdout

    def _environment(self) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("RABBITMQ_", "ERL_"))},
            "HOME": str(self.home),  # for the Erlang cookie
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"punktual-{blake2b(str(self.home).encode(), digest_size=4).hexdigest()}@localhost",
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_CONFIG_FILE": str(self.home / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(self.home / "rabbitmq-env.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.home / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.home / "data"),
            "RABBITMQ_LOG_BASE": str(self.home / "log"),
            "RABBITMQ_PID_FILE": str(self.home / "beam.pid"),
        }

    def _ports(self) -> list[int]:
        """Ports for AMQP, Erlang distribution, epmd, metrics and pages: free ones, chosen once."""
        file = self.home / "ports"
        known = [int(port) for port in file.read_text().split()] if file.exists() else []
        ports = known + list(islice(_reserved_ports(), 5 - len(known)))
        if len(ports) < 5:
            raise RabbitMQFailed(f"fewer than 5 ports are free from {_PORTS.start} up to {_PORTS.stop}")
        file.write_text(" ".join(map(str, ports)))
        return ports

    def _processes(self) -> list[psutil.Process]:
        """The start script and the Erlang VM below it, in the session that start() created."""
        try:
            leader = int((self.home / "node.pid").read_text())
        except FileNotFoundError:
            return []
        return [process for process in psutil.process_iter() if _is_alive_in(process, leader, self.home)]

    def _epmd(self) -> list[psutil.Process]:
        found = psutil.process_iter(["name"])
        return [each for each in found if each.info["name"] == "epmd" and _listens_on(each, self._epmd_port)]

    def _signal(self, number: signal.Signals) -> None:
        for process in self._processes():
            try:
                process.send_signal(number)
            except psutil.NoSuchProcess:
                continue

    def _accepts(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.settimeout(5)
                # A node that is still starting accepts and stays silent; a running one answers a wrong protocol header.
                connection.sendall(b"AMQP\x00\x00\x00\x00")
                return connection.recv(4) == b"AMQP"
        except OSError:
            return False

    def _wait_until(self, condition: object, complaint: str, seconds: float = START_SECONDS) -> None:
        assert callable(condition)
        until = clock.boottime() + seconds
        while not condition():
            if clock.boottime() > until:
                raise RabbitMQFailed(f"RabbitMQ below {self.home} {complaint}; see output.log and log/ there")
            threading.Event().wait(0.1)


def _reserved_ports() -> Iterator[int]:
    """Free ports, which no other node takes as long as this process lives, even while its own node is down."""
    for port in random.SystemRandom().sample(_PORTS, len(_PORTS)):
        reserved = socket.socket()
        try:
            reserved.bind(("127.0.0.1", port))
        except OSError:
            reserved.close()
            continue
        # Set after the bind, which fails at any other socket's port. From now on RabbitMQ, which sets it too, may bind.
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _reserved.append(reserved)
        yield port


def is_installed() -> bool:
    return (_DEBIAN_SCRIPTS / "rabbitmq-server").exists() or shutil.which("rabbitmq-server") is not None


def _script(name: str) -> str:
    # Debian's wrapper in PATH would switch to the system's user and node.
    debian = _DEBIAN_SCRIPTS / name
    found = str(debian) if debian.exists() else shutil.which(name)
    if found is None:
        raise RabbitMQFailed(f"{name} is not installed: install RabbitMQ (Debian: rabbitmq-server)")
    return found


def _is_alive_in(process: psutil.Process, session: int, home: Path) -> bool:
    try:
        alive = process.status() != psutil.STATUS_ZOMBIE and os.getsid(process.pid) == session
        return alive and process.environ().get("HOME") == str(home)
    except (psutil.Error, ProcessLookupError, PermissionError):
        return False


def _listens_on(process: psutil.Process, port: int) -> bool:
    try:
        return any(each.laddr and each.laddr.port == port for each in process.net_connections())
    except psutil.Error:
        return False
