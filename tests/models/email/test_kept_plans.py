"""The statements that send an e-mail are planned once a session, often while nothing is being sent.

Postgres takes an index that was empty then for the cheapest way to any e-mail. It must not be able to use it: what was
sent since would be read for each e-mail.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from models.email import facts, moves
from models.store import database
from models.store.database import Prepared
from tests import factories as make

STATEMENTS = (
    facts.FACTS_OF_ONE,
    moves.CLAIM,
    moves.CLAIMED,
    moves.HAND_OVER,
    moves.HANDED_OVER,
    moves.ACCEPT,
    moves.REJECT,
    moves.RETRY,
    moves.RELEASE,
    moves.RELEASE_UNHANDED,
    moves.DOUBT,
)
FIRST_COLUMNS = """
SELECT i.indexrelid::regclass::text, a.attname
FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
"""
# What is being sent through a host is counted by reading all that is being sent.
COUNTS_AT_HOST = "h"


@pytest.fixture
def while_nothing_is_sent(db: None) -> Iterator[None]:
    """The statistics of a new database with one campaign, and a session without plans."""
    mailbox_id = make.a_mailbox()
    make.planned(make.a_campaign([mailbox_id], leads=100), mailbox_id, *[make.now()] * 100)
    database.execute(f"DROP INDEX IF EXISTS {make.ONE_EMAIL}")  # as the first follow-up does
    database.execute("VACUUM ANALYZE")
    database.close()
    # As with more e-mails than fit into a test: a small table would be read as a whole.
    database.execute("SET enable_seqscan = off")
    database.execute("SET enable_bitmapscan = off")
    yield
    database.close()


@pytest.mark.usefixtures("while_nothing_is_sent")
@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda it: it.name)
def test_each_e_mail_is_found_by_the_first_column_of_an_index(statement: Prepared) -> None:
    first = dict(database.fetch(FIRST_COLUMNS))
    reads = [it for it in nodes(plan(statement)) if it.get("Relation Name") == "campaign_email_queue"]
    reads = [it for it in reads if it["Node Type"] != "ModifyTable" and not it["Alias"].startswith(COUNTS_AT_HOST)]

    for it in reads:
        column = first[it["Index Name"]]
        assert re.search(rf"\({column} = ", it.get("Index Cond", "")), it


def plan(statement: Prepared) -> dict[str, Any]:
    database.execute(statement.preparation)
    most = max(map(int, re.findall(r"\$(\d+)", statement.preparation)))
    arguments = ", ".join(["NULL"] * most)
    [(found,)] = database.fetch(f"EXPLAIN (FORMAT JSON) EXECUTE {statement.name} ({arguments})")
    root: dict[str, Any] = found[0]["Plan"]
    return root


def nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", []):
        yield from nodes(child)
