"""The limit: smtplib in processes and threads making each letter, with a connection each; no queue, no database.

`python -m bench.rivals.bare PORT MAILS PROCESSES THREADS` prints seconds and CPU seconds.
"""

import json
import multiprocessing
import resource
import smtplib
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import clock
from bench.rivals import letter
from bench.rivals.letter import Mail
from bench.rows import SUBJECT, TEXT


def mails(count: int) -> Iterator[Mail]:
    for number in range(count):
        fields = {"name": f"Lead {number}", "company": f"Bakery {number}"}
        recipient, message_id = f"lead{number}@leads.example", f"<{number}@sender.example>"
        yield Mail("box@sender.example", recipient, fields, message_id, SUBJECT, TEXT)


def _send(port: int, mail: Mail) -> None:
    with smtplib.SMTP("127.0.0.1", port, local_hostname="sender.example") as connection:
        assert connection.sock is not None
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendmail(mail.sender, [mail.recipient], letter.build(mail))


def _work(port: int, count: int, first: int, step: int, threads: int) -> tuple[float, float, float]:
    """When it began and ended, and the CPU seconds between."""
    began = clock.boottime()
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(_send, port, mail) for mail in islice(mails(count), first, None, step)]:
            done.result()
    used = resource.getrusage(resource.RUSAGE_SELF)
    return began, clock.boottime(), used.ru_utime + used.ru_stime


def main() -> None:
    port, count, processes, threads = map(int, sys.argv[1:])
    with multiprocessing.Pool(processes) as pool:
        each = [(port, count, number, processes, threads) for number in range(processes)]
        found = pool.starmap(_work, each, chunksize=1)
    seconds = max(ended for _, ended, _ in found) - min(began for began, _, _ in found)
    print(json.dumps({"seconds": seconds, "cpu": sum(cpu for *_, cpu in found)}))


if __name__ == "__main__":
    main()
