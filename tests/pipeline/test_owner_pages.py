"""A whole campaign on the pages alone: from an empty installation to the first mail that is sent, in a browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

from models.store.tables import Campaign, Mailbox
from tests.browser import chromium, looking
from tests.pipeline.conftest import Punktual
from tests.waiting import BOUND
from tests.web.conftest import Served

LEADS = "Adres e-mail;Imię;Firma\nanna@leads.example;Anna;Piekarnia Kłos\nnobody;Jan;Młyn\n".encode("cp1250")


@pytest.fixture
def served(db: None, tmp_path: Path) -> Iterator[Served]:
    running = Served(tmp_path / "web.log")
    yield running
    running.end()


def test_a_campaign_goes_from_an_empty_installation_to_its_first_mail(punktual: Punktual, served: Served) -> None:
    assert not Mailbox.select().exists()
    narrow = {"viewport": {"width": 390, "height": 800}, "java_script_enabled": False}
    with sync_playwright() as running, looking(chromium(running), served.url, **narrow) as person:
        page = person.page

        page.goto("/campaigns")
        page.get_by_role("link", name="New campaign").click()
        page.get_by_role("link", name="Add a mailbox").click()
        page.get_by_label("Address", exact=True).fill("ola@sender.example")
        page.get_by_label("E-mails a day").fill("40")
        page.get_by_label("Seconds between two e-mails, at least").fill("0")
        page.get_by_label("SMTP server").fill("127.0.0.1")
        page.get_by_label("SMTP encryption").select_option("none")
        page.get_by_label("SMTP port").fill(str(punktual.smtp.port))
        page.get_by_role("button", name="Add mailbox").click()
        expect(page.locator("h1")).to_contain_text("ola@sender.example")

        page.goto("/campaigns/new")
        page.get_by_label("Name of the campaign").fill("Autumn")
        page.get_by_label("Subject").fill("{{ name }}, a question")
        page.get_by_label("Text", exact=True).fill("Dear {{ name }},\nhow is {{ company }}?")
        page.get_by_label("Sends from", exact=True).fill("00:00")
        page.get_by_label("until").fill("24:00")
        for day in ("Sat", "Sun"):
            page.get_by_label(day).check()
        page.get_by_label("Send on Polish public holidays too").check()
        page.get_by_label("Seconds between two e-mails").fill("1")
        page.get_by_role("button", name="Save and go on to the leads").click()

        page.get_by_label("CSV or Excel file").set_input_files(
            {"name": "klienci.csv", "mimeType": "text/csv", "buffer": LEADS}
        )
        page.get_by_role("button", name="Upload and check").click()
        expect(page.locator("#file + p")).to_have_text("Windows-1250 text, columns separated by semicolons")
        expect(page.locator(".problem")).to_contain_text("'nobody' is not an e-mail address")
        page.get_by_label("Leave these rows out").check()
        page.get_by_role("button", name="Import").click()

        expect(page.locator("main")).to_contain_text("1 e-mail is to go.")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.get_by_role("button", name="Start the campaign").click()
        expect(page.locator("h1 .badge")).to_have_text("active")

        punktual.run("worker")
        punktual.run("timekeeper")
        punktual.listening("deliver", "deliver.DQ", "tick")
        punktual.tick()
        punktual.smtp.arrived(1, BOUND)

    [mail] = punktual.smtp.accepted
    assert (mail.sender, mail.recipient) == ("ola@sender.example", "anna@leads.example")
    assert "Piekarnia" in mail.content.decode()
    assert Campaign.get().name == "Autumn"
