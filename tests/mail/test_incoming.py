"""What a message in an inbox is, shown by messages in the shapes of real servers and programs.

tests/mail/corpus holds them; expected.toml says what each is.
"""

import tomllib
from base64 import b64encode
from datetime import date, datetime
from functools import cache
from time import process_time
from typing import Any

import pytest

import config
from mail.incoming import dates
from mail.incoming.classify import cited, classify, sender
from mail.incoming.result import Citation, Class, Facts, Incoming, Kind, Letter
from scheduling.window import WARSAW

CORPUS = config.ROOT / "tests" / "mail" / "corpus"
EXPECTED: dict[str, dict[str, Any]] = tomllib.loads((CORPUS / "expected.toml").read_text(encoding="utf-8"))

OUR_ID = "<6f1c2f9e-3b0a-4b52-9d5e-0d7c0c5e9a11@nasza-firma.example>"
UNIQUE = "6f1c2f9e-3b0a-4b52-9d5e-0d7c0c5e9a11"
LEAD = "anna.kowalska@klient.example"
US = "ola@nasza-firma.example"
LETTER = """Dzień dobry Pani Anno,

czy rozważali Państwo wymianę oświetlenia w hali? Zwykle zwraca się to w osiemnaście miesięcy.
Jeśli temat Państwa nie dotyczy, proszę odpisać STOP, a nie napiszę więcej.

Pozdrawiam
Ola Nowak
Nasza Firma sp. z o.o.
"""
RECEIVED = datetime(2026, 8, 4, 10, 15, tzinfo=WARSAW)  # a Tuesday


def facts_of(raw: bytes) -> Facts:
    """As the rows would tell them: which of the cited letters are ours."""
    ours = {it.message_id: Letter(LEAD, (LETTER,)) for it in cited(raw) if it.message_id in (OUR_ID, UNIQUE)}
    return Facts(RECEIVED, frozenset({US}), ours)


@cache
def found(name: str) -> Incoming:
    raw = (CORPUS / f"{name}.eml").read_bytes()
    return classify(raw, facts_of(raw))


def a_reply(text: str, subject: str = "Re: hello", headers: str = "") -> Incoming:
    raw = (
        f"From: Anna <{LEAD}>\r\nSubject: {subject}\r\nIn-Reply-To: {OUR_ID}\r\n{headers}"
        f"Content-Type: text/plain; charset=utf-8\r\n\r\n{text}"
    ).encode()
    return classify(raw, facts_of(raw))


def test_every_message_of_the_corpus_has_its_expectation() -> None:
    assert {path.stem for path in CORPUS.glob("*.eml")} == EXPECTED.keys()
    assert len(EXPECTED) >= 60


@pytest.mark.parametrize("name", EXPECTED)
def test_a_message_is_what_it_is(name: str) -> None:
    expected, it = EXPECTED[name], found(name)

    told = {
        "class": it.class_,
        "kind": it.kind,
        "status": it.status,
        "recipient": next(iter(it.recipients), None),
        "returns_on": it.returns_on and it.returns_on.isoformat(),
        "cites": bool({OUR_ID, UNIQUE} & {each.message_id for each in it.cited}),
        "first": bool(it.cited) and it.cited[0].message_id == OUR_ID,
        "excerpt": it.excerpt,
    }
    assert {key: told[key] for key in expected} == expected, it
    assert it.rule
    assert ("kind" in expected) == (it.kind is not None)


