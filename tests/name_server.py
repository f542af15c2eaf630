"""A name server on loopback, over UDP and TCP, with the records that a test gives it."""

import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rrset

Zone = Mapping[tuple[str, str], list[str]]
# Larger answers are cut off over UDP, as RFC 1035 section 4.2.1 has it, and asked for again over TCP.
_MOST_BYTES = 512


@contextmanager
def serving(zone: Zone, *, failing: bool = False) -> Iterator[int]:
    """The port. zone: (name, type) -> values. failing: every answer is a failure of the server."""
    with _on_one_port() as (listener, datagrams):
        port: int = listener.getsockname()[1]
        threads = [
            threading.Thread(target=_over_udp, args=(datagrams, zone, failing), daemon=True),
            threading.Thread(target=_over_tcp, args=(listener, zone, failing), daemon=True),
        ]
        for thread in threads:
            thread.start()
        yield port
        datagrams.sendto(b"", ("127.0.0.1", port))
        listener.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()


@contextmanager
def _on_one_port() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A TCP and a UDP socket. A port that is free for the one may be taken for the other."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
            try:
                datagrams.bind(listener.getsockname())
            except OSError:
                continue
            yield listener, datagrams
            return


def _over_udp(server: socket.socket, zone: Zone, failing: bool) -> None:
    while True:
        asked, whose = server.recvfrom(4096)
        if not asked:
            return
        answer = _answer(asked, zone, failing)
        if len(answer.to_wire()) > _MOST_BYTES:
            answer = dns.message.make_response(dns.message.from_wire(asked))
            answer.flags |= dns.flags.TC
        server.sendto(answer.to_wire(), whose)


def _over_tcp(server: socket.socket, zone: Zone, failing: bool) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            (length,) = struct.unpack("!H", connection.recv(2, socket.MSG_WAITALL))
            wire = _answer(connection.recv(length, socket.MSG_WAITALL), zone, failing).to_wire()
            connection.sendall(struct.pack("!H", len(wire)) + wire)


def _answer(asked: bytes, zone: Zone, failing: bool) -> dns.message.Message:
    question = dns.message.from_wire(asked)
    answer = dns.message.make_response(question, recursion_available=True)
    [wanted] = question.question
    name, kind = wanted.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(wanted.rdtype)
    if failing:
        answer.set_rcode(dns.rcode.SERVFAIL)
    elif values := zone.get((name, kind)):
        answer.answer.append(dns.rrset.from_text_list(wanted.name, 60, "IN", kind, values))
    elif name not in {known for known, _ in zone}:
        answer.set_rcode(dns.rcode.NXDOMAIN)
    return answer
