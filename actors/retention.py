"""Tick step that deletes the content of old letters, if `retention.letters_days` is set."""

import config
from models.email import retention
from ops.watch import logs, metrics

log = logs.get()

# Per tick: 2,500 letters, which is 3.6 million a day.
_PORTIONS = 5


def delete_old_letters() -> None:
    days = config.settings().retention.letters_days
    if days == "off":
        return
    for _ in range(_PORTIONS):
        count = retention.delete_letters(days)
        if count is None:
            return
        if count:
            metrics.LETTERS_DELETED.inc(count)
            log.info("letters_deleted", count=count, older_than_days=days)
