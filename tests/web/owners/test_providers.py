"""The provider of a mailbox, whose limits hold above the owner's: found by its server, or chosen."""

import pytest

from models.owner import mailboxes
from tests import factories as make
from tests.web.owners.conftest import Owner, wrong
from tests.web.owners.test_mailboxes import OLA, a_form


@pytest.mark.parametrize(
    ("host", "chosen", "provider"),
    [
        ("smtp.office365.com", "found", "microsoft-365"),
        ("smtp.sender.example", "found", None),
        ("smtp.sender.example", "ovh", "ovh"),
        ("smtp.office365.com", "none", None),
    ],
)
def test_of_a_new_mailbox_is_found_or_chosen(owner: Owner, host: str, chosen: str, provider: str | None) -> None:
    owner.may("/mailboxes/new", **a_form(host=host, provider=chosen))

    assert mailboxes.find(OLA).provider == provider


def test_that_there_is_not_is_refused(owner: Owner) -> None:
    assert wrong(owner.may_not("/mailboxes/new", **a_form(provider="x")))["provider"] == "Choose one."


def test_is_shown_with_its_limits_and_changed(owner: Owner) -> None:
    mailbox_id = make.a_mailbox(smtp_host="smtp.office365.com")
    path = f"/mailboxes/{mailbox_id}"
    page = owner.browser.get(f"{path}?lang=pl").text

    owner.may(f"{path}/limits", form="limits", name="Ola", daily_limit="1000", gap="0", provider="forpsi")

    assert '<option value="microsoft-365" selected>Microsoft 365: 30 w ciągu 1 min, ' in page
    assert mailboxes.get(mailbox_id).provider == "forpsi"
