"""A private RabbitMQ node, which may be stopped, killed and started again."""

import socket
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pika
import psutil
import pytest

from ops import rabbitmq
from ops.rabbitmq import RabbitMQ, RabbitMQFailed
from tests.scraping import scrape
from tests.waiting import until


@pytest.fixture
def node(tmp_path: Path) -> Iterator[RabbitMQ]:
    it = RabbitMQ(tmp_path / "rabbitmq")
    it.start()
    yield it
    it.stop()


def test_it_keeps_a_durable_message_over_a_crash_and_leaves_nothing_behind(node: RabbitMQ) -> None:
    with pika.BlockingConnection(pika.URLParameters(node.url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare("kept", durable=True)
        channel.basic_publish("", "kept", b"a hint", pika.BasicProperties(delivery_mode=2), mandatory=True)

    node.kill()
    assert not node.is_running()
    node.start()

    with pika.BlockingConnection(pika.URLParameters(node.url)) as connection:
        _, _, body = connection.channel().basic_get("kept", auto_ack=True)
    assert body == b"a hint"
    node.stop()
    assert not node.is_running()


def test_it_listens_on_this_machine_alone(node: RabbitMQ) -> None:
    ours = set(node._ports())

    until(lambda: ours <= set(listening()), "all its ports")

    assert all(ip_address(address).is_loopback for port, address in listening().items() if port in ours)
    assert scrape(node.metrics_port)


def test_a_home_that_knows_fewer_ports_keeps_them(tmp_path: Path) -> None:
    (tmp_path / "ports").write_text("61001 61002 61003")

    ports = RabbitMQ(tmp_path)._ports()

    assert ports[:3] == [61001, 61002, 61003]
    assert len(set(ports)) == 5
    assert RabbitMQ(tmp_path)._ports() == ports


def test_its_ports_are_its_own_while_it_is_down(tmp_path: Path) -> None:
    for port in RabbitMQ(tmp_path)._ports():
        with socket.socket() as another, pytest.raises(OSError, match="in use"):
            another.bind(("127.0.0.1", port))


def test_without_five_free_ports_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rabbitmq, "_PORTS", range(32_000, 32_000))

    with pytest.raises(RabbitMQFailed, match="fewer than 5 ports are free from 32000 up to 32000"):
        RabbitMQ(tmp_path)


def listening() -> dict[int, str]:
    """Port -> address, of everything on this machine."""
    found = [each.laddr for each in psutil.net_connections("tcp") if each.status == psutil.CONN_LISTEN]
    return {address[1]: address[0] for address in found if address}
