"""Who may import whom, and a few promises of the layout that a reader relies on."""

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import config

_STORED = {"messages", "models.states", "models.store", "reasons"}
_PEOPLE = {"models.audit", "models.people"}
_DONE = _STORED | _PEOPLE | {"models.email", "models.planning", "models.owner", "models.inbox"}
_SEEN = _DONE | {"models.health", "models.views"}
_OPS = {"ops", "ops.run", "ops.terminal", "ops.watch"}
# Each room -> the rooms that its files may import besides their own. A room stands below all that it imports: no arrow
# runs back up.
ALLOWED: dict[str, set[str]] = {
    "clock": set(),
    "messages": set(),
    "bounds": {"messages"},
    "faults": {"bounds", "messages"},
    "config": {"bounds", "faults"},
    "scheduling": set(),
    "reasons": {"messages", "scheduling"},
    "mail.address": {"messages"},
    "mail.unsubscribe": set(),
    "mail": {"clock", "config", "mail.address", "mail.unsubscribe", "messages", "reasons"},
    "mail.incoming": {"mail", "mail.address"},
    "models": set(),
    "models.states": set(),
    "models.store": {"bounds", "clock", "config", "models.states", "reasons"},
    "models.email": {"config", "scheduling"} | _STORED,
    "models.planning": {"config", "models.email", "scheduling"} | _STORED,
    "models.audit": _STORED,
    "models.people": {"bounds", "models.audit", "models.email"} | _STORED,
    "models.owner": {"bounds", "config", "models.email", "models.planning", "scheduling"} | _PEOPLE | _STORED,
    "models.inbox": {"bounds", "config", "models.email", "models.owner", "models.planning", "scheduling"}
    | _PEOPLE
    | _STORED,
    "models.health": {"models.email", "scheduling"} | _STORED,
    "models.views": {"config", "models.health", "scheduling"} | _DONE,
    "intake": {
        "bounds",
        "clock",
        "config",
        "faults",
        "mail",
        "mail.address",
        "mail.unsubscribe",
        "messages",
        "scheduling",
    }
    | _SEEN,
    "ops.terminal": set(),
    "ops.watch": {
        "clock",
        "config",
        "models.email",
        "models.inbox",
        "models.states",
        "models.planning",
        "ops.terminal",
        "reasons",
    },
    "ops.run": {"clock", "config", "models.store", "ops.terminal", "ops.watch"},
    "ops": {"clock", "config", "models.store"} | _OPS,
    "logins": {"clock", "mail", "mail.address", "ops.watch"} | _DONE,
    "actors.disk": {"clock", "config", "mail"} | _DONE,
    "actors": {
        "actors.disk",
        "clock",
        "config",
        "logins",
        "mail",
        "mail.address",
        "mail.incoming",
        "mail.unsubscribe",
        "models.health",
        "scheduling",
    }
    | _DONE
    | _OPS,
    "actors.process": {"actors", "actors.disk", "config", "models.health"} | _DONE | _OPS,
    "actors.__main__": {"actors.process", "config", "models.store"} | _OPS,
    "admin": {"actors", "actors.disk", "actors.process", "bounds", "clock", "config", "faults", "intake", "logins"}
    | {"mail", "mail.address", "mail.unsubscribe", "scheduling"}
    | _SEEN
    | _OPS,
    "web.language": {"clock", "config", "models.email", "reasons", "scheduling"},
    "web.guard": {"config", "models.owner", "models.people", "models.store", "reasons", "web.language"} | _OPS,
    "web": {"bounds", "clock", "config", "faults", "intake", "logins", "mail", "mail.address", "mail.unsubscribe"}
    | {"messages", "scheduling", "web.guard", "web.language"}
    | _SEEN
    | _OPS,
}


OURS = {name.split(".")[0] for name in ALLOWED}


def files() -> list[Path]:
    found = [path for room in sorted(OURS) for path in (config.ROOT / room).rglob("*.py")]
    return [
        *(config.ROOT / f"{name}.py" for name in ("bounds", "clock", "config", "faults", "messages", "reasons")),
        *found,
    ]


def module(path: Path) -> str:
    return ".".join(path.relative_to(config.ROOT).with_suffix("").parts).removesuffix(".__init__")


def room(name: str) -> str:
    """The innermost one that a module, or what is imported from it, is in."""
    parts = name.split(".")
    return next(found for end in range(len(parts), 0, -1) if (found := ".".join(parts[:end])) in ALLOWED)


