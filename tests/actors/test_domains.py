"""The daily check of the mailboxes' domains: what is asked when, and what is kept."""

from datetime import timedelta

import pytest

from actors.domains import check_domains
from models.health import domains
from models.owner import mailboxes
from models.store.tables import DomainFinding
from models.views import overview
from tests import factories as make
from tests import name_server
from tests.conftest import Override
from tests.name_server import Zone

pytestmark = pytest.mark.usefixtures("db")

ZONE: Zone = {
    ("firma.example", "MX"): ["10 mx.firma.example."],
    ("firma.example", "TXT"): ['"v=spf1 mx -all"'],
    ("_dmarc.firma.example", "TXT"): ['"v=DMARC1; p=none"'],
}


def checked(settings: Override, zone: Zone = ZONE, *, failing: bool = False) -> list[tuple[str, str, str]]:
    with name_server.serving(zone, failing=failing) as port:
        settings(DNS_NAME_SERVERS='["127.0.0.1"]', DNS_PORT=port, DNS_TIMEOUT_SECONDS=2.0)
        check_domains()
    rows = DomainFinding.select().order_by(DomainFinding.domain, DomainFinding.record)
    return [(row.domain, row.record, row.state) for row in rows]


def test_each_domain_is_asked_once_for_all_its_mailboxes(settings: Override) -> None:
    for address in ("ola@firma.example", "jan@firma.example", "ola@inna.example"):
        make.a_mailbox(address)

    assert checked(settings) == [
        *[("firma.example", "dmarc", "weak"), ("firma.example", "mx", "ok"), ("firma.example", "spf", "ok")],
        *[("inna.example", "dmarc", "missing"), ("inna.example", "mx", "missing"), ("inna.example", "spf", "missing")],
    ]


def test_it_is_asked_again_after_a_day(settings: Override) -> None:
    make.a_mailbox("ola@firma.example")
    checked(settings)
    assert domains.due(10) == []

    DomainFinding.update(checked_at=DomainFinding.checked_at - domains.EVERY - timedelta(minutes=1)).execute()

    assert domains.due(10) == ["firma.example"]


def test_a_silent_name_server_is_asked_again_after_an_hour(settings: Override) -> None:
    make.a_mailbox("ola@firma.example")
    assert {state for _, _, state in checked(settings, failing=True)} == {"unknown"}
    assert domains.due(10) == []

    DomainFinding.update(checked_at=DomainFinding.checked_at - timedelta(minutes=61)).execute()

    assert domains.due(10) == ["firma.example"]


def test_a_mailbox_whose_records_stay_missing_is_closed_and_opens_when_they_are_there(settings: Override) -> None:
    box = make.a_mailbox("ola@firma.example")
    checked(settings, {})
    make.everything_older(timedelta(hours=72))
    assert mailboxes.get(box).status == "active"

    checked(settings, {})
    assert mailboxes.get(box).status == "paused"
    make.everything_older(timedelta(hours=1))
    checked(settings)

    assert mailboxes.get(box).status == "active"


def test_domains_of_paused_mailboxes_are_not_asked() -> None:
    mailboxes.pause(make.a_mailbox("ola@firma.example"), "ola")

    assert domains.due(10) == []


def test_what_was_found_is_told_with_the_mailbox_in_plain_words(settings: Override) -> None:
    make.a_mailbox("ola@firma.example")
    checked(settings)

    [line] = overview.mailboxes(mailboxes.every())

    assert [(it.record, it.reason) for it in line.domain] == [
        ("mx", "answers and bounces reach firma.example (mail servers: 1)"),
        ("spf", "firma.example says which servers may send its mail"),
        (
            "dmarc",
            "firma.example has a DMARC record that asks for nothing (p=none): enough for Gmail, and no protection",
        ),
    ]
