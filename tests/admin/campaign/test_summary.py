"""What `campaign forecast`, `campaign add` and `campaign start` say will come."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from models.owner import campaigns
from models.people import suppressions
from models.store.tables import Campaign, CampaignLead
from scheduling.window import Window, warsaw_day
from tests import factories as make
from tests.admin.test_commands import CAMPAIGN, done, read, refused

pytestmark = pytest.mark.usefixtures("db")


@pytest.fixture
def draft() -> Campaign:
    """60 leads, 40 a day, from two mailboxes that allow 70; open every day but today."""
    today = warsaw_day(make.now()).weekday()
    boxes = [make.a_mailbox(f"{name}@sender.example", daily_limit=35) for name in ("ola", "jan")]
    window = Window(540, 1020, frozenset(range(7)) - {today})
    campaign_id = make.a_campaign(boxes, leads=60, delay=60, limit=40, window=window, active=False)
    Campaign.update(name="Autumn").execute()
    return Campaign.get_by_id(campaign_id)


def summary() -> str:
    """Of the draft above."""
    today = warsaw_day(make.now())
    first, second = (f"{today + timedelta(days=days):%a %-d %b}" for days in (1, 2))
    return (
        rf"60 e-mails: 40 {first}, 20 {second}; first {first} 09:00, last {second} 09:\d\d; "
        r"held by daily_limit 40, its mailboxes allow 70"
    )


class TestAForecast:
    def test_says_how_many_when_and_what_limits_it(self, draft: Campaign) -> None:
        lines = done("campaign", "forecast", "Autumn").splitlines()

        assert re.fullmatch(summary(), lines[0])
        assert [line.split()[-3:] for line in lines[3:]] == [
            ["40", "20", "20"],
            ["20", "10", "10"],
            ["60", "30", "30"],
        ]

    def test_names_the_leads_that_get_none_and_why(self, draft: Campaign) -> None:
        lead = CampaignLead.get().address
        suppressions.add(lead, "she asked us to", "tests")

        printed = done("campaign", "forecast", "Autumn")

        assert printed.startswith("59 e-mails: ")
        assert "1 lead will not be written to:" in printed
        assert re.search(rf"{re.escape(lead)} +suppressed: she asked us to", printed)

    def test_lists_every_mail_with_its_lead_where_that_is_asked(self, draft: Campaign) -> None:
        listed = read("campaign", "forecast", "Autumn")
        printed = done("campaign", "forecast", "Autumn", "--all")

        assert len(listed) == 60
        assert {it["lead"] for it in listed} == {it.address for it in CampaignLead.select()}
        assert {it["mailbox"] for it in listed} == {"ola@sender.example", "jan@sender.example"}
        assert all(it["lead"] in printed for it in listed)
        assert re.search(summary(), printed)

    def test_of_a_campaign_without_leads_says_so(self) -> None:
        make.a_campaign([make.a_mailbox()], leads=0, active=False)
        name = Campaign.get().name

        assert done("campaign", "forecast", name) == "no e-mails: none is left to be sent\n"


class TestStarting:
    def test_says_first_what_will_be_sent(self, draft: Campaign) -> None:
        lines = done("campaign", "start", "Autumn").splitlines()

        assert re.fullmatch(summary(), lines[0])
        assert lines[-1].startswith("started 'Autumn'")

    def test_a_campaign_without_leads_is_refused(self) -> None:
        make.a_campaign([make.a_mailbox()], leads=0, active=False)

        assert "has no leads" in refused("campaign", "start", Campaign.get().name)
        assert Campaign.get().status == "draft"


def test_adding_says_what_would_be_sent(tmp_path: Path) -> None:
    make.a_mailbox("ola@sender.example")
    (tmp_path / "autumn.toml").write_text(CAMPAIGN)
    (tmp_path / "leads.csv").write_text("email,name\nanna@leads.example,Anna\njan@leads.example,Jan\n")

    printed = done("campaign", "add", str(tmp_path / "autumn.toml"), "--leads", str(tmp_path / "leads.csv"))

    assert "\nadded 'Autumn' with 2 leads, as a draft\n2 e-mails: " in printed
    assert campaigns.find("Autumn").status == "draft"
