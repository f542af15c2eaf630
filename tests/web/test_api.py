"""What the JSON API tells and takes, beside what its document says."""

import json
import re
from datetime import datetime, timedelta
from typing import Any

import pytest
import schemathesis
from flask.testing import FlaskClient
from typer.testing import CliRunner

from admin.__main__ import app as admin
from models.audit import changes
from models.email import gates, moves
from models.owner import campaigns
from models.people import lead_import, suppressions
from models.people.lead_import import NewLead
from models.states import Status
from models.store.tables import Campaign, CampaignLead
from models.views import history, mails, overview
from reasons import Code, Reason
from tests import factories as make
from tests.conftest import Override
from tests.web.conftest import HASH, PASSWORD, TOKEN, Browser, csrf_token, the_app
from tests.web.rows import something_of_everything
from web import schemas
from web.schemas import Input, Output

BEARER = {"Authorization": f"Bearer {TOKEN}"}
BEYOND_ALL_IDS = (0, 2**63 - 1, 2**63, 10**30, "١", "1e3", "-1", "+1", "0x1", "1.0", "%20" + "1", "a")


def told_by_admin(*arguments: str) -> Any:
    done = CliRunner().invoke(admin, [*arguments, "--json"], catch_exceptions=False)
    return json.loads(done.stdout)


class TestReads:
    def test_campaigns_and_mailboxes_are_told_as_the_admin_script_tells_them(self, browser: FlaskClient) -> None:
        something_of_everything()

        told = told_by_admin("status")

        assert browser.get("/api/campaigns").json == told["campaigns"]
        assert browser.get("/api/mailboxes").json == told["mailboxes"]
        assert browser.get("/api/counts").json == told["emails"]

    @pytest.mark.parametrize("status", Status)
    def test_an_email_and_its_history_too(self, browser: FlaskClient, status: Status) -> None:
        email_id, _ = make.in_status(status)

        told = told_by_admin("email", "show", str(email_id))

        assert browser.get(f"/api/emails/{email_id}/history").json == told.pop("history")
        conversation: Any = browser.get(f"/api/emails/{email_id}/conversation").json
        assert conversation["line"] == told.pop("conversation")
        del told["content"], told["content_gone"]  # the API has no letters
        assert browser.get(f"/api/emails/{email_id}").json == told

    def test_suppressions_too(self, browser: FlaskClient) -> None:
        email_id = make.an_email()
        suppressions.add("anna@leads.example", "she asked us to", "ola", email_id=email_id, proof="<1@leads.example>")
        suppressions.add("@firm.example", Reason(Code.IMPORTED, file="old.csv"), "ola")

        assert browser.get("/api/suppressions").json == told_by_admin("suppression", "list")

    def test_times_bear_the_offset_of_warsaw(self, browser: FlaskClient) -> None:
        email_id = make.an_email(datetime.fromisoformat("2031-07-01T10:00:00.123Z"))

        assert browser.get(f"/api/emails/{email_id}").json["scheduled_at"] == "2031-07-01T12:00:00.123+02:00"  # type: ignore[index]

    def test_today_holds_what_the_pages_draw(self, browser: FlaskClient) -> None:
        email_id, _ = make.in_status(Status.SENT)

        found = browser.get("/api/today").json

        assert found is not None
        [line] = found["lines"]
        assert [mark["email_id"] for mark in line["marks"]] == [email_id]
        assert line["campaign"] == browser.get("/api/campaigns").json[0]  # type: ignore[index]

    def test_each_mailbox_and_campaign_stands_alone_as_it_does_among_all(self, browser: FlaskClient) -> None:
        something_of_everything()

        for kind in ("campaigns", "mailboxes"):
            listed = browser.get(f"/api/{kind}").json
            assert listed
            assert [browser.get(f"/api/{kind}/{it['id']}").json for it in listed] == listed

    def test_what_waits_for_a_person_says_from_when_it_may_be_sent_again(self, browser: FlaskClient) -> None:
        email_id, _ = make.in_status(Status.UNKNOWN)

        [found] = browser.get("/api/unknown").json or []

        assert found["email"] == browser.get(f"/api/emails/{email_id}").json
        since, until = (datetime.fromisoformat(found[name]) for name in ("since", "may_send_again_from"))
        assert until - since == timedelta(minutes=15)
        assert browser.get(f"/api/unknown?after={email_id}").json == []

    def test_what_was_ordered_is_told_with_who_ordered_it(self, browser: FlaskClient) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()])
        campaigns.pause(campaign_id, "ola", "a holiday")

        latest = (browser.get(f"/api/campaigns/{campaign_id}/changes").json or [])[0]

        assert (latest["verb"], latest["by"], latest["reason"]) == ("pause", "ola", "a holiday")
        assert latest["values"] == {"status": ["active", "paused"]}

    def test_leads_that_were_added_are_told_with_how_many_there_are(self, browser: FlaskClient) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()], leads=2)
        lead_import.stage_only([NewLead("zoe@leads.example", "zoe@leads.example", {}, None)])
        campaigns.add_staged_leads(campaign_id, "ola")

        latest = (browser.get(f"/api/campaigns/{campaign_id}/changes").json or [])[0]

        assert (latest["verb"], latest["by"], latest["values"]) == ("add_leads", "ola", {"leads": [2, 3]})
        assert "dodano adresatów" in browser.get(f"/campaigns/{campaign_id}?lang=pl").text


