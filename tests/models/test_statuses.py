"""The statuses of campaigns and mailboxes are enums, in rows as in code."""

import re

import pytest
from peewee import IntegrityError

import config
from models.owner import campaigns, mailboxes
from models.states import CampaignStatus, MailboxStatus
from models.store import database
from models.store.tables import Campaign, Mailbox
from tests import factories as make

# "pending" and others are an e-mail's; "closed" is what a mailbox that is active may be for a while.
A_STATUS = "|".join(sorted({*CampaignStatus, *MailboxStatus}))
BARE = re.compile(rf'([=!]= |status=|"status": |in_?[( ]+[({{\[]+)"({A_STATUS})"')


def test_no_code_compares_with_one_as_a_bare_text() -> None:
    rooms = [path for room in ("actors", "admin", "models", "web") for path in (config.ROOT / room).rglob("*.py")]
    found = {path.name: [match[0] for match in BARE.finditer(path.read_text())] for path in rooms}

    assert {name: texts for name, texts in found.items() if texts} == {}


@pytest.mark.usefixtures("db")
class TestARow:
    @pytest.mark.parametrize("status", CampaignStatus)
    def test_of_a_campaign_has_its_status_as_one(self, status: CampaignStatus) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()])
        Campaign.update(status=status).where(Campaign.id == campaign_id).execute()

        assert campaigns.get(campaign_id).status is status
        assert [row.id for row in Campaign.select().where(Campaign.status == status)] == [campaign_id]

    @pytest.mark.parametrize("status", MailboxStatus)
    def test_of_a_mailbox_has_its_status_as_one(self, status: MailboxStatus) -> None:
        mailbox_id = make.a_mailbox()
        Mailbox.update(status=status).where(Mailbox.id == mailbox_id).execute()

        assert mailboxes.get(mailbox_id).status is status

    @pytest.mark.parametrize(("table", "kind"), [("campaign", CampaignStatus), ("mailbox", MailboxStatus)])
    def test_can_have_no_other(self, table: str, kind: type[CampaignStatus | MailboxStatus]) -> None:
        make.a_campaign([make.a_mailbox()])

        for status in kind:
            database.execute(f"UPDATE {table} SET status = %s", (status,))
        with pytest.raises(IntegrityError, match="status_is_known"):
            database.execute(f"UPDATE {table} SET status = 'archived'")
