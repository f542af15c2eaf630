"""How RabbitMQ is reached: the same limits for everybody who connects to it, said once."""

import pika
import pytest

import config
from ops import broker_connection
from tests.conftest import Override
from tests.scraping import free_port

SOURCES = [
    path
    for room in ("actors", "admin", "ops", "web", "models")
    for path in sorted((config.ROOT / room).rglob("*.py"))
    if path.stem != "broker_connection"
]


def test_nobody_makes_connection_parameters_of_its_own() -> None:
    own = ("broker.url.get_secret_value", "URLParameters(", "ConnectionParameters(")

    assert [path for path in SOURCES if any(each in path.read_text() for each in own)] == []


class TestParameters:
    @pytest.mark.parametrize(
        "given",
        ["amqp://ola:s%40cret@rabbit:5673/%2F", "amqp://ola:s%40cret@rabbit:5673/%2F?heartbeat=3&socket_timeout=99"],
        ids=["plain", "with limits of its own"],
    )
    def test_have_a_limit_for_every_step_whatever_the_url_says(self, given: str, settings: Override) -> None:
        settings(BROKER_URL=given, BROKER_HEARTBEAT_SECONDS="17")

        found = broker_connection.parameters(1.5)

        assert (found.socket_timeout, found.stack_timeout, found.blocked_connection_timeout) == (1.5, 1.5, 1.5)
        assert (found.heartbeat, found.connection_attempts) == (17, 1)

    def test_reach_the_host_user_and_virtual_host_of_the_url(self, settings: Override) -> None:
        settings(BROKER_URL="amqp://ola:s%40cret@rabbit:5673/a%2Fb?frame_max=8192")

        found = broker_connection.parameters(1.5)

        assert (found.host, found.port, found.virtual_host, found.frame_max) == ("rabbit", 5673, "a/b", 8192)
        assert isinstance(found.credentials, pika.PlainCredentials)
        assert (found.credentials.username, found.credentials.password) == ("ola", "s@cret")

    @pytest.mark.parametrize(("given", "host"), [("amqp://rabbit", "rabbit"), ("amqps://rabbit/", "rabbit")])
    def test_of_a_short_url_are_rabbitmqs_own(self, given: str, host: str, settings: Override) -> None:
        settings(BROKER_URL=given)

        found = broker_connection.parameters(1.5)

        assert (found.host, found.virtual_host) == (host, "/")
        assert (found.ssl_options is not None) == given.startswith("amqps")


def test_that_nobody_listens_is_among_what_counts_as_away(settings: Override) -> None:
    settings(BROKER_URL=f"amqp://127.0.0.1:{free_port()}")

    with pytest.raises(broker_connection.AWAY):
        pika.BlockingConnection(broker_connection.parameters(1.5))


def test_a_name_that_does_not_resolve_is_too(settings: Override) -> None:
    settings(BROKER_URL="amqp://no-such-host.invalid")

    with pytest.raises(broker_connection.AWAY):
        pika.BlockingConnection(broker_connection.parameters(1.5))