@cache
def code() -> dict[str, ast.Module]:
    """Module -> its code."""
    return {module(path): ast.parse(path.read_text(encoding="utf-8")) for path in files()}


@cache
def imports() -> dict[str, set[str]]:
    """Module -> the names that it imports."""
    return {name: set(imported(tree)) for name, tree in code().items()}


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def importing(*roots: str) -> set[str]:
    """The modules that import from one of these."""
    return {name for name, names in imports().items() if {it.split(".")[0] for it in names} & set(roots)}


class TestEveryFile:
    def test_imports_only_the_rooms_that_it_may(self) -> None:
        rooms = {name: {room(it) for it in names if it.split(".")[0] in OURS} for name, names in imports().items()}

        beyond = {name: its - ALLOWED[room(name)] - {room(name)} for name, its in rooms.items()}

        assert {name: its for name, its in beyond.items() if its} == {}

    def test_imports_neither_tests_nor_benchmarks(self) -> None:
        assert importing("bench", "tests") == set()

    def test_opens_with_what_it_owns(self) -> None:
        assert [name for name, tree in code().items() if not ast.get_docstring(tree)] == []

    def test_leaves_sql_to_the_models(self) -> None:
        users = importing("peewee", "psycopg2", "playhouse")

        assert {name for name in users if not room(name).startswith("models.")} == set()


def test_no_arrow_runs_back_up() -> None:
    above: set[str] = set()
    for here, allowed in ALLOWED.items():
        assert allowed - above - {here} == set(), here
        above.add(here)


@pytest.mark.parametrize("name", sorted(OURS))
def test_no_name_at_the_root_hides_one_of_the_standard_library(name: str) -> None:
    assert name not in sys.stdlib_module_names


def test_nothing_is_called_after_what_it_is_not() -> None:
    vague = {"utils", "common", "helpers", "services", "manager"}

    assert not {path.stem for path in files()} & vague


# Only these change an e-mail's status, and no file beside these and four others writes to its row.
_MOVES = {"models.email.move_statements", "models.email.batch_moves"}
_WRITES_TO_AN_EMAIL = re.compile(
    r"(UPDATE|INSERT INTO|DELETE FROM) campaign_email_queue"
    r"|\b(Q|CampaignEmailQueue)\.(update|insert|delete|create)\w*\("
)
_SETS_ITS_STATUS = re.compile(
    r"UPDATE campaign_email_queue\b(?:(?!WHERE|FROM).)*\bSET\b(?:(?!WHERE|FROM).)*\bstatus\b"
    r"|\"status\":|(?:update|insert)\((?:(?!\)).)*status=",
    re.DOTALL,
)


class TestTheStatusOfAnEmail:
    def test_is_changed_by_its_moves_only(self) -> None:
        writing = {module(path): path.read_text(encoding="utf-8") for path in files()}
        writing = {
            name: text
            for name, text in writing.items()
            if "migrations" not in name and _WRITES_TO_AN_EMAIL.search(text)
        }

        others = {"models.email.evidence", "models.email.hints", "models.email.stuck", "models.people.forgetting"}
        assert writing.keys() == _MOVES | others
        assert {name for name, text in writing.items() if name in others and _SETS_ITS_STATUS.search(text)} == set()

    @pytest.mark.parametrize(
        "code",
        [
            "UPDATE campaign_email_queue q\nSET hinted_for = NULL, status = 'sent' WHERE id = 1",
            "UPDATE campaign_email_queue SET status = 'sent'",
            'Q.update({"status": Status.SENT})',
            "Q.update(status=Status.SENT)",
        ],
    )
    def test_changed_elsewhere_is_noticed(self, code: str) -> None:
        assert _WRITES_TO_AN_EMAIL.search(code)
        assert _SETS_ITS_STATUS.search(code)


def test_the_locks_hold_hashes_and_no_registry() -> None:
    for lock in ("requirements.lock", "requirements-dev.lock", "requirements-bench.lock"):
        lines = (config.ROOT / lock).read_text().splitlines()
        pinned = [line for line in lines if "==" in line]
        assert pinned
        assert all(line.endswith("\\") for line in pinned)
        assert not [line for line in lines if "://" in line or line.startswith(("-i", "--index", "--extra", "--find"))]
