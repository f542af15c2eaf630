"""What a domain's DNS says about its mail, asked of a name server on loopback."""

import pytest

from mail.domain import Record, State, check, resolver
from reasons import Code
from tests import name_server
from tests.name_server import Zone

SPF = "v=spf1 include:_spf.provider.example -all"
GOOD: Zone = {
    ("firma.example", "MX"): ["10 mx1.provider.example.", "20 mx2.provider.example."],
    ("firma.example", "TXT"): ['"google-site-verification=abc"', f'"{SPF}"'],
    ("_dmarc.firma.example", "TXT"): ['"v=DMARC1; p=quarantine; rua=mailto:d@firma.example"'],
    ("_spf.provider.example", "TXT"): ['"v=spf1 ip4:192.0.2.0/24 -all"'],
}


def found(zone: Zone, domain: str = "firma.example", *, failing: bool = False) -> dict[Record, tuple[State, Code]]:
    with name_server.serving(zone, failing=failing) as port:
        findings = check(domain, resolver(["127.0.0.1"], port, 5.0))
    return {it.record: (it.state, it.because.code) for it in findings}


def spf(record: str, **more: str) -> tuple[State, Code]:
    included = {(name.replace("__", "."), "TXT"): [f'"{text}"'] for name, text in more.items()}
    return found({("firma.example", "TXT"): [f'"{record}"'], **included})[Record.SPF]


def dmarc(record: str) -> tuple[State, Code]:
    return found({("_dmarc.firma.example", "TXT"): [f'"{record}"']})[Record.DMARC]


def test_a_domain_in_order() -> None:
    assert found(GOOD) == {
        Record.MX: (State.OK, Code.MX_OK),
        Record.SPF: (State.OK, Code.SPF_OK),
        Record.DMARC: (State.OK, Code.DMARC_OK),
    }


def test_a_domain_that_does_not_exist() -> None:
    assert found({}) == {
        Record.MX: (State.MISSING, Code.MX_MISSING),
        Record.SPF: (State.MISSING, Code.SPF_MISSING),
        Record.DMARC: (State.MISSING, Code.DMARC_MISSING),
    }


class TestANameServer:
    """That fails says nothing about the domain."""

    def test_with_a_failure_of_its_own_leaves_all_unknown(self) -> None:
        assert set(found(GOOD, failing=True).values()) == {(State.UNKNOWN, Code.DNS_SILENT)}

    def test_that_is_not_there_leaves_all_unknown(self) -> None:
        with name_server.serving({}) as port:
            pass
        findings = check("firma.example", resolver(["127.0.0.1"], port, 0.2))

        assert {it.state for it in findings} == {State.UNKNOWN}

    def test_is_asked_over_tcp_for_what_does_not_fit_into_a_datagram(self) -> None:
        verifications = [f'"verification-{number}={"x" * 100}"' for number in range(20)]

        zone: Zone = {**GOOD, ("firma.example", "TXT"): [*verifications, f'"{SPF}"']}

        assert found(zone)[Record.SPF] == (State.OK, Code.SPF_OK)


class TestMailServers:
    def test_none_but_an_address(self) -> None:
        assert found({("firma.example", "A"): ["192.0.2.1"]})[Record.MX] == (State.WEAK, Code.MX_IMPLICIT)

    def test_none_on_purpose(self) -> None:
        """RFC 7505."""
        assert found({("firma.example", "MX"): ["0 ."]})[Record.MX] == (State.WRONG, Code.MX_NULL)


