"""The real process on a socket: how it starts, what it bears, and how it ends."""

import http.client
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import psutil

import config
from models.health import heartbeats
from tests.chaos.proxy import Proxy
from tests.waiting import BOUND, until
from tests.web.conftest import HASH, Served
from web.guard import channels

Serve = Callable[..., Served]


class TestStart:
    def test_it_says_where_it_is_once_it_listens(self, serve: Serve) -> None:
        served = serve()

        assert served.said == f"the pages are at {served.url}"
        assert served.get("/health/live")[0] == 200

    def test_it_listens_on_this_machine_alone_unless_told_otherwise(self, serve: Serve) -> None:
        served = serve()

        listening = psutil.Process(served.process.pid).net_connections("tcp")

        assert {each.laddr.ip for each in listening if each.status == psutil.CONN_LISTEN} == {"127.0.0.1"}

    def test_where_its_port_is_taken_it_says_so_in_one_line_and_ends(self, serve: Serve) -> None:
        first = serve()

        second = serve(PUNKTUAL_WEB_PORT=str(first.port))

        assert second.process.wait(BOUND) == 69
        said = [line for line in second.log.read_text().splitlines() if line.startswith("punktual:")]
        assert said == [f"punktual: no pages at {first.url}: Address already in use (web.port names another)"]
        assert first.get("/health/live")[0] == 200

    def test_open_to_others_without_a_password_it_does_not_start(self) -> None:
        environment = {"PUNKTUAL_WEB_HOST": "0.0.0.0", "PUNKTUAL_DATABASE_URL": "postgresql://host/name"}

        done = subprocess.run(
            [sys.executable, "-m", "web"], cwd=config.ROOT, env=environment, capture_output=True, text=True
        )

        assert done.returncode == 1
        assert "new-password" in done.stderr
        assert len(done.stderr.splitlines()) == 1


class TestEnd:
    def test_told_to_end_it_ends(self, serve: Serve) -> None:
        served = serve()
        half_a_request = socket.create_connection(("127.0.0.1", served.port))
        half_a_request.sendall(b"GET / HTTP/1.1\r\nHost: localh")

        served.process.send_signal(signal.SIGTERM)

        assert served.process.wait(BOUND) == 0
        half_a_request.close()


class TestOutage:
    def test_pages_and_programs_are_told_and_served_again_by_themselves(self, serve: Serve, postgres: str) -> None:
        heartbeats.beat("tick")
        with Proxy(socket_of(postgres)) as database:
            url = through(database, postgres, "postgres:s3cret")
            served = serve(PUNKTUAL_DATABASE_URL=url)
            assert served.get("/api/counts")[0] == 200

            database.stall()

            status, body = served.get("/api/counts")
            assert status == 503
            assert "The database does not answer." in body
            status, body = served.get("/health/ready")
            assert status == 503
            assert not [word for word in ("s3cret", str(database.port)) if word in body]
            database.flow()
            until(lambda: served.get("/health/ready")[0] == 200, "it to be ready again")
            assert served.get("/api/counts")[0] == 200

    def test_connections_that_broke_are_replaced(self, serve: Serve, postgres: str) -> None:
        with Proxy(socket_of(postgres)) as database:
            url = through(database, postgres, "postgres")
            served = serve(PUNKTUAL_DATABASE_URL=url)
            for _ in range(10):
                assert served.get("/api/counts")[0] == 200

            database.cut()

            assert served.get("/api/counts")[0] == 200


class TestConnections:
    def test_whoever_opens_many_and_says_nothing_shuts_nobody_out(self, serve: Serve) -> None:
        served = serve()
        silent = [
            socket.create_connection(("127.0.0.1", served.port)) for _ in range(channels.MOST_OF_ONE_ADDRESS + 10)
        ]

        assert served.get("/health/live")[0] == 200
        assert silent[0].recv(1) == b""
        for each in silent:
            each.close()


class TestProxy:
    def test_behind_one_that_speaks_tls_its_word_counts(self, serve: Serve) -> None:
        served = serve(PUNKTUAL_WEB_PASSWORD_HASH=HASH, PUNKTUAL_WEB_BEHIND_HTTPS="true")

        answer = raw(served, "GET /login", **{"X-Forwarded-Proto": "https", "X-Forwarded-Host": "mail.example"})

        assert answer.status == 200
        assert answer.headers["Strict-Transport-Security"]
        assert "Secure" in answer.headers["Set-Cookie"]

    def test_without_one_nobodys_word_does(self, serve: Serve) -> None:
        served = serve(PUNKTUAL_WEB_PASSWORD_HASH=HASH)

        answer = raw(served, "GET /login", **{"X-Forwarded-Proto": "https", "X-Forwarded-Host": "mail.example"})

        assert answer.status == 200
        assert "Strict-Transport-Security" not in answer.headers


class TestMalformedRequests:
    def test_a_body_that_is_too_large_is_refused_before_it_is_sent(self, serve: Serve) -> None:
        served = serve()

        answer = raw(served, "POST /api/campaigns/1/pause", **{"Content-Length": str(10**9)})

        assert answer.status == 413

    def test_headers_cannot_be_smuggled_into_an_answer(self, serve: Serve) -> None:
        served = serve(PUNKTUAL_WEB_PASSWORD_HASH=HASH)

        for path in (
            "/campaigns%0d%0aSet-Cookie:%20a=b",
            "/find?address=%0d%0aSet-Cookie:%20a=b",
            "/%0d%0aX-Evil:%20a",
        ):
            answer = raw(served, f"GET {path}")
            assert "X-Evil" not in answer.headers
            assert "a=b" not in (answer.headers["Set-Cookie"] or "")

    def test_a_name_that_was_pointed_here_is_refused(self, serve: Serve) -> None:
        assert raw(serve(), "GET /api/counts", Host="rebound.example").status == 400


def raw(served: Served, line: str, **headers: str) -> http.client.HTTPResponse:
    """The answer as it came, wherever it would lead."""
    method, path = line.split(" ", 1)
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=BOUND)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


def through(proxy: Proxy, url: str, user: str) -> str:
    """The URL of the same database behind the proxy."""
    return f"postgresql://{user}@127.0.0.1:{proxy.port}{urlsplit(url).path}?sslmode=disable&gssencmode=disable"


def socket_of(url: str) -> str:
    """The Unix socket on which the embedded Postgres listens."""
    [folder] = parse_qs(urlsplit(url).query)["host"]
    return f"{folder}/.s.PGSQL.5432"
