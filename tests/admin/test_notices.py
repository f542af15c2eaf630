"""`python -m admin notices`: whether people can be told, and what they were told."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from actors import send_notices
from models.owner import mailboxes
from tests import factories as make
from tests.admin.test_commands import done, read, refused
from tests.conftest import Override
from tests.forking import admin
from tests.webhook import Webhook

pytestmark = pytest.mark.usefixtures("db")


@pytest.fixture
def webhook(settings: Override) -> Iterator[Webhook]:
    with Webhook() as running:
        settings(NOTICES_URLS=running.url)
        yield running


class TestTheTestNotice:
    def test_tells_each_place_and_how_it_went(self, webhook: Webhook) -> None:
        assert done("notices", "test") == "1: JSON  ok\n"
        assert webhook.titles == ["Punktual: test notice"]

    def test_that_fails_somewhere_tells_where_without_secrets(self, webhook: Webhook) -> None:
        with Webhook(answer=500) as broken:
            result = admin("notices", "test", PUNKTUAL_NOTICES_URLS=f"{broken.url}, {webhook.url}")

        assert result.returncode == 1
        assert result.stdout.splitlines()[1] == "2: JSON  ok"
        assert "1: JSON  " in result.stdout
        assert "error=500" in result.stdout
        assert not [word for word in ("s3cret", "tok3n") if word in result.stdout + result.stderr]

    def test_without_a_place_says_so(self) -> None:
        result = admin("notices", "test")

        assert (result.returncode, result.stdout) == (1, "no notices are sent: PUNKTUAL_NOTICES_URLS is empty\n")

    def test_of_a_url_that_cannot_be_used_is_refused_untold(self) -> None:
        reason = refused("notices", "test", PUNKTUAL_NOTICES_URLS="nonsense://s3cret")

        assert reason.startswith("punktual: PUNKTUAL_NOTICES_URLS: URL 1 is not one that Apprise supports")
        assert "s3cret" not in reason


def test_the_latest_notices_are_listed_with_what_became_of_them(webhook: Webhook) -> None:
    mailbox_id = make.a_mailbox("ola@sender.example")
    mailboxes.close(mailbox_id, "535 5.7.8 wrong password", lambda faults: timedelta(minutes=1))
    send_notices.tell_people()

    [line] = read("notices", "list")
    assert line["said"].startswith("Punktual: the mailbox ola@sender.example does not work\n535 5.7.8 wrong password")
    assert line["told_at"]
    assert (line["closed_at"], line["error"]) == (None, None)
    assert "the mailbox ola@sender.example does not work" in done("notices", "list")