class TestARequestNotToWrite:
    @pytest.mark.parametrize(
        "text",
        [
            *("proszę o usunięcie moich danych z Państwa bazy", "Usuńcie nas z bazy!", "Wypisz", "wypisz mnie proszę"),
            *("Nie wysyłajcie mi więcej takich maili.", "Witam, rezygnuję z subskrypcji.", "prosze nie pisac"),
            *("Prosimy o niewysyłanie do nas ofert.", "Nie chcę dostawać od Państwa maili"),
            "Dzień dobry,\nstop.\nAnna",
            *("Przestańcie mi to wysyłać, to spam.", "Nie wyrażam zgody na przesyłanie informacji handlowych."),
            "Unsubscribe.\n\nSent from my iPhone",
            *("Please take us off your list", "Don't contact me again.", "Remove"),
            *("I do not wish to receive any further emails from you.", "No more emails please", "Opt out"),
            *("unsubscribe pls", "I want to be removed from this list", "nie chcę więcej maili od was"),
            *(
                "Not interested. Unsubscribe.",
                "Skąd mają Państwo mój adres? Proszę o jego usunięcie.",
                "Enough. Remove us.",
            ),
            *("proszę mnie usunąć", "Czy możecie mnie usunąć z listy?", "Jak się wypisać?", "How do I unsubscribe?"),
            *("Proszę o nie wysyłanie mi ofert", "Proszę o niekontaktowanie się ze mną", "Dość tego spamu!"),
            *(
                "Proszę o wypisanie\nAnna Kowalska",
                "GDPR: please delete all the data you hold about me",
                "odsubskrybuj",
            ),
            *(
                "Quit emailing me",
                "get me off this list",
                "Please cease all communication.",
                "Bitte nehmen Sie mich aus Ihrem Verteiler",
                "Not interested. Stop.",
                "Kategorycznie zabraniam wysyłania mi wiadomości",
                "nie zgadzam się na otrzymywanie ofert",
                "RODO: żądam usunięcia moich danych",
            ),
            *(
                "Bitte abmelden.",
                "Abmelden bitte",
                "Bitte austragen",
                "Bitte löschen!",
                "Newsletter abbestellen",
                "Keine Mails mehr!",
            ),
            *(
                "Bitte melden Sie mich von Ihrem Verteiler ab.\n\nMfG",
                "Bitte tragen Sie mich aus Ihrer Liste aus.",
                "Bitte melden Sie uns ab",
                "Bitte kontaktieren Sie mich nicht mehr.",
                "Schreiben Sie mir bitte nie wieder!",
                "Bitte schicken Sie uns keine weiteren Angebote.",
                "Bitte löschen Sie meine E-Mail-Adresse.",
                "Loeschen Sie bitte alle meine Daten.",
                "Ich möchte keine E-Mails von Ihnen erhalten.",
                "Ich möchte mich von Ihrem Newsletter abmelden.",
                "Lassen Sie mich in Ruhe.",
                "Hören Sie bitte auf, mir zu schreiben.",
                "Ich widerspreche der Nutzung meiner Daten.",
                "Bitte sehen Sie von weiteren E-Mails ab.",
                "Bitte entfernen Sie mich.",
                "Ich habe kein Interesse, bitte nicht mehr schreiben.",
                "Ich möchte das nicht mehr erhalten.",
            ),
            *("Proszę skasować mój adres z bazy", "Prosze skasowac moj adres.", "Proszę o wykasowanie moich danych"),
            *("Skasujcie mnie z listy", "wykasuj mój adres", "Proszę wymazać moje dane z Państwa bazy"),
            *("Nie chcemy żadnych kontaktów z Państwa strony.", "Nie chcę więcej kontaktu.", "Proszę dać mi spokój."),
            *("Please refrain from contacting me again", "Kindly refrain from sending any more emails"),
            *(
                "I would appreciate it if you would not contact me again",
                "I'd be grateful if you would stop emailing us",
                "I'd rather you didn't write to me.",
                "I'm not interested, please don't follow up.",
                "Please stop following up with me",
                "I no longer wish to receive these",
                "We no longer want to be contacted by you.",
                "Please discontinue these emails",
                "I'd appreciate not receiving further emails.",
                "Please ensure that I am not contacted again.",
                "We would like not to be contacted any more.",
                "Kindly stop.",
            ),
            *("STOP SPAM", "Stop spamming!", "stop the spam please"),
            *(
                "Nie jesteśmy zainteresowani, stop.",
                "NIE JESTEM ZAINTERESOWANA - STOP!",
                "Stop, nie jestem zainteresowany",
                "Stop nie jestesmy zainteresowani",
                "Nie interesuje mnie to, stop.",
                "Dziękuję za wiadomość, nie jesteśmy zainteresowani, proszę o usunięcie",
                "Nie, dziękuję, stop",
                f"Dziękuję. Nie jesteśmy zainteresowani, stop.\n\nAnna\n{'Klient sp. z o.o., Warszawa, ' * 12}",
                "Thanks but stop",
                "No thanks, stop",
                "not interested please stop",
            ),
            *(
                "Proszę o usunięcie.",
                "Dzień dobry,\n\nprosimy o usunięcie.\n\nPozdrawiam\nAnna Kowalska",
                "uprzejmie prosze o usuniecie",
                "Dziękuję. Proszę o wykasowanie.",
                "usuńcie",
                "Usuncie prosze!",
                "do not contact",
                "Please don't contact.",
            ),
            *(
                "Czy mogą Państwo przestać pisać?",
                "Czy moglibyście przestać do nas pisać?",
                "Czy mozecie przestac wysylac mi te maile?",
                "Czy może Pani wreszcie przestać?",
            ),
        ],
    )
    def test_is_one(self, text: str) -> None:
        assert a_reply(text).class_ is Class.UNSUBSCRIBE

    @pytest.mark.parametrize(
        "text",
        [
            *("Proszę o wypisanie faktury proforma.", "Proszę wykreślić punkt 3 z umowy.", "Wypisz proszę fakturę."),
            *(
                "Proszę o usunięcie błędu w adresie dostawy.",
                "Proszę nie wysyłać jeszcze oferty.",
                "Proszę nie kontaktować się z Janem.",
                "Nie wyrażam zgody na podwyżkę.",
                "Opt-out clause in your contract: what is it?",
                "Proszę przestać liczyć VAT i podać ceny netto.",
                "We don't want to get a bad offer, so be precise.",
                "Stop! Zanim pójdziemy dalej: ile to kosztuje?",
                "Czy można się wypisać z umowy po roku?",
            ),
            *(
                "Bitte melden Sie mich zum Webinar ab September an.",
                "Bitte löschen Sie Position 3 aus dem Angebot.",
                "Please follow up in September.",
                "You didn't email me the quote.",
                "We did not receive any emails from you.",
                "Die Ware können wir nicht mehr erhalten.",
                "We do not object to your terms. Where do I sign?",
                "We do not send emails ourselves, our agency does. How much would it cost?",
                "Wir haben leider keine E-Mail mit Ihrem Angebot erhalten. Wir haben Interesse.",
                "Bei uns ist keine Nachricht angekommen.",
                "Please don't follow up on the invoice, it is paid.",
                "Proszę skasować pozycję 3 z oferty.",
                "Nie chcemy kontaktu telefonicznego, tylko mailowy.",
            ),
            *("Nie jestem zainteresowany", "Nie.", "Thanks for your email. Not interested at this time."),
            *(
                "We will stop by your office.",
                "Non-stop",
                "Pracujemy non stop, także w święta.",
                "Can you stop by on Tuesday?",
                "Could you stop sending parcels?",
                "Please do not contact Jan, contact me instead.",
                "Do not email the invoice, send it by post.",
                "Proszę o usunięcie logo.",
                "Proszę o usunięcie pozycji 3 z oferty.",
                "Usuńcie tę pozycję.",
                "Czy mogą Państwo przestać wysyłać faktury pocztą?",
                "Czy system może przestać wysyłać powiadomienia?",
                "Thanks, but don't stop.",
                "Thanks, please!",
            ),
            *("Please stop by our office on Tuesday.", "Proszę usunąć z oferty pozycję 3 i przesłać ponownie."),
            *("Czy Wasz system obsługuje wypisywanie (unsubscribe)?", "Proszę o kontakt po 20 sierpnia."),
            "Dzień dobry, dziękuję za wiadomość. Proszę o przesłanie oferty na biuro@klient.example.",
        ],
    )
    def test_is_none(self, text: str) -> None:
        assert a_reply(text).class_ is Class.HUMAN

    @pytest.mark.parametrize(
        "text",
        [
            "Please delete my previous message, it went to the wrong thread. We are interested, what would it cost?",
            *("Could you please stop?", "Could you stop? We need to check the budget first."),
            "Don't write. Call 600 700 800.",
            "Please remove our logo from the mock-up, then we can sign.",
            "Please remove our logo from the picture.",
            "Can our employees opt out of the medical plan? If so, we would like to start in September.",
            "I don't want to see it before the budget is approved in September. Please write then.",
            "Please do not contact us until September.",
            "Please do not send any more parcels to the old address.",
            "Proszę nie wysyłać kuriera w piątek, nikogo nie będzie. Poniedziałek pasuje.",
            "Proszę nie pisać do Jana, przejąłem jego sprawy.",
            "Proszę nie pisać do mnie przed wrześniem.",
            "Proszę usunąć nasze logo z wizualizacji, reszta jest w porządku - zamawiamy.",
            "Proszę usunąć dane testowe z panelu, od jutra pracujemy na właściwych.",
            "Nie wyrażamy zgody na zapis o karach w umowie. Resztę akceptujemy.",
            "Proszę usunąć mój stary adres. Jestem zainteresowana ofertą.",
            "Bitte löschen Sie meine Adresse aus dem Vertrag. Wir haben Interesse.",
            "W ofercie jest błąd. Proszę o usunięcie.",
            "Proszę o usunięcie. Pozycja 3 jest zbędna.",
            "Proszę o usunięcie.\nW tabeli jest literówka.",
            "Skąd ten załącznik? Proszę o usunięcie.",
            "Stop, w cenie jest błąd.",
            "Nie jesteśmy zainteresowani, stop. Proszę o ofertę na coś innego.",
            "Please do not contact me. Contact Jan instead.",
            "Do not contact. Write to anna@klient.example instead.",
        ],
    )
    def test_that_may_be_about_something_else_is_for_a_person_to_judge(self, text: str) -> None:
        assert a_reply(text).class_ is Class.UNCLEAR

    @pytest.mark.parametrize(
        "text",
        [
            "I am not interested. Please remove me from your list.",
            "We're no longer interested in this. Please remove us.",
            "Nie jestem zainteresowana. Proszę mnie usunąć z bazy.",
            "Proszę usunąć nasze logo z oferty. I proszę mnie wypisać z listy.",
            "Please remove me from your list, as I asked before.",
            "Proszę usunąć nasz adres z bazy. Niczego nie podpiszemy i nie akceptujemy.",
            "Kein Interesse. Bitte löschen Sie meine Daten.",
            "If you do not have an unsubscribe link, remove me from your list.",
            "We do not send emails like these. Stop sending me yours.",
            "Make sure that they do not contact me again.",
        ],
    )
    def test_is_one_whatever_else_it_says(self, text: str) -> None:
        assert a_reply(text).class_ is Class.UNSUBSCRIBE

    @pytest.mark.parametrize(
        "footer",
        [
            "If you do not wish to receive our newsletter e-mails, click here to unsubscribe from our mailing list.",
            "To unsubscribe, click here: https://klient.example/u",
            "Click here to unsubscribe from our mailing list.",
            "Jeśli nie chcesz otrzymywać od nas wiadomości, kliknij tutaj.",
            "Aby wypisać się z naszego newslettera, kliknij w link.",
        ],
    )
    def test_is_no_footer_of_the_leads_own_mail(self, footer: str) -> None:
        assert a_reply(f"Yes, we'd like to go ahead.\n\nAnna\n\n{footer}").class_ is Class.HUMAN

    @pytest.mark.parametrize(
        "text",
        [
            "This email is unsolicited. Please remove me from your list.",
            "This message is intended for somebody else, I think. Please delete my address.",
            "The information in this email is wrong. Stop writing to me.",
            "If you have received this address from a broker, remove me from your list.",
            "If you are not the owner of the list, have him remove us from your list.",
            "Notice: stop sending me emails, I never signed up for this.",
            "Informacja dotycząca mojego adresu: proszę mnie usunąć z bazy.",
            "Informacja o przetwarzaniu: proszę o usunięcie moich danych.",
            "Ta wiadomość to spam, proszę mnie usunąć z bazy.",
            "Niniejsza wiadomość to spam.\nProszę więcej do mnie nie pisać.",
            "Treść tej wiadomości mnie nie interesuje, proszę nie pisać.",
            "Jeśli nie jesteście w stanie mnie wypisać, zgłoszę to. Proszę mnie usunąć z bazy.",
            "Uwaga: żądam usunięcia moich danych z Państwa bazy.",
            "Uwaga: nie wyrażam zgody na przetwarzanie moich danych.",
        ],
    )
    def test_is_one_although_it_begins_like_a_disclaimer(self, text: str) -> None:
        assert a_reply(f"Dzień dobry,\n\n{text}\n\nAnna").class_ is Class.UNSUBSCRIBE

    @pytest.mark.parametrize(
        "text",
        [
            "Ta wiadomość jest spoza zakresu naszych potrzeb, proszę mnie usunąć z bazy.",
            "This email is from outside the company, stop sending me such emails.",
        ],
    )
    def test_is_one_although_it_begins_like_a_servers_warning(self, text: str) -> None:
        assert a_reply(f"{text}\n\nAnna").class_ is Class.UNSUBSCRIBE

    @pytest.mark.parametrize(
        "text",
        [
            "On Monday you wrote to me again. Please remove me from your list.",
            "On Monday one of your colleagues wrote\nto me. Please remove me from your list.",
            "At last someone wrote to us, and our answer is short:\nplease remove us from your list.",
            "W dniu wczorajszym ktoś od Państwa napisał do mnie ponownie. Proszę mnie usunąć z bazy.",
            "Dnia 3 sierpnia Pani kolega napisał to samo.\nProszę mnie usunąć z bazy.",
            "Dnia 3 sierpnia Pani kolega napisał\ndo mnie. Proszę mnie usunąć z bazy.",
            "Wtedy też Pani kolega napisał do mnie, więc krótko:\nproszę mnie usunąć z bazy.",
            "Am Montag schrieb mir Ihre Kollegin. Bitte löschen Sie meine Daten.",
        ],
    )
    def test_is_one_although_it_begins_like_an_attribution(self, text: str) -> None:
        assert a_reply(f"Dzień dobry,\n\n{text}\n\nAnna").class_ is Class.UNSUBSCRIBE

    def test_beside_another_wish_is_for_a_person_to_judge(self) -> None:
        text = "Proszę usunąć nasz stary adres z bazy, nowy to jan@klient.example. Poproszę o ofertę."

        assert a_reply(text).class_ is Class.UNCLEAR


