"""Reads a metrics page as Prometheus does."""

import base64
import contextlib
import http.client
import itertools
import os
import socket
import urllib.error
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

from tests.waiting import BOUND

# Below those that the system gives to connections, which could take one before its server does; and another hundred for
# each process that tests side by side.
_ports = itertools.count(12_000 + os.getpid() % 200 * 100)


def free_port() -> int:
    for port in _ports:
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("there is always a next one")


def scrape(port: int, password: str | None = None) -> dict[str, float]:
    """Sample -> value, like `name{label="value"}`; nothing while there is no page. Raises HTTPError where refused."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics")
    if password is not None:
        request.add_header("Authorization", f"Basic {base64.b64encode(f'prometheus:{password}'.encode()).decode()}")
    try:
        with urllib.request.urlopen(request, timeout=BOUND) as page:
            return samples(page.read().decode())
    except urllib.error.HTTPError:
        raise
    except (OSError, http.client.HTTPException):
        return {}


def samples(page: str) -> dict[str, float]:
    """As scrape() gives them."""
    found = [it for family in text_string_to_metric_families(page) for it in family.samples]
    return {named(it.name, **it.labels): it.value for it in found}


def named(name: str, /, **labels: object) -> str:
    listed = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
    return f"{name}{{{listed}}}" if listed else name
