"""Checks what the DNS of the mailboxes' domains says about their mail, once a day."""

import config
from actors import queues
from mail import domain
from models.health import domains
from ops.watch import logs
from scheduling import timetable

log = logs.get()

# Each takes some seconds at most; what is left is due at the next run.
_AT_ONCE = 50


@queues.actor(queues.UPKEEP, timetable.DOMAIN_CHECKS)
def check_domains() -> None:
    asked = resolver()
    for name in domains.due(_AT_ONCE):
        found = domain.check(name, asked)
        domains.keep(name, [(it.record, it.state, it.because) for it in found])
        log.info("domain_checked", domain=name, **{it.record: it.state for it in found})


def resolver() -> domain.Resolver:
    dns = config.settings().dns
    return domain.resolver(dns.name_servers, dns.port, dns.timeout_seconds)
