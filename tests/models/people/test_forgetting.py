"""A person who was forgotten: no row tells who it was, what was counted stays, and nobody brings them back."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from peewee import BlobField, TextField
from playhouse.postgres_ext import ArrayField

import config
from actors import record
from mail.outcome import Accepted, Reply
from models.audit import changes
from models.email import moves
from models.email.attempts import Conversation
from models.health import invariants
from models.inbox import incoming
from models.owner import campaigns, mailboxes, settlement
from models.owner.campaigns import CampaignInvalid, NewCampaign, NewLead
from models.people import forgetting, forgotten, lead_import, leads, mentions, suppressions
from models.people.forgetting import ForgettingRefused, NothingToForget
from models.people.forgotten import KeyMissing
from models.people.leads import LegalBasis, NoSuchLead
from models.people.suppressions import NewSuppression
from models.states import Result, Status
from models.store import database, tables
from models.store.tables import Campaign, CampaignEmailQueue, CampaignLead, Incoming, Lead
from models.views import history
from tests import factories as make
from tests import servers
from tests.conftest import Override
from tests.models.conftest import Beside
from tests.waiting import BOUND, until

pytestmark = pytest.mark.usefixtures("db")
Q = CampaignEmailQueue

ANNA, JAN = "anna.kowalska@leads.example", "jan@leads.example"
# Whatever tells who it was.
TRACES = ("anna", "kowalska", "a secret")
WORDS = f"550 5.1.1 <{ANNA.title()}>: no such user Kowalska"


def traces() -> list[str]:
    """Rows that tell who it was."""
    names = [it._meta.table_name for it in tables.TABLES]
    rows = [f"{name}: {row}".lower() for name in names for (row,) in database.fetch(f"SELECT it::text FROM {name} it")]
    # A message is shown in hexadecimal digits.
    return [row for row in rows if any(it in row or it.encode().hex() in row for it in TRACES)]


def a_campaign_of(*addresses: str) -> list[int]:
    """Its e-mails, each of a mailbox of its own."""
    mailbox_id = make.a_mailbox()
    campaign_id = make.a_campaign([mailbox_id], leads=list(addresses))
    fields = {"name": "Anna Kowalska", "note": "a secret"}
    CampaignLead.update(fields=fields).where(CampaignLead.address == ANNA).execute()
    return make.planned(campaign_id, mailbox_id, *[make.now()] * len(addresses))


def in_each_final_status() -> dict[str, int]:
    """E-mails to Anna with all that can be said about them."""
    found = {}
    for name in ("sent", "failed", "deferred", "unknown", "cancelled", "pending", "settled", "reopened"):
        [email_id] = a_campaign_of(ANNA)
        found[name] = email_id
        if name == "pending":
            continue
        if name == "cancelled":
            moves.cancel(email_id, f"{ANNA} said so", "ola")
            continue
        claim = make.claimed(email_id)
        assert moves.hand_over(claim.held, f"To: {ANNA}\r\n\r\nDear Anna Kowalska".encode()) is None
        match name:
            case "sent":
                moves.accept(claim.held, Conversation(Result.ACCEPTED, "dot", code=250, reply=WORDS))
            case "failed" | "reopened":
                moves.reject(claim.held, make.no(550, WORDS))
            case "deferred":
                moves.retry(claim.held, make.now(), make.later(451, WORDS))
            case _:
                moves.doubt(claim.held, f"no answer about {ANNA}")
        if name == "settled":
            settlement.sent(email_id, f"{ANNA} told me", "ola")
    return found


def everything_about_anna() -> dict[str, int]:
    ids = in_each_final_status()
    leads.set_basis(ANNA, LegalBasis("consent of Anna Kowalska", "her form", None), "ola")
    suppressions.add(ANNA, "Anna asked us to", "ola", proof="<1@anna.example>")
    suppressions.remove(ANNA, "ola")
    others = make.a_mailbox()
    mailboxes.close(others, f"refused <{ANNA.upper()}>: no", lambda faults: timedelta(hours=1), "rcpt", 550)
    database.execute("INSERT INTO notice (kind, subject, said) VALUES ('mailbox', 1, %s)", (f"closed: {ANNA} no",))
    return ids


class TestAForgottenPerson:
    def test_is_in_no_row_any_more(self) -> None:
        everything_about_anna()
        assert len(traces()) > 20

        forgetting.forget(ANNA, "ola", keep=lambda key: None)

        assert traces() == []

    def test_is_still_counted_and_every_time_stays(self) -> None:
        ids = everything_about_anna()
        before = {id: make.row(id) for id in ids.values()}
        moved = {id: [(it.at, it.move) for it in history.of_email(id)] for id in ids.values()}

        receipt = forgetting.forget(ANNA, "ola", keep=lambda key: None)

        for name, id in ids.items():
            row = make.row(id)
            kept = ("scheduled_at", "handed_over_at", "sent_at", "message_id", "claim_token", "attempts", "mailbox_id")
            assert [getattr(row, it) for it in kept] == [getattr(before[id], it) for it in kept], name
            was_pending = before[id].status == Status.PENDING
            assert row.status == (Status.CANCELLED if was_pending else before[id].status), name
            assert [(it.at, it.move) for it in history.of_email(id)][: len(moved[id])] == moved[id]
        assert (receipt.campaigns, receipt.emails) == (len(ids), len(ids))
        assert receipt.letters == 6
        assert all(it.holds for it in invariants.check())

    def test_leaves_the_others_of_the_same_campaign_as_they_are(self) -> None:
        _, jans = a_campaign_of(ANNA, JAN)
        before = database.fetch("SELECT it::text FROM campaign_lead it WHERE address = %s", (JAN,))

        forgetting.forget(ANNA, "ola", keep=lambda key: None)

        assert make.row(jans).status == Status.PENDING
        assert database.fetch("SELECT it::text FROM campaign_lead it WHERE address = %s", (JAN,)) == before

    def test_of_a_longer_address_is_no_trace(self) -> None:
        mailbox_id = make.a_mailbox()
        words = f"xanna.kowalska@leads.example and {ANNA}.pl refused"
        a_campaign_of(ANNA)
        mailboxes.close(mailbox_id, words, lambda faults: timedelta(hours=1))

        forgetting.forget(ANNA, "ola", keep=lambda key: None)

        assert mailboxes.get(mailbox_id).closed_reason == words

    def test_is_recorded_with_who_forgot_them(self) -> None:
        a_campaign_of(ANNA)

        receipt = forgetting.forget(ANNA, "ola", keep=lambda key: None)

        [order] = changes.of_address(receipt.key)
        assert (order.by, order.verb, order.values["emails"]) == ("ola", "forget", [None, 1])

    def test_cannot_be_written_to_whatever_the_owner_does_with_an_e_mail(self) -> None:
        ids = in_each_final_status()
        make.age(ids["unknown"], timedelta(hours=1))
        forgetting.forget(ANNA, "ola", keep=lambda key: None)

        settlement.again(ids["unknown"], "once more", "ola")
        email_id = ids["unknown"]
        closed = moves.claim(email_id, make.row(email_id).scheduled_at, make.WORKER)

        assert closed.gate in ("lead", "time")  # type: ignore[union-attr]
        assert Lead.get().address in {it.address for it in suppressions.every()}

    def test_who_is_only_suppressed_can_be_forgotten(self) -> None:
        suppressions.add(ANNA, "Anna Kowalska asked", "ola")

        receipt = forgetting.forget(ANNA, "ola", keep=lambda key: None)

        assert traces() == []
        assert [it.address for it in suppressions.every()] == [receipt.key]

    @pytest.mark.parametrize("is_lead", [True, False])
    @pytest.mark.parametrize("class_", ["human", "unsubscribe"])
    def test_is_in_no_answer_to_somebody_elses_letter(self, class_: str, is_lead: bool) -> None:
        email_id, _ = make.in_status(Status.SENT)
        if is_lead:
            a_campaign_of(ANNA)
        message_id = make.came_back(
            email_id, class_, sender=ANNA, excerpt="a secret", subject="Re: Anna", message_id=ANNA
        )

        forgetting.forget(ANNA, "ola", keep=lambda key: None)

        assert traces() == []
        row = tables.Incoming.get_by_id(message_id)
        lead = CampaignLead.get_by_id(make.row(email_id).campaign_lead_id)
        assert (row.class_, row.lead_id) == (class_, lead.lead_id)
        assert bool(suppressions.of([lead.address])) is (class_ == "unsubscribe")
        assert row.suppressed == (lead.address if class_ == "unsubscribe" else None)
        assert all(it.holds for it in invariants.check())

    def test_whom_nobody_knows_is_not_made_one(self) -> None:
        with pytest.raises(NothingToForget):
            forgetting.forget(ANNA, "ola", keep=lambda key: None)

        assert suppressions.every() == []

    def test_may_ask_again(self) -> None:
        a_campaign_of(ANNA)
        forgetting.forget(ANNA, "ola", keep=lambda key: None)

        with pytest.raises(NothingToForget):
            forgetting.forget(ANNA, "ola", keep=lambda key: None)
        assert leads.find(ANNA).forgotten_at is not None

    def test_who_writes_again_can_be_forgotten_again(self) -> None:
        a_campaign_of(ANNA)
        forgetting.forget(ANNA, "ola", keep=lambda key: None)
        make.came_back(sent_to(JAN), "human", sender=ANNA, excerpt="Kowalska here")

        forgetting.forget(ANNA, "ola", keep=lambda key: None)

        assert traces() == []

    def test_gets_no_new_legal_basis(self) -> None:
        a_campaign_of(ANNA)
        forgetting.forget(ANNA, "ola", keep=lambda key: None)

        with pytest.raises(NoSuchLead):
            leads.set_basis(ANNA, LegalBasis("consent", None, None), "ola")


def stopping_colleagues(*addresses: str) -> list[int]:
    """A campaign that a reply stops at the whole company: its first e-mail is sent, the others are pending."""
    ids = a_campaign_of(*addresses)
    campaign_id = make.row(ids[0]).campaign_id
    Campaign.update(stop_colleagues=True).where(Campaign.id == campaign_id).execute()
    moves.accept(make.handed_over(ids[0]).held, Conversation(Result.ACCEPTED, "dot", code=250, reply="ok"))
    return ids


def sent_to(address: str) -> int:
    [email_id] = a_campaign_of(address)
    moves.accept(make.handed_over(email_id).held, Conversation(Result.ACCEPTED, "dot", code=250, reply="ok"))
    return email_id


class TestRowsAboutOthers:
    def test_lose_what_the_person_answered_to_a_colleagues_letter(self) -> None:
        a_campaign_of(ANNA)
        jans = sent_to(JAN)
        incoming_id = make.came_back(jans, "human", sender=ANNA, excerpt="Call me: Anna Kowalska, +48 600 100 200")

        forgetting.forget(ANNA, "ola", keep=lambda key: None)

        assert traces() == []
        kept = Incoming.get_by_id(incoming_id)
        assert (kept.class_, kept.email_id, kept.excerpt, kept.message_id) == ("human", jans, "", None)
        assert database.fetch("SELECT count(*) FROM hold WHERE stops")[0][0] == 2  # hers and his

    def test_keep_that_it_suppressed_a_colleague_so_that_it_can_be_corrected(self) -> None:
        a_campaign_of(ANNA)
        incoming_id = make.came_back(sent_to(JAN), "unsubscribe", sender=ANNA, excerpt="Anna: write to none of us")

        forgetting.forget(ANNA, "ola", keep=lambda key: None)

        assert traces() == []
        assert JAN in {it.address for it in suppressions.every()}
        incoming.correct(incoming_id, "human", "ola", "she asked for something else")
        assert JAN not in {it.address for it in suppressions.every()}

    @pytest.mark.parametrize("class_", ["unsubscribe", "complaint", "bounce"])
    def test_lose_what_a_stranger_wrote(self, class_: str) -> None:
        email_id = sent_to(JAN)
        incoming_id = make.came_back(
            email_id,
            class_,
            "temporary" if class_ == "bounce" else None,
            sender=ANNA,
            excerpt="wypisz, Anna Kowalska",
            match=None,
            matched_by=None,
            recipients=[],
        )
        assert len(traces()) > 0

        receipt = forgetting.forget(ANNA, "ola", keep=lambda key: None)

        assert traces() == []
        assert Incoming.get_by_id(incoming_id).class_ == class_
        assert receipt.key in {it.address for it in suppressions.every()}
        with pytest.raises(NothingToForget):
            forgetting.forget(ANNA, "ola", keep=lambda key: None)

    def test_of_colleagues_stopped_by_the_persons_reply_do_not_name_them(self) -> None:
        annas, jans = stopping_colleagues(ANNA, JAN)
        make.came_back(annas, "human")
        assert make.row(jans).status == Status.CANCELLED
        assert ANNA in str(make.row(jans).error)

        forgetting.forget(ANNA, "ola", keep=lambda key: None)

        assert traces() == []
        assert "erased of the same company replied" in str(make.row(jans).error)
        assert make.row(jans).error_code == "stopped"
        assert history.of_email(jans)[-1].move == "cancel"

    def test_of_a_lead_whose_mail_is_forwarded_to_the_person_do_not_name_them(self) -> None:
        jans = sent_to(JAN)
        [later] = a_campaign_of(JAN)
        incoming_id = make.came_back(
            jans,
            "bounce",
            "address",
            sender="mailer-daemon@leads.example",
            recipients=[ANNA],
            diagnostic=f"550 5.1.1 <{ANNA.upper()}> unknown",
            excerpt=f"Not delivered to Anna Kowalska ({ANNA})",
        )
        assert len(traces()) > 2

        forgetting.forget(ANNA, "ola", keep=lambda key: None)

        assert traces() == []
        assert make.row(later).status == Status.PENDING
        incoming.correct(incoming_id, "other", "ola", "a mistake")
        assert traces() == []

    def test_lose_the_address_where_others_wrote_it_and_keep_their_other_words(self) -> None:
        a_campaign_of(ANNA)
        incoming_id = make.came_back(sent_to(JAN), "human", excerpt=f"Better write to {ANNA.title()}.")

        forgetting.forget(ANNA, "ola", keep=lambda key: None)

        kept = Incoming.get_by_id(incoming_id)
        assert (kept.sender, kept.excerpt) == (JAN, "Better write to erased.")

    def test_lose_the_other_form_of_its_domain(self) -> None:
        address = "anna@xn--w-uga1v8h.example"
        a_campaign_of(address)
        incoming_id = make.came_back(sent_to(JAN), "human", excerpt=f"Write to anna@żółw.example or to {address}")

        forgetting.forget(address, "ola", keep=lambda key: None)

        assert Incoming.get_by_id(incoming_id).excerpt == "Write to erased or to erased"

    def test_are_found_among_more_messages_than_are_looked_through_at_once(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(mentions, "_AT_ONCE", 2)
        email_id = sent_to(JAN)
        for _ in range(5):
            make.came_back(email_id, "human", sender=ANNA)

        forgetting.forget(ANNA, "ola", keep=lambda key: None)

        assert traces() == []

    def test_that_came_while_the_others_were_looked_through_are_found_too(self) -> None:
        email_id = sent_to(JAN)
        pattern = mentions.pattern_of(ANNA)
        before = mentions.look_through_incoming(pattern)
        came = make.came_back(email_id, "human", sender=ANNA)

        assert mentions.look_through_incoming(pattern, before).ids == [came]

    @pytest.mark.parametrize(
        ("table", "column"),
        [
            (table, column)
            for table, columns in {**mentions.SHARED, **mentions.OF_PEOPLE, "incoming": mentions.INCOMING}.items()
            for column in columns
        ],
    )
    def test_lose_the_address_in_each_column_that_can_have_words(self, table: str, column: str) -> None:
        a_campaign_of(ANNA)
        everything_about(JAN)
        words = f'"refused <{ANNA.title()}>, said our server"'
        planted = f'{{"words": {words}}}' if kind_of(table, column) == "jsonb" else words
        # The text of an e-mail's reason has what its values have.
        texts = {it: words for it in mentions.OF_PEOPLE.get(table, ()) if it in ("error", "reason", "reply")}
        last = f"address = '{JAN}'" if table == "lead" else f"ctid = (SELECT max(ctid) FROM {table})"
        for name, value in {**texts, column: planted}.items():
            database.execute(f"UPDATE {table} SET {name} = %s WHERE {last}", (value,))
        assert any(f"{table}: " in it and "said our server" in it for it in traces())

        forgetting.forget(ANNA, "ola", keep=lambda key: None)

        assert traces() == []


def kind_of(table: str, column: str) -> str:
    found = database.fetch(
        "SELECT data_type FROM information_schema.columns WHERE (table_name, column_name) = (%s, %s)", (table, column)
    )
    return str(found[0][0])


def everything_about(address: str) -> None:
    """A row at least in each table that has words about people."""
    email_id = sent_to(address)
    make.came_back(email_id, "human")
    [refused] = a_campaign_of(address)
    moves.reject(make.handed_over(refused).held, make.no(550, "no"))
    suppressions.add(address, "asked us to", "ola")
    mailbox_id = make.a_mailbox()
    for statement in (
        "INSERT INTO notice (kind, subject, said) VALUES ('mailbox', 1, 'closed')",
        "INSERT INTO finding (rule, violations, checked_at) VALUES ('a rule', 0, clock_timestamp())",
        """INSERT INTO column_mapping (header, columns, by) VALUES ('a header', '{}', 'ola')""",
        "INSERT INTO frozen_days (first_day, last_day, reason) VALUES ('2026-01-01', '2026-01-01', 'a holiday')",
        f"""INSERT INTO calibration_finding (mailbox_id, record, state, reason)
            VALUES ({mailbox_id}, 'spf', 'ok', 'fine')""",
        f"""INSERT INTO test_mail (mailbox_id, recipient, by, message_id, lease_ends_at)
            VALUES ({mailbox_id}, 'ola@sender.example', 'ola', '<1@sender.example>', clock_timestamp())""",
        f"INSERT INTO inbox (mailbox_id) VALUES ({mailbox_id}) ON CONFLICT DO NOTHING",
    ):
        database.execute(statement)


class TestWhatIsUnderWay:
    def test_is_waited_for_with_the_person_suppressed(self) -> None:
        [email_id] = a_campaign_of(ANNA)
        claim = make.claimed(email_id)

        with pytest.raises(ForgettingRefused, match=f"e-mail {email_id} to this person is being sent"):
            forgetting.forget(ANNA, "ola", keep=lambda key: None)

        assert Lead.get().address == ANNA
        closed = moves.hand_over(claim.held, b"")
        assert closed is not None
        assert closed.gate == "lead"
        moves.release(claim.held, "withdrawn")
        forgetting.forget(ANNA, "ola", keep=lambda key: None)
        assert traces() == []

    def test_of_unknown_outcome_ends_by_its_proof_and_the_words_of_that_are_erased(self) -> None:
        [email_id] = a_campaign_of(ANNA)
        claim = make.handed_over(email_id)
        moves.doubt(claim.held, "silence")
        forgetting.forget(ANNA, "ola", keep=lambda key: None)

        record.move(claim, Accepted(Reply(250, "2.0.0", f"queued for {ANNA}")))
        assert make.row(email_id).status == Status.SENT
        assert len(traces()) > 0
        assert forgetting.erase_late_words() == 1

        assert traces() == []
        assert forgetting.erase_late_words() == 0

    def test_nothing_is_forgotten_if_the_disk_does_not_take_the_hash(self) -> None:
        a_campaign_of(ANNA)

        def full(key: str) -> None:
            raise OSError("the disk is full")

        with pytest.raises(OSError, match="full"):
            forgetting.forget(ANNA, "ola", keep=full)

        assert Lead.get().address == ANNA
        assert [it.address for it in suppressions.every()] == [ANNA]


def a_lead(address: str) -> NewLead:
    return NewLead(address.title(), address, {"email": address, "name": address.partition("@")[0]}, None)


def new(name: str = "Winter") -> NewCampaign:
    return NewCampaign(name, "Hello", "Hello", None, [make.a_mailbox()], make.ALWAYS, 60.0, 100)


class TestAnImport:
    def test_does_not_bring_the_person_back(self) -> None:
        a_campaign_of(ANNA)
        forgetting.forget(ANNA, "ola", keep=lambda key: None)

        campaign_id = campaigns.add(new(), [a_lead(ANNA), a_lead(JAN)], "ola")

        assert [it.address for it in CampaignLead.select().where(CampaignLead.campaign == campaign_id)] == [JAN.title()]
        assert traces() == []

    def test_of_forgotten_people_alone_is_refused(self) -> None:
        a_campaign_of(ANNA)
        forgetting.forget(ANNA, "ola", keep=lambda key: None)

        with pytest.raises(CampaignInvalid, match="every lead of it was forgotten"):
            campaigns.add(new(), [a_lead(ANNA)], "ola")

    def test_leaves_out_who_was_forgotten_after_the_file_was_checked(self) -> None:
        a_campaign_of(ANNA)
        campaign_id = campaigns.add(new(), [a_lead("eve@leads.example")], "ola")
        lead_import.stage_only([a_lead(ANNA), a_lead(JAN)])
        assert lead_import.leave_out_forgotten() == []

        forgetting.forget(ANNA, "ola", keep=lambda key: None)

        assert campaigns.add_staged_leads(campaign_id, "ola").new == 1
        assert ANNA not in {it.address for it in Lead}

    def test_looks_at_every_staged_lead(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(lead_import, "_LOOKED_AT_ONCE", 2)
        a_campaign_of(ANNA)
        forgetting.forget(ANNA, "ola", keep=lambda key: None)
        lead_import.stage_only([*(a_lead(f"lead{n}@leads.example") for n in range(4)), a_lead(ANNA)])

        assert lead_import.leave_out_forgotten() == [5]
        assert lead_import.compare(None).fresh == 4

    def test_of_suppressions_does_not_write_the_address_down(self) -> None:
        a_campaign_of(ANNA)
        forgetting.forget(ANNA, "ola", keep=lambda key: None)

        assert suppressions.import_([NewSuppression(ANNA, "old list")], "ola") == 0
        assert not suppressions.add(ANNA, "again", "ola")

        assert traces() == []

    def test_knows_the_person_after_the_secret_key_was_changed(self, settings: Override) -> None:
        a_campaign_of(ANNA)
        forgetting.forget(ANNA, "ola", keep=lambda key: None)
        old = make_key(settings)

        assert forgotten.among([ANNA, JAN]).keys() == {ANNA}
        settings(SECRET_KEY=old.partition(",")[0])
        with pytest.raises(KeyMissing, match="1 people were forgotten under another secret key"):
            campaigns.add(new(), [a_lead(ANNA)], "ola")
        assert traces() == []

    @pytest.mark.parametrize(
        "order",
        [
            lambda: suppressions.add(ANNA, "she asked", "ola"),
            lambda: suppressions.import_([NewSuppression(ANNA, "old list")], "ola"),
            lambda: leads.set_basis(ANNA, LegalBasis("consent", None, None), "ola"),
        ],
        ids=["suppress", "import suppressions", "set a basis"],
    )
    def test_nor_does_an_order_that_runs_beside_it(self, beside: "Beside", order: Callable[[], object]) -> None:
        a_campaign_of(ANNA)
        with database.database.atomic():
            forgetting.forget(ANNA, "ola", keep=lambda key: None)
            ordering = beside(order)
            until(lambda: servers.lock_waits() > 0, "the order to wait")

        ordering.exception(BOUND)
        assert traces() == []

    def test_that_runs_beside_it_does_not_bring_the_person_back(self, beside: "Beside") -> None:
        a_campaign_of(ANNA)
        with database.database.atomic():
            forgetting.forget(ANNA, "ola", keep=lambda key: None)
            adding = beside(lambda: campaigns.add(new(), [a_lead(ANNA), a_lead(JAN)], "ola"))
            until(lambda: servers.lock_waits() > 0, "the import to wait")

        adding.result(BOUND)
        assert traces() == []


def make_key(settings: Override) -> str:
    """A new key before the current one."""
    secret = config.settings().secret_key
    assert secret is not None
    both = f"{Fernet.generate_key().decode()},{secret.get_secret_value()}"
    settings(SECRET_KEY=both)
    return both


class TestAfterABackupWasRestored:
    def test_the_person_is_forgotten_again(self) -> None:
        keys: list[str] = []
        suppressions.add("@firm.example", "a customer", "ola")
        in_each_final_status()
        forgetting.forget(ANNA, "ola", keep=keys.append)
        database.execute("TRUNCATE campaign, mailbox, lead, suppression, change, notice CASCADE")
        a_campaign_of(ANNA, JAN)
        assert not forgetting.is_repeated(keys)

        assert len(forgetting.again(keys, "ola")) == 1

        assert forgetting.is_repeated(keys)
        assert traces() == []
        assert [it.address for it in Lead.select().order_by(Lead.address)] == [keys[0], JAN]

    def test_who_only_wrote_to_us_is_forgotten_again(self) -> None:
        keys: list[str] = []
        email_id = sent_to(JAN)
        stranger: dict[str, Any] = {"sender": ANNA, "match": None, "matched_by": None, "recipients": []}
        make.came_back(email_id, "complaint", **stranger)
        forgetting.forget(ANNA, "ola", keep=keys.append)
        make.came_back(email_id, "complaint", **stranger)  # as if it were in the backup

        assert len(forgetting.again(keys, "ola")) == 1

        assert traces() == []

    def test_who_is_not_in_it_cannot_be_imported_either(self) -> None:
        keys: list[str] = []
        a_campaign_of(ANNA)
        forgetting.forget(ANNA, "ola", keep=keys.append)
        database.execute("TRUNCATE campaign, mailbox, lead, suppression, change CASCADE")

        assert forgetting.again(keys, "ola") == []

        assert forgotten.among([ANNA]) == {ANNA: keys[0]}

    def test_who_came_back_by_an_older_process_becomes_the_same_one(self) -> None:
        keys: list[str] = []
        a_campaign_of(ANNA)
        forgetting.forget(ANNA, "ola", keep=keys.append)
        keys_then = {it.address for it in suppressions.every()}
        database.execute("DELETE FROM suppression")
        a_campaign_of(ANNA)
        suppressions.add_silently([NewSuppression(it, "forgotten") for it in keys_then], "tests")

        forgetting.forget(ANNA, "ola", keep=keys.append)

        assert [it.address for it in Lead.select()] == [keys[0]]
        assert CampaignLead.select().where(CampaignLead.address == keys[0]).count() == 2
        assert traces() == []


# Columns that can hold words, and cannot tell who a lead is: codes, settings, our own letters, and who gave an order.
HARMLESS = {
    "mailbox": {"address", "name", "smtp_host", "smtp_security", "username", "password_encrypted", "status", "provider"}
    | {"paused_by", "paused_reason_code"}
    | {"closed_phase", "imap_host", "imap_security", "sent_folder", "closed_reason_code"},
    "campaign": {"name", "status", "replan_reason", "paused_by", "paused_reason_code"},
    "campaign_step": {"subject", "text", "html", "wait_unit"},
    "campaign_mailbox": {"closed_reason_code"},
    "campaign_email_queue": {"status", "message_id", "worker_host", "wire_message_id"},
    "email_history": {"move", "from_status", "to_status", "by"},
    "attempt": {"outcome", "phase", "scope", "enhanced", "seconds"},
    "change": {"by", "verb", "reason_code"},
    "suppression": {"reason_code", "by"},
    "heartbeat": {"name"},
    "installation": {"disarmed_reason_code"},
    "finding": {"rule"},
    "notice": {"kind", "reached"},
    "mailbox_authorization": {"provider", "tenant", "client_id", "authorized_by", "client_secret_encrypted"}
    | {"refresh_token_encrypted", "access_token_encrypted"},
    "calibration_finding": {"record", "state", "reason_code"},
    "domain_finding": {"domain", "record", "state", "reason", "reason_code", "reason_values"},
    "inbox": {"failed_step"},
    "inbox_cursor": {"folder"},
    "incoming": {"folder", "digest", "class", "kind", "status", "rule", "read_as", "matched_by", "corrected_by"},
    "column_mapping": {"header", "by"},
    "lead_upload": {"by"},
    "test_mail": {"by", "message_id", "outcome"},
}
ERASED = {
    "lead": {"address", "legal_basis", "legal_basis_source"},
    "campaign_lead": {"address", "fields"},
    "lead_search": {"words"},
    "campaign_email_queue": {"error", "error_code", "error_values"},
    "email_history": {"reason", "reason_code", "reason_values", "detail"},
    "attempt": {"reply", "reason_code", "reason_values"},
    "email_content": {"content"},
    "change": {"address"},
    "suppression": {"address"},
    "incoming": {"message_id", "sender", "subject", "excerpt", "suppressed", "evidence"},
    "hold": {"domain", "reason", "reason_code", "reason_values"},
    "lead_upload": {"name", "content", "sheet", "encoding"},
}


@pytest.mark.parametrize("table", tables.TABLES, ids=lambda it: it._meta.table_name)
def test_every_column_that_can_hold_words_is_erased_or_known_to_be_harmless(table: type[tables.Table]) -> None:
    """Whoever adds a column says which: forgetting.py erases it, or it cannot tell who a lead is."""
    name = table._meta.table_name
    words = {
        it.column_name
        for it in table._meta.sorted_fields
        if isinstance(it, TextField | BlobField | tables.JSONField) or it.__class__ is ArrayField
    }
    words -= {"weekdays"}

    known = HARMLESS.get(name, set()) | ERASED.get(name, set()) | set(mentions.SHARED.get(name, ()))
    assert words == known