class TestPages:
    @pytest.fixture
    def campaign_id(self, db: None) -> int:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=5)
        ids = make.planned(campaign_id, mailbox_id, *(make.now() + timedelta(minutes=i) for i in range(5)))
        moves.cancel(ids[0], "a test", "tests")
        return campaign_id

    def test_cursors_lead_through_all_and_back(self, browser: FlaskClient, campaign_id: int) -> None:
        path = f"/api/campaigns/{campaign_id}/emails?limit=2"

        first = browser.get(path).json or {}
        second = browser.get(f"{path}&cursor={first['next']}").json or {}
        third = browser.get(f"{path}&cursor={second['next']}").json or {}

        assert [len(page["emails"]) for page in (first, second, third)] == [2, 2, 1]
        assert (first["previous"], third["next"]) == (None, None)
        assert (browser.get(f"{path}&cursor={third['previous']}").json or {})["emails"] == second["emails"]

    def test_they_may_be_of_one_status_or_one_lead(self, browser: FlaskClient, campaign_id: int) -> None:
        path = f"/api/campaigns/{campaign_id}/emails"
        lead = mails.page(campaign_id).lines[2].lead

        of_status = (browser.get(f"{path}?status=cancelled").json or {})["emails"]
        of_lead = (browser.get(f"{path}?lead=%20{lead.upper()}").json or {})["emails"]

        assert [it["status"] for it in of_status] == ["cancelled"]
        assert [it["lead"] for it in of_lead] == [lead]

    def test_they_may_be_of_leads_with_a_part_of_an_address_or_a_column(
        self, browser: FlaskClient, campaign_id: int
    ) -> None:
        path = f"/api/campaigns/{campaign_id}/emails"
        row = CampaignLead.select().where(CampaignLead.campaign == campaign_id).order_by(CampaignLead.id.desc()).get()
        CampaignLead.update(fields={"company": "Zażółć Sp. z o.o."}).where(CampaignLead.id == row.id).execute()

        of_address = (browser.get(f"{path}?search={row.address.partition('@')[0].upper()}").json or {})["emails"]
        of_company = (browser.get(f"{path}?search=ZAZOLC&status=pending").json or {})["emails"]
        of_nobody = (browser.get(f"{path}?search=nobody").json or {})["emails"]

        assert row.address in [it["lead"] for it in of_address]
        assert [it["lead"] for it in of_company] == [row.address]
        assert of_nobody == []

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("status=asleep", "status"),
            ("lead=nobody", "lead"),
            ("search=ab", "search"),
            ("lead=a%00b@leads.example", "lead"),
            ("cursor=nonsense", "cursor"),
            ("cursor=" + "a" * 101, "cursor"),
            ("limit=0", "limit"),
            ("limit=201", "limit"),
            ("limit=1e999", "limit"),
            ("limit=" + "9" * 5000, "limit"),
            ("limit=many", "limit"),
            ("sort=id", "sort"),
        ],
    )
    def test_bad_input_is_told_by_its_field(
        self, browser: FlaskClient, campaign_id: int, query: str, field: str
    ) -> None:
        answer = browser.get(f"/api/campaigns/{campaign_id}/emails?{query}")

        assert answer.status_code == 422
        assert list((answer.json or {})["fields"]) == [field]
        assert field in (answer.json or {})["message"]
        assert "None" not in (answer.json or {})["message"]

    @pytest.mark.parametrize(
        ("query", "message"),
        [
            ("limit=0", "limit: must be at least 1"),
            ("limit=201", "limit: must be at most 200"),
            ("limit=many", "limit: must be a whole number"),
            ("limit=1.5", "limit: must be a whole number"),
            ("limit=" + "9" * 5000, "limit: must be a whole number with fewer digits"),
            ("limit=nan", "limit: must be a whole number"),
            ("status=lost", "status: must be 'pending', 'sending', 'sent', 'failed', 'cancelled' or 'unknown'"),
            ("cursor=a.b", "cursor: has a character that is not allowed"),
            ("cursor=" + "a" * 101, "cursor: must have at most 100 characters"),
            ("lead=nobody", "lead: 'nobody' is not an e-mail address: it must have one @"),
            ("sort=id", "sort: is not a known field"),
        ],
    )
    def test_what_would_be_right_is_said_in_our_words(
        self, browser: FlaskClient, campaign_id: int, query: str, message: str
    ) -> None:
        answer = browser.get(f"/api/campaigns/{campaign_id}/emails?{query}")

        assert (answer.json or {})["message"] == message