class TestSpf:
    @pytest.mark.parametrize(
        ("record", "state", "code"),
        [
            ("v=spf1 mx ~all", State.OK, Code.SPF_OK),
            ("v=spf1 redirect=_spf.provider.example", State.OK, Code.SPF_OK),
            ("V=SPF1 A -ALL", State.OK, Code.SPF_OK),
            ("v=spf1 mx ?all", State.WEAK, Code.SPF_OPEN_END),
            ("v=spf1 mx", State.WEAK, Code.SPF_OPEN_END),
            ("v=spf1 +all", State.WRONG, Code.SPF_ALLOWS_ALL),
            ("v=spf1 all", State.WRONG, Code.SPF_ALLOWS_ALL),
            ("v=spf10 -all", State.MISSING, Code.SPF_MISSING),
            ("spf2.0/pra -all", State.MISSING, Code.SPF_MISSING),
        ],
    )
    def test_is_judged_by_its_record(self, record: str, state: State, code: Code) -> None:
        assert spf(record) == (state, code)

    def test_two_records_count_for_nothing(self) -> None:
        zone: Zone = {("firma.example", "TXT"): ['"v=spf1 mx -all"', '"v=spf1 a -all"']}

        assert found(zone)[Record.SPF] == (State.WRONG, Code.SPF_SEVERAL)

    def test_a_record_in_several_strings_is_one(self) -> None:
        """RFC 7208 section 3.3."""
        zone: Zone = {("firma.example", "TXT"): ['"v=spf1 ip4:192.0.2.1 " "-all"']}

        assert found(zone)[Record.SPF] == (State.OK, Code.SPF_OK)

    def test_look_ups_of_included_records_count(self) -> None:
        five = "v=spf1 a mx exists:x.example ptr a:y.example -all"

        assert spf("v=spf1 include:one.example include:two.example -all", one__example=five, two__example=five) == (
            State.WRONG,
            Code.SPF_LOOK_UPS,
        )
        assert spf("v=spf1 include:one.example mx/24 a//64 -all", one__example=five) == (State.OK, Code.SPF_OK)

    def test_records_that_include_each_other_end(self) -> None:
        circle = "v=spf1 include:firma.example include:one.example -all"

        assert spf("v=spf1 include:one.example -all", one__example=circle) == (State.OK, Code.SPF_OK)

    @pytest.mark.parametrize("target", ["%{i}._spf.provider.example", "a..b", f"{'x' * 70}.example", ""])
    def test_includes_that_cannot_be_looked_up_do_no_harm(self, target: str) -> None:
        assert spf(f"v=spf1 include:{target} -all") == (State.OK, Code.SPF_OK)


class TestDmarc:
    @pytest.mark.parametrize(
        ("record", "state", "code"),
        [
            ("v=DMARC1; p=reject", State.OK, Code.DMARC_OK),
            ("v=DMARC1;p=none;rua=mailto:d@firma.example", State.WEAK, Code.DMARC_NONE),
            ("v=DMARC1; rua=mailto:d@firma.example", State.WRONG, Code.DMARC_NO_POLICY),
            ("v=DMARC1; p=block", State.WRONG, Code.DMARC_NO_POLICY),
            ("p=reject", State.MISSING, Code.DMARC_MISSING),
        ],
    )
    def test_is_judged_by_its_record(self, record: str, state: State, code: Code) -> None:
        assert dmarc(record) == (state, code)

    def test_two_records_count_for_nothing(self) -> None:
        zone: Zone = {("_dmarc.firma.example", "TXT"): ['"v=DMARC1; p=none"', '"v=DMARC1; p=reject"']}

        assert found(zone)[Record.DMARC] == (State.WRONG, Code.DMARC_SEVERAL)

    def test_a_subdomain_without_one_has_its_parents(self) -> None:
        zone: Zone = {("_dmarc.firma.example", "TXT"): ['"v=DMARC1; p=reject; sp=none"']}

        assert found(zone, "poczta.firma.example")[Record.DMARC] == (State.WEAK, Code.DMARC_NONE)

    def test_a_top_level_domain_is_not_asked(self) -> None:
        zone: Zone = {("_dmarc.example", "TXT"): ['"v=DMARC1; p=reject"']}

        assert found(zone)[Record.DMARC] == (State.MISSING, Code.DMARC_MISSING)