class TestASubjectThatIsOurs:
    """A campaign may be about holidays, or about programs that answer."""

    OURS = (
        *(
            "Out of office days planner",
            "Absence management for Klient",
            "Auto-reply for your shop",
            "On leave: a guide",
        ),
        *("Urlop dla zespołu w Tatrach", "Nieobecność w pracy do 21.08.", "Autoresponder dla Państwa sklepu"),
    )

    @staticmethod
    def answered(ours: str, subject: str, text: str) -> Incoming:
        raw = (
            f"From: {LEAD}\r\nSubject: {subject}\r\nIn-Reply-To: {OUR_ID}\r\n"
            f"Content-Type: text/plain; charset=utf-8\r\n\r\n{text}"
        ).encode()
        return classify(raw, Facts(RECEIVED, frozenset({US}), {OUR_ID: Letter(LEAD, (LETTER,), ours)}))

    @pytest.mark.parametrize("prefix", ["", "Re: ", "Odp: ", "RE: Odp: ", "AW: ", "[EXTERNAL] Re: "])
    @pytest.mark.parametrize("ours", [*OURS, f"Re: {OURS[0]}"])
    def test_makes_no_reply_automatic(self, ours: str, prefix: str) -> None:
        subject = f"{prefix}{ours.removeprefix('Re: ').upper()}"

        assert self.answered(ours, subject, "Nie, dziękuję.").class_ is Class.HUMAN
        assert self.answered(ours, subject, "Proszę mnie usunąć z bazy.").class_ is Class.UNSUBSCRIBE

    @pytest.mark.parametrize("ours", OURS)
    def test_leaves_what_stands_before_it(self, ours: str) -> None:
        it = self.answered(ours, f"Automatic reply: {ours}", "Wracam 17.08.")

        assert (it.class_, it.returns_on) == (Class.AUTOMATIC, date(2026, 8, 17))


