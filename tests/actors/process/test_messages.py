"""What is taken from a queue, and what is rejected: nothing that comes may end the thread that reads it."""

import json
from typing import Any

import pytest
from dramatiq import Message, MessageProxy, get_broker
from dramatiq.common import current_millis

from actors.process import messages
from actors.process.messages import Encoder, Etas, Unreadable

OURS: dict[str, Any] = {
    "queue_name": "deliver",
    "actor_name": "deliver",
    "args": [1, 1_700_000_000_000],
    "kwargs": {},
    "options": {},
    "message_id": "b0a1",
    "message_timestamp": 1_700_000_000_000,
}


def taken(body: bytes, queue: str = "deliver") -> Message[Any]:
    """The message, as Dramatiq's consumer reads it. Raises Unreadable."""
    fields = Encoder().decode(body)
    message: Message[Any] = Message(**fields)
    messages.check(MessageProxy(message), queue, get_broker())
    return message


def altered(**changes: Any) -> bytes:
    return json.dumps(OURS | changes).encode()


class TestAConsumer:
    def test_wakes_for_the_next_of_the_messages_that_it_holds(self) -> None:
        etas = Etas(most=1.0)
        for eta in (1_700, 1_250, 6_000):
            etas.add(eta)

        assert [etas.seconds_from(now) for now in (1_000, 1_249, 1_250, 1_250)] == [0.25, 0.001, 0, 0.45]

    def test_does_not_wait_when_their_time_came_after_it_had_looked(self) -> None:
        etas = Etas(most=1.0)
        for eta in (1_000, 1_001, 1_400):
            etas.add(eta)

        assert [etas.seconds_from(now) for now in (1_001, 1_001)] == [0, 0.399]

    def test_that_holds_none_waits_as_long_as_it_may(self) -> None:
        assert Etas(most=0.02).seconds_from(1_000) == 0.02


class TestAMessageOfOurs:
    def test_is_taken(self) -> None:
        assert taken(altered()).args == (1, 1_700_000_000_000)

    def test_is_taken_with_the_options_that_our_processes_give(self) -> None:
        options = {"eta": current_millis() + 1_000_000, "installation": "ab12", "passed_on": 2}

        assert taken(altered(queue_name="deliver.DQ", options=options), "deliver.DQ").options == options

    def test_is_taken_as_periodiq_sends_it(self) -> None:
        body = altered(
            queue_name="tick", actor_name="tick", args=[], options={"scheduled_at": "2026-11-26T17:15:00+01:00"}
        )

        assert taken(body, "tick").actor_name == "tick"


FAR = current_millis() + 10**9

NONE_OF_OURS = {
    "no JSON": b"hello",
    "nothing": b"",
    "no UTF-8": b"\xff\xfe",
    "half of one": altered()[:-5],
    "a number": b"5",
    "null": b"null",
    "a list": b"[]",
    "nested without end": b"[" * 10_000,
    "of huge numbers": b'{"args": [' + b"9" * 5000 + b"]}",
    "too long": altered(message_id="x" * 100_000),
    "without a field": json.dumps({name: OURS[name] for name in OURS if name != "options"}).encode(),
    "with a field too many": altered(more=1),
    "whose actor is a list": altered(actor_name=["deliver"]),
    "whose actor is an object": altered(actor_name={"a": 1}),
    "of an actor that there is not": altered(actor_name="drop_everything"),
    "of another queue's actor": altered(actor_name="tick", args=[]),
    "without options": altered(options=None),
    "with a list of options": altered(options=[]),
    "with options of Dramatiq's that are none of ours": altered(options={"throws": "x"}),
    "with a pipe": altered(options={"pipe_target": {}}),
    "for a time that is no number": altered(options={"eta": "soon"}),
    "for a time that is not": altered().replace(b'"options": {}', b'"options": {"eta": NaN}'),
    "for a time in the far future": altered(options={"eta": FAR}),
    "with periodiq's time as it is not": altered(options={"scheduled_at": "yesterday"}),
    "without arguments": altered(args=None),
    "with a text for arguments": altered(args="12"),
    "with too few arguments": altered(args=[1]),
    "with too many": altered(args=[1, 2, 3]),
    "with texts for numbers": altered(args=["1", "2"]),
    "with a truth for a number": altered(args=[True, 2]),
    "with a fraction": altered(args=[1, 2.5]),
    "with nothing for a number": altered(args=[None, None]),
    "with a time beyond the calendar": altered(args=[1, 10**17]),
    "with names for its arguments": altered(kwargs={"email_id": 1}),
    "without names for its arguments": altered(kwargs=None),
    "that names another queue": altered(queue_name="evidence"),
    "that names a queue that there is not": altered(queue_name="x" * 300),
    "that says it is delayed and is not": altered(queue_name="deliver.DQ"),
    "without a text for its id": altered(message_id=None),
    "without a number for its time": altered(message_timestamp="now"),
}


class TestAnotherMessage:
    @pytest.mark.parametrize("body", NONE_OF_OURS.values(), ids=NONE_OF_OURS)
    def test_is_unreadable_and_the_reason_holds_nothing_of_it(self, body: bytes) -> None:
        with pytest.raises(Unreadable) as refusal:
            taken(body)

        assert not {"drop_everything", "yesterday", "soon", "hello", "x" * 20} & set(str(refusal.value).split())
        assert len(str(refusal.value)) < 80
