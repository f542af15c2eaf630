"""Makes leads searchable, in portions: see views/found_leads.py for the search itself."""

from models.store import tick_request
from models.store.database import database, execute, fetch, fetch_row

# Indexing takes about 0.15 ms a lead.
PORTION = 2000
_PORTIONS = 5

# First come, first served; a range that could not be finished goes to the end.
TAKE = """
DELETE FROM lead_search_backlog
WHERE id = (SELECT id FROM lead_search_backlog ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING first_id, last_id
"""
_MISSING = """
FROM campaign_lead l WHERE l.id BETWEEN %(first)s AND %(last)s
  AND NOT EXISTS (SELECT FROM lead_search s WHERE s.campaign_lead_id = l.id)
"""
# Whoever changes a lead waits for the end of this, and then changes what it is found by too. Who is being changed now
# is left for later: waiting for two of them could be a deadlock.
FILL = f"""
INSERT INTO lead_search (campaign_lead_id, words)
SELECT l.id, lead_words(l.address, l.fields) {_MISSING}
ORDER BY l.id LIMIT %(portion)s FOR SHARE OF l SKIP LOCKED
"""
PUT_BACK = f"""
INSERT INTO lead_search_backlog (first_id, last_id)
SELECT id, %(last)s FROM (SELECT l.id {_MISSING} ORDER BY l.id LIMIT 1) next
"""  # noqa: S608  # only our own words


def make_leads_searchable(portion: int = PORTION) -> None:
    """Make some of the leads searchable who are not yet. If more are left, asks for another tick."""
    done = 0
    for _ in range(_PORTIONS):
        if not waiting():
            return
        done += _fill(portion)
    # Those who could not be locked are left to the next minute's.
    if done and waiting():
        tick_request.ask_for_tick()


def waiting() -> int:
    """How many leads may be missing from the index, at most."""
    return int(fetch("SELECT COALESCE(sum(last_id - first_id + 1), 0) FROM lead_search_backlog")[0][0])


def _fill(portion: int) -> int:
    with database.atomic():
        found = fetch_row(TAKE)
        if found is None:
            return 0
        values = {"first": found[0], "last": found[1], "portion": portion}
        done = execute(FILL, values)
        execute(PUT_BACK, values)
        return done