class TestTheNewText:
    @pytest.mark.parametrize(
        "disclaimer",
        [
            "This e-mail and any attachments may contain information that is\nprivileged. Please delete it.",
            "This message is intended for its addressee only. If you are not, delete it and stop reading.",
            "If you are not the intended recipient, please remove this message from your system.",
            "If you have received this in error, please notify us and delete it.",
            "Notice: the sender accepts no liability for any damage by a virus.",
            "Please consider the environment before printing this e-mail.",
            "Ta wiadomość jest przeznaczona tylko dla adresata. Proszę o jej usunięcie.",
            "Niniejsza wiadomość nie stanowi oferty w rozumieniu Kodeksu cywilnego.",
            "Uwaga: treść jest poufna. Jeżeli nie jest Pan adresatem, proszę usunąć ją ze skrzynki i mnie powiadomić.",
            "Informacja o przetwarzaniu danych osobowych znajduje się na naszej stronie.",
            "Administratorem Państwa danych jest Klient sp. z o.o.",
            "Klauzula informacyjna RODO znajduje się na naszej stronie.",
        ],
    )
    def test_ends_before_a_disclaimer(self, disclaimer: str) -> None:
        assert a_reply(f"Proszę o ofertę.\n\n{disclaimer}\n").excerpt == "Proszę o ofertę."

    @pytest.mark.parametrize(
        "attribution",
        [
            f"On Tue, 4 Aug 2026 at 09:58, Ola Nowak <{US}> wrote:",
            "On 4 August 2026 Ola Nowak wrote to Anna:",
            "On Tue, 4 Aug 2026, 9:58 Ola Nowak wrote",
            "W dniu 04.08.2026 o 09:58, Ola Nowak pisze:",
            "Dnia 4 sierpnia 2026 09:58 Ola Nowak napisał(a):",
            "Użytkownik Ola Nowak napisał:",
            f"Wiadomość napisana przez Ola Nowak <{US}>\nw dniu 4 sie 2026, o godz. 09:58, napisano:",
            "wt., 4 sie 2026 o 09:58 Ola Nowak napisał(a):",
            f"Am Di., 4. Aug. 2026 um 09:58 Uhr schrieb Ola Nowak <{US}>:",
            f"Ola Nowak <{US}> napisał:",
        ],
    )
    def test_ends_before_an_attribution(self, attribution: str) -> None:
        assert a_reply(f"Proszę o ofertę.\n\n{attribution}\n\nUnsubscribe.\n").excerpt == "Proszę o ofertę."


class TestTheDayOfReturn:
    @pytest.mark.parametrize(
        ("text", "day"),
        [
            ("Jestem na urlopie do 21.08.", date(2026, 8, 21)),
            ("Przebywam na urlopie od 3 do 14 sierpnia 2026 r.", date(2026, 8, 14)),
            ("Nieobecna do dnia 2026-08-20 włącznie", date(2026, 8, 20)),
            ("Do poniedziałku jestem poza biurem", date(2026, 8, 10)),
            ("Nie będzie mnie do końca sierpnia", date(2026, 8, 31)),
            ("Wracam 5 stycznia", date(2027, 1, 5)),
            ("Urlop do 14 VIII", date(2026, 8, 14)),
            ("I'm away until August 15th, 2026.", date(2026, 8, 15)),
            ("I will be back on 08/18/2026", date(2026, 8, 18)),
            ("On leave August 3-14", date(2026, 8, 14)),
            ("I'll be back tomorrow", date(2026, 8, 5)),
            ("Nie będzie mnie do końca roku", date(2026, 12, 31)),
            ("Urlop od 3.08 do 14.08.2026 r.", date(2026, 8, 14)),
            ("Nieobecność 03.08.2026 08:00 - 14.08.2026 16:00", date(2026, 8, 14)),
            ("Urlop 2026-08-03 - 2026-08-14", date(2026, 8, 14)),
            ("Out of the office 3rd - 14th August 2026", date(2026, 8, 14)),
            ("OOO 8/3/26-8/14/26", date(2026, 8, 14)),
            ("I'm away between August 10 and August 21", date(2026, 8, 21)),
            ("I'm out of the office Aug 10th through the 21st", date(2026, 8, 21)),
            ("On leave till 17-Aug-2026", date(2026, 8, 17)),
            ("Odpowiem po powrocie, tj. 17.08.", date(2026, 8, 17)),
            ("Out of office until 05/12", date(2026, 12, 5)),  # the nearer of both days ahead
            ("Jestem na urlopie macierzyńskim do marca 2027 r.", date(2027, 3, 31)),
            ("Wracam we wrześniu", date(2026, 9, 30)),
            ("Wrócę za dwa tygodnie", date(2026, 8, 18)),
            ("I'm away for the next 10 days", date(2026, 8, 14)),
            ("Dziś nie ma mnie w biurze", date(2026, 8, 4)),
            ("Biuro nieczynne 15.08. Zapraszamy 17.08.", date(2026, 8, 17)),
            ("Abwesend bis 14. August 2026", date(2026, 8, 14)),
            ("Ich bin bis zum 28.08.2026 nicht im Büro.", date(2026, 8, 28)),
            ("Ich bin bis einschließlich 28.08.2026 im Urlaub.", date(2026, 8, 28)),
            ("Ich bin bis einschließlich Freitag, den 28. August im Urlaub.", date(2026, 8, 28)),
            ("Ich bin vom 3. bis 28. August 2026 im Urlaub.", date(2026, 8, 28)),
            ("Ab dem 31.08.2026 bin ich wieder erreichbar.", date(2026, 8, 31)),
            ("Wir haben Betriebsferien bis Freitag.", date(2026, 8, 7)),
            ("Ich bin ab Montag, den 17.08. wieder im Büro.", date(2026, 8, 17)),
            ("Zgłoszenie nr 12/08/2026 przyjęte. Odpowiemy do 3 dni roboczych.", None),
            ("Od 4.08 do odwołania przebywam na L4", None),
            ("Nieobecna 3 VIII - 14 VIII", date(2026, 8, 14)),
            ("I was away until 3 January 2025", None),
            ("Jestem na urlopie do 2 sierpnia", None),  # left switched on
            ("Faktura z dnia 12.08.2026. Jestem poza biurem.", None),
            ("Jestem na urlopie do 31.02.2027", None),
        ],
    )
    def test_is_the_last_one_named(self, text: str, day: date | None) -> None:
        assert a_reply(text, headers="Auto-Submitted: auto-replied\r\n").returns_on == day

    @pytest.mark.parametrize(
        "text",
        [
            "Przebywam na urlopie 21 grudnia - 4 stycznia.",
            "Przebywam na urlopie 21 grudnia – 4 stycznia 2027 r.",
            "Przebywam na urlopie 21 grudnia 2026 r. – 4 stycznia 2027 r.",
            "Urlop: 21 grudnia-4 stycznia",
            "Przebywam na urlopie 21-go grudnia - 4-go stycznia.",
            "Urlop w terminie pon. 21 grudnia - poniedziałek, 4 stycznia",
            "I am out of office December 21 - January 4.",
            "I am out of office from December 21, 2026 - January 4, 2027.",
            "I am out of the office 21st Dec - 4th Jan",
            "Out of office Mon 21 Dec - Mon 4 Jan",
            "Out of office Mon, Dec 21st - Mon, Jan 4th",
            "Out of office 21 December - January 4",
            "Ich bin vom 21. Dezember - 4. Januar im Urlaub.",
            "Out of office 21 Dec - 4 Jan. For urgent matters call Anna until 24 Dec.",
            "Urlop 21 grudnia - 4 stycznia. Do 23 grudnia kontakt z Anną.",
        ],
    )
    def test_is_the_end_of_a_range_over_two_months(self, text: str) -> None:
        assert dates.last_day_away(text, date(2026, 12, 22)) == date(2027, 1, 4)

    @pytest.mark.parametrize("ending", ["-go", ".go", "-ego", "go", "-tego"])
    def test_may_have_a_polish_ending(self, ending: str) -> None:
        assert dates.last_day_away(f"Urlop do 15{ending} grudnia", date(2026, 11, 26)) == date(2026, 12, 15)


