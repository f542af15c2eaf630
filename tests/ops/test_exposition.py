"""A process's own page for Prometheus: who may read it."""

import http.client
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.mmap_dict import MmapedDict, mmap_key

from ops.watch import exposition
from tests.conftest import Override
from tests.scraping import free_port, samples
from tests.waiting import BOUND

BASIC = {"Authorization": "Basic cHJvbWV0aGV1czpzM2NyZXQ="}  # prometheus:s3cret


@pytest.fixture
def port() -> Iterator[int]:
    page = exposition.server(CollectorRegistry(), free_port())
    assert page is not None
    threading.Thread(target=page.serve_forever, args=(0.05,), daemon=True).start()
    yield page.server_port
    page.shutdown()
    page.server_close()


def status(port: int, host: str | None, **headers: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=BOUND)
    connection.putrequest("GET", "/metrics", skip_host=True)
    for name, value in ({"Host": host} if host is not None else {} | headers).items():
        connection.putheader(name, value)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


class TestOnThisMachineAlone:
    @pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:9191", "localhost:9191", "[::1]:9191", "127.8.8.8"])
    def test_it_answers_to_every_name_of_this_machine(self, port: int, host: str) -> None:
        assert status(port, host) == 200

    @pytest.mark.parametrize("host", ["rebound.example", "127.0.0.1.evil.example:9191", "10.0.0.1", "[", "", None])
    def test_another_name_that_leads_here_is_that_of_an_attacking_page(self, port: int, host: str | None) -> None:
        assert status(port, host) == 400


class TestWithAPassword:
    def test_it_is_the_password_that_is_asked_for_under_any_name(self, settings: Override, port: int) -> None:
        settings(METRICS_PASSWORD="s3cret")

        assert status(port, "worker:9191") == 401
        assert status(port, "worker:9191", **BASIC) == 200


class TestTheMergedPage:
    def test_shows_the_other_processes_beside_one_that_was_killed_before_it_counted_anything(
        self, tmp_path: Path
    ) -> None:
        counted(tmp_path / "counter_1.db", 3)
        counted(tmp_path / "counter_2.db", 4)
        (tmp_path / "counter_3.db").touch()

        page = generate_latest(exposition.merged(str(tmp_path)))

        assert samples(page.decode()) == {"punktual_hints_total": 7}

    def test_is_empty_before_any_process_has_begun(self, tmp_path: Path) -> None:
        assert generate_latest(exposition.merged(str(tmp_path))) == b""


def counted(file: Path, count: int) -> None:
    """A process's file, as prometheus_client writes it."""
    name = "punktual_hints_total"
    MmapedDict(str(file)).write_value(mmap_key(name, name, [], [], "counted"), count, 0)  # type: ignore[no-untyped-call]