class TestOrders:
    def test_a_campaign_is_started_paused_resumed_and_cancelled(self, browser: FlaskClient) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()], active=False)

        statuses = [order(browser, campaign_id, verb)["status"] for verb in ("start", "pause", "resume", "cancel")]

        assert statuses == ["active", "paused", "active", "cancelled"]
        assert Campaign.get_by_id(campaign_id).status == "cancelled"

    @pytest.mark.parametrize("verb", ["pause", "cancel"])
    def test_whoever_orders_it_is_recorded_with_the_reason(self, protected: Browser, verb: str) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()])

        order(protected(), campaign_id, verb, {"reason": "a holiday"}, headers=BEARER)

        latest = changes.of_campaign(campaign_id)[0]
        assert (latest.verb, latest.by, latest.reason) == (verb, "api:token", "a holiday")

    def test_on_the_machine_itself_that_is_the_web(self, browser: FlaskClient) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()])

        order(browser, campaign_id, "pause")

        assert changes.of_campaign(campaign_id)[0].by == "web"

    @pytest.mark.parametrize("address", ["Anna@Leads.example", "LEADS.example"])
    def test_an_address_or_a_domain_is_suppressed(self, browser: FlaskClient, address: str) -> None:
        email_id = make.an_email(leads=["anna@leads.example"])
        wanted = {"address": address, "reason": "she asked us to", "proof": "<1@leads.example>"}

        answer = browser.post("/api/suppressions", json=wanted)

        [found] = suppressions.every()
        assert (found.by, found.reason, found.proof) == ("web", "she asked us to", "<1@leads.example>")
        assert (answer.json or {})["address"] == found.address
        assert make.row(email_id).status == Status.CANCELLED

    def test_what_is_neither_is_told(self, browser: FlaskClient) -> None:
        answer = browser.post("/api/suppressions", json={"address": "anna@", "reason": "she asked us to"})

        assert (answer.status_code, suppressions.every()) == (422, [])
        assert (answer.json or {})["message"].startswith("address: 'anna@' is not an e-mail address")

    def test_one_that_cannot_be_done_is_refused_with_its_reason(self, browser: FlaskClient) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()])

        answer = browser.post(f"/api/campaigns/{campaign_id}/start", json={})

        assert answer.status_code == 409
        assert "it is active" in (answer.json or {})["message"]

    @pytest.mark.parametrize("verdict", ["sent", "again"])
    def test_an_unknown_email_is_settled(self, browser: FlaskClient, verdict: str) -> None:
        email_id, _ = make.in_status(Status.UNKNOWN)
        make.age(email_id, timedelta(hours=1))

        answer = browser.post(f"/api/emails/{email_id}/settle", json={"verdict": verdict, "reason": "the lead said so"})

        assert answer.status_code == 200
        assert make.row(email_id).status == {"sent": "sent", "again": "pending"}[verdict]
        latest = history.of_email(email_id)[-1]
        assert (latest.by, latest.reason) == ("web", "the lead said so")

    def test_not_before_its_answer_can_no_longer_come(self, browser: FlaskClient) -> None:
        email_id, _ = make.in_status(Status.UNKNOWN)

        answer = browser.post(f"/api/emails/{email_id}/settle", json={"verdict": "again", "reason": "impatience"})

        assert answer.status_code == 409
        assert "may still get the server's answer" in (answer.json or {})["message"]

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"verdict": "perhaps", "reason": "x"}, "verdict"),
            ({"verdict": "sent"}, "reason"),
            ({"verdict": "sent", "reason": ""}, "reason"),
            ({"verdict": "sent", "reason": "a\0b"}, "reason"),
            ({"verdict": "sent", "reason": "a" * 1001}, "reason"),
            ({"verdict": "sent", "reason": 7}, "reason"),
            ({"verdict": "sent", "reason": None}, "reason"),
            ({"verdict": "sent", "reason": "x", "force": True}, "force"),
        ],
    )
    def test_a_ruling_that_is_not_whole_is_told_by_its_field(
        self, browser: FlaskClient, body: dict[str, Any], field: str
    ) -> None:
        email_id, _ = make.in_status(Status.UNKNOWN)

        answer = browser.post(f"/api/emails/{email_id}/settle", json=body)

        assert answer.status_code == 422
        assert list((answer.json or {})["fields"]) == [field]
        assert re.fullmatch(rf"{field}: (must |is |has )[a-z0-9', ]+", (answer.json or {})["message"])
        assert make.row(email_id).status == Status.UNKNOWN

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            (b"", 400),
            (b"{", 400),
            (b"\xff\xfe{}", 400),
            (b'{"reason": "\\ud800"}', 400),
            (b'{"reason": ' + b"9" * 5000 + b"}", 400),
            (b"[" * 30_000, 400),
            (b'{"reason": ' * 5_000, 400),
            (b"[]", 422),
            (b"null", 422),
            (b'"pause"', 422),
            (b" " * 70_000, 413),
        ],
        ids=lambda value: str(value)[:20],
    )
    def test_what_is_no_order_is_no_failure_either(self, browser: FlaskClient, body: bytes, status: int) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()])

        answer = browser.post(f"/api/campaigns/{campaign_id}/pause", data=body, content_type="application/json")

        assert answer.status_code == status
        assert set(answer.json or {}) == {"message", "fields"}
        assert Campaign.get_by_id(campaign_id).status == "active"