@pytest.mark.parametrize(
    "text",
    [
        "Ich arbeite nicht mehr bei der Klient GmbH.",
        "Frau Kowalska ist nicht mehr in unserem Unternehmen tätig. Bitte wenden Sie sich an jan@klient.example.",
        "Frau Kowalska ist nicht mehr bei uns beschäftigt.",
        "Herr Nowak hat das Unternehmen verlassen.",
        "Diese E-Mail-Adresse ist nicht mehr aktiv.",
        "Thank you for your message. I have left.",
        "Please note that Anna has left, and will not read this.",
        "Please note that Anna has now left us.",
        "Pani Anna Kowalska już u nas nie pracuje.",
    ],
)
def test_an_automatic_reply_tells_that_somebody_has_left(text: str) -> None:
    it = a_reply(text, headers="Auto-Submitted: auto-replied\r\n")

    assert (it.class_, it.kind) == (Class.AUTOMATIC, Kind.GONE)


RECEIPTS = (
    "Zarejestrowaliśmy Państwa zapytanie pod numerem 12345.",
    "Szanowni Państwo,\n\nzarejestrowaliśmy Państwa zgłoszenie pod numerem ABC/12/2026.\n\nZ poważaniem\nZespół Klient",
    "Przyjęliśmy Twoje zgłoszenie. Nasz zespół wkrótce się nim zajmie.",
    "Dzień dobry!\nDziękujemy za kontakt z naszą firmą. Odpiszemy w godzinach pracy biura: pn-pt 8-16.",
    "Dziękujemy za wiadomość. Odpowiemy w godzinach pracy biura (pon.-pt., 8:00-16:00).\n\nPozdrawiamy",
    "Dziękujemy za wiadomość. Jest ona dla nas ważna.",
    "Thank you for contacting us. A member of our team will be with you soon.",
    "Hello,\n\nThanks for reaching out. One of our team will be with you shortly.\n\nKind regards,\nThe Klient Team",
)


@pytest.mark.parametrize("text", RECEIPTS)
def test_a_text_that_is_nothing_but_a_receipt_is_a_programs(text: str) -> None:
    assert a_reply(text).class_ is Class.AUTOMATIC


@pytest.mark.parametrize("text", RECEIPTS)
@pytest.mark.parametrize(
    "more",
    ["Proszę o cennik.", "Kiedy możemy porozmawiać?", "Jesteśmy na tak.", "Call me.", "Anna", "601 202 303", "Nie."],
)
def test_a_receipt_with_any_other_word_is_a_persons(text: str, more: str) -> None:
    assert a_reply(f"{more}\n{text}").class_ is Class.HUMAN
    assert a_reply(f"{text}\n{more}").class_ is Class.HUMAN


@pytest.mark.parametrize(
    "text",
    [
        "Dziękuję za wiadomość.",
        "Dzień dobry, dziękujemy za kontakt z naszą firmą.\n\nPozdrawiamy",
        "Thank you for contacting us.",
        "Przyjęliśmy Państwa ofertę.",
        "Przyjęliśmy Państwa zgłoszenie na targi, do zobaczenia w Poznaniu.",
        "Odpiszemy w godzinach pracy nad ofertą.",
        "A member of our team will be with you on Monday.",
        "Odpowiemy w godzinach pracy biura, ale już dziś: tak.",
        "Nasz zespół wkrótce się tym zajmie.",
    ],
)
def test_thanks_alone_and_an_answer_in_such_words_are_a_persons(text: str) -> None:
    assert a_reply(text).class_ is Class.HUMAN


def test_a_receipt_above_a_quotation_is_for_a_person_to_judge() -> None:
    quotation = "".join(f"> {line}\n" for line in LETTER.splitlines())

    assert a_reply(f"{RECEIPTS[0]}\n\nOn 4 Aug 2026 Ola wrote:\n{quotation}").class_ is Class.UNCLEAR


@pytest.mark.parametrize("address", [LEAD, f"e-mail {LEAD}", f"<{LEAD}>"])
def test_an_address_that_is_no_longer_used_is_somebodys_who_has_left(address: str) -> None:
    it = a_reply(f"Adres {address} nie jest już używany.")

    assert (it.class_, it.kind) == (Class.UNCLEAR, Kind.GONE)


def test_an_address_that_is_used_is_not() -> None:
    assert a_reply(f"Adres {LEAD} jest używany do faktur.").class_ is Class.HUMAN
    assert a_reply("Ten adres jest obsługiwany przez Annę.").class_ is Class.HUMAN


@pytest.mark.parametrize(
    "text",
    [
        "Anna has left for lunch.",
        "Away. We spend the budget that we have left.",
        "We have left the office for today.",
        "Wir arbeiten nicht mehr am Freitag.",
    ],
)
def test_an_automatic_reply_of_somebody_who_stays_tells_that_not(text: str) -> None:
    assert a_reply(text, headers="Auto-Submitted: auto-replied\r\n").kind is None


@pytest.mark.parametrize(
    "text",
    [
        "Vielen Dank für Ihre Nachricht. Ich bin bis einschließlich 28.08.2026 im Urlaub. In dringenden Fällen wenden "
        "Sie sich bitte an info@klient.example. Ihre E-Mail wird nicht weitergeleitet.",
        "Ich bin derzeit nicht im Büro. Ihre Nachricht wird nicht gelesen.",
        "Ich befinde mich in Elternzeit. Bitte kontaktieren Sie meine Kollegin.",
        "Danke für Ihre E-Mail. Ich bin auf Dienstreise und antworte nach meiner Rückkehr.",
    ],
)
def test_a_german_absence_reply_is_known_by_its_words(text: str) -> None:
    assert a_reply(text).class_ is Class.AUTOMATIC


@pytest.mark.parametrize(
    "text",
    ["Ich bin im Urlaub, melde mich danach bei Ihnen.", "Ich bin nicht mehr bei Klient tätig, fragen Sie Jan."],
)
def test_a_german_who_may_be_a_person_is_for_a_person_to_judge(text: str) -> None:
    assert a_reply(text).class_ is Class.UNCLEAR


