"""Importing wires nothing: a process builds what it needs, in one place."""

import json
import os
import subprocess
import sys

import config
from tests.test_architecture import files, module

# What an import could have altered, as far as it can be told from outside.
PROGRAM = """
import copy, importlib, json, logging, os, signal, sys, threading
import dramatiq, dramatiq.encoder, email_validator, peewee, structlog

def state():
    return {
        "environment": dict(os.environ),
        "threads": len(threading.enumerate()),
        "signals": [str(signal.getsignal(number)) for number in sorted(signal.valid_signals())],
        "hooks": [str(sys.excepthook), str(threading.excepthook)],
        "log": [[str(it) for it in logging.getLogger(name).handlers] for name in ("", "apprise")],
        "levels": [logging.getLogger(name).level for name in ("", "apprise", "urllib3", "pika", "dramatiq")],
        "structlog": structlog.is_configured(),
        "broker": str(dramatiq.broker.global_broker),
        "encoder": str(type(dramatiq.get_encoder())),
        "addresses": list(email_validator.SPECIAL_USE_DOMAIN_NAMES),
    }

before = state()
for name in sys.argv[1:]:
    importlib.import_module(name)
after = state()
import config
from models.store.database import database
after["settings"], before["settings"] = config.settings.cache_info().misses, 0
after["lock"], before["lock"] = str(type(database._lock)), str(type(peewee.PostgresqlDatabase(None)._lock))
print(json.dumps({name: after[name] for name in after if before[name] != after[name]}))
"""


def test_alters_nothing_and_reads_no_setting() -> None:
    names = [module(path) for path in files() if "migrations" not in path.parts]
    wrong = {**os.environ, "PUNKTUAL_DATABASE_URL": "none", "PUNKTUAL_NO_SUCH_SETTING": "1"}

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *names], cwd=config.ROOT, env=wrong, capture_output=True, text=True
    )

    assert (done.stderr, json.loads(done.stdout)) == ("", {})


def test_no_module_is_imported_for_its_effect() -> None:
    assert [path for path in files() if "noqa: F401" in path.read_text(encoding="utf-8")] == []
