"""What tests of rows share."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from models.store import database

Beside = Callable[[Callable[[], Any]], "Future[Any]"]


@pytest.fixture
def beside() -> Iterator[Beside]:
    """Does something in a thread and on a connection of its own."""

    def on_a_connection_of_its_own(action: Callable[[], Any]) -> Any:
        try:
            return action()
        finally:
            database.close()

    with ThreadPoolExecutor(8) as pool:
        yield lambda action: pool.submit(on_a_connection_of_its_own, action)
