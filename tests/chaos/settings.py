"""Settings for a fast run: short leases, timeouts and pauses."""

import os
from pathlib import Path

from cryptography.fernet import Fernet

import config
from tests.chaos import load


def settle(home: Path, seconds: float) -> None:
    """Set them for this process and for those that it starts, and no others of Punktual's."""
    late = load.late_seconds(seconds)
    values = {
        "PUNKTUAL_DATA_DIR": home,
        "PUNKTUAL_SECRET_KEY": Fernet.generate_key().decode(),
        "PUNKTUAL_LOG_FORMAT": "json",
        "PUNKTUAL_SENDING_REQUIRE_LEGAL_BASIS": "false",
        "PUNKTUAL_DATABASE_LOCK_TIMEOUT_SECONDS": 3,
        "PUNKTUAL_DATABASE_STATEMENT_TIMEOUT_SECONDS": 6,
        "PUNKTUAL_DATABASE_IDLE_IN_TRANSACTION_SECONDS": 4,
        "PUNKTUAL_BROKER_HEARTBEAT_SECONDS": 5,
        "PUNKTUAL_BROKER_BLOCKED_TIMEOUT_SECONDS": 5,
        "PUNKTUAL_WORKER_PROCESSES": 2,
        "PUNKTUAL_WORKER_THREADS": 4,
        "PUNKTUAL_PLANNING_BUFFER_MINUTES": 2,
        "PUNKTUAL_SENDING_LATE_TOLERANCE_SECONDS": 10,
        "PUNKTUAL_SENDING_CLAIM_LEASE_SECONDS": late // 2 + 5,
        "PUNKTUAL_SENDING_ANSWER_LEASE_SECONDS": late + 25,
        "PUNKTUAL_SENDING_RETRY_FIRST_SECONDS": 2,
        "PUNKTUAL_SENDING_RETRY_FACTOR": 2,
        "PUNKTUAL_SENDING_RETRY_CAP_SECONDS": 10,
        "PUNKTUAL_SENDING_GIVE_UP_AFTER_DAYS": 0.00025,
        # Half of all mails are refused on purpose.
        "PUNKTUAL_SENDING_PAUSE_AT_FAILED_PERCENT": "off",
        "PUNKTUAL_SMTP_COMMAND_TIMEOUT_SECONDS": late // 3,
        "PUNKTUAL_SMTP_CONVERSATION_TIMEOUT_SECONDS": late // 2,
        "PUNKTUAL_SMTP_ANSWER_TIMEOUT_SECONDS": late + 15,
        "PUNKTUAL_SMTP_HAND_OVER_TO_DOT_SECONDS": 5,
        "PUNKTUAL_IMAP_COMMAND_TIMEOUT_SECONDS": 3,
        "PUNKTUAL_IMAP_CONVERSATION_TIMEOUT_SECONDS": 6,
        "PUNKTUAL_IMAP_INBOX_EVERY_SECONDS": 2,
        "PUNKTUAL_IMAP_INBOX_LOOK_SECONDS": 4,
    }
    for name in [name for name in os.environ if name.startswith(config.PREFIX)]:
        del os.environ[name]
    os.environ.update({name: str(value) for name, value in values.items()})
