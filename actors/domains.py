"""Checks what the DNS of the mailboxes' domains says about their mail, once a day; closes those that lack records."""

import config
from actors import queues
from mail import domain
from models.health import domains
from models.owner import missing_records
from ops.watch import logs
from scheduling import timetable

log = logs.get()

# Each takes some seconds at most; what is left is due at the next run.
_AT_ONCE = 50


@queues.actor(queues.UPKEEP, timetable.DOMAIN_CHECKS)
def check_domains() -> None:
    asked = resolver()
    for name in domains.due(_AT_ONCE):
        found = look(name, asked)
        log.info("domain_checked", domain=name, **{it.record: it.state for it in found})
    for changed in missing_records.protect():
        log.warning(
            "mailbox_closed_itself" if changed.closed else "mailbox_opened_itself", mailbox_id=changed.mailbox_id
        )


def look(name: str, asked: domain.Resolver) -> list[domain.Finding]:
    """Ask about one domain, and keep what was found."""
    found = domain.check(name, asked)
    domains.keep(name, [(it.record, it.state, it.because) for it in found])
    return found


def resolver() -> domain.Resolver:
    dns = config.settings().dns
    return domain.resolver(dns.name_servers, dns.port, dns.timeout_seconds)
