"""The metrics page with the current state, read from the same rows that the sender uses."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from flask import Blueprint, Response, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

import clock
import config
from models.store.database import FAILURES
from models.views import gauges
from models.views.gauges import MAILBOX_STATES, CampaignGauge, Gauges, MailboxGauge
from models.views.overview import HOLDING
from ops.watch import exposition, logs, metrics
from ops.watch.metrics import State

log = logs.get()
blueprint = Blueprint("metrics", __name__)

Labels = tuple[object, ...]
Samples = Iterable[tuple[Labels, float]]


@blueprint.get("/metrics")
def page() -> Response:
    """All metrics or an error: a partial page would look as if campaigns and mailboxes were gone."""
    if not _may_read():
        return Response(status=401, headers=[exposition.CHALLENGE])
    registry = CollectorRegistry()
    try:
        registry.register(Rows())
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
    except FAILURES as failure:
        log.warning("metrics_not_read", error=type(failure).__name__)
        return Response("the database does not answer\n", status=503, content_type="text/plain")


def _may_read() -> bool:
    """Requires the password if the pages do: behind a proxy every request comes from this machine."""
    settings = config.settings()
    if settings.metrics.password is None:
        return not settings.web.protected
    return exposition.may_read(request.headers.get("Authorization", ""))


class Rows(Collector):
    """Reads the rows once per scrape."""

    def describe(self) -> Iterable[GaugeMetricFamily]:
        return []  # otherwise registering would read the rows too

    def collect(self) -> Iterator[GaugeMetricFamily]:
        began = clock.boottime()
        found = gauges.read()
        for state, samples in (*_overall(found), *_of_campaigns(found.campaigns), *_of_mailboxes(found.mailboxes)):
            yield _family(state, samples)
        yield _family(metrics.SCRAPE, [((), clock.boottime() - began)])


def _family(state: State, samples: Samples) -> GaugeMetricFamily:
    family = GaugeMetricFamily(state.name, state.help, labels=state.labels)
    for labels, value in samples:
        family.add_metric([str(label) for label in labels], value)
    return family


def _overall(it: Gauges) -> Iterator[tuple[State, Samples]]:
    yield metrics.UNKNOWN_OUTCOMES, [((), it.unknown)]
    yield metrics.TO_BE_JUDGED, [((), it.to_be_judged)]
    yield metrics.HINTED, [((), it.hinted)]
    yield metrics.ARMED, [((), it.armed)]
    yield metrics.TICK_COMPLETED, [((), _seconds(it.tick_completed_at))]
    yield metrics.VIOLATIONS, [((rule,), count) for rule, count in it.violations.items()]
    yield metrics.INVARIANTS_CHECKED, [((), _seconds(it.invariants_checked_at))]


def _of_campaigns(every: list[CampaignGauge]) -> Iterator[tuple[State, Samples]]:
    active = [it for it in every if it.is_active]
    yield metrics.EMAILS, [((it.id, status), count) for it in every for status, count in it.counts.items()]
    yield metrics.WINDOW_OPEN, [((it.id,), it.window_open) for it in every]
    yield metrics.SHOULD_SEND, [((it.id,), it.standing.should_send) for it in every]
    yield metrics.BLOCKED, [((it.id, gate), it.standing.gate == gate) for it in active for gate in HOLDING]
    responded = [(it.id, vars(it.responses)) for it in every]
    yield metrics.RESPONSES, [((id, name), count) for id, counts in responded for name, count in counts.items()]
    yield metrics.FOLLOW_UPS_HELD, [((it.id,), it.follow_ups_held) for it in active]
    yield metrics.CAMPAIGN_DELAY, [((it.id,), it.delay_seconds) for it in every]
    yield metrics.CAMPAIGN_LAST_START, [((it.id,), _seconds(it.last_start_at)) for it in every]
    yield metrics.CAMPAIGN_INFO, [((it.id, it.name), 1) for it in every]


def _of_mailboxes(every: list[MailboxGauge]) -> Iterator[tuple[State, Samples]]:
    yield metrics.DUE_OLDEST, [((it.id,), it.due_oldest_seconds) for it in every]
    used = [((it.id, "campaign"), it.used_campaign) for it in every]
    yield metrics.MAILBOX_USED, [*used, *(((it.id, "warmup"), it.used_warmup) for it in every)]
    yield metrics.MAILBOX_LIMIT, [((it.id,), it.limit) for it in every]
    yield metrics.MAILBOX_GAP, [((it.id,), it.gap_seconds) for it in every]
    yield metrics.MAILBOX_PLANNED, [((it.id,), it.planned) for it in every]
    read = [(it.id, it.inbox) for it in every if it.inbox is not None]
    yield metrics.INBOX_READ, [((id,), _seconds(inbox.read_at)) for id, inbox in read]
    yield metrics.INBOX_FAILURES, [((id,), inbox.failures) for id, inbox in read]
    yield metrics.MAILBOX_STATE, [((it.id, state), it.state == state) for it in every for state in MAILBOX_STATES]


def _seconds(at: datetime | None) -> float:
    return at.timestamp() if at else 0.0
