"""A private RabbitMQ node, which may be stopped, killed and started again."""

from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pika
import psutil
import pytest

from ops.rabbitmq import RabbitMQ


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
    ours = (node.port, node._dist_port, node._epmd_port)
    listening = [each.laddr for each in psutil.net_connections("tcp") if each.status == psutil.CONN_LISTEN]
    addresses = {address[0] for address in listening if address and address[1] in ours}

    assert addresses
    assert all(ip_address(address).is_loopback for address in addresses)
