"""Addresses in the one form by which they are compared."""

import pytest

from mail.address import AddressInvalid, domain, normalise, on_the_wire


class TestNormalising:
    @pytest.mark.parametrize(
        ("written", "normal"),
        [
            ("Anna.Kowalska@Leads.Example", "anna.kowalska@leads.example"),
            ("  anna@leads.example ", "anna@leads.example"),
            ("anna@ŻÓŁW.example", "anna@xn--w-uga1v8h.example"),
            ("anna@leads。example", "anna@leads.example"),
            ("anna@ｌｅａｄｓ.example", "anna@leads.example"),
            ("anna@z\u0307olw.example", "anna@xn--olw-22a.example"),
            ("anna+list@leads.example", "anna+list@leads.example"),
        ],
    )
    def test_one_person_has_one_form(self, written: str, normal: str) -> None:
        assert normalise(written) == normal
        assert normalise(normal) == normal

    @pytest.mark.parametrize(
        "wrong",
        [
            *("", "anna", "anna@", "@leads.example", "a b@leads.example", "anna@leads", "anna@leads..example"),
            *("anna@leads.example\nBcc: x@y.example", "anna@leads.example, b@c.example", "<anna@leads.example>"),
            *("anna＠leads.example", "anna﹫leads.example", "anna@@leads.example", "\u212aate@leads.example"),
            *(
                "a\u0301nna@leads.example",
                "\u0430nna@leads.example",
                "\ufeffanna@leads.example",
                "anna@leads\x00.example",
            ),
            *(
                "anna@lea\u00adds.example",
                "anna@\u2066leads.example",
                "anna@l\u200deads.example",
                "anna@\u05d0a.example",
            ),
            # Cyrillic е, Greek ο: letters that only look like those beside them.
            *("anna@l\u0435ads.example", "anna@leads.ex\u0430mple", "anna@c\u03bfmpany.example"),
            *(
                "anna@[127.0.0.1]",
                '"a b"@leads.example',
                "anna@xn--a.example",
                "anna\r@leads.example",
            ),
            *("żółw@leads.example", "a\u200bb@leads.example", "anna@\u202eleads.example", "x" * 400 + "@leads.example"),
        ],
    )
    def test_what_is_no_address_is_refused_in_one_sentence(self, wrong: str) -> None:
        with pytest.raises(AddressInvalid) as refusal:
            normalise(wrong)

        assert "\n" not in str(refusal.value)

    @pytest.mark.parametrize("whole", ["anna@почта.example", "anna@ελλάδα.example", "anna@žluťoučký.example"])
    def test_a_domain_in_one_alphabet_is_taken_whichever_it_is(self, whole: str) -> None:
        assert normalise(whole).startswith("anna@xn--")

    @pytest.mark.parametrize(
        ("wrong", "told"),
        [
            ("mailto:anna@leads.example", "leave out mailto:"),
            ("anna@l\u0435ads.example", "letters of two alphabets are mixed"),
        ],
    )
    def test_what_is_wrong_is_told(self, wrong: str, told: str) -> None:
        with pytest.raises(AddressInvalid, match=told):
            normalise(wrong)

    def test_on_the_wire_only_the_domain_changes(self) -> None:
        assert on_the_wire("Anna@ŻÓŁW.example") == "Anna@xn--w-uga1v8h.example"
        assert domain("anna@leads.example") == "leads.example"
