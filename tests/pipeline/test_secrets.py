"""What is secret stays in the environment and, encrypted, in the database, whatever happens to a campaign."""

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from urllib.parse import urlsplit

import psutil
import pytest
from cryptography.fernet import Fernet

from models.states import Status
from models.store import database, tables, vault
from models.store.tables import CampaignEmailQueue, Mailbox
from tests import factories as make
from tests.conftest import Override
from tests.forking import admin
from tests.pipeline.conftest import Punktual
from tests.smtp_server import SmtpServer
from tests.waiting import until

Q = CampaignEmailQueue
MAILBOX, WRONG, BROKER, DATABASE = "kXq7-mailbox-w0rd", "kXq7-wrong-w0rd", "kXq7-broker-w0rd", "kXq7-database-w0rd"
USER = "ola@sender.example"


@pytest.mark.own_servers
def test_no_secret_is_written_printed_logged_or_published_not_even_by_a_failing_login(
    punktual: Punktual, settings: Override
) -> None:
    key = Fernet.generate_key().decode()
    settings(SECRET_KEY=key)
    urls = {"PUNKTUAL_BROKER_URL": broker_url(punktual), "PUNKTUAL_DATABASE_URL": database_url()}
    punktual.environment |= urls | {"PUNKTUAL_LOG_LEVEL": "debug"}
    echo = "535 5.7.8 not with {line}"
    with SmtpServer(credentials=(USER, MAILBOX), refusal=echo, mechanisms="PLAIN") as strict:
        right, wrong = (
            make.a_mailbox(smtp_port=strict.port, username=USER, password_encrypted=vault.encrypt(password))
            for password in (MAILBOX, WRONG)
        )
        campaign_id = make.a_campaign([right, wrong], leads=6, delay=0.5)
        later = make.a_campaign([right], leads=1)
        make.planned(later, right, make.now() + timedelta(minutes=10))
        punktual.start([sys.executable, "-m", "actors", "worker"], PUNKTUAL_LOG_FORMAT="text")
        punktual.start([sys.executable, "-m", "actors", "timekeeper"], PUNKTUAL_LOG_FORMAT="text")
        punktual.start([sys.executable, "-m", "actors", "periodiq"], PUNKTUAL_LOG_FORMAT="json")
        punktual.listening()
        punktual.tick()
        until(lambda: Mailbox.get_by_id(wrong).faults, "the failing login")
        strict.arrived(2)
        until(lambda: punktual.messages().get("deliver.DQ"), "a message in the buffer")
        running = command_lines()
        published = "".join(bodies(punktual))
        printed = "".join(what_is_read(punktual, campaign_id))
        punktual.node.kill()
        until(lambda: "connection" in punktual.log.read_text().lower(), "its failures in the log")
        punktual.node.start()
        punktual.end()

    places = {
        "the processes' command lines": running,
        "the messages": published,
        "what commands print": printed,
        "the rows": "".join(rows()),
        "the log": punktual.log.read_text(),
        "the broker's log": "".join(path.read_text() for path in (punktual.node.home / "log").glob("*.log")),
    }
    assert all(places.values()), {name: len(text) for name, text in places.items()}
    assert '"actor_name":"deliver"' in published
    assert "535" in places["the rows"]
    assert Q.select().where(Q.status == Status.FAILED).count() == 0
    for name, text in places.items():
        for secret in (MAILBOX, WRONG, BROKER, DATABASE, key):
            for form in forms(secret):
                assert form not in text, f"{form} is in {name}"


def forms(secret: str) -> list[str]:
    """As it is, and the part that base64 makes of it at each offset, as in AUTH PLAIN and LOGIN."""
    encoded = [base64.b64encode(b"\0" * shift + secret.encode()).decode().rstrip("=")[4:-4] for shift in range(3)]
    return [secret, *encoded, base64.b64encode(f"\0{USER}\0{secret}".encode()).decode()]


def broker_url(punktual: Punktual) -> str:
    with suppress(subprocess.CalledProcessError):  # it is there already
        punktual.node.ctl("add_user", "ola", BROKER)
    punktual.node.ctl("set_permissions", "ola", ".*", ".*", ".*")
    return punktual.node.url.replace("guest:guest", f"ola:{BROKER}")


def database_url() -> str:
    """The tests' own trusts everybody on this machine, whatever the password."""
    parts = urlsplit(os.environ["PUNKTUAL_DATABASE_URL"])
    user, _, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user.partition(':')[0]}:{DATABASE}@{host}").geturl()


def command_lines() -> str:
    lines = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            lines.append(" ".join(process.cmdline()))
    return "\n".join(lines)


def bodies(punktual: Punktual) -> Iterator[str]:
    """All that RabbitMQ has on its disk, and so every message that it has confirmed and still holds."""
    for path in (punktual.node.home / "data").rglob("*"):
        if path.is_file():
            yield path.read_bytes().decode("latin-1")


def what_is_read(punktual: Punktual, campaign_id: int) -> Iterator[str]:
    name = tables.Campaign.get_by_id(campaign_id).name
    failed = tables.EmailHistory.get(tables.EmailHistory.reason.startswith("mailbox")).email_id
    reading = [
        *(("status",), ("config",), ("campaign", "list"), ("campaign", "show", name), ("campaign", "forecast", name)),
        *(("email", "list"), ("email", "show", str(failed)), ("mailbox", "list"), ("suppression", "list")),
        *(("mailbox", "show", row.address) for row in Mailbox.select()),
    ]
    for command in reading:
        done = admin(*command, "--json", **punktual.environment)
        done.check_returncode()
        yield done.stdout + done.stderr


def rows() -> Iterator[str]:
    for table in tables.TABLES:
        for (row,) in database.fetch(f'SELECT t::text FROM "{table._meta.table_name}" t'):
            yield f"{row}\n"
            for column in row.split(","):
                with suppress(ValueError):
                    yield bytes.fromhex(column.strip('()"\\').removeprefix("x")).decode("utf-8", "replace")
