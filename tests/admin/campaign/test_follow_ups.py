"""`campaign follow-ups`: what becomes of the sequences of a mailbox that is gone."""

from pathlib import Path

import pytest

from models.owner import campaigns
from models.states import Status
from models.store.tables import Campaign
from tests import factories as make
from tests.admin.test_commands import CAMPAIGN, done, refused
from tests.forking import admin
from tests.models.email.test_former_mailboxes import NEW, OLD, Sequence

pytestmark = pytest.mark.usefixtures("db")


class TestARemovedStep:
    def test_is_named_with_what_it_cancels_before_and_shown_later(self, tmp_path: Path) -> None:
        it = Sequence()
        Campaign.update(name="Autumn").execute()
        (tmp_path / "autumn.toml").write_text(CAMPAIGN.replace("ola@sender.example", OLD))

        told = done("campaign", "edit", "Autumn", "--file", str(tmp_path / "autumn.toml"))

        assert "planned e-mails of removed steps, cancelled: 1; their leads go on" in told
        assert make.row(it.planned).error_code == "step_removed"
        assert "(removed)" in done("campaign", "show", "Autumn")


@pytest.fixture
def it() -> Sequence:
    found = Sequence()
    Campaign.update(name="Autumn").execute()
    return found


def remove(it: Sequence) -> str:
    return done("campaign", "edit", "Autumn", "--remove-mailbox", OLD)


class TestTheCommand:
    def test_is_named_when_a_mailbox_is_removed_whose_follow_ups_wait(self, it: Sequence) -> None:
        told = remove(it)

        assert "leads that wait for their next letter until you decide: 2" in told
        assert 'python -m admin campaign follow-ups "Autumn" --of MAILBOX --end, or --go-on-from ANOTHER' in told
        assert OLD in done("campaign", "follow-ups", "Autumn")
        shown = done("campaign", "show", "Autumn")
        assert shown.count("wait for their next letter until you decide: 2") == 2  # now, and as a line of its own

    def test_ends_them(self, it: Sequence) -> None:
        remove(it)

        assert "are ended" in done("campaign", "follow-ups", "Autumn", "--of", OLD, "--end")

        assert make.row(it.planned).status == Status.CANCELLED
        assert "no follow-up waits" in done("campaign", "follow-ups", "Autumn")
        assert campaigns.complete_finished("tests") == [it.id]
        shown = done("campaign", "show", "Autumn")
        assert f"removed the follow ups of {OLD}" in shown
        assert "the campaign is completed" in shown

    def test_lets_them_go_on_from_another_and_shows_first_which_move(self, it: Sequence) -> None:
        told = done("campaign", "follow-ups", "Autumn", "--of", OLD, "--go-on-from", NEW)

        assert "1 e-mail of 'Autumn' moves" in told
        assert f"go on from {NEW}, each in a new thread" in told
        assert f"mailbox edit {OLD} --imap-host ''" in told
        it.tick()
        assert make.row(it.planned).mailbox_id == it.new

    def test_wants_one_mailbox_and_one_decision(self, it: Sequence) -> None:
        for given in (("--of", OLD), ("--end",), ("--of", OLD, "--end", "--go-on-from", NEW)):
            answer = admin("campaign", "follow-ups", "Autumn", *given)
            assert (answer.returncode, "either --end or --go-on-from" in answer.stderr) == (1, True)
        assert "nobody@sender.example" in refused(
            "campaign", "follow-ups", "Autumn", "--of", "nobody@sender.example", "--end"
        )