def test_a_reply_that_an_inbox_rule_redirects_is_a_persons() -> None:
    it = a_reply("Proszę o telefon.", headers="X-MS-Exchange-Inbox-Rules-Loop: anna@klient.example\r\n")

    assert it.class_ is Class.HUMAN


def a_bounce_in_words(
    subject: str, words: str, sender: str = "postmaster@klient.example", path: str = "Return-Path: <>\r\n"
) -> Incoming:
    raw = (
        f"From: {sender}\r\n{path}Subject: {subject}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{words}"
    ).encode()
    return classify(raw, facts_of(raw))


class TestABounceInWords:
    NO_ACCOUNT = f"did not reach the following recipient(s):\r\n\r\n{LEAD}\r\n  550 5.1.1 No such user\r\n"

    @pytest.mark.parametrize("ours", ["Delayed payments in your company?", "Warning only: opóźnienia w dostawach"])
    @pytest.mark.parametrize("field", ["Subject", "Temat", "Betreff", "> Subject"])
    def test_is_not_taken_for_a_delay_by_our_subject(self, ours: str, field: str) -> None:
        words = f"Your message\r\n\r\n  To: {LEAD}\r\n  {field}: {ours}\r\n\r\n{self.NO_ACCOUNT}"

        assert a_bounce_in_words(f"Undeliverable: {ours}", words).kind is Kind.ADDRESS

    @pytest.mark.parametrize("subject", ["Delivery delayed: hello", "Warning: message 1abC delayed 24 hours"])
    def test_is_a_delay_by_its_own_subject(self, subject: str) -> None:
        assert a_bounce_in_words(subject, self.NO_ACCOUNT).kind is Kind.TEMPORARY

    @pytest.mark.parametrize(
        ("sender", "subject", "words"),
        [
            (
                "MDaemon@klient.example",
                "Permanent Delivery Failure",
                f"Failed address: {LEAD}\r\n <-- 550 <{LEAD}>, Recipient unknown",
            ),
            (
                "postmaster@klient.example",
                "Niemożliwe do dostarczenia: oferta",
                "Dostarczenie do następujących adresatów lub grup nie powiodło się:\r\n\r\n"
                f"{LEAD}\r\nWprowadzony adres e-mail nie został znaleziony.",
            ),
            (
                "postmaster@klient.example",
                "Odp: coś",
                f"Dostarczanie do następujących odbiorców nie powiodło się: {LEAD}\r\nKonto nie istnieje.",
            ),
            (
                "postmaster@klient.example",
                "Undeliverable: offer",
                "Delivery has failed to these recipients or groups:\r\n\r\n"
                f"{LEAD}\r\nThe email address you entered couldn't be found. Please check the recipient's address.",
            ),
            (
                "postmaster@klient.example",
                "No se puede entregar: oferta",
                f"No se pudo entregar a estos destinatarios o grupos:\r\n\r\n{LEAD}\r\n550 5.1.10 RecipientNotFound",
            ),
            (
                "postmaster@klient.example",
                "Non remis : offre",
                f"Échec de la remise aux destinataires ou groupes suivants :\r\n\r\n{LEAD}\r\n550 5.1.1 User unknown",
            ),
            (
                '"Courier mail server at klient.example" <@klient.example>',
                "NOTICE: mail delivery status.",
                "UNDELIVERABLE MAIL\r\n\r\nYour message to the following recipients cannot be delivered:\r\n\r\n"
                f"<{LEAD}>:\r\n    mx.klient.example:\r\n      <<< 550 User unknown.",
            ),
        ],
    )
    def test_names_who_does_not_exist(self, sender: str, subject: str, words: str) -> None:
        it = a_bounce_in_words(subject, words, sender, "Return-Path: <>\r\n" if "NOTICE" in subject else "")

        assert (it.class_, it.kind, it.recipients) == (Class.BOUNCE, Kind.ADDRESS, (LEAD,))

    def test_may_be_transient(self) -> None:
        words = f"The message has NOT yet been delivered to {LEAD}\r\n <-- 451 4.3.2 try again"
        it = a_bounce_in_words("Transient Delivery Failure", words, "MDaemon@klient.example", "")

        assert (it.class_, it.kind) == (Class.BOUNCE, Kind.TEMPORARY)


@pytest.mark.parametrize("sender", ["postmaster", "MAILER-DAEMON", "MDaemon", "mail-daemon", "bounce"])
@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("Wiadomość zatrzymana w kwarantannie", "Państwa wiadomość oczekuje na decyzję administratora."),
        ("Nachricht", "Zustellung an anna.kowalska@klient.example war erfolglos."),
        ("Re: hello", "Tak."),
    ],
)
def test_a_mail_servers_message_is_never_a_persons(sender: str, subject: str, text: str) -> None:
    it = a_bounce_in_words(subject, text, f"{sender}@klient.example", "")

    assert (it.class_, it.rule) == (Class.UNCLEAR, "a mail server's message that no rule knows")


def test_a_mail_server_sends_no_calendars_answer() -> None:
    raw = (
        f"From: postmaster@klient.example\r\nSubject: Quarantine\r\nIn-Reply-To: {OUR_ID}\r\n"
        "Content-Type: text/calendar; method=REPLY\r\n\r\nBEGIN:VCALENDAR\r\n"
    ).encode()

    assert classify(raw, facts_of(raw)).class_ is Class.UNCLEAR


def test_a_shops_word_of_a_delivery_is_no_bounce() -> None:
    subject, text = "Delivery status of your parcel", "Your parcel is on its way."

    assert a_bounce_in_words(subject, text, "no-reply@shop.example", "").class_ is not Class.BOUNCE


def test_a_person_who_says_that_she_is_away_is_for_a_person_to_judge() -> None:
    assert a_reply("Jestem na urlopie, wrócę do Pani w poniedziałek.").class_ is Class.UNCLEAR


def test_a_header_of_failed_recipients_makes_no_bounce_of_a_persons_mail() -> None:
    headers = f"X-Failed-Recipients: {LEAD}\r\n"

    assert a_reply("Please call me.", headers=headers).class_ is Class.HUMAN
    assert a_reply("Please call me.", "Undelivered mail", headers).class_ is Class.HUMAN


def test_an_encrypted_reply_is_for_a_person_to_judge() -> None:
    assert a_reply("-----BEGIN PGP MESSAGE-----\n\nhQEMA9\n-----END PGP MESSAGE-----").class_ is Class.UNCLEAR


def test_ids_are_cited_in_order_of_trust() -> None:
    raw = f"From: {LEAD}\r\nReferences: <1@x> <2@x>\r\nIn-Reply-To: <3@x>\r\nX-Punktual-Id: {UNIQUE}\r\n\r\nhi".encode()

    assert cited(raw) == (
        Citation("<3@x>", "In-Reply-To"),
        Citation("<2@x>", "References"),
        Citation("<1@x>", "References"),
        Citation(UNIQUE, "X-Punktual-Id"),
    )