class TestWhatCameBack:
    def test_is_listed_by_class_campaign_mailbox_and_lead(self, browser: FlaskClient) -> None:
        email_id, _ = make.in_status(Status.SENT)
        mail = make.row(email_id)
        ids = [make.came_back(email_id, class_) for class_ in ("human", "unclear")]
        lead = overview.email(email_id).lead

        for query, expected in (
            ("", ids[::-1]),
            ("?class_name=human", ids[:1]),
            (f"?campaign_id={mail.campaign_id}&mailbox_id={mail.mailbox_id}&lead={lead}", ids[::-1]),
            ("?campaign_id=99", []),
            (f"?before={ids[1]}", ids[:1]),
        ):
            assert [it["id"] for it in browser.get(f"/api/incoming{query}").json or []] == expected
        assert [it["id"] for it in browser.get(f"/api/emails/{email_id}/incoming").json or []] == ids
        assert (browser.get(f"/api/incoming/{ids[0]}").json or {})["class_name"] == "human"
        assert {it["reason"] for it in browser.get(f"/api/holds?lead={lead}").json or []} == {
            "the lead replied",
            "a reply waits for a person to judge it",
        }

    def test_is_corrected_with_a_reason(self, browser: FlaskClient) -> None:
        email_id, _ = make.in_status(Status.SENT)
        id = make.came_back(email_id, "unclear")
        order = {"class_name": "other", "reason": "sent by mistake"}

        answer = browser.post(f"/api/incoming/{id}/correct", json=order)

        assert (answer.json or {})["class_name"] == "other"
        assert (answer.json or {})["corrected_by"] == "web"
        assert browser.get("/api/holds").json == []
        assert browser.post(f"/api/incoming/{id}/correct", json=order).status_code == 409
        assert browser.post("/api/incoming/99/correct", json=order).status_code == 404


