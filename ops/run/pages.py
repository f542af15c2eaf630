"""The process that serves the pages, beside another that started it and must not depend on it."""

import os
import subprocess
import threading
from types import TracebackType
from typing import IO, Self

import config
from ops.run import tied

_PAUSE_SECONDS = 2.0
_END_SECONDS = 10.0
# The status with which `python -m web` ends where it cannot listen.
NO_PLACE_TO_LISTEN = os.EX_UNAVAILABLE


class Pages:
    """`python -m web`, started again when it dies, unless it finds no place to listen.

    said: one sentence for people, where the pages are or why there are none. found: whether they are anywhere.
    Both are known when it is entered.
    """

    def __init__(self, log: IO[bytes] | None = None) -> None:
        self._log = log
        self._ending = threading.Event()
        self._starting = threading.Lock()

    def __enter__(self) -> Self:
        self._process = self._start()
        assert self._process.stdout is not None
        # It says so once it listens, and says nothing if it ends before.
        where = self._process.stdout.readline().strip()
        self.found, self.said = bool(where), where or self._why_not()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ending.set()
        with self._starting:
            self._process.terminate()
        self._keeper.join(_END_SECONDS)
        self._process.kill()

    def _start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(  # noqa: S603  # our own
            tied.command("web"),
            cwd=config.ROOT,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            process_group=0,  # Ctrl-C is for whoever started it, and that one ends it
        )

    def _why_not(self) -> str:
        if self._process.wait() == NO_PLACE_TO_LISTEN:
            web = config.settings().web
            return f"there are no pages: port {web.port} of {web.host} is taken (PUNKTUAL_WEB_PORT names another)"
        return "the pages have not started; they are tried again"

    def _keep(self) -> None:
        while self._process.wait() != NO_PLACE_TO_LISTEN and not self._ending.wait(_PAUSE_SECONDS):
            with self._starting:
                if not self._ending.is_set():
                    self._process = self._start()
