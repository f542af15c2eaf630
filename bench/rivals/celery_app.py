"""The Celery rivals: `celery -A bench.rivals.celery_app worker`; run as a program it publishes a task for each mail.

Environment: BENCH_BROKER, BENCH_DATABASE, BENCH_PORT (the receiver's), BENCH_RIVAL (short or gated), BENCH_ETA (1: with
each mail's time as its ETA).
"""

import os
import smtplib
import socket
from uuid import uuid4

import psycopg2
from celery import Celery

from bench.rivals import letter
from bench.rivals.letter import Mail
from bench.rivals.moves import Gated, Moves, Short, Wait

QUEUE = "bench"
_TABLES = {"short": "mail", "gated": "campaign_email_queue"}
_RIVAL, _DATABASE = os.environ["BENCH_RIVAL"], os.environ["BENCH_DATABASE"]

app = Celery("bench", broker=os.environ["BENCH_BROKER"])
app.conf.update(
    task_acks_late=True,
    task_ignore_result=True,
    task_default_queue=QUEUE,
    worker_prefetch_multiplier=1,
    worker_send_task_events=False,
    broker_transport_options={"confirm_publish": True},
    broker_connection_retry_on_startup=True,
)
_moves: Moves = Short(_DATABASE) if _RIVAL == "short" else Gated(_DATABASE, at_once_to_a_host=1000)


def send(mail_id: int) -> None:
    token = str(uuid4())
    mail = _moves.claim(mail_id, token)
    if isinstance(mail, Wait):
        task.apply_async((mail_id,), countdown=mail.seconds)
    elif mail is not None:
        _converse(mail_id, token, mail)


task = app.task(name="send")(send)


def _converse(mail_id: int, token: str, mail: Mail) -> None:
    content = letter.build(mail)
    connection = smtplib.SMTP("127.0.0.1", int(os.environ["BENCH_PORT"]), local_hostname="sender.example")
    assert connection.sock is not None
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.ehlo()
    connection.mail(mail.sender)
    code, reply = connection.rcpt(mail.recipient)
    if code != 250:
        _moves.release(mail_id, token, reply.decode())
        return
    connection.docmd("DATA")
    connection.send(content)
    if not _moves.hand_over(mail_id, token, content):
        connection.close()
        _moves.release(mail_id, token, "the hand-over was refused")
        return
    connection.send(b".\r\n")
    code, reply = connection.getreply()
    if code == 250:
        _moves.accept(mail_id, token, reply.decode())
    connection.quit()


def publish() -> None:
    """A task for each mail, in order."""
    eta = os.environ.get("BENCH_ETA") == "1"
    with psycopg2.connect(_DATABASE) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT id, scheduled_at FROM {_TABLES[_RIVAL]} ORDER BY scheduled_at, id")
        mails = cursor.fetchall()
    with app.producer_pool.acquire() as producer:
        for mail_id, at in mails:
            task.apply_async((mail_id,), eta=at if eta else None, producer=producer)


if __name__ == "__main__":
    publish()
