"""A real HTTP server on loopback that receives webhooks and answers each call as the test asks."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import clock
from tests.waiting import BOUND


class Webhook:
    """answer: the status of each call; or stall, trickle (a byte now and then), or hang up."""

    def __init__(self, answer: int | str = 200) -> None:
        self.answer = answer
        self.calls: list[dict[str, Any]] = []
        self.reached = threading.Event()
        self.released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Call)
        self._server.daemon_threads = True
        self._server.webhook = self  # type: ignore[attr-defined]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"json://ola:s3cret@127.0.0.1:{self.port}/tok3n"

    @property
    def titles(self) -> list[str]:
        return [call["title"] for call in self.calls]


class _Call(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        webhook: Webhook = self.server.webhook  # type: ignore[attr-defined]
        content = self.rfile.read(int(self.headers["Content-Length"]))
        webhook.calls.append({**json.loads(content), "path": self.path, "at": clock.now()})
        webhook.reached.set()
        match webhook.answer:
            case "stall":
                webhook.released.wait(BOUND)
            case "trickle":
                while not webhook.released.wait(0.05):
                    self.wfile.write(b"H")
            case int(status):
                self.send_response(status)
                self.send_header("Location", "/elsewhere")
                self.end_headers()

    def log_message(self, *_: object) -> None:
        """Do not log calls."""