class TestWhatDoesNotExist:
    @pytest.mark.parametrize(
        "path",
        [
            "campaigns/{}",
            "campaigns/{}/emails",
            "campaigns/{}/changes",
            "emails/{}",
            "emails/{}/history",
            "emails/{}/conversation",
            "campaigns/{}/steps",
            "mailboxes/{}",
        ],
    )
    def test_is_not_found_whatever_its_id(self, browser: FlaskClient, path: str) -> None:
        for id in BEYOND_ALL_IDS:
            answer = browser.get(f"/api/{path.format(id)}")
            assert answer.status_code == 404, id
            assert (answer.json or {})["message"]

    def test_an_id_is_written_in_one_way_alone(self, browser: FlaskClient) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()])

        assert browser.get(f"/api/campaigns/{campaign_id}").status_code == 200
        for digits in ("٠١٢٣٤٥٦٧٨٩", "０１２３４５６７８９"):
            written = str(campaign_id).translate(str.maketrans("0123456789", digits))
            assert browser.get(f"/api/campaigns/{written}").status_code == 404

    @pytest.mark.parametrize("path", ["campaigns/{}/start", "campaigns/{}/cancel", "emails/{}/settle"])
    def test_cannot_be_ordered_about(self, browser: FlaskClient, path: str) -> None:
        answer = browser.post(
            f"/api/{path.format(7)}", json={"verdict": "sent", "reason": "x"} if "settle" in path else {}
        )

        assert answer.status_code == 404
        assert "7" in (answer.json or {})["message"]

    def test_another_method_is_told_which_ones_there_are(self, browser: FlaskClient) -> None:
        answer = browser.delete("/api/campaigns")

        assert answer.status_code == 405
        assert "GET" in answer.headers["Allow"]
        assert "message" in (answer.json or {})


