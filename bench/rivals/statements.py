"""The rivals' statements, from files that both languages read, prepared once a connection."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2

_FOLDER = Path(__file__).parent
_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def read(file: str) -> dict[str, str]:
    """Name -> statement, with parameters $1, $2 and so on."""
    _, *parts = _NAME.split((_FOLDER / file).read_text(encoding="utf-8"))
    return dict(zip(parts[::2], parts[1::2], strict=True))


class Connection:
    """A thread's own, kept open. Each statement is prepared when it is first used."""

    def __init__(self, url: str, file: str) -> None:
        self._url, self._statements = url, read(file)
        self._of_thread = threading.local()

    @contextmanager
    def transaction(self) -> Iterator["Connection"]:
        with self._connection():
            yield self

    def run(self, name: str, *values: object) -> tuple[Any, ...] | None:
        """The first row, if there is one."""
        connection, prepared = self._connection(), self._of_thread.prepared
        with connection.cursor() as cursor:
            if name not in prepared:
                cursor.execute(f"PREPARE {name} AS {self._statements[name]}")
                prepared.add(name)
            cursor.execute(f"EXECUTE {name} ({', '.join(['%s'] * len(values))})", values)
            row: tuple[Any, ...] | None = cursor.fetchone() if cursor.description and cursor.rowcount else None
            return row

    def close(self) -> None:
        """This thread's."""
        self._connection().close()

    def _connection(self) -> Any:
        if not hasattr(self._of_thread, "connection"):
            self._of_thread.connection, self._of_thread.prepared = psycopg2.connect(self._url), set()
        return self._of_thread.connection
