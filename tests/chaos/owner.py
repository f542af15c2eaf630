"""The campaigns' owner: gives the scheduled orders and asks for ticks, in separate threads."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from dramatiq import Message

import clock
from models.owner import campaigns
from models.store import database
from tests.chaos.report import tell
from tests.chaos.schedule import Deed, Verb
from tests.chaos.servers import Servers

_TICK_EVERY_SECONDS = 3.0


@contextmanager
def ticking(servers: Servers) -> Iterator[None]:
    """Ask for ticks as owners do, beside periodiq's one a minute, so that a short run sees many."""
    over = threading.Event()

    def tick() -> None:
        while not over.wait(_TICK_EVERY_SECONDS):
            message: Message[None] = Message(queue_name="tick", actor_name="tick", args=(), kwargs={}, options={})
            servers.publish("tick", message.encode())

    with _thread(tick, over):
        yield


@contextmanager
def acting(deeds: Sequence[Deed]) -> Iterator[None]:
    over, start = threading.Event(), clock.boottime()

    def act() -> None:
        for deed in deeds:
            if over.wait(max(0.0, start + deed.at - clock.boottime())):
                return
            while not _done(deed) and not over.wait(1):
                pass

    with _thread(act, over):
        yield


@contextmanager
def _thread(work: Callable[[], None], over: threading.Event) -> Iterator[None]:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(30)


def _done(deed: Deed) -> bool:
    """False: the database is away."""
    try:
        campaign_id = campaigns.find(deed.campaign).id
        match deed.verb:
            case Verb.PAUSE:
                campaigns.pause(campaign_id, "chaos")
            case Verb.RESUME:
                campaigns.resume(campaign_id, "chaos")
            case Verb.CANCEL:
                campaigns.cancel(campaign_id, "chaos")
    except database.FAILURES:
        return False
    except campaigns.CampaignInvalid as refusal:
        # The order was given before, in an outage that lost the answer, or the campaign has ended.
        tell(str(refusal))
        return True
    finally:
        database.close()
    tell(str(deed))
    return True