class TestDocument:
    def test_it_is_valid(self, browser: FlaskClient) -> None:
        schemathesis.openapi.from_wsgi("/api/openapi.json", browser.application).validate()

    def test_it_names_the_token_only_where_one_is_asked_for(self, browser: FlaskClient, protected: Browser) -> None:
        assert "security" not in (browser.get("/api/openapi.json").json or {})
        assert {"token": []} in (protected().get("/api/openapi.json", headers=BEARER).json or {})["security"]

    def test_it_says_what_it_is_about(self, browser: FlaskClient) -> None:
        about = described(browser)["info"]["description"]

        assert "Warsaw time with its offset" in about

    def test_any_request_may_be_told_that_its_input_is_not_as_described(self, browser: FlaskClient) -> None:
        answers = [it["responses"] for of in described(browser)["paths"].values() for it in of.values()]

        assert answers
        assert all("422" in each for each in answers)

    def test_it_describes_each_thing_once(self, browser: FlaskClient) -> None:
        told = described(browser)["components"]["schemas"]

        inputs = {"EmailQuery", "PageQuery", "LimitQuery", "IncomingQuery", "HoldQuery"}
        own = {name for name, it in vars(schemas).items() if isinstance(it, type) and issubclass(it, (Output, Input))}
        assert set(told) == own - inputs - {"Output", "Input"} | {"CampaignStatus", "Status", "Move", "Error"}

    def test_it_says_of_each_thing_and_operation_what_it_is(self, browser: FlaskClient) -> None:
        document = described(browser)
        operations = [it for of in document["paths"].values() for it in of.values()]
        enums = {"CampaignStatus", "Status", "Move"}
        silent = {"Campaign", "Cancel", "Email", "EmailPage", "Mailbox", "Pause", "Settle"}  # their names say it

        assert all(it["summary"] for it in operations)
        assert {
            name for name, it in document["components"]["schemas"].items() if "description" not in it
        } <= silent | enums

    def test_each_operation_has_its_views_name_and_is_found_under_what_it_is_about(self, browser: FlaskClient) -> None:
        operations = [(path, it) for path, of in described(browser)["paths"].items() for it in of.values()]

        views = {name.removeprefix("api.") for name in browser.application.view_functions if name.startswith("api.")}
        assert sorted(it["operationId"] for _, it in operations) == sorted(views)
        tags = {"campaigns", "e-mails", "mailboxes", "incoming", "suppressions"}
        assert {tag for _, it in operations for tag in it["tags"]} == tags
        assert {path.split("/")[2] for path, it in operations if it["tags"] == ["mailboxes"]} == {"mailboxes"}

    def test_where_the_words_are_known_it_names_them(self, browser: FlaskClient) -> None:
        things = described(browser)["components"]["schemas"]
        told = {name for it in things["Standing"]["properties"]["gate"]["anyOf"] for name in it.get("enum", ())}

        assert told == set(gates.NAMES) | set(overview.HOLDING) | {"inactive"}
        assert things["CampaignStatus"]["enum"] == ["draft", "active", "paused", "completed", "cancelled"]
        assert "closed" in things["Mailbox"]["properties"]["status"]["enum"]
        assert "complete" in things["RecordedChange"]["properties"]["verb"]["enum"]

    @pytest.mark.parametrize("behind_https", [False, True])
    def test_it_names_the_cookie_that_a_login_sets(self, db: None, settings: Override, behind_https: bool) -> None:
        settings(WEB_PASSWORD_HASH=HASH, WEB_TOKEN=TOKEN, WEB_BEHIND_HTTPS=behind_https)
        client = the_app().test_client()
        form = {"password": PASSWORD, "csrf_token": csrf_token(client, base_url="https://localhost")}

        login = client.post(
            "/login", data=form, base_url="https://localhost", headers={"Referer": "https://localhost/"}
        )

        schemes = described(client, headers=BEARER)["components"]["securitySchemes"]
        assert login.headers["Set-Cookie"].startswith(schemes["login"]["name"] + "=")

    def test_it_says_the_same_whatever_host_it_was_first_asked_at(self, protected: Browser) -> None:
        client = protected()

        first = client.get("/api/openapi.json", headers=BEARER | {"Host": "evil.example"}).text

        assert "evil" not in first
        assert client.get("/api/openapi.json", headers=BEARER).text == first


def described(client: FlaskClient, **options: Any) -> dict[str, Any]:
    return client.get("/api/openapi.json", **options).json or {}


def order(client: FlaskClient, campaign_id: int, verb: str, body: Any = None, **options: Any) -> dict[str, Any]:
    answer = client.post(f"/api/campaigns/{campaign_id}/{verb}", json=body or {}, **options)
    assert answer.status_code == 200, answer.text
    return answer.json or {}
