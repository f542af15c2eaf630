"""The table of providers' limits, and which provider a mailbox has."""

from datetime import timedelta

import pytest

from scheduling.providers import DAY, HOUR, MINUTE, PROVIDERS, Limit, of


@pytest.mark.parametrize(
    ("host", "address", "provider"),
    [
        ("smtp.gmail.com", "ola@gmail.com", "gmail"),
        ("smtp.gmail.com", "ola@firm.example", "google-workspace"),
        ("SMTP.Office365.com.", "ola@firm.example", "microsoft-365"),
        ("ssl0.ovh.net", "ola@firm.example", "ovh"),
        ("pro2.mail.ovh.net", "ola@firm.example", "ovh"),
        ("smtp.forpsi.pl", "ola@firm.example", "forpsi"),
        ("smtp.simply.com", "ola@firm.example", "simply"),
        ("smtp.gmail.com.firm.example", "ola@gmail.com", None),
        ("mail.ovh.net.firm.example", "ola@firm.example", None),
        ("127.0.0.1", "ola@gmail.com", None),
    ],
)
def test_a_mailboxs_provider_is_known_by_its_server(host: str, address: str, provider: str | None) -> None:
    assert of(host, address) == provider


@pytest.mark.parametrize("key", PROVIDERS)
def test_each_limit_has_its_source(key: str) -> None:
    it = PROVIDERS[key]

    assert it.source.startswith("https://")
    assert it.read[:4].isdecimal()
    # What counts is read for a day at most, which touches two dates.
    assert all(limit.most > 0 and MINUTE <= limit.span <= DAY for limit in it.limits)


@pytest.mark.parametrize(
    ("gap", "daily_limit", "possible"),
    [(0.0, 40, 80), (90.0, 1000, 41), (90.0, 15, 30), (3601.0, 1000, 1)],
    ids=["two days' limits", "as the gap allows", "the least of both", "one"],
)
def test_a_mailbox_can_send_so_many_in_an_hour_by_its_own_settings(gap: float, daily_limit: int, possible: int) -> None:
    assert Limit(200, HOUR).possible(timedelta(seconds=gap), daily_limit) == possible
