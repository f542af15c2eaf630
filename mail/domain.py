"""What a domain's DNS says about its mail: MX (RFC 5321 section 5.1, RFC 7505), SPF (RFC 7208), DMARC (RFC 7489).

A name server that does not answer proves nothing: the state is then unknown, never missing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import dns.exception
import dns.name
import dns.rdatatype
import dns.resolver

from reasons import Code, Reason

# DNS terms that an SPF check may need at most, with those of included records: RFC 7208 section 4.6.4.
_MOST_LOOK_UPS = 10
# Labels of a name whose parents are asked for a DMARC record.
_MOST_LABELS = 8
_LOOKING_UP = ("include", "a", "mx", "ptr", "exists")


class Record(StrEnum):
    MX = "mx"
    SPF = "spf"
    DMARC = "dmarc"


class State(StrEnum):
    OK = "ok"
    WEAK = "weak"  # there, but it protects or says little
    WRONG = "wrong"  # there, and receivers must ignore it or refuse mail because of it
    MISSING = "missing"
    UNKNOWN = "unknown"  # no name server answered


@dataclass(frozen=True)
class Finding:
    record: Record
    state: State
    because: Reason


Resolver = dns.resolver.Resolver


class _Silent(Exception):
    """No name server answered, or only with a failure of its own."""


def check(domain: str, resolver: dns.resolver.Resolver) -> list[Finding]:
    """One finding for each record. Never raises for what name servers answer. domain: in its ASCII form."""
    return [_told(record, domain, resolver) for record in Record]


def resolver(name_servers: list[str], port: int, seconds: float) -> dns.resolver.Resolver:
    """A resolver. name_servers: IP addresses; none: the machine's own. seconds: for one question with its retries."""
    made = dns.resolver.Resolver(configure=not name_servers)
    if name_servers:
        made.nameservers, made.port = list(name_servers), port
    made.lifetime = seconds
    return made


def _told(record: Record, domain: str, asked: dns.resolver.Resolver) -> Finding:
    look = {Record.MX: _mx, Record.SPF: _spf, Record.DMARC: _dmarc}[record]
    try:
        state, because = look(domain, asked)
    except _Silent:
        state, because = State.UNKNOWN, Reason(Code.DNS_SILENT, domain=domain)
    return Finding(record, state, because)


def _mx(domain: str, asked: dns.resolver.Resolver) -> tuple[State, Reason]:
    hosts = [rdata.exchange.to_text(omit_final_dot=True) for rdata in _answers(asked, domain, "MX")]
    if hosts in ([""], ["."]):
        return State.WRONG, Reason(Code.MX_NULL, domain=domain)
    if hosts:
        return State.OK, Reason(Code.MX_OK, domain=domain, count=len(hosts))
    if _answers(asked, domain, "A") or _answers(asked, domain, "AAAA"):
        return State.WEAK, Reason(Code.MX_IMPLICIT, domain=domain)
    return State.MISSING, Reason(Code.MX_MISSING, domain=domain)


def _spf(domain: str, asked: dns.resolver.Resolver) -> tuple[State, Reason]:
    found = _spf_records(asked, domain)
    if not found:
        return State.MISSING, Reason(Code.SPF_MISSING, domain=domain)
    if len(found) > 1:
        return State.WRONG, Reason(Code.SPF_SEVERAL, domain=domain, count=len(found))
    terms = found[0].lower().split()[1:]
    look_ups = _look_ups(asked, terms, {domain.lower()})
    if look_ups > _MOST_LOOK_UPS:
        return State.WRONG, Reason(Code.SPF_LOOK_UPS, domain=domain, most=_MOST_LOOK_UPS)
    if {"+all", "all"} & set(terms):
        return State.WRONG, Reason(Code.SPF_ALLOWS_ALL, domain=domain)
    if not {"-all", "~all"} & set(terms) and not any(term.startswith("redirect=") for term in terms):
        return State.WEAK, Reason(Code.SPF_OPEN_END, domain=domain)
    return State.OK, Reason(Code.SPF_OK, domain=domain)


def _spf_records(asked: dns.resolver.Resolver, domain: str) -> list[str]:
    return [text for text in _texts(asked, domain) if text.lower() == "v=spf1" or text.lower().startswith("v=spf1 ")]


def _look_ups(asked: dns.resolver.Resolver, terms: list[str], seen: set[str]) -> int:
    """The DNS terms of a record and those it includes; counting ends above the limit."""
    count = 0
    for term in terms:
        name, _, target = term.lstrip("+-~?").replace("=", ":", 1).partition(":")
        if name.partition("/")[0] not in (*_LOOKING_UP, "redirect"):
            continue
        count += 1
        # A macro's value depends on the sender: only its own look-up is counted.
        if name in ("include", "redirect") and "%" not in target and target not in seen and count <= _MOST_LOOK_UPS:
            seen.add(target)
            for record in _spf_records(asked, target)[:1]:
                count += _look_ups(asked, record.lower().split()[1:], seen)
        if count > _MOST_LOOK_UPS:
            break
    return count


def _dmarc(domain: str, asked: dns.resolver.Resolver) -> tuple[State, Reason]:
    for name in _upwards(domain):
        found = [text for text in _texts(asked, f"_dmarc.{name}") if text.replace(" ", "").startswith("v=DMARC1")]
        if len(found) > 1:
            return State.WRONG, Reason(Code.DMARC_SEVERAL, domain=name, count=len(found))
        if found:
            return _policy(name, found[0], is_parents=name != domain)
    return State.MISSING, Reason(Code.DMARC_MISSING, domain=domain)


def _policy(domain: str, record: str, *, is_parents: bool) -> tuple[State, Reason]:
    tags = {name.strip().lower(): value.strip().lower() for name, _, value in _pairs(record)}
    policy = (tags.get("sp") if is_parents else None) or tags.get("p")
    if policy not in ("none", "quarantine", "reject"):
        return State.WRONG, Reason(Code.DMARC_NO_POLICY, domain=domain)
    if policy == "none":
        return State.WEAK, Reason(Code.DMARC_NONE, domain=domain)
    return State.OK, Reason(Code.DMARC_OK, domain=domain, policy=policy)


def _pairs(record: str) -> Iterator[tuple[str, str, str]]:
    return (tag.partition("=") for tag in record.split(";") if tag.strip())


def _upwards(domain: str) -> Iterator[str]:
    """The domain and its parents, but no top-level domain."""
    labels = domain.split(".")
    for first in range(max(len(labels) - 1, 1)):
        if len(labels) - first <= _MOST_LABELS:
            yield ".".join(labels[first:])


def _texts(asked: dns.resolver.Resolver, name: str) -> list[str]:
    return [b"".join(rdata.strings).decode("utf-8", "replace") for rdata in _answers(asked, name, "TXT")]


def _answers(asked: dns.resolver.Resolver, name: str, kind: str) -> list[Any]:
    """Ask for records. Empty: the name or the record does not exist. Raises _Silent if no server can tell."""
    try:
        return list(asked.resolve(name, kind, search=False))
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    except (dns.name.LabelTooLong, dns.name.EmptyLabel, dns.name.NameTooLong):
        return []  # an impossible name, which a record may well include
    except (dns.exception.DNSException, OSError):
        raise _Silent from None