@pytest.mark.parametrize(
    "value",
    [
        f"=?utf-8?Q?=C5=BB=C3=B3=C5=82kowska=2C_Anna?= <{LEAD}>",
        f"=?iso-8859-2?B?r/Oza293c2thLCBBbm5h?= <{LEAD}>",
        f"=?utf-8?Q?Anna_=28anna=40elsewhere=2Eexample=29?= <{LEAD}>",
        f"=?utf-8?Q?Anna=0D=0ABcc=3A_anna=40elsewhere=2Eexample?= <{LEAD}>",
        f"=?utf-8?Q?=3Canna=40elsewhere=2Eexample=3E?= <{LEAD}>",
        f'"anna@elsewhere.example" <{LEAD}>',
        f"{LEAD} (=?utf-8?Q?anna=40elsewhere=2Eexample=29_=3Canna=40elsewhere=2Eexample=3E?=)",
        f"Żółkowska, Anna <{LEAD}>",
        f"=?utf-8?Q?=C5=BB=C3=B3=C5=82kowska?=, Anna <{LEAD}>",
        "=?utf-8?Q?Anna_=3Canna=2Ekowalska=40klient=2Eexample=3E?=",  # against RFC 2047 section 5, but seen
    ],
)
@pytest.mark.parametrize("header", ["From", "Sender"])
def test_the_address_of_a_sender_does_not_depend_on_its_name(header: str, value: str) -> None:
    assert sender(f"{header}: {value}\r\n\r\nhi".encode()) == LEAD


