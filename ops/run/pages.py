"""Runs the pages in a child process, whose failure does not affect the parent."""

import os
import subprocess
import threading
from types import TracebackType
from typing import IO, Self

import config
from ops.run import tied

_PAUSE_SECONDS = 2.0
_END_SECONDS = 10.0
# Exit status of `python -m web` if it cannot listen.
NO_PLACE_TO_LISTEN = os.EX_UNAVAILABLE


class Pages:
    """`python -m web`, restarted when it dies, unless it cannot listen.

    said: one sentence for people: the pages' URL, or why there are none. found: whether they are available.
    Both are set when the context is entered.
    """

    def __init__(self, log: IO[bytes] | None = None) -> None:
        self._log = log
        self._ending = threading.Event()
        self._starting = threading.Lock()

    def __enter__(self) -> Self:
        self._process = self._start()
        assert self._process.stdout is not None
        # It prints a line once it listens, and nothing if it ends before.
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
            process_group=0,  # Ctrl-C goes to the parent, which ends it
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