_NESTED = "".join(f'Content-Type: multipart/mixed; boundary="b{n}"\r\n\r\n--b{n}\r\n' for n in range(5000))
HOSTILE = {
    "10,000 parts": "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + "--b\r\n\r\nx\r\n" * 10_000,
    "5,000 levels": _NESTED,
    "a boundary within itself": "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    + "--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" * 3000,
    "unfinished tags": "Content-Type: text/html\r\n\r\n" + "<a " * 80_000,
    "unfinished comments": "Content-Type: text/html\r\n\r\n" + "<!--" * 60_000,
    "one long line": "\r\n" + "a@b." * 65_000,
    "a charset that is no text": "Content-Type: text/plain; charset=rot13\r\n\r\nabc",
    "a charset with a NUL": 'Content-Type: text/plain; charset="a\x00b"\r\n\r\nabc',
    "broken parameters": "Content-Type: text/plain; charset*=x'y'%zz; charset*0*=%%\r\n\r\nabc",
    "nested comments in an address": 'Sender: x\r\nFrom: "' + "(" * 30_000 + "\r\n\r\nabc",
    "many references": "References: " + "<a@b> " * 10_000 + "\r\n\r\nabc",
    "broken base64": "Content-Transfer-Encoding: base64\r\n\r\n" + "A===" * 50_000,
    "no head": "",
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_message_is_only_unclear_or_a_persons(what: str) -> None:
    raw = f"From: {LEAD}\r\n{HOSTILE[what]}".encode()[:262_144]

    assert classify(raw, facts_of(raw)).class_ in (Class.HUMAN, Class.UNCLEAR)


def test_somebody_else_at_a_public_domain_may_not_speak_for_the_lead() -> None:
    letters = {OUR_ID: Letter("anna@gmail.com", (LETTER,))}
    facts = Facts(RECEIVED, frozenset({US}), letters, public_domains=frozenset({"gmail.com"}))

    found = [
        classify(f"From: {sender}@gmail.com\r\nIn-Reply-To: {OUR_ID}\r\n\r\nunsubscribe".encode(), facts)
        for sender in ("anna", "jan")
    ]

    assert [it.class_ for it in found] == [Class.UNSUBSCRIBE, Class.UNCLEAR]


@pytest.mark.parametrize(
    ("lead", "sender", "may"),
    [
        ("anna@gmail.com", "anna+shop@gmail.com", True),
        ("anna+shop@gmail.com", "anna@gmail.com", True),
        ("annakowalska@gmail.com", "Anna.Kowalska@googlemail.com", True),
        ("anna+shop@wp.pl", "anna@wp.pl", True),
        ("annakowalska@wp.pl", "anna.kowalska@wp.pl", False),  # there it is somebody else
        ("anna@gmail.com", "annab@gmail.com", False),
        ("anna@gmail.com", "anna@wp.pl", False),
        ("+48@wp.pl", "+49@wp.pl", False),
    ],
)
def test_the_lead_may_write_from_another_form_of_its_own_address(lead: str, sender: str, may: bool) -> None:
    public = frozenset({"gmail.com", "googlemail.com", "wp.pl"})
    facts = Facts(RECEIVED, frozenset({US}), {OUR_ID: Letter(lead, (LETTER,))}, public_domains=public)

    found = classify(f"From: {sender}\r\nIn-Reply-To: {OUR_ID}\r\n\r\nunsubscribe".encode(), facts)

    assert found.class_ is (Class.UNSUBSCRIBE if may else Class.UNCLEAR)


REMOVE_ME = b64encode(b"Please remove me from your list.").decode()


@pytest.mark.parametrize(
    "tail",
    [
        f"Content-Transfer-Encoding: base64 (by x)\r\n\r\n{REMOVE_ME}",
        f'Content-Transfer-Encoding: "base64"\r\n\r\n{REMOVE_ME}',
        f"Content-Transfer-Encoding: base64;\r\n\r\n{REMOVE_ME}",
        "Content-Transfer-Encoding: Quoted-Printable (x)\r\n\r\nPlease rem=6Fve me.",
        "Content-Type: text/html\r\n\r\n<html><head><meta charset=utf-8><body>Please remove me.</body></html>",
        "Content-Type: text/html\r\n\r\n<head><title>x</title><p>Please remove me.</p>",
        "Content-Type: text/html\r\n\r\n<p>Please&nbsp;remove me.</p>&#" + "1" * 5_000,
        'Content-Type: text/plain; name="message.txt"\r\n\r\nPlease remove me.',
        "Content-Disposition: inline; filename=message.txt\r\n\r\nPlease remove me.",
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nPlease remove me.\r\n--b\r\n"
        "Content-Type: message/disposition-notification\r\n\r\nDisposition: manual-action; displayed\r\n--b--\r\n",
    ],
)
def test_a_request_is_read_however_the_message_was_made(tail: str) -> None:
    raw = f"From: {LEAD}\r\nIn-Reply-To: {OUR_ID}\r\n{tail}".encode()

    assert classify(raw, facts_of(raw)).class_ is Class.UNSUBSCRIBE


def test_an_attached_text_is_not_read_beside_the_persons() -> None:
    attached = "--b\r\nContent-Type: text/plain; name=list.txt\r\n\r\nunsubscribe\r\n--b--\r\n"
    raw = f"From: {LEAD}\r\nIn-Reply-To: {OUR_ID}\r\n{_PARTS}--b\r\n\r\nHere it is.\r\n{attached}".encode()

    assert classify(raw, facts_of(raw)).excerpt == "Here it is."


_BOUNCE = "Return-Path: <>\r\nSubject: Undelivered Mail\r\n"
_REPORT = (
    f"{_BOUNCE}Content-Type: multipart/report; boundary=b\r\n\r\n"
    "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n"
)
_PARTS = "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
_REPLY = f"In-Reply-To: {OUR_ID}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
# What takes long where the time grows faster than the size.
SLOW = {
    "addresses after the word account": f"{_BOUNCE}\r\n550 konto " + "a@@a " * 24 + "x\r\n",
    "a parameter of semicolons": 'Content-Type: text/plain; a="' + ";" * 60_000 + "\r\n\r\nabc",
    "an attached file's parameter of semicolons": 'Content-Disposition: attachment; a="' + ";" * 60_000 + "\r\n\r\nabc",
    "many parameters of semicolons": _PARTS
    + ('--b\r\nContent-Type: text/plain; a="' + ";" * 15_000 + "\r\n\r\nabc\r\n") * 16,
    "many marks above a letter": f"{_REPLY}a" + "\u0301\u0323" * 25_000,
    "letters that are two marks": f"{_REPLY}a" + "\u0f73" * 25_000,
    "addresses within addresses": _REPLY + ("<@>" * 130 + "\r\n") * 600,
    "many attributions": _REPLY + "On 1 Aug Bb wrote:\r\n" * 1_900 + LETTER.splitlines()[2],
    "clauses of one line": _REPLY + "stop, x, " * 6_000,
    "lines that refuse": _REPLY + "nie dziekuje za x, " * 2_500 + "stop",
    "courtesies without an end": _REPLY + ("prosze " * 3_000 + "\r\n") * 6,
    "polite beginnings": _REPLY + "moze pani juz przestac " * 2_000,
    "an address after the word address": _REPLY + "adres a@" * 30_000,
    "half receipts": _REPLY + "przyjelismy panstwa " * 12_000,
    "days before dashes": "Auto-Submitted: auto-replied\r\n" + _REPLY + "21 grudnia 2026 r. - " * 12_000,
    "nested comments in recipients": _REPORT
    + ("Final-Recipient: rfc822; " + "(" * 3_900 + "\r\nAction: failed\r\n\r\n") * 60,
}


def cpu_seconds(tail: str) -> float:
    raw = f"From: {LEAD}\r\n{tail}".encode()[:262_144]
    facts = facts_of(raw)
    start = process_time()
    classify(raw, facts)
    return process_time() - start


@pytest.mark.parametrize("what", HOSTILE | SLOW)
def test_a_hostile_message_takes_about_as_long_as_an_ordinary_one(what: str) -> None:
    ordinary = cpu_seconds(_REPLY + "A line of a letter, in which nothing is asked for.\r\n" * 5_000)

    hostile = cpu_seconds((HOSTILE | SLOW)[what])

    assert hostile < 10 * ordinary


@pytest.mark.parametrize("raw", [b"", b"\xff\xfe\x00" * 1000, b"\r\n\r\n", b":\r\n:\r\n\r\n"])
def test_bytes_that_are_no_message_are_unclear(raw: bytes) -> None:
    assert classify(raw, facts_of(raw)).class_ in (Class.HUMAN, Class.UNCLEAR)


def a_report(status: str, words: str, action: str = "failed") -> Incoming:
    raw = (
        "From: MAILER-DAEMON@mx.example\r\nContent-Type: multipart/report; boundary=b\r\n\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n"
        f"Final-Recipient: rfc822; {LEAD}\r\nAction: {action}\r\nStatus: {status}\r\n"
        f"Diagnostic-Code: smtp; {words}\r\n--b--\r\n"
    ).encode()
    return classify(raw, facts_of(raw))


class TestABounceIs:
    @pytest.mark.parametrize(
        ("status", "words"),
        [
            ("5.0.0", "550 Unknown user"),
            ("5.4.310", "550 5.4.310 DNS domain klient.example does not exist"),
            ("5.4.4", "unable to look up host klient.example: Name or service not known"),
            ("5.1.6", "551 5.1.6 recipient has moved"),
            ("5.0.0", "550 Konto nie istnieje"),
            ("5.0.0", "all relevant MX records point to non-existent hosts"),
            ("5.0.0", "an MX or SRV record indicated no SMTP service"),
            ("5.5.0", "550 user does not exist"),
            ("5.0.0", "The email address you entered couldn't be found"),
            ("5.0.0", "The address that you entered was not found"),
        ],
    )
    def test_of_the_address(self, status: str, words: str) -> None:
        assert a_report(status, words).kind is Kind.ADDRESS

    @pytest.mark.parametrize(
        ("status", "words"),
        [
            ("5.7.1", "550 5.7.1 User unknown or policy; rejected"),
            ("5.7.606", "550 5.7.606 Access denied, banned sending IP [192.0.2.1]"),
            ("5.0.0", "554 5.7.1 Service unavailable; Client host [x] blocked using zen.spamhaus.org"),
            ("5.1.1", "550 5.1.1 sender denied: message looks like spam"),
            ("5.1.8", "501 5.1.8 bad sender's system address"),
            ("5.0.0", "550 Verification failed for <ola@nasza-firma.example> No such user here"),
            ("5.0.0", "550 Sender address rejected: Domain not found"),
            ("5.3.4", "552 5.3.4 message file too big"),
            ("5.4.6", "554 5.4.6 Hop count exceeded - possible mail loop"),
            ("5.4.14", "554 5.4.14 Hop count exceeded - possible mail loop ATTR34"),
            ("5.0.0", "554 5.4.12 SMTP; Container hop count exceeded"),
            ("5.1.0", "550 5.1.0 Address rejected"),
        ],
    )
    def test_that_a_policy_caused_says_nothing_of_the_address(self, status: str, words: str) -> None:
        assert a_report(status, words).kind is Kind.POLICY

    @pytest.mark.parametrize(
        ("status", "words"),
        [
            ("4.1.1", "450 4.1.1 User unknown in local recipient table"),
            ("4.0.0", "550 5.1.1 user unknown"),
            ("5.0.0", "552 mailbox full"),
            ("5.2.2", "552 5.2.2 over quota"),
            ("5.4.300", "550 5.4.300 Message expired"),
            ("5.0.0", "550 Greylisted, please try again"),
            ("5.4.4", "Host or domain name not found. Name service error for name=x: Host not found, try again"),
            ("4.7.0", "421 4.7.0 Try again later"),
        ],
    )
    def test_of_a_passing_cause_is_temporary(self, status: str, words: str) -> None:
        assert a_report(status, words).kind is Kind.TEMPORARY

    def test_temporary_while_it_is_only_delayed(self) -> None:
        assert a_report("5.1.1", "550 5.1.1 User unknown", action="delayed").kind is Kind.TEMPORARY
